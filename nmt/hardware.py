"""What this machine offers: a device, threads, memory that stays, and how to tell that it ran out."""

import ctypes
import mmap
import os
import platform
import sys
from array import array
from collections.abc import Iterable

import torch

from nmt.errors import UsageError

MOST_THREADS = 4096
OUT_OF_MEMORY = ("can't allocate memory", "MPS backend out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


def use_device(name: str, *, threads: int = 0) -> torch.device:
    """The device that `auto`, `cpu`, `cuda` or `mps` means here; sets torch's CPU threads, 0 for all cores.

    Raises UsageError if the device is not there, or if there can not be so many threads.
    """
    if not 0 <= threads <= MOST_THREADS:
        raise UsageError(f"--threads {threads}: expected 0 to {MOST_THREADS:,}, 0 for all cores")
    torch.set_num_threads(threads or num_usable_cores())
    keep_freed_memory()
    has = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(device for device, there in has.items() if there))
    if not has.get(name):
        raise UsageError(f"--device {name}: torch finds no such device here; use auto or cpu")
    return torch.device(name)


def num_usable_cores() -> int:
    """CPU cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def keep_freed_memory() -> None:
    """Let the C library keep freed tensors for the next ones instead of handing every page back.

    By default glibc maps each large tensor anew and the kernel zeroes its pages on every first touch, which
    can cost more than the arithmetic. Does nothing where the C library is another.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return
    trim_threshold, mmap_max = -1, -4  # the names in malloc.h
    libc = ctypes.CDLL(None)
    libc.mallopt(mmap_max, 0)
    libc.mallopt(trim_threshold, 2**31 - 1)


def hand_back_freed_memory() -> None:
    """Give the system what was freed and kept: after tensors of many sizes little of it is of use again.

    Does nothing where the C library is not glibc.
    """
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def hand_back_pages(tensors: Iterable[torch.Tensor]) -> None:
    """Take CPU tensors that lie in a mapped file out of memory, until somebody looks at them again.

    The system keeps what it has read of the file, so that costs little. Does nothing to memory that is no
    file's or has been written to, nor where the system is not Linux.
    """
    if sys.platform != "linux":
        return
    page, libc = mmap.PAGESIZE, ctypes.CDLL(None)
    for tensor in tensors:
        start = -(-tensor.data_ptr() // page) * page
        length = (tensor.data_ptr() + tensor.nbytes - start) // page * page
        if tensor.device.type == "cpu" and length > 0 and _is_as_in_file(start, length):
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), mmap.MADV_DONTNEED)


def _is_as_in_file(start: int, length: int) -> bool:
    """Whether all pages of this memory that are there, or swapped out, are those of a file."""
    is_there, is_of_file = 0b11 << 62, 1 << 61  # in an entry of pagemap, see proc(5)
    entries = array("Q")
    try:
        with open("/proc/self/pagemap", "rb", buffering=0) as pagemap:
            pagemap.seek(start // mmap.PAGESIZE * entries.itemsize)
            entries.frombytes(pagemap.read(length // mmap.PAGESIZE * entries.itemsize))
    except OSError:
        return False
    is_told = len(entries) == length // mmap.PAGESIZE
    return is_told and all(entry & is_of_file or not entry & is_there for entry in entries)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether less at a time may work: torch has a class for it with CUDA, elsewhere a sentence."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sentence in str(error) for sentence in OUT_OF_MEMORY)


def peak_memory(device: torch.device) -> int:
    """Bytes: the most that torch held on a GPU so far, else the most that this process did; 0 if unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return 0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def describe(device: torch.device, *, count: int = 1) -> str:
    """The device, or so many like it, in words, for reports and manifests."""
    if count > 1:
        return f"{count} x {describe(device)}"
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "Apple GPU"
    num_threads = torch.get_num_threads()
    return f"CPU, {num_threads} thread{'s' if num_threads > 1 else ''}"
