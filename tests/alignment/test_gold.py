"""From which number the words of gold links count."""

import pytest

from nmt.alignment.gold import counted_from_zero, detect_gold_base
from nmt.corpus.links import GoldLinks, parse_talp
from nmt.errors import DataError


def gold(*lines: str) -> list[GoldLinks]:
    return [parse_talp(line, where="test") for line in lines]


LENGTHS = [(2, 2), (3, 3)]


def test_a_zero_means_that_gold_counts_from_zero() -> None:
    assert detect_gold_base(gold("0-0 1-1", "1-2"), LENGTHS, name="gold") == 0
    assert detect_gold_base(gold("0-0 1-1", "1-2"), name="gold") == 0


def test_an_index_equal_to_the_length_means_that_gold_counts_from_one() -> None:
    assert detect_gold_base(gold("1-1 2-2", "1-3"), LENGTHS, name="gold") == 1


@pytest.mark.parametrize("lines", [["1-1", "1-1"], ["0-0 2-2", "1-1"]])
def test_a_base_that_can_not_be_told_is_asked_for(lines: list[str]) -> None:
    with pytest.raises(DataError, match=r"gold: cannot tell .* --gold-base"):
        detect_gold_base(gold(*lines), LENGTHS, name="gold")


def test_exchanged_sides_are_named() -> None:
    with pytest.raises(DataError, match="gold: the links fit the words only once the sides are exchanged"):
        detect_gold_base(gold("0-4 1-1"), [(5, 2)], name="gold")


def test_gold_counted_from_one_is_shifted_and_a_word_zero_refused() -> None:
    assert counted_from_zero(gold("1-1 2p3"), 1, name="gold") == gold("0-0 1p2")
    with pytest.raises(DataError, match=r"^gold:2: '0p1' links a word 0; .* give --gold-base 0"):
        counted_from_zero(gold("1-1", "1-1 0p1"), 1, name="gold")
