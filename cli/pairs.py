"""Pairs to look at: sentences, links, and other links to compare with, read line by line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.corpus.links import GoldLinks, Link, parse_pharaoh, parse_talp
from nmt.corpus.words import Span, TokenMode, word_spans
from nmt.errors import DataError
from nmt.files import read_lines

from .console import warn
from .lines import STDIN, aligned_lines, name_of

if TYPE_CHECKING:
    from nmt.alignment.drawing.marks import Reference
    from nmt.alignment.drawing.pair import Pair
    from nmt.alignment.drawing.table import Names
    from nmt.alignment.merge import WordAlignment

POSSIBLE_LINK = re.compile(r"(?:^|\s)\d+[p?]\d+(?:\s|$)", re.ASCII)
Spans = tuple[tuple[Span, ...], tuple[Span, ...]]


@dataclass(frozen=True)
class PairFiles:
    """The files of pairs, and how they are read."""

    source: Path
    target: Path
    links: Path
    other: Path | None = None
    tokens: TokenMode = "punct"
    min_probability: float = 0.0

    def read(self) -> "Iterator[Pair]":
        """The pairs in order; of a gold link that points past the last word a warning is given at the end."""
        from nmt.alignment.drawing.pair import Pair

        rows = aligned_lines([self.source, self.target, self.links, *([self.other] if self.other else [])])
        is_gold = self.other is not None and has_gold(self.other)
        num_outside = 0
        for number, (src_line, tgt_line, link_line, *other_line) in enumerate(rows, start=1):
            spans = _spans(src_line, self.tokens), _spans(tgt_line, self.tokens)
            where = f"{name_of(self.links)}:{number}"
            alignment, origin = _alignment(src_line, tgt_line, link_line, spans, where=where)
            reference = None
            if self.other and is_gold:
                self._check_words(alignment, spans, where=where)
                gold = parse_talp(other_line[0], where=f"{name_of(self.other)}:{number}")
                reference = _inside_gold(gold, alignment)
                num_outside += reference.links != gold
            elif self.other:
                other, _ = _alignment(
                    src_line, tgt_line, other_line[0], spans, where=f"{name_of(self.other)}:{number}"
                )
                self._check_words(alignment, (other.src_words, other.tgt_words), where=where)
                reference = self._probable_reference(other)
            yield Pair(number, self._probable(alignment), origin, reference)
        if num_outside and self.other:
            warn(
                f"{name_of(self.other)}: on {num_outside} lines a gold link points past the last word; "
                "those are left out; the first word is 0"
            )

    def names(self) -> "Names | None":
        """What the links and those they are compared with are called; None where nothing is compared."""
        from nmt.alignment.drawing.table import Names

        if self.other is None:
            return None
        is_short = self.links.name != self.other.name
        ours, theirs = ((path.name if is_short else str(path)) for path in (self.links, self.other))
        return Names(ours, theirs, has_gold(self.other))

    def _check_words(self, alignment: "WordAlignment", spans: Spans, *, where: str) -> None:
        if self.other and (alignment.src_words, alignment.tgt_words) != spans:
            raise DataError(
                f"{where}: the words of the record are not those of --tokens {self.tokens}, "
                f"which {name_of(self.other)} counts"
            )

    def _probable(self, alignment: "WordAlignment") -> "WordAlignment":
        links = {link: p for link, p in alignment.links.items() if p >= self.min_probability}
        return replace(alignment, links=links)

    def _probable_reference(self, other: "WordAlignment") -> "Reference":
        from nmt.alignment.drawing.marks import Reference

        links = self._probable(other).links
        return Reference(GoldLinks(frozenset(links), frozenset()), links)


def has_gold(path: Path) -> bool:
    """Whether the links of a file are gold: its name ends in `.talp`, or one of them is only possible."""
    if ".talp" in path.suffixes:
        return True
    return path != STDIN and path.is_file() and any(map(POSSIBLE_LINK.search, read_lines(path)))


def _spans(line: str, tokens: TokenMode) -> tuple[Span, ...]:
    return tuple(word_spans(line, tokens))


def _inside_gold(gold: GoldLinks, alignment: "WordAlignment") -> "Reference":
    from nmt.alignment.drawing.marks import Reference

    return Reference(GoldLinks(_inside(gold.sure, alignment), _inside(gold.possible, alignment)))


def _alignment(
    src_line: str,
    tgt_line: str,
    link_line: str,
    spans: Spans,
    *,
    where: str,
) -> "tuple[WordAlignment, str]":
    """The links of a line on the words of its record, else on these; and where the record has them from."""
    from nmt.alignment.formats import parse_link_line
    from nmt.alignment.merge import WordAlignment

    parsed = parse_link_line(link_line, where=where)
    alignment = parsed.alignment
    if alignment is None:
        alignment = WordAlignment(src_line, tgt_line, *spans, _probabilities(link_line, where=where))
    elif (alignment.source, alignment.target) != (src_line, tgt_line):
        raise DataError(
            f"{where}: the record is about other sentences; expected those of the same line of SRC and TGT"
        )
    outside = parsed.links - _inside(frozenset(parsed.links), alignment)
    if outside:
        i, j = min(outside)
        raise DataError(
            f"{where}: link {i}-{j} points past the last of {len(alignment.src_words)} source or "
            f"{len(alignment.tgt_words)} target words; is the target first, or another --tokens meant?"
        )
    return alignment, parsed.origin


def _probabilities(link_line: str, *, where: str) -> dict[Link, float]:
    """Links with their probabilities; 1 where none is given."""
    links: dict[Link, float] = {}
    for item in link_line.split():
        pair, _, probability = item.partition(":")
        try:
            links |= dict.fromkeys(parse_pharaoh(pair, where=where), float(probability or 1))
        except ValueError as error:
            raise DataError(
                f"{where}: {item!r} holds no probability; expected a link such as 0-3:0.93"
            ) from error
    return links


def _inside(links: frozenset[Link], alignment: "WordAlignment") -> frozenset[Link]:
    """The links whose words are there."""
    num_src, num_tgt = len(alignment.src_words), len(alignment.tgt_words)
    return frozenset((i, j) for i, j in links if i < num_src and j < num_tgt)
