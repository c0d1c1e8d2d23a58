"""Threads that compute the parts of a batch side by side, each on its share of the cores."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from nmt.config.schema import TrainingConfig

In = TypeVar("In")
Out = TypeVar("Out")

LEAST_TOKENS = 1024  # of a part; products of fewer rows are too small to keep a core busy


class Workers:
    """So many threads, which divide torch's cores among themselves.

    A product of matrices keeps a core as busy with its share of a batch as all cores with the whole; what
    lies between the products, much of which torch does on one core, is done on all of them this way.
    """

    def __init__(self, count: int = 1) -> None:
        self.count = count
        self._num_cores = torch.get_num_threads()
        self._cores_each = max(1, self._num_cores // count)
        self._pool = ThreadPoolExecutor(
            self.count, "part", initializer=torch.set_num_threads, initargs=(self._cores_each,)
        )

    def map(self, compute: Callable[[In], Out], items: Iterable[In]) -> Iterator[Out]:
        """The results for the items, in their order; as many of them at once as there are threads."""
        if self.count == 1:
            yield from map(compute, items)
            return
        torch.set_num_threads(self._cores_each)  # half of the setting is the process's, half the thread's
        try:
            yield from self._pool.map(compute, items)
        finally:
            torch.set_num_threads(self._num_cores)


def make_workers(device: torch.device, training: TrainingConfig) -> Workers:
    """A worker for every core as long as each has enough to do; on a GPU one."""
    part_tokens = training.batch_tokens // training.accumulation
    if device.type != "cpu":
        return Workers()
    return Workers(max(1, min(torch.get_num_threads(), part_tokens // LEAST_TOKENS)))
