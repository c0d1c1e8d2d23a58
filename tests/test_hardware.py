"""The device asked for is the one used, or its absence is named."""

import ctypes
import os
import platform
from collections.abc import Iterator

import pytest
import torch

from nmt.errors import UsageError
from nmt.hardware import describe, keep_freed_memory, num_usable_cores, use_device


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
