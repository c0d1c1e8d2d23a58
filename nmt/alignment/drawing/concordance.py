"""All links of a word or phrase: what it is linked to and how often, and where it stands."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from nmt.alignment.drawing.pair import Pair
from nmt.corpus.links import Link

Side = Literal["source", "target"]


@dataclass(frozen=True)
class Occurrence:
    """A place where the phrase stands, and the words of the other side that it is linked to there."""

    pair: Pair
    side: Side
    words: range
    links: dict[int, float | None]
    """The most probable one to each of them."""


@dataclass(frozen=True)
class Partner:
    """What the phrase is linked to, in lower case; empty where it has no link."""

    side: Side
    """Where the phrase stands that was looked for."""
    word: str
    count: int
    probability: float | None
    """Mean over the links of which it is known."""


def places(words: Sequence[str], phrase: str) -> list[range]:
    """Where the words of a phrase, between spaces, stand one behind the other, in upper or lower case."""
    wanted = phrase.casefold().split()
    folded = [word.casefold() for word in words]
    starts = range(len(folded) - len(wanted) + 1)
    return [range(i, i + len(wanted)) for i in starts if wanted and folded[i : i + len(wanted)] == wanted]


def occurrences(pair: Pair, phrase: str) -> Iterator[Occurrence]:
    """Every place of a pair where the phrase stands, first those of the source."""
    turned = {(j, i): probability for (i, j), probability in pair.links.items()}
    for words in places(pair.source, phrase):
        yield Occurrence(pair, "source", words, _linked(pair.links, words))
    for words in places(pair.target, phrase):
        yield Occurrence(pair, "target", words, _linked(turned, words))


def _linked(links: Mapping[Link, float | None], words: range) -> dict[int, float | None]:
    """The words of the other side that these are linked to; of several links the most probable one counts."""
    own = [(other, probability) for (word, other), probability in links.items() if word in words]
    return dict(sorted(own, key=lambda link: -1.0 if link[1] is None else link[1]))


def count_partners(found: Iterable[Occurrence]) -> list[Partner]:
    """What the phrase is linked to, by side, the most frequent first.

    That is each word that a word is linked to, but of several words all that they are linked to as one.
    """
    probabilities: dict[tuple[Side, str], list[float | None]] = defaultdict(list)
    for each in found:
        others = each.pair.target if each.side == "source" else each.pair.source
        linked = [others[index].casefold() for index in sorted(each.links)]
        if len(each.words) > 1 or not linked:
            probabilities[each.side, " ".join(linked)].append(_mean(each.links.values()))
            continue
        for index, probability in each.links.items():
            probabilities[each.side, others[index].casefold()].append(probability)
    partners = [Partner(side, word, len(all_), _mean(all_)) for (side, word), all_ in probabilities.items()]
    return sorted(partners, key=lambda each: (each.side, -each.count, each.word))


def _mean(probabilities: Iterable[float | None]) -> float | None:
    known = [each for each in probabilities if each is not None]
    return fmean(known) if known else None
