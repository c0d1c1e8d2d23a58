"""Dropout that draws one random byte an element (Srivastava et al., 2014)."""

import torch
from torch import Tensor


def dropout(x: Tensor, rate: float) -> Tensor:
    """Zero a share `rate` (in steps of 1/256, at most 255/256) of the elements of x, scale up the others."""
    if rate <= 0:
        return x
    threshold = min(255, max(1, round(rate * 256)))
    kept = _random_bytes(x.shape, x.device) >= threshold
    return x * kept.to(x.dtype).mul_(256 / (256 - threshold))


def _random_bytes(shape: torch.Size, device: torch.device) -> Tensor:
    """On a CPU random numbers are made by one thread; eight bytes at once are an eighth of the usual work."""
    if device.type == "mps":  # has no random numbers of 64 bits
        return torch.empty(shape, dtype=torch.uint8, device=device).random_(0, 256)
    num_bytes = shape.numel()
    words = torch.empty((num_bytes + 7) // 8, dtype=torch.int64, device=device).random_(-(2**63), None)
    return words.view(torch.uint8)[:num_bytes].view(shape)
