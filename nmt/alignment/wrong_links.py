"""Where predicted links and gold links differ: the worst sentences, and the most frequent pairs of words."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Literal

from nmt.alignment.scoring import count_links
from nmt.corpus.links import GoldLinks, Link, Links


@dataclass(frozen=True)
class WrongSentence:
    """A sentence with its error rate, and the links that make it."""

    number: int
    """Counted from 1."""
    aer: float
    wrong: list[Link]
    """Linked, but not possible."""
    missing: list[Link]
    """Sure, but not linked."""


def worst_sentences(
    predicted: Sequence[Links], gold: Sequence[GoldLinks], *, limit: int
) -> list[WrongSentence]:
    """The sentences of the highest error rates, the worst first; of equals those with more wrong links."""
    sentences = [
        WrongSentence(
            number, count_links(links, one).aer, sorted(links - one.possible), sorted(one.sure - links)
        )
        for number, (links, one) in enumerate(zip(predicted, gold, strict=True), start=1)
    ]
    wrong = [one for one in sentences if one.aer > 0]
    return nlargest(limit, wrong, key=lambda one: (one.aer, len(one.wrong) + len(one.missing), -one.number))


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
            counter[word_at(src_words, i), word_at(tgt_words, j), "wrong"] += 1
        for i, j in gold_links.sure - links:
            counter[word_at(src_words, i), word_at(tgt_words, j), "missing"] += 1
    ordered = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    return [WrongPair(*pair, count) for pair, count in ordered[:limit]]


def word_at(words: Sequence[str], index: int) -> str:
    """The word of a link, or what to call one that is not there."""
    return words[index] if index < len(words) else f"[word {index} of {len(words)}]"
