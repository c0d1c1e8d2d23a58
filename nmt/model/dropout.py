"""Dropout that draws one random byte an element (Srivastava et al., 2014)."""

import torch
from torch import Tensor


def dropout(x: Tensor, rate: float) -> Tensor:
    """Zero a share `rate` (in steps of 1/256) of the elements of x and scale up the others.

    On a CPU random numbers are made by one thread; a byte an element is an eighth of the usual work.
    """
    if rate <= 0:
        return x
    threshold = max(1, round(rate * 256))
    words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device).random_(-(2**63), None)
    kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= threshold
    return x * kept.to(x.dtype).mul_(256 / (256 - threshold))
