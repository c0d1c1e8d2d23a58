"""Scores of links against gold."""

import pytest

from nmt.alignment import scoring
from nmt.alignment.scoring import bootstrap_interval, paired_bootstrap, score_links, scores_by_length
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


@pytest.mark.parametrize("drawn_at_once", [1, 64, 21 * 64])
def test_the_draws_are_the_same_ones_if_they_are_drawn_in_parts(
    drawn_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = [links("0-0" if i % 3 else "0-1") for i in range(21)]
    other = [links("0-1" if i % 2 else "0-0") for i in range(21)]
    golds = [gold("0-0")] * 21
    interval, difference = bootstrap_interval(one, golds), paired_bootstrap(one, other, golds)
    assert 0 < difference.p_value < 1
    monkeypatch.setattr(scoring, "DRAWN_AT_ONCE", drawn_at_once)  # sentences: corpora of 21 of them
    assert bootstrap_interval(one, golds) == interval
    assert paired_bootstrap(one, other, golds) == difference


def test_scores_by_length_have_the_sentences_of_each_length() -> None:
    golds = [gold("0-0"), gold("0-0 1-1"), gold("0-0")]
    found = scores_by_length([links("0-0"), links("0-0"), links("0-1")], golds, [10, 11, 70])
    assert [(one.shortest, one.longest, one.num_sentences) for one in found] == [
        (0, 10, 1),
        (11, 20, 1),
        (61, None, 1),
    ]
    assert [one.counts.aer for one in found] == pytest.approx([0, 1 / 3, 1])
