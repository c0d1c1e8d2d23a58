"""Tells that memory ran out from all other errors, on every device."""

import torch


def is_out_of_memory(error: BaseException) -> bool:
    """Whether less at a time may work: torch has a class for it on a GPU, but only a sentence on the CPU."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
