"""What is to be seen of a link: how probable it is, and whether gold has it too."""

from bisect import bisect
from dataclasses import dataclass
from typing import Literal

from nmt.corpus.links import GoldLinks, Link

Verdict = Literal["link", "both", "extra", "missing", "possible"]
"""A link by itself, or beside gold: in both, only in ours, only in gold, only in gold and not sure there."""

LIKELY, SURE = 0.5, 0.9


@dataclass(frozen=True)
class Mark:
    """How one link is drawn."""

    probability: float
    verdict: Verdict

    @property
    def level(self) -> int:
        """0: unlikely, 1: likely, 2: sure."""
        return bisect((LIKELY, SURE), self.probability)

    @property
    def styles(self) -> tuple[str, ...]:
        """Names of the styles that its words are drawn with."""
        return (self.verdict, "weak") if self.level == 0 and self.verdict != "missing" else (self.verdict,)


def link_marks(links: dict[Link, float], gold: GoldLinks | None) -> dict[Link, Mark]:
    """The mark of every link that is in either."""
    if gold is None:
        return {link: Mark(probability, "link") for link, probability in links.items()}
    marks = {link: Mark(0.0, "missing" if link in gold.sure else "possible") for link in gold.possible}
    for link, probability in links.items():
        marks[link] = Mark(probability, "both" if link in gold.possible else "extra")
    return marks
