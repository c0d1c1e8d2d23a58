"""Dropout that draws a random byte an element, from a seed if it was given one (Srivastava et al., 2014)."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class _Stream(threading.local):
    generator: torch.Generator | None = None  # None: torch's own


_stream = _Stream()


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Draw what this thread drops from this seed, so that it depends on nothing that was drawn before."""
    before, _stream.generator = _stream.generator, torch.Generator(device).manual_seed(seed)
    try:
        yield
    finally:
        _stream.generator = before


def dropout(x: Tensor, rate: float) -> Tensor:
    """Zero a share `rate` (in steps of 1/256, at most 255/256) of the elements of x, scale up the others."""
    if rate <= 0:
        return x
    kept, scale = survivors(x, rate)
    return x * kept * scale  # which in bfloat16 is rounded at the end, not by itself


def survivors(x: Tensor, rate: float) -> tuple[Tensor, float]:
    """What dropout leaves of x: one or zero for each element, and what makes up for those that are zeroed."""
    threshold = min(255, max(1, round(rate * 256)))
    # as bytes: torch converts bools several times slower
    kept = _random_bytes(x.shape, x.device).ge_(threshold)
    return kept.to(x.dtype), 256 / (256 - threshold)


def _random_bytes(shape: torch.Size, device: torch.device) -> Tensor:
    """On a CPU random numbers are made by one thread; eight bytes at once are an eighth of the usual work."""
    generator = _stream.generator
    if device.type == "mps":  # has no random numbers of 64 bits
        return torch.empty(shape, dtype=torch.uint8, device=device).random_(0, 256, generator=generator)
    num_bytes = shape.numel()
    words = torch.empty((num_bytes + 7) // 8, dtype=torch.int64, device=device)
    words.random_(-(2**63), None, generator=generator)
    return words.view(torch.uint8)[:num_bytes].view(shape)
