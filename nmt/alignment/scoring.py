"""Alignment error rate, precision, recall and F1 against gold links (Och & Ney, 2003)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.corpus.links import GoldLinks, Links
from nmt.errors import DataError

LENGTHS = (0, 11, 21, 31, 41, 61)
"""The fewest source words of each group of sentences."""
BOOTSTRAP_SAMPLES = 1000
BOOTSTRAP_SEED = 12345
DRAWN_AT_ONCE = 2**20  # sentences
_BOUNDS = torch.tensor([0.025, 0.975], dtype=torch.float64)


@dataclass(frozen=True)
class LinkCounts:
    """What the scores are made of; counts of several sentences add up."""

    predicted: int = 0
    sure: int = 0
    predicted_and_sure: int = 0
    predicted_and_possible: int = 0
    possible: int = 0
    """Gold links, sure or not."""

    def __add__(self, other: "LinkCounts") -> "LinkCounts":
        return LinkCounts(
            self.predicted + other.predicted,
            self.sure + other.sure,
            self.predicted_and_sure + other.predicted_and_sure,
            self.predicted_and_possible + other.predicted_and_possible,
            self.possible + other.possible,
        )

    @property
    def precision(self) -> float:
        """Share of the predicted links that are possible."""
        return self.predicted_and_possible / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Share of the sure links that are predicted."""
        return self.predicted_and_sure / self.sure if self.sure else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0

    @property
    def aer(self) -> float:
        """Alignment error rate in [0, 1]; equals 1 - F1 if all gold links are sure."""
        found = self.predicted_and_sure + self.predicted_and_possible
        total = self.predicted + self.sure
        return 1 - found / total if total else 0.0


def count_links(predicted: Links, gold: GoldLinks) -> LinkCounts:
    """Counts of one sentence."""
    return LinkCounts(
        len(predicted),
        len(gold.sure),
        len(predicted & gold.sure),
        len(predicted & gold.possible),
        len(gold.possible),
    )


def score_links(predicted: Sequence[Links], gold: Sequence[GoldLinks]) -> LinkCounts:
    """Counts of a corpus, and with them its scores; raises DataError without any sure gold link."""
    counts = sum((count_links(*both) for both in zip(predicted, gold, strict=True)), LinkCounts())
    if not counts.sure:
        raise DataError(
            "the gold links hold no sure link, so there is no error rate; expected items such as 0-3"
        )
    return counts


def bootstrap_interval(predicted: Sequence[Links], gold: Sequence[GoldLinks]) -> tuple[float, float]:
    """Interval that holds 95 % of the error rates of corpora drawn from these sentences with replacement."""
    low, high = torch.quantile(_drawn_rates(predicted, gold), _BOUNDS).tolist()
    return low, high


@dataclass(frozen=True)
class PairedDifference:
    """How much lower or higher the error rate of some links is than that of others of the same sentences."""

    other: float
    """The error rate of the others."""
    difference: float
    """Negative: the predicted links are better."""
    low: float
    """From here to `high` are 95 % of the differences of drawn corpora."""
    high: float
    p_value: float
    """Two-sided: how often chance alone would put the difference as far from zero."""


def paired_bootstrap(
    predicted: Sequence[Links], other: Sequence[Links], gold: Sequence[GoldLinks]
) -> PairedDifference:
    """The error rate of the predicted links minus that of the others, on corpora drawn alike for both.

    The p value is twice the share of the draws in which the worse is not worse (Koehn, 2004), and at most 1.
    """
    drawn = _drawn_rates(predicted, gold) - _drawn_rates(other, gold)
    low, high = torch.quantile(drawn, _BOUNDS).tolist()
    num_against = min(int((drawn >= 0).sum()), int((drawn <= 0).sum()))
    other_rate = score_links(other, gold).aer
    return PairedDifference(
        other_rate,
        score_links(predicted, gold).aer - other_rate,
        low,
        high,
        min(1.0, 2 * (num_against + 1) / (BOOTSTRAP_SAMPLES + 1)),
    )


def _drawn_rates(predicted: Sequence[Links], gold: Sequence[GoldLinks]) -> Tensor:
    """Error rates of corpora drawn from these sentences, always the same draws for as many sentences."""
    counts = [count_links(links, gold_links) for links, gold_links in zip(predicted, gold, strict=True)]
    table = torch.tensor(
        [[c.predicted_and_sure + c.predicted_and_possible, c.predicted + c.sure] for c in counts],
        dtype=torch.float64,
    )
    generator = torch.Generator().manual_seed(BOOTSTRAP_SEED)
    sums = []
    at_once = max(1, DRAWN_AT_ONCE // len(counts))
    for first in range(0, BOOTSTRAP_SAMPLES, at_once):
        size = min(at_once, BOOTSTRAP_SAMPLES - first), len(counts)
        drawn = torch.randint(len(counts), size, generator=generator)
        sums.append(table[drawn].sum(1))
    found, total = torch.cat(sums).unbind(-1)
    return torch.where(total > 0, 1 - found / total, 0.0)


@dataclass(frozen=True)
class LengthScore:
    """Scores of the sentences whose sources have from `shortest` to `longest` words."""

    shortest: int
    longest: int | None
    num_sentences: int
    counts: LinkCounts


def scores_by_length(
    predicted: Sequence[Links], gold: Sequence[GoldLinks], src_lengths: Sequence[int]
) -> list[LengthScore]:
    """Scores of short and of long sentences, of every length in `LENGTHS` that there is."""
    found = []
    for shortest, following in zip(LENGTHS, [*LENGTHS[1:], None], strict=True):
        inside = [
            count_links(links, gold_links)
            for links, gold_links, length in zip(predicted, gold, src_lengths, strict=True)
            if length >= shortest and (following is None or length < following)
        ]
        if inside:
            longest = None if following is None else following - 1
            found.append(LengthScore(shortest, longest, len(inside), sum(inside, LinkCounts())))
    return found
