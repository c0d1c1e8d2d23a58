"""Threads that compute side by side, each on its share of the cores."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

In = TypeVar("In")
Out = TypeVar("Out")


class Workers:
    """So many threads, which divide torch's cores among themselves.

    A product of matrices keeps a core as busy with its share of a batch as all cores with the whole; what
    lies between the products, much of which torch does on one core, is done on all of them this way.
    """

    def __init__(self, num_workers: int = 1, *, num_cores: int = 0, cores_each: int = 0) -> None:
        """Divide `num_cores`; 0: as many as torch uses now, which others who divide them have changed.

        Each worker uses `cores_each`; 0: its share of them.
        """
        self.num_workers = num_workers
        self._num_cores = num_cores or torch.get_num_threads()
        self._cores_each = cores_each or max(1, self._num_cores // num_workers)
        self._pool = ThreadPoolExecutor(num_workers, "part") if num_workers > 1 else None

    def map(self, compute: Callable[[In], Out], items: Iterable[In]) -> list[Out]:
        """The results for the items, in their order; as many of them at once as there are threads."""

        def compute_with_share(item: In) -> Out:
            torch.set_num_threads(self._cores_each)
            return compute(item)

        try:
            return list((self._pool.map if self._pool else map)(compute_with_share, items))
        finally:
            torch.set_num_threads(self._num_cores)  # a part of the setting belongs to the whole process

    def close(self) -> None:
        """Let the threads go, once each has done what it is at."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
