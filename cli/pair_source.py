"""Pairs to align: two files beside each other, lines of `source ||| target`, or JSON objects."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nmt.errors import DataError, UsageError

from .lines import STDIN, aligned_lines, lines_of, name_of
from .requests import InputFormat, json_requests

SEPARATOR = "|||"


@dataclass(frozen=True)
class SourcePair:
    """Two lines that belong together, and the fields that came with them in a JSON object."""

    source: str
    target: str
    fields: dict[str, Any] = field(default_factory=dict)
    is_gap: bool = False
    """A blank line among JSON objects, which stays one."""


def read_pairs(source: Path, target: Path | None, input_format: InputFormat) -> Iterator[SourcePair]:
    """The pairs of two files, or of one whose every line holds both sides, as they arrive."""
    if target is not None:
        if input_format == "jsonl":
            raise UsageError("JSON lines hold both sides, in src and tgt; leave out TGT")
        return (SourcePair(one, other) for one, other in aligned_lines([source, target]))
    lines = enumerate(lines_of(source))
    if input_format == "jsonl":
        return (_of_object(line, number, name_of(source)) for number, line in lines)
    return (_of_line(line, f"{name_of(source)}:{number + 1}") for number, line in lines)


def _of_line(line: str, where: str) -> SourcePair:
    if not line.strip():
        return SourcePair("", "")
    words = line.split(" ")
    num_separators = words.count(SEPARATOR)
    if num_separators != 1:
        raise DataError(
            f"{where}: has ` {SEPARATOR} ` {num_separators} times, expected once: source {SEPARATOR} target; "
            "text that has it itself goes into two files or JSON lines"
        )
    middle = words.index(SEPARATOR)
    return SourcePair(" ".join(words[:middle]), " ".join(words[middle + 1 :]))


def _of_object(line: str, number: int, name: str) -> SourcePair:
    [request] = json_requests([line], number, name=name, strict=True, on_mended=lambda _: None)
    target = request.fields.get("tgt", "" if request.is_gap else None)
    if not isinstance(target, str):
        raise DataError(f"{name}:{number + 1}: has no text in tgt; expected one")
    return SourcePair(request.text, target, request.fields, request.is_gap)


def input_paths(source: Path, target: Path | None) -> list[Path]:
    """The files that are read."""
    return [path for path in (source, target) if path and path != STDIN]
