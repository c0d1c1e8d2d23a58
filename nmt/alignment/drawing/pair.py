"""A pair to look at: its links, their origin, what they are compared with, and how doubtful they are."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nmt.alignment.drawing.marks import Mark, Reference, Verdict, link_marks, without_probabilities
from nmt.alignment.merge import WordAlignment
from nmt.alignment.scoring import LinkCounts, count_links
from nmt.corpus.links import Link


@dataclass(frozen=True)
class Pair:
    """One alignment of the files, and the links it is compared with."""

    number: int
    alignment: WordAlignment
    origin: str = ""
    reference: Reference | None = None
    unknown: frozenset[Link] = frozenset()
    """Links of which it is not known how probable they are."""

    @property
    def links(self) -> Mapping[Link, float | None]:
        """The links, each with its probability if that is known."""
        return without_probabilities(self.alignment.links, self.unknown)

    @property
    def is_known(self) -> set[bool]:
        """Whether there are links whose probability is known, and such whose it is not."""
        theirs = (self.reference and self.reference.probabilities) or {}
        return {probability is not None for probability in (*self.links.values(), *theirs.values())}

    @property
    def source(self) -> list[str]:
        """The source words."""
        return [self.alignment.source[start:end] for start, end in self.alignment.src_words]

    @property
    def target(self) -> list[str]:
        """The target words."""
        return [self.alignment.target[start:end] for start, end in self.alignment.tgt_words]

    def marks(self) -> dict[Link, Mark]:
        """How each link is drawn."""
        return link_marks(self.links, self.reference)

    def tally(self) -> "Tally":
        """How many links there are of each verdict."""
        counts = count_links(set(self.alignment.links), self.reference.links) if self.reference else None
        return Tally(Counter(mark.verdict for mark in self.marks().values()), counts or LinkCounts())

    @property
    def suspicion(self) -> float:
        """The alignment error rate, or where nothing is compared the doubt."""
        return self.tally().links.aer if self.reference else self._doubt()

    @property
    def suspicion_name(self) -> str:
        """What `suspicion` is."""
        return suspicion_name(self.reference)

    def _doubt(self) -> float:
        best = dict.fromkeys(self._words(), 0.0)
        for link, probability in self.alignment.links.items():
            for word in enumerate(link):
                best[word] = max(best[word], probability)
        return 1 - sum(best.values()) / len(best) if best else 0.0

    def _words(self) -> Iterator[tuple[int, int]]:
        for side, spans in enumerate((self.alignment.src_words, self.alignment.tgt_words)):
            for index in range(len(spans)):
                yield side, index


def suspicion_name(reference: Reference | None) -> str:
    """What makes a pair suspicious; the difference is the error rate if the other links were the truth."""
    if reference is None:
        return "doubt"
    return "AER" if reference.is_gold else "difference"


@dataclass(frozen=True)
class Tally:
    """Links counted by verdict, and for the error rate; those of several pairs add up."""

    verdicts: Counter[Verdict]
    links: LinkCounts

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.verdicts + other.verdicts, self.links + other.links)

    def __str__(self) -> str:
        both = self.verdicts["both"] + self.verdicts["allowed"]
        allowed = f" ({self.verdicts['allowed']:,} possible)" if self.verdicts["allowed"] else ""
        return (
            f"{both:,} both{allowed}, {self.verdicts['extra']:,} only here, "
            f"{self.verdicts['missing']:,} only there"
        )
