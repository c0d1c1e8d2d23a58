"""What is to be seen of a link: how probable it is, and whether those it is compared with have it too."""

from bisect import bisect
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from nmt.corpus.links import GoldLinks, Link

Verdict = Literal["link", "both", "allowed", "extra", "missing", "possible"]
"""A link by itself, or compared: in both (`allowed`: to gold it is only possible), only here, only there
(`possible`: to gold it is only possible)."""

LIKELY, SURE = 0.5, 0.9
NOT_KNOWN = 3


@dataclass(frozen=True)
class Reference:
    """Links to compare with: gold ones, or those of another file with their probabilities."""

    links: GoldLinks
    probabilities: Mapping[Link, float | None] | None = None

    @property
    def is_gold(self) -> bool:
        """Whether people made the links."""
        return self.probabilities is None


@dataclass(frozen=True)
class Mark:
    """How one link is drawn."""

    probability: float | None
    """None where it is not known."""
    verdict: Verdict

    @property
    def level(self) -> int:
        """0: unlikely, 1: likely, 2: sure, 3: not known."""
        return NOT_KNOWN if self.probability is None else bisect((LIKELY, SURE), self.probability)

    @property
    def weight(self) -> float:
        """How much it counts among others: all the same where probabilities are not known."""
        return 1.0 if self.probability is None else self.probability

    @property
    def is_shown(self) -> bool:
        """Whether it is drawn where there is room for little: not if gold has it alone, and is not sure."""
        return self.verdict != "possible"

    @property
    def styles(self) -> tuple[str, ...]:
        """Names of the styles that its words are drawn with."""
        return (self.verdict, "weak") if self.level == 0 and self.verdict != "missing" else (self.verdict,)


def without_probabilities(links: Mapping[Link, float], unknown: Collection[Link]) -> dict[Link, float | None]:
    """The links with their probabilities, but none for those of which it is not known."""
    return {link: None if link in unknown else probability for link, probability in links.items()}


def link_marks(links: Mapping[Link, float | None], reference: Reference | None = None) -> dict[Link, Mark]:
    """The mark of every link that is in either; one that is only there has the probability it has there."""
    if reference is None:
        return {link: Mark(probability, "link") for link, probability in links.items()}
    gold, theirs = reference.links, reference.probabilities or {}
    marks = {
        link: Mark(theirs.get(link, 0.0), "missing" if link in gold.sure else "possible")
        for link in gold.possible
    }
    for link, probability in links.items():
        verdict: Verdict = "both" if link in gold.sure else "allowed" if link in gold.possible else "extra"
        marks[link] = Mark(probability, verdict)
    return marks
