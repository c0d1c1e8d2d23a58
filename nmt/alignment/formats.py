"""Alignments as lines of text: JSON with character offsets, Pharaoh, rows of probabilities, talp, NAACL."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from nmt.alignment.merge import WordAlignment, turned
from nmt.alignment.origin import CombinedOrigin, Origin
from nmt.corpus.links import (
    LIKELY,
    GoldLinks,
    Link,
    LinkFormat,
    Links,
    format_naacl,
    format_pharaoh,
    format_scores,
    format_talp,
    is_soft,
    parse_scores,
    parse_soft,
    parse_talp,
)
from nmt.corpus.words import Span
from nmt.errors import DataError

JSON_LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


def alignment_record(alignment: WordAlignment, origin: Origin | CombinedOrigin) -> dict[str, Any]:
    """A JSON record: texts, words as character offsets [start, end), links [source, target, probability]."""
    return words_record(alignment) | origin.record()


def words_record(alignment: WordAlignment) -> dict[str, Any]:
    """The record without what says whose links they are."""
    words = {
        "src": alignment.source,
        "tgt": alignment.target,
        "src_tokens": [list(span) for span in alignment.src_words],
    }
    return words | links_record(alignment)


def links_record(alignment: WordAlignment) -> dict[str, Any]:
    """The part of a JSON record that depends on the target: its words, the links, the words without any."""
    linked_sources = {source for source, _ in alignment.links}
    linked_targets = {target for _, target in alignment.links}
    num_words = max(1, len(alignment.src_words))
    return {
        "tgt_tokens": [list(span) for span in alignment.tgt_words],
        "links": [[i, j, round(share, 4)] for (i, j), share in sorted(alignment.links.items())],
        "null_src": [i for i in range(len(alignment.src_words)) if i not in linked_sources],
        "null_tgt": [j for j in range(len(alignment.tgt_words)) if j not in linked_targets],
        "coverage": round(len(linked_sources) / num_words, 4),
    }


def format_record(alignment: WordAlignment, origin: Origin | CombinedOrigin) -> str:
    """The JSON record of an alignment as one line."""
    return json_line(alignment_record(alignment, origin))


def json_line(record: Mapping[str, Any]) -> str:
    """A record as one line of JSON, to every reader: the line ends of Unicode are escaped."""
    return json.dumps(record, ensure_ascii=False).translate(JSON_LINE_ENDS)


def _fields(line: str, *, where: str) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(line)  # an object, as it begins with a brace
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{where}: not an alignment record, not JSON ({error}); expected what nmt align writes"
        ) from error
    return record


def _alignment_of(record: Mapping[str, Any], *, where: str) -> WordAlignment:
    try:
        links = {(int(i), int(j)): float(share) for i, j, share in record["links"]}
        src_words, tgt_words = _spans(record, "src_tokens"), _spans(record, "tgt_tokens")
        alignment = WordAlignment(str(record["src"]), str(record["tgt"]), src_words, tgt_words, links)
        if not all(0 <= share <= 1 for share in links.values()):
            raise ValueError("a probability is not between 0 and 1")
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        found = f"has no {error}" if isinstance(error, KeyError) else "has something else in its fields"
        raise DataError(
            f"{where}: not an alignment record, {found}; expected what nmt align writes: src, tgt, "
            "src_tokens, tgt_tokens: [[start, end], …], links: [[source, target, probability], …]"
        ) from error
    if not all(0 <= i < len(src_words) and 0 <= j < len(tgt_words) for i, j in links):
        raise DataError(
            f"{where}: a link points past the last of {len(src_words)} and {len(tgt_words)} words"
        )
    return alignment


def _spans(record: Mapping[str, Any], key: str) -> tuple[Span, ...]:
    return tuple((int(start), int(end)) for start, end in record[key])


@dataclass(frozen=True)
class LinkLine:
    """The links of one sentence, and what else its line tells of them."""

    probabilities: dict[Link, float]
    """Of every link, 1 where the format has none."""
    unknown: frozenset[Link] = frozenset()
    """Those of the links whose probability the line does not tell."""
    possible: frozenset[Link] = frozenset()
    """Those of the links that are not sure."""
    alignment: WordAlignment | None = None
    """The words, if the line is a JSON record."""
    origin: str = ""
    num_words: tuple[int, int] | None = None
    """Source and target words of soft rows, perhaps with the ends of the sentences."""
    error: str = ""
    """Why there are no links, if the line says so: it was not a pair when it was to be linked."""

    @property
    def has_probabilities(self) -> bool:
        """Whether that of every link is told."""
        return not self.unknown

    @property
    def links(self) -> Links:
        """All links, also those that are only possible."""
        return set(self.probabilities)

    @property
    def gold(self) -> GoldLinks:
        """The links as gold: all are sure where the format does not tell."""
        links = frozenset(self.probabilities)
        return GoldLinks(links - self.possible, links)

    def within(self, num_src: int, num_tgt: int) -> "LinkLine":
        """Without links of the ends of both sentences, which have a row and a column in rows of Marian."""
        if self.num_words is None or not {self.num_words[0] - num_src, self.num_words[1] - num_tgt} <= {0, 1}:
            return self
        links = {(i, j): p for (i, j), p in self.probabilities.items() if i < num_src and j < num_tgt}
        return replace(self, probabilities=links)

    def turned(self) -> "LinkLine":
        """The same with source and target exchanged."""
        return replace(
            self,
            probabilities={(target, source): p for (source, target), p in self.probabilities.items()},
            unknown=frozenset((target, source) for source, target in self.unknown),
            possible=frozenset((target, source) for source, target in self.possible),
            alignment=self.alignment and turned(self.alignment),
            num_words=self.num_words and self.num_words[::-1],
        )


def format_of_line(line: str) -> LinkFormat:
    """The format that a line of links shows, which is no row of NAACL."""
    if line.startswith("{"):
        return "jsonl"
    if "p" in line or "?" in line:
        return "talp"
    if is_soft(line):
        return "soft"
    return "pharaoh-scores" if ":" in line else "pharaoh"


def parse_link_line(line: str, *, where: str) -> LinkLine:
    """Links of a line of Pharaoh, with or without scores, soft rows, talp or JSON; which, the line shows."""
    shown = format_of_line(line)
    if shown == "jsonl":
        record = _fields(line, where=where)
        if "error" in record and "links" not in record:
            return LinkLine({}, alignment=WordAlignment("", "", (), (), {}), error=str(record["error"]))
        alignment = _alignment_of(record, where=where)
        return LinkLine(alignment.links, alignment=alignment, origin=_origin(record))
    if shown == "talp":
        return gold_line(parse_talp(line, where=where))
    if shown == "soft":
        links, rows = parse_soft(line, where=where), line.split()
        return LinkLine(links, num_words=(rows[0].count(",") + 1, len(rows)))
    scores = parse_scores(line, where=where)
    probabilities = {link: 1.0 if score is None else score for link, score in scores.items()}
    return LinkLine(probabilities, frozenset(link for link, score in scores.items() if score is None))


def gold_line(gold: GoldLinks) -> LinkLine:
    """Sure and possible links as links of a sentence."""
    links = dict.fromkeys(sorted(gold.possible), 1.0)
    return LinkLine(links, gold.possible, gold.possible - gold.sure)


def link_lines(
    links: Mapping[Link, float],
    chosen: LinkFormat,
    *,
    number: int = 1,
    sure: float = LIKELY,
    possible: frozenset[Link] = frozenset(),
) -> list[str]:
    """Links of the sentence of this number, from 1, in a format without words: one line, or rows of NAACL.

    Sure are those of probability `sure` or more that are not `possible`.
    """
    assert chosen not in ("jsonl", "soft"), "these need more than links"
    if chosen == "pharaoh":
        return [format_pharaoh(set(links))]
    if chosen == "pharaoh-scores":
        return [format_scores(links)]
    likely = frozenset(link for link, p in links.items() if p >= sure)
    gold = GoldLinks(likely - possible, frozenset(links))
    return [format_talp(gold)] if chosen == "talp" else format_naacl(gold, number=number)


def _origin(record: Mapping[str, Any]) -> str:
    keys = ("from", "layer", "reverse_from", "reverse_layer", "method")
    return ", ".join(f"{key}: {record[key]}" for key in keys if key in record)


def format_soft(matrix: Tensor) -> str:
    """For each target word its comma-separated probabilities over the source words, as Marian writes.

    Without source words there are no rows, which would hold nothing.
    """
    if not matrix.size(1):
        return ""
    return " ".join(",".join(f"{share:.6g}" for share in row.tolist()) for row in matrix)
