"""Workers: results in order, at the same time, on cores that are shared out and given back."""

import threading
from collections.abc import Iterator

import pytest
import torch

from nmt.workers import Workers


@pytest.fixture(autouse=True)
def four_cores() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_results_come_in_the_order_of_the_items(count: int) -> None:
    assert list(Workers(count).map(lambda x: x * x, range(9))) == [x * x for x in range(9)]


def test_as_many_items_are_worked_on_at_once_as_there_are_workers() -> None:
    everybody = threading.Barrier(3, timeout=20)
    assert sorted(Workers(3).map(lambda _: everybody.wait(), range(3))) == [0, 1, 2]


@pytest.mark.parametrize(("count", "cores_each"), [(1, 4), (2, 2), (3, 1), (4, 1), (9, 1)])
def test_the_cores_are_shared_out_and_given_back(count: int, cores_each: int) -> None:
    workers = Workers(count)
    for _ in range(2):
        assert set(workers.map(lambda _: torch.get_num_threads(), range(9))) == {cores_each}
        assert torch.get_num_threads() == 4


@pytest.mark.parametrize("count", [1, 2])
def test_each_worker_uses_as_many_cores_as_it_is_told(count: int) -> None:
    workers = Workers(count, cores_each=1)
    assert set(workers.map(lambda _: torch.get_num_threads(), range(9))) == {1}
    assert torch.get_num_threads() == 4


def test_the_cores_are_given_back_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError):
        list(Workers(2).map(lambda x: 1 / x, [1, 0, 1]))
    assert torch.get_num_threads() == 4
