"""Alignments as lines of text: JSON with character offsets, Pharaoh, and rows of probabilities."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from nmt.alignment.merge import WordAlignment, turned
from nmt.corpus.links import Links, Method, parse_pharaoh
from nmt.corpus.words import Span
from nmt.errors import DataError

JSON_LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


@dataclass(frozen=True)
class Origin:
    """Where links come from: the cross-attention of one model, or of two whose links were combined."""

    layer: int
    """Decoder layer, counted from 1."""
    reverse_layer: int | None = None
    """The same of the model of the other direction."""
    method: Method | None = None
    """How the links of both were combined."""

    def __str__(self) -> str:
        if self.method is None:
            return f"attention, decoder layer {self.layer}"
        return f"attention, decoder layers {self.layer} and {self.reverse_layer}, {self.method}"

    def record(self) -> dict[str, Any]:
        """The part of a JSON record that says whose links they are."""
        both = {"reverse_layer": self.reverse_layer, "method": self.method} if self.method else {}
        return {"from": "attention", "layer": self.layer, **both}


def alignment_record(alignment: WordAlignment, origin: Origin) -> dict[str, Any]:
    """A JSON record: texts, words as character offsets [start, end), links [source, target, probability]."""
    words = {
        "src": alignment.source,
        "tgt": alignment.target,
        "src_tokens": [list(span) for span in alignment.src_words],
    }
    return {**words, **links_record(alignment), **origin.record()}


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


def format_record(alignment: WordAlignment, origin: Origin) -> str:
    """The JSON record of an alignment as one line."""
    return json_line(alignment_record(alignment, origin))


def json_line(record: Mapping[str, Any]) -> str:
    """A record as one line of JSON, to every reader: the line ends of Unicode are escaped."""
    return json.dumps(record, ensure_ascii=False).translate(JSON_LINE_ENDS)


def parse_record(line: str, *, where: str) -> WordAlignment:
    """The alignment of a JSON record; raises DataError if it is none."""
    try:
        record = json.loads(line)
        links = {(int(i), int(j)): float(share) for i, j, share in record["links"]}
        src_words, tgt_words = _spans(record, "src_tokens"), _spans(record, "tgt_tokens")
        alignment = WordAlignment(str(record["src"]), str(record["tgt"]), src_words, tgt_words, links)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{where}: not an alignment record ({error!r}); expected what nmt align writes"
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
    """The links of a line, and its words and their origin if the line is a JSON record."""

    links: Links
    alignment: WordAlignment | None = None
    origin: str = ""

    def turned(self) -> "LinkLine":
        """The same with source and target exchanged."""
        return LinkLine(
            {(target, source) for source, target in self.links},
            self.alignment and turned(self.alignment),
            self.origin,
        )


def parse_link_line(line: str, *, where: str) -> LinkLine:
    """Links of a line of a Pharaoh or JSON-lines file; which of the two, the line shows."""
    if not line.startswith("{"):
        return LinkLine(parse_pharaoh(line, where=where))
    alignment = parse_record(line, where=where)
    return LinkLine(set(alignment.links), alignment, _origin(json.loads(line)))


def _origin(record: Mapping[str, Any]) -> str:
    keys = ("from", "layer", "reverse_layer", "method")
    return ", ".join(f"{key}: {record[key]}" for key in keys if key in record)


def format_soft(matrix: Tensor) -> str:
    """For each target word its comma-separated probabilities over the source words, as Marian writes."""
    return " ".join(",".join(f"{share:.6g}" for share in row) for row in matrix.tolist())
