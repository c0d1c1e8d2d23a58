"""A development set out of the training pairs."""

import pytest

from nmt.corpus.cleaning import fingerprint, select_pairs
from nmt.corpus.heldout import hold_out
from nmt.corpus.reading import Pair


def numbered(size: int) -> list[Pair]:
    return [(f"Satz {number}", f"sentence {number}") for number in range(size)]


@pytest.mark.parametrize(
    ("num_pairs", "expected"), [(1, 0), (2, 1), (99, 1), (100, 2), (5_000, 100), (60_000, 1000)]
)
def test_two_percent_are_held_out_and_at_most_a_thousand(num_pairs: int, expected: int) -> None:
    held_out = hold_out(fingerprint(numbered(num_pairs)), seed=1)
    assert len(held_out) == len(set(held_out.tolist())) == expected


def test_the_seed_chooses() -> None:
    prints = fingerprint(numbered(1000))
    first = hold_out(prints, seed=1).tolist()
    assert first == sorted(first) == hold_out(prints, seed=1).tolist()
    assert first != hold_out(prints, seed=2).tolist()


def test_only_distinct_pairs_with_two_sides_are_held_out() -> None:
    pairs = numbered(100) * 3 + [("", "x")] * 300
    held_out = hold_out(fingerprint(pairs), seed=1)
    assert len(held_out) == 2
    assert held_out.max() < 100


def test_what_is_held_out_is_gone_from_training_with_all_its_copies() -> None:
    pairs = numbered(100) * 2 + [("Satz 7", "another"), ("ein anderer", "sentence 7")]
    prints = fingerprint(pairs)
    candidates = (hold_out(prints, seed=seed) for seed in range(9999))
    held_out = next(numbers for numbers in candidates if 7 in numbers and numbers.max() < 100)
    selection = select_pairs(prints, remove_duplicates=True, held_out=held_out)
    assert selection.dropped == {"held out": 2, "sentence held out": 4, "duplicate": 98}
