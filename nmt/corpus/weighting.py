"""Which pairs an epoch has of corpora with weights: a function of seed and epoch only."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from nmt.corpus.batching import mix_seeds


def rows_of_epoch(
    ends: Sequence[int], weights: Sequence[float], *, rows_of_pair: int = 1, seed: int, epoch: int
) -> Tensor:
    """Numbers of the rows of an epoch, (rows,) int64, of corpora one behind the other that end there.

    An epoch has every pair, which is `rows_of_pair` rows, as often as the weight of its corpus says; what is
    over of that, as of 0.5 or 2.5, is a sample of other pairs in each epoch. A row that comes again has
    another number, its own and a multiple of the number of all rows.
    """
    rows = list(_rows_by_corpus(ends, weights, rows_of_pair=rows_of_pair, seed=seed, epoch=epoch))
    return torch.cat(rows)


def _rows_by_corpus(
    ends: Sequence[int], weights: Sequence[float], *, rows_of_pair: int, seed: int, epoch: int
) -> Iterator[Tensor]:
    for number, ((start, end), weight) in enumerate(zip(pairwise((0, *ends)), weights, strict=True)):
        num_pairs = (end - start) // rows_of_pair
        num_times, num_more = divmod(num_wanted(num_pairs, weight), max(1, num_pairs))
        generator = torch.Generator().manual_seed(mix_seeds(seed, epoch, number))
        drawn = torch.randperm(num_pairs, generator=generator)[:num_more]
        for time, pairs in enumerate([*(torch.arange(num_pairs),) * num_times, drawn]):
            rows = pairs[:, None] * rows_of_pair + torch.arange(rows_of_pair)  # (pairs, rows of each)
            yield time * ends[-1] + start + rows.flatten()


def num_wanted(num_pairs: int, weight: float) -> int:
    """Of so many pairs, as many as an epoch has of them, at least one."""
    return max(1, round(weight * num_pairs)) if num_pairs else 0
