"""Pairs as one page for the browser: text, style and program in a single file that needs nothing else."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from nmt.alignment.drawing.pair import Pair
from nmt.alignment.drawing.printable import without_controls
from nmt.corpus.links import Link
from nmt.corpus.words import Span, is_blank

PARTS_DIR = Path(__file__).parent / "browser"
HTML_SIGNS = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u0085\u2028\u2029"}
"""What must not stand in the data as it is: it would end the element, or a line to some readers."""


@dataclass(frozen=True)
class PageFacts:
    """What the page says about all pairs."""

    title: str
    ours: str
    """Name of the links."""
    theirs: str = ""
    """Name of what they are compared with."""
    is_gold: bool = False


def page_lines(pairs: Iterable[Pair], facts: PageFacts) -> Iterator[str]:
    """The page in parts, one for each pair, so that it can be written while pairs are read."""
    parts: dict[str, Callable[[], Iterable[str]]] = {
        "title": lambda: [escape(facts.title)],
        "style": lambda: [_part("page.css")],
        "script": lambda: [_part("page.js")],
        "facts": lambda: [_json(asdict(facts))],
        "pairs": lambda: (_json(pair_record(pair)) + "\n" for pair in pairs),
    }
    for position, text in enumerate(re.split(r"\{\{(\w+)\}\}", _part("page.html"))):
        yield from parts[text]() if position % 2 else [text]


def pair_record(pair: Pair) -> dict[str, Any]:
    """A pair as the page reads it: gaps and words of both sides in turn, and links.

    A link is source word, target word, our probability and theirs; null where one has it not, true where it
    is not known how probable it is. Gold links have 1 for sure and 0 for possible.
    """
    one = pair.alignment
    record: dict[str, Any] = {
        "number": pair.number,
        "source": _gaps_and_words(one.source, one.src_words),
        "target": _gaps_and_words(one.target, one.tgt_words),
        "links": [
            [*link, _probability(pair.links, link), _theirs(pair, link)] for link in sorted(pair.marks())
        ],
    }
    if pair.reference is None:
        record["doubt"] = round(pair.suspicion, 3)
    if pair.origin:
        record["origin"] = pair.origin
    return record


def _theirs(pair: Pair, link: Link) -> float | bool | None:
    if pair.reference is None or link not in pair.reference.links.possible:
        return None
    if pair.reference.probabilities is None:
        return float(link in pair.reference.links.sure)
    return _probability(pair.reference.probabilities, link)


def _probability(links: Mapping[Link, float | None], link: Link) -> float | bool | None:
    if link not in links:
        return None
    probability = links[link]
    return True if probability is None else round(probability, 3)


def _gaps_and_words(line: str, spans: Iterable[Span]) -> list[str]:
    parts, last = [], 0
    for start, end in spans:
        parts += [_gap(line[last:start]), without_controls(line[start:end])]
        last = max(last, end)
    return [*parts, _gap(line[last:])]


def _gap(text: str) -> str:
    return " " * bool(text) if is_blank(text) else without_controls(text)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(HTML_SIGNS)


@cache
def _part(name: str) -> str:
    return (PARTS_DIR / name).read_text(encoding="utf-8")
