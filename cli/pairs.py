"""Pairs to look at: sentences, links, and other links to compare with, read line by line."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.corpus.links import GoldLinks, Link
from nmt.corpus.words import Span, TokenMode, word_spans
from nmt.errors import DataError, UsageError

from .console import warn
from .lines import STDIN, lines_of, name_of
from .link_rows import LinkRows, Row

if TYPE_CHECKING:
    from nmt.alignment.drawing.marks import Reference
    from nmt.alignment.drawing.pair import Pair
    from nmt.alignment.drawing.table import Names
    from nmt.alignment.formats import LinkLine
    from nmt.alignment.merge import WordAlignment

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
    gold_base: str = "auto"
    """The number of the first word in gold links."""

    def read(self) -> "Iterator[Pair]":
        """The pairs in order; of a gold link that points past the last word a warning is given at the end."""
        from nmt.alignment.drawing.pair import Pair

        num_outside = 0
        for number, row in enumerate(self._rows, start=1):
            spans = _spans(row.texts[0], self.tokens), _spans(row.texts[1], self.tokens)
            where = f"{name_of(self.links)}:{number}"
            alignment = _alignment(row.texts, row.links[0], spans, where=where)
            self._check_probabilities(row.links[0], where=where)
            reference = None
            if self.other and self.is_gold:
                self._check_words(alignment, spans, where=where)
                gold = self._gold[number - 1]
                reference = _inside_gold(gold, alignment)
                num_outside += reference.links != gold
            elif self.other:
                other = _alignment(row.texts, row.links[1], spans, where=f"{name_of(self.other)}:{number}")
                self._check_words(alignment, (other.src_words, other.tgt_words), where=where)
                reference = self._probable_reference(other, row.links[1].unknown)
            yield Pair(
                number,
                self._probable(alignment),
                row.links[0].origin,
                reference,
                row.links[0].unknown,
            )
        if num_outside and self.other:
            warn(
                f"{name_of(self.other)}: on {num_outside} lines a gold link points past the last word; "
                "those are left out"
            )

    def names(self) -> "Names | None":
        """What the links and those they are compared with are called; None where nothing is compared."""
        from nmt.alignment.drawing.table import Names

        if self.other is None:
            return None
        is_short = self.links.name != self.other.name
        ours, theirs = ((path.name if is_short else str(path)) for path in (self.links, self.other))
        return Names(ours, theirs, self.is_gold)

    @cached_property
    def is_gold(self) -> bool:
        """Whether the other links are gold: by name, as rows of NAACL, or because one is only possible."""
        from nmt.alignment.link_files import read_links

        if self.other is None:
            return False
        if self._files.files[1].is_naacl or {".talp", ".naacl"} & set(self.other.suffixes):
            return True
        if self._is_piped:
            return any(row.links[1].possible for row in self._rows)
        return any(line.possible for line in read_links(lines_of(self.other), name=str(self.other)))

    @cached_property
    def _gold(self) -> list[GoldLinks]:
        """Gold links of all sentences, counted from 0."""
        from nmt.alignment.gold import gold_from_zero

        assert self.other, "or there is no gold"
        return gold_from_zero(
            [row.links[1].gold for row in self._rows],
            [
                (len(_spans(row.texts[0], self.tokens)), len(_spans(row.texts[1], self.tokens)))
                for row in self._rows
            ],
            name=name_of(self.other),
            base=self.gold_base,
            is_naacl=self._files.files[1].is_naacl,
        )[0]

    @property
    def _is_piped(self) -> bool:
        """Whether the other links can be read only once."""
        return self.other is not None and (self.other == STDIN or not self.other.is_file())

    @cached_property
    def _files(self) -> LinkRows:
        return LinkRows([self.links, *([self.other] if self.other else [])], [self.source, self.target])

    @cached_property
    def _rows(self) -> Iterable[Row]:
        """The rows of the files; kept where the last may show what the other links are, or how they count."""
        return list(self._files) if self._is_piped or self.is_gold else self._files

    def _check_words(self, alignment: "WordAlignment", spans: Spans, *, where: str) -> None:
        if self.other and (alignment.src_words, alignment.tgt_words) != spans:
            raise DataError(
                f"{where}: the words of the record are not those of --tokens {self.tokens}, "
                f"which {name_of(self.other)} counts"
            )

    def _probable(self, alignment: "WordAlignment") -> "WordAlignment":
        links = {link: p for link, p in alignment.links.items() if p >= self.min_probability}
        return replace(alignment, links=links)

    def _probable_reference(self, other: "WordAlignment", unknown: frozenset[Link]) -> "Reference":
        from nmt.alignment.drawing.marks import Reference, without_probabilities

        links = self._probable(other).links
        gold = GoldLinks(frozenset(links), frozenset())
        return Reference(gold, without_probabilities(links, unknown))

    def _check_probabilities(self, line: "LinkLine", *, where: str) -> None:
        if self.min_probability and line.links and line.unknown == line.links:
            raise UsageError(
                f"--min-prob {self.min_probability:g}: links of {where} have no probabilities; leave it out, "
                "or give links with them, such as those of nmt align --format jsonl"
            )


def _spans(line: str, tokens: TokenMode) -> tuple[Span, ...]:
    return tuple(word_spans(line, tokens))


def _inside_gold(gold: GoldLinks, alignment: "WordAlignment") -> "Reference":
    from nmt.alignment.drawing.marks import Reference

    return Reference(GoldLinks(_inside(gold.sure, alignment), _inside(gold.possible, alignment)))


def _alignment(texts: tuple[str, ...], line: "LinkLine", spans: Spans, *, where: str) -> "WordAlignment":
    """The links of a line on the words of its record, else on these."""
    from nmt.alignment.merge import WordAlignment

    src_line, tgt_line = texts
    line = line.within(*map(len, spans))
    alignment = line.alignment or WordAlignment(src_line, tgt_line, *spans, line.probabilities)
    if (alignment.source, alignment.target) != (src_line, tgt_line):
        raise DataError(
            f"{where}: the record is about other sentences; expected those of the same line of SRC and TGT"
        )
    outside = line.links - _inside(frozenset(line.links), alignment)
    if outside:
        i, j = min(outside)
        raise DataError(
            f"{where}: link {i}-{j} points past the last of {len(alignment.src_words)} source or "
            f"{len(alignment.tgt_words)} target words; is the target first, or another --tokens meant?"
        )
    return alignment


def _inside(links: frozenset[Link], alignment: "WordAlignment") -> frozenset[Link]:
    """The links whose words are there."""
    num_src, num_tgt = len(alignment.src_words), len(alignment.tgt_words)
    return frozenset((i, j) for i, j in links if i < num_src and j < num_tgt)
