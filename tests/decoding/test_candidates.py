"""The likeliest continuations against a full sort."""

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from nmt.decoding.candidates import BLOCK, best_candidates, top
from nmt.decoding.rules import Rules, Sentence


def assert_is_a_full_sort(x: Tensor, k: int) -> None:
    values, columns = top(x, k)
    assert columns.equal(x.argsort(descending=True, stable=True)[:, :k])
    assert values.equal(x.gather(1, columns))


@pytest.mark.parametrize("width", [1, 30, BLOCK, 4 * BLOCK, 40 * BLOCK, 40 * BLOCK + 1, 41 * BLOCK - 1])
@pytest.mark.parametrize("k", [1, 2, 6, 11])
def test_top_is_the_beginning_of_a_full_sort(width: int, k: int) -> None:
    x = torch.randn(30, width, generator=torch.Generator().manual_seed(width))
    assert_is_a_full_sort(x, k)


@pytest.mark.parametrize("width", [30, 45 * BLOCK + 5])
@pytest.mark.parametrize("k", [1, 5, 10])
def test_top_takes_the_leftmost_of_equals(width: int, k: int) -> None:
    """Within blocks, in several blocks of which only some are looked at, and behind the last whole block."""
    generator = torch.Generator().manual_seed(1)
    few = torch.randint(0, 4, (100, width), generator=generator).float()
    rare = (torch.rand(100, width, generator=generator) < 5 / width).float()
    one_value = torch.zeros(3, width)
    for x in (few, rare, one_value):
        x[:, 7] = -math.inf
        assert_is_a_full_sort(x, k)


def test_more_than_there_are_is_all_there_is() -> None:
    assert_is_a_full_sort(torch.randn(4, 9), 40)


@pytest.mark.parametrize("width", [9, 50 * BLOCK])
def test_what_is_forbidden_comes_last(width: int) -> None:
    x = torch.full((5, width), -math.inf)
    x[:, 8] = torch.arange(5.0)
    values, columns = top(x, 3)
    assert columns[:, 0].tolist() == [8] * 5
    assert values[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert bool((values[:, 1:] == -math.inf).all())


@dataclass(frozen=True)
class Case:
    """Rows of three sentences, of which there are not equally many."""

    owners: tuple[int, ...]
    beam_size: int
    width: int


@pytest.mark.parametrize(
    "case",
    [
        Case((0, 0, 0, 1, 2, 2), 3, 7),
        Case((0, 1, 2), 5, 400),
        Case((0, 1, 1, 1, 1, 2), 4, 2),
        Case((0, 1, 2), 1, 5),
    ],
)
def test_candidates_are_the_best_of_all_rows_of_a_sentence(case: Case) -> None:
    generator = torch.Generator().manual_seed(len(case.owners))
    num_rows = len(case.owners)
    log_probs = torch.randn(num_rows, case.width, generator=generator).log_softmax(-1)
    so_far = torch.randn(num_rows, generator=generator)
    owners, lengths = torch.tensor(case.owners), torch.zeros(num_rows, dtype=torch.int64)
    rules = Rules(bos_id=0, eos_id=1, beam_size=case.beam_size)
    found = best_candidates(log_probs, so_far, lengths, owners, [Sentence([], max_length=9)] * 3, rules)
    for sentence in range(3):
        rows = [row for row in range(num_rows) if case.owners[row] == sentence]
        every = [
            (float(so_far[row] + log_probs[row, token]), row, token)
            for row in rows
            for token in range(case.width)
        ]
        count = case.beam_size + (case.beam_size > 1)  # a greedy search needs no other
        expected = sorted(every, reverse=True)[:count]
        values, from_rows, tokens = (
            each[sentence].tolist() for each in (found.values, found.rows, found.tokens)
        )
        assert list(zip(values, from_rows, tokens, strict=True))[: len(expected)] == expected
        assert values == sorted(values, reverse=True)
        assert sum(map(math.isfinite, values)) == len(rows) * min(case.width, count)
