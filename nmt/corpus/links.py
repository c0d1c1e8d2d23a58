"""Links between words: Pharaoh and talp lines, read and written."""

import re
from dataclasses import dataclass
from typing import Literal

from nmt.errors import DataError

Link = tuple[int, int]
"""Source word and target word, both counted from 0."""
Links = set[Link]
Method = Literal[
    "intersection",
    "union",
    "grow",
    "grow-final",
    "grow-final-and",
    "grow-diag",
    "grow-diag-final",
    "grow-diag-final-and",
    "grow-diag-strict",
    "grow-diag-strict-final",
    "grow-diag-strict-final-and",
]
"""How the links of both directions become one set; see `nmt.alignment.symmetrize`."""

_PHARAOH = re.compile(r"(\d+)-(\d+)(?::[\d.eE+-]+)?", re.ASCII)
_TALP = re.compile(r"(\d+)([-p?])(\d+)", re.ASCII)


@dataclass(frozen=True)
class GoldLinks:
    """What annotators agreed on: sure links, and possible ones that contain them (Och & Ney, 2003)."""

    sure: frozenset[Link]
    possible: frozenset[Link]

    def __post_init__(self) -> None:
        object.__setattr__(self, "possible", self.possible | self.sure)


def parse_pharaoh(line: str, *, where: str) -> Links:
    """Links of a line such as `0-0 1-2`; probabilities as in `1-2:0.93` are allowed and dropped."""
    links: Links = set()
    for item in line.split():
        match = _PHARAOH.fullmatch(item)
        if not match:
            raise DataError(
                f"{where}: {item!r} is not a link; expected source-target counted from 0, such as 0-3"
            )
        links.add((int(match[1]), int(match[2])))
    return links


def format_pharaoh(links: Links | frozenset[Link]) -> str:
    """Links as a line, sorted by source, then by target."""
    return " ".join(f"{source}-{target}" for source, target in sorted(links))


def parse_talp(line: str, *, where: str, base: Literal[0, 1] = 0) -> GoldLinks:
    """Gold links of a line such as `0-0 1p2`: `-` is sure, `p` possible; in base 1 there is no word 0.

    Raises DataError for what is no link, and for a word 0 that there is not.
    """
    sure: Links = set()
    possible: Links = set()
    for item in line.split():
        match = _TALP.fullmatch(item)
        if not match:
            raise DataError(f"{where}: {item!r} is not a gold link; expected 0-3 (sure) or 0p3 (possible)")
        link = (int(match[1]) - base, int(match[3]) - base)
        if min(link) < 0:
            raise DataError(
                f"{where}: {item!r} links a word 0; expected words counted from 1; give --gold-base 0 if "
                "the first word is 0, or remove links to no word"
            )
        (sure if match[2] == "-" else possible).add(link)
    return GoldLinks(frozenset(sure), frozenset(possible))


def format_talp(gold: GoldLinks) -> str:
    """Gold links as a line, counted from 0, sorted by source, then by target."""
    return " ".join(f"{i}{'-' if (i, j) in gold.sure else 'p'}{j}" for i, j in sorted(gold.possible))
