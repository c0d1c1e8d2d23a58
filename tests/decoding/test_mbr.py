"""Minimum Bayes risk by chrF, with sacreBLEU's scores as the truth."""

import random

import pytest
from sacrebleu.metrics.chrf import CHRF

from nmt.decoding.mbr import pairwise_chrf, utilities

TEXTS = [
    "Der Hund schläft im Garten.",
    "Ein Hund schläft im großen Garten.",
    "Der Hund  schläft",
    "The dog is sleeping.",
    "ja",
    "\u3000",
    "",
    "ありがとう 😀",
]


def test_chrf_is_that_of_sacrebleu() -> None:
    scores = pairwise_chrf(TEXTS)
    for row, hypothesis in enumerate(TEXTS):
        expected = [CHRF().sentence_score(hypothesis, [reference]).score for reference in TEXTS]
        assert scores[row].tolist() == pytest.approx(expected, abs=1e-9)


def test_utility_is_the_mean_chrf_against_the_others_as_often_as_they_occur() -> None:
    texts = random.Random(1).choices(TEXTS, k=12)
    assert len(set(texts)) < len(texts)
    expected = [
        sum(CHRF().sentence_score(text, [other]).score for other in texts[:i] + texts[i + 1 :]) / 11
        for i, text in enumerate(texts)
    ]
    assert utilities(texts) == pytest.approx(expected, abs=1e-9)


def test_what_most_samples_are_like_wins() -> None:
    found = utilities(["ein Hund", "der Hund", "der Hund", "die Katze"])
    assert found[1] == found[2] == max(found)
    assert min(found) == found[3]


@pytest.mark.parametrize(("texts", "expected"), [([], []), (["a"], [0.0]), (["", ""], [0.0, 0.0])])
def test_texts_that_nothing_can_be_said_about_have_no_utility(
    texts: list[str], expected: list[float]
) -> None:
    assert utilities(texts) == expected
