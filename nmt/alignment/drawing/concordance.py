"""All links of a word: what it is linked to and how often, and where it stands."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from nmt.alignment.drawing.pair import Pair

Side = Literal["source", "target"]


@dataclass(frozen=True)
class Occurrence:
    """A place where the word stands, and the words of the other side that it is linked to there."""

    pair: Pair
    side: Side
    index: int
    links: dict[int, float | None]


@dataclass(frozen=True)
class Partner:
    """A word that the word is linked to, in lower case; empty where it has no link."""

    side: Side
    """Where the word stands that was looked for."""
    word: str
    count: int
    probability: float | None
    """Mean over the links of which it is known."""


def occurrences(pair: Pair, word: str) -> Iterator[Occurrence]:
    """Every place of a pair where the word stands, upper or lower case, first those of the source."""
    links = pair.links
    for i, each in enumerate(pair.source):
        if each.casefold() == word.casefold():
            yield Occurrence(pair, "source", i, {b: p for (a, b), p in links.items() if a == i})
    for j, each in enumerate(pair.target):
        if each.casefold() == word.casefold():
            yield Occurrence(pair, "target", j, {a: p for (a, b), p in links.items() if b == j})


def count_partners(found: Iterable[Occurrence]) -> list[Partner]:
    """What the word is linked to, by side, the most frequent first."""
    probabilities: dict[tuple[Side, str], list[float | None]] = defaultdict(list)
    for each in found:
        others = each.pair.target if each.side == "source" else each.pair.source
        for index, probability in each.links.items():
            probabilities[each.side, others[index].casefold()].append(probability)
        if not each.links:
            probabilities[each.side, ""].append(None)
    partners = [Partner(side, word, len(all_), _mean(all_)) for (side, word), all_ in probabilities.items()]
    return sorted(partners, key=lambda each: (each.side, -each.count, each.word))


def _mean(probabilities: Iterable[float | None]) -> float | None:
    known = [each for each in probabilities if each is not None]
    return fmean(known) if known else None
