"""Where keys of sources lie in memory."""

import pytest
import torch

from nmt.model.memory import laid_out


@pytest.mark.parametrize(("device", "innermost"), [("cpu", -1), ("meta", -2)])
def test_keys_of_sources_lie_as_the_device_reads_them_fastest(device: str, innermost: int) -> None:
    keys = torch.zeros(2, 3, 8, 5, device=device)  # (B, H, K, S)
    for given in (keys, keys.mT.contiguous().mT):
        assert laid_out(given).stride(innermost) == 1
