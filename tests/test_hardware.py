"""The device asked for is the one used, or its absence is named."""

import ctypes
import mmap
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

from nmt.errors import UsageError
from nmt.hardware import describe, hand_back_pages, keep_freed_memory, num_usable_cores, use_device

NUM_PAGES = 64

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def only_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def test_threads_are_set_and_zero_means_all_cores() -> None:
    assert use_device("cpu", threads=1) == torch.device("cpu")
    assert torch.get_num_threads() == 1
    use_device("cpu")
    assert torch.get_num_threads() == num_usable_cores()


@pytest.mark.usefixtures("only_cpu")
def test_auto_takes_the_cpu_where_there_is_nothing_else() -> None:
    assert use_device("auto", threads=1) == torch.device("cpu")


@pytest.mark.parametrize(("cuda", "mps", "expected"), [(1, 1, "cuda"), (1, 0, "cuda"), (0, 1, "mps")])
def test_auto_takes_a_gpu_if_there_is_one(
    cuda: int, mps: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(cuda))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: bool(mps))
    assert use_device("auto", threads=1).type == expected


@pytest.mark.usefixtures("only_cpu")
@pytest.mark.parametrize("name", ["cuda", "mps", "cuda:1", "tpu"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(
        UsageError, match=f"--device {name}: torch finds no such device here; use auto or cpu"
    ):
        use_device(name, threads=1)


def test_cores_are_those_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= num_usable_cores() <= (os.cpu_count() or 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert num_usable_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert num_usable_cores() == 1


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_freed_memory()
    monkeypatch.setattr(platform, "libc_ver", lambda: ("musl", "1.2"))
    monkeypatch.setattr(ctypes, "CDLL", lambda *_: pytest.fail("the C library was called"))
    keep_freed_memory()


def mapped(path: Path) -> torch.Tensor:
    """Whole pages of ones in a mapped file, all in memory."""
    torch.ones(NUM_PAGES * mmap.PAGESIZE).byte().numpy().tofile(path)
    tensor = torch.from_file(str(path), shared=False, size=NUM_PAGES * mmap.PAGESIZE, dtype=torch.uint8)
    assert tensor.all()
    assert resident(path) == NUM_PAGES
    return tensor


def resident(path: Path) -> int:
    """Pages of a mapped file that this process has in memory."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    assert any(line.endswith(str(path)) for line in lines)
    found = next(line for line in lines if line.startswith("Rss:"))
    return int(found.split()[1]) * 1024 // mmap.PAGESIZE


@ON_LINUX
def test_pages_of_a_file_leave_memory_and_are_read_again(tmp_path: Path) -> None:
    tensor = mapped(tmp_path / "weights")
    hand_back_pages([tensor[1:]])
    assert resident(tmp_path / "weights") == 1  # it has some of another tensor
    assert tensor.all()
    hand_back_pages([tensor])
    assert resident(tmp_path / "weights") == 0
    assert tensor.all()


@ON_LINUX
def test_what_was_written_to_memory_stays(tmp_path: Path) -> None:
    tensor, of_no_file = mapped(tmp_path / "weights"), torch.full((NUM_PAGES * mmap.PAGESIZE,), 3.0)
    tensor[mmap.PAGESIZE] = 7
    hand_back_pages([tensor, of_no_file, torch.ones(3), torch.ones(0)])
    assert resident(tmp_path / "weights") == NUM_PAGES
    assert tensor[mmap.PAGESIZE] == 7
    assert (of_no_file == 3).all()


@ON_LINUX
def test_nothing_is_handed_back_where_the_kernel_does_not_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensor = mapped(tmp_path / "weights")
    monkeypatch.setattr("builtins.open", Mock(side_effect=PermissionError))
    hand_back_pages([tensor])
    monkeypatch.undo()
    assert resident(tmp_path / "weights") == NUM_PAGES


def test_a_cpu_is_described_with_its_threads() -> None:
    torch.set_num_threads(1)
    assert describe(torch.device("cpu")) == "CPU, 1 thread"
    torch.set_num_threads(2)
    assert describe(torch.device("cpu")) == "CPU, 2 threads"
    assert describe(torch.device("mps")) == "Apple GPU"


@pytest.mark.gpu
def test_cuda_is_used_and_described() -> None:
    device = use_device("cuda")
    assert torch.zeros(1, device=device).is_cuda
    assert "NVIDIA" in describe(device)
