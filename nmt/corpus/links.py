"""Links between words as text: Pharaoh lines, with or without scores, rows of probabilities, talp, NAACL."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
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

LinkFormat = Literal["pharaoh", "pharaoh-scores", "soft", "jsonl", "talp", "naacl"]
"""`pharaoh`: 0-0 1-2. `pharaoh-scores`: 0-0:0.98. `soft`: all probabilities, as Marian writes them. `jsonl`:
texts, character offsets, links, words without any. `talp`: 0-0 sure, 1p2 possible. `naacl`: a row a link."""
LIKELY = 0.5
"""A link of this probability or more is sure in talp and NAACL, where links are sure or possible."""

_PHARAOH = re.compile(r"(\d+)-(\d+)(?::([\d.eE+-]+))?", re.ASCII)
_NUMBER = r"\d+(?:\.\d*)?(?:[eE][+-]?\d+)?"
_SOFT = re.compile(f"{_NUMBER}(?:,{_NUMBER})*", re.ASCII)
_TALP = re.compile(r"(\d+)([-p?])(\d+)", re.ASCII)
_NAACL = re.compile(r"(\d+)\s+(\d+)\s+(\d+)(?:\s+([SP]))?(?:\s+[\d.eE+-]+)?", re.ASCII)


@dataclass(frozen=True)
class GoldLinks:
    """What annotators agreed on: sure links, and possible ones that contain them (Och & Ney, 2003)."""

    sure: frozenset[Link]
    possible: frozenset[Link]

    def __post_init__(self) -> None:
        object.__setattr__(self, "possible", self.possible | self.sure)


def format_of_ending(path: PurePath) -> LinkFormat:
    """The format that the ending of a file's name stands for: .jsonl, .talp, .naacl, .soft, else Pharaoh."""
    endings: dict[str, LinkFormat] = {
        ".json": "jsonl",
        ".jsonl": "jsonl",
        ".talp": "talp",
        ".naacl": "naacl",
        ".soft": "soft",
    }
    return endings.get(path.suffix, "pharaoh")


def parse_pharaoh(line: str, *, where: str) -> Links:
    """Links of a line such as `0-0 1-2`; probabilities as in `1-2:0.93` are allowed and dropped."""
    return set(parse_scores(line, where=where))


def parse_scores(line: str, *, where: str) -> dict[Link, float | None]:
    """Links of a line such as `0-0 1-2:0.93`, each with its probability; None where there is none."""
    links: dict[Link, float | None] = {}
    for item in line.split():
        match = _PHARAOH.fullmatch(item)
        if not match:
            raise DataError(
                f"{where}: {item!r} is not a link; expected source-target counted from 0, such as 0-3"
            )
        links[int(match[1]), int(match[2])] = _probability(match[3], item, where) if match[3] else None
    return links


def _probability(text: str, item: str, where: str, *, expected: str = "a link such as 0-3:0.93") -> float:
    try:
        probability = float(text)
    except ValueError:
        probability = -1.0
    if not 0 <= probability <= 1:
        raise DataError(f"{where}: {_shortened(item)} holds no probability; expected {expected}")
    return probability


def is_soft(line: str) -> bool:
    """Whether a line is one of rows such as `0.98,0.02 0.1,0.9`, which its first item shows."""
    return bool(_SOFT.fullmatch((line.split() or [""])[0]))


def parse_soft(line: str, *, where: str) -> dict[Link, float]:
    """The likely links of a line with, for each target word, its probabilities over the source words."""
    rows = line.split()
    num_src = len(rows[0].split(",")) if rows else 0
    links: dict[Link, float] = {}
    for j, row in enumerate(rows):
        cells = row.split(",") if _SOFT.fullmatch(row) else []
        shares = [_probability(cell, row, where, expected="a row such as 0.98,0.02") for cell in cells]
        if len(shares) != num_src:
            raise DataError(
                f"{where}: the row {_shortened(row)} of target word {j} holds {len(shares)} probabilities; "
                f"expected {num_src}, one for each source word, as in the first row"
            )
        links |= {(i, j): share for i, share in enumerate(shares) if share >= LIKELY}
    return links


def _shortened(item: str) -> str:
    return repr(item if len(item) <= 40 else item[:39] + "…")


def format_pharaoh(links: Links | frozenset[Link]) -> str:
    """Links as a line, sorted by source, then by target."""
    return " ".join(f"{source}-{target}" for source, target in sorted(links))


def format_scores(links: Mapping[Link, float]) -> str:
    """Links with their probabilities as a line, sorted by source, then by target."""
    return " ".join(f"{i}-{j}:{round(p, 4):g}" for (i, j), p in sorted(links.items()))


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


@dataclass(frozen=True)
class NaaclRow:
    """A link of the shared tasks of 2003 and 2005 (Mihalcea & Pedersen, 2003)."""

    sentence: int
    """Counted from 1."""
    link: Link | None
    """Counted from 0 here, from 1 in the file; None if one of its words is the empty word 0."""
    is_sure: bool


def is_naacl(line: str) -> bool:
    """Whether a line is a row such as `1 2 3 S`."""
    return bool(_NAACL.fullmatch(line.strip()))


def is_naacl_or_soft(line: str) -> bool:
    """Whether a line is a row such as `1 1 1`, which soft rows of one source word can be, too."""
    return is_naacl(line) and all(_SOFT.fullmatch(each) and float(each) <= 1 for each in line.split())


def parse_naacl(line: str, *, where: str) -> NaaclRow:
    """A row `sentence source target`, all from 1, then perhaps S or P and a score; S if it is not told."""
    match = _NAACL.fullmatch(line.strip())
    if not match or int(match[1]) == 0:
        raise DataError(
            f"{where}: {line.strip()!r} is not a gold link; expected sentence, source and target word, all "
            "from 1, and S or P, such as 1 2 3 S"
        )
    link = (int(match[2]) - 1, int(match[3]) - 1)
    return NaaclRow(int(match[1]), link if min(link) >= 0 else None, match[4] != "P")


def format_naacl(gold: GoldLinks, *, number: int) -> list[str]:
    """Gold links of the sentence of this number, from 1, as rows, sorted by source, then by target."""
    return [f"{number} {i + 1} {j + 1} {'SP'[(i, j) not in gold.sure]}" for i, j in sorted(gold.possible)]
