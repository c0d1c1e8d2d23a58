"""Scores of links against gold."""

import pytest

from nmt.alignment.scoring import (
    WrongPair,
    bootstrap_interval,
    detect_gold_base,
    frequent_wrong_pairs,
    paired_bootstrap,
    score_links,
)
from nmt.corpus.links import GoldLinks, parse_pharaoh, parse_talp
from nmt.errors import DataError


def links(line: str) -> set[tuple[int, int]]:
    return parse_pharaoh(line, where="test")


def gold(line: str) -> GoldLinks:
    return parse_talp(line, where="test")


def test_scores_follow_the_definitions_of_och_and_ney() -> None:
    scores = score_links([links("0-0 1-1 2-2 2-3")], [gold("0-0 1-1 2p2")])
    assert scores.precision == 3 / 4
    assert scores.recall == 2 / 2
    assert scores.aer == pytest.approx(1 - (2 + 3) / (4 + 2))


def test_error_rate_is_zero_if_all_sure_and_only_possible_links_are_found() -> None:
    assert score_links([links("0-0 1-1 2-2")], [gold("0-0 1-1 2p2 3p3")]).aer == 0


def test_with_sure_links_only_the_error_rate_is_one_minus_f1() -> None:
    scores = score_links([links("0-0 1-2 2-2"), links("0-1")], [gold("0-0 1-1 2-2"), gold("0-1 1-0")])
    assert scores.aer == pytest.approx(1 - scores.f1)


def test_counts_are_added_over_the_corpus_not_averaged_over_sentences() -> None:
    scores = score_links([links("0-0"), links("0-0 1-0 2-0")], [gold("0-0"), gold("0-1 1-1 2-1")])
    assert scores.aer == pytest.approx(1 - 2 / 8)


def test_no_predicted_links_are_an_error_rate_of_one() -> None:
    scores = score_links([set()], [gold("0-0")])
    assert (scores.aer, scores.precision, scores.recall, scores.f1) == (1, 0, 0, 0)


def test_without_sure_links_there_is_no_error_rate() -> None:
    with pytest.raises(DataError, match="no sure link"):
        score_links([links("0-0")], [gold("0p0")])


def test_interval_contains_the_score_and_is_reproducible() -> None:
    predicted = [links("0-0 1-1") if i % 3 else links("0-1 1-0") for i in range(60)]
    golds = [gold("0-0 1-1")] * 60
    low, high = bootstrap_interval(predicted, golds)
    assert low < score_links(predicted, golds).aer < high
    assert (low, high) == bootstrap_interval(predicted, golds)


def test_interval_of_perfect_links_is_a_point() -> None:
    assert bootstrap_interval([links("0-0")] * 5, [gold("0-0")] * 5) == (0, 0)


def test_a_difference_that_every_sentence_shows_is_certain() -> None:
    better, worse, golds = [links("0-0 1-1")] * 20, [links("0-0 1-0")] * 20, [gold("0-0 1-1")] * 20
    found = paired_bootstrap(better, worse, golds)
    assert (found.difference, found.low, found.high) == (-0.5, -0.5, -0.5)
    assert found.p_value == pytest.approx(2 / 1001)
    assert paired_bootstrap(worse, better, golds).difference == 0.5


def test_a_difference_that_hangs_on_the_sentences_is_not() -> None:
    one = [links("0-0" if i % 2 else "0-1") for i in range(21)]
    other = [links("0-1" if i % 2 else "0-0") for i in range(21)]
    found = paired_bootstrap(one, other, [gold("0-0")] * 21)
    assert found.low < 0 < found.difference < found.high
    assert found.p_value > 0.5
    assert paired_bootstrap(one, one, [gold("0-0")] * 21).p_value == 1


LENGTHS = [(2, 2), (3, 3)]


def test_a_zero_means_that_gold_counts_from_zero() -> None:
    assert detect_gold_base(["0-0 1-1", "1-2"], LENGTHS, name="gold") == 0
    assert detect_gold_base(["0-0 1-1", "1-2"], name="gold") == 0


def test_an_index_equal_to_the_length_means_that_gold_counts_from_one() -> None:
    assert detect_gold_base(["1-1 2-2", "1-3"], LENGTHS, name="gold") == 1


@pytest.mark.parametrize("lines", [["1-1", "1-1"], ["0-0 2-2", "1-1"]])
def test_a_base_that_can_not_be_told_is_asked_for(lines: list[str]) -> None:
    with pytest.raises(DataError, match=r"gold: cannot tell .* --gold-base"):
        detect_gold_base(lines, LENGTHS, name="gold")


def test_wrong_pairs_are_counted_by_word() -> None:
    words = (["the", "cat"], ["die", "Katze"])
    pairs = frequent_wrong_pairs(
        [links("0-1 1-1")] * 2 + [links("0-0")],
        [gold("0-0 1-1")] * 2 + [gold("0-0 1p1")],
        [words] * 3,
        limit=3,
    )
    assert pairs == [WrongPair("the", "Katze", "wrong", 2), WrongPair("the", "die", "missing", 2)]
