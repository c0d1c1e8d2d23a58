"""Alignment error rate, precision, recall and F1 against gold links (Och & Ney, 2003)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from nmt.corpus.links import GoldLinks, Links, parse_talp
from nmt.errors import DataError

GoldBase = Literal[0, 1]
BOOTSTRAP_SAMPLES = 1000
BOOTSTRAP_SEED = 12345
_BOUNDS = torch.tensor([0.025, 0.975], dtype=torch.float64)


@dataclass(frozen=True)
class LinkCounts:
    """What the scores are made of; counts of several sentences add up."""

    predicted: int = 0
    sure: int = 0
    predicted_and_sure: int = 0
    predicted_and_possible: int = 0

    def __add__(self, other: "LinkCounts") -> "LinkCounts":
        return LinkCounts(
            self.predicted + other.predicted,
            self.sure + other.sure,
            self.predicted_and_sure + other.predicted_and_sure,
            self.predicted_and_possible + other.predicted_and_possible,
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
        len(predicted), len(gold.sure), len(predicted & gold.sure), len(predicted & gold.possible)
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
    return PairedDifference(
        score_links(predicted, gold).aer - score_links(other, gold).aer,
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
    drawn = torch.randint(len(counts), (BOOTSTRAP_SAMPLES, len(counts)), generator=generator)
    found, total = table[drawn].sum(1).unbind(-1)
    return torch.where(total > 0, 1 - found / total, 0.0)


def detect_gold_base(
    lines: Sequence[str], lengths: Sequence[tuple[int, int]] | None = None, *, name: str
) -> GoldBase:
    """Whether gold links count words from 0 or from 1; `lengths` of the sentences in words make it certain.

    An index 0 tells one, an index equal to the length the other; raises DataError if neither or both occur.
    """
    has_zero = has_length = False
    for number, line in enumerate(lines):
        links = parse_talp(line, where=f"{name}:{number + 1}").possible
        has_zero |= any(0 in link for link in links)
        if lengths is not None:
            src_length, tgt_length = lengths[number]
            has_length |= any(source == src_length or target == tgt_length for source, target in links)
    if has_zero == has_length:
        found = "both word 0 and word numbers equal to the length" if has_zero else "no word 0"
        raise DataError(
            f"{name}: cannot tell whether words count from 0 or 1 (found {found}); give --gold-base"
        )
    return 0 if has_zero else 1


@dataclass(frozen=True)
class WrongPair:
    """A pair of words that is linked against the gold links, or left out, and how often."""

    source: str
    target: str
    kind: Literal["wrong", "missing"]
    count: int


def frequent_wrong_pairs(
    predicted: Sequence[Links],
    gold: Sequence[GoldLinks],
    words: Sequence[tuple[Sequence[str], Sequence[str]]],
    *,
    limit: int,
) -> list[WrongPair]:
    """The most frequent pairs of words that are linked but not possible, or sure but not linked."""
    counter: Counter[tuple[str, str, Literal["wrong", "missing"]]] = Counter()
    for links, gold_links, (src_words, tgt_words) in zip(predicted, gold, words, strict=True):
        for i, j in links - gold_links.possible:
            counter[_word(src_words, i), _word(tgt_words, j), "wrong"] += 1
        for i, j in gold_links.sure - links:
            counter[_word(src_words, i), _word(tgt_words, j), "missing"] += 1
    ordered = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    return [WrongPair(*pair, count) for pair, count in ordered[:limit]]


def _word(words: Sequence[str], index: int) -> str:
    return words[index] if index < len(words) else f"[word {index} of {len(words)}]"
