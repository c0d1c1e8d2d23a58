"""Pairs to align or to score: two files beside each other, lines of `source ||| target`, or JSON objects."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nmt.errors import DataError, UsageError

from .line_source import OddLines
from .lines import STDIN, aligned_lines, is_waited_for, lines_of, name_of
from .requests import InputFormat, Request, json_requests, with_context

SEPARATOR = "|||"


@dataclass(frozen=True)
class SourcePair:
    """Two lines that belong together, and the fields that came with them in a JSON object."""

    source: str
    target: str
    fields: dict[str, Any] = field(default_factory=dict)
    is_gap: bool = False
    """A blank line among JSON objects, which stays one."""
    error: str = ""
    """Why there is nothing to link on a line of JSON, if that is so."""
    context: tuple[str, ...] | None = None
    """Lines before the source, if that are to be others than those of the pairs before."""

    def __len__(self) -> int:
        return len(self.source) + len(self.target)

    @property
    def request(self) -> Request:
        """Its source, as something that is asked for."""
        return Request(0, self.source, self.fields, context=self.context, error=self.error)


@dataclass(frozen=True)
class PairSource:
    """The pairs to align, as they arrive."""

    pairs: Iterator[SourcePair]
    paths: list[Path]
    """Where they are read."""
    odd: OddLines

    @property
    def is_waited_for(self) -> bool:
        """Somebody may be writing the pairs one by one, each after the links of the one before."""
        return any(map(is_waited_for, self.paths))

    @property
    def files(self) -> list[Path]:
        """The files that are read."""
        return [path for path in self.paths if path != STDIN]

    def with_context(self, *, strict: bool) -> "PairSource":
        """The same with what JSON objects say of their context; something else there is an error."""
        return replace(self, pairs=pairs_with_context(self.pairs, self.odd.name, strict=strict))


def open_pairs(
    source: Path, target: Path | None, input_format: InputFormat, *, strict: bool = False
) -> PairSource:
    """The pairs of two files, or of one whose every line holds both sides.

    A line of JSON that holds no pair says why; it is a DataError with `strict`.
    """
    paths = [source, *([target] if target else [])]
    odd = OddLines(name_of(source), "link")
    if input_format == "jsonl":
        if target:
            raise UsageError("JSON lines hold both sides, in src and tgt; leave out TGT")
        return PairSource(object_pairs(lines_of(source), odd, strict=strict), paths, odd)
    if target:
        return PairSource((SourcePair(one, other) for one, other in aligned_lines(paths)), paths, odd)
    lines = enumerate(lines_of(source), start=1)
    return PairSource((_of_line(line, odd.name, number) for number, line in lines), paths, odd)


def _of_line(line: str, name: str, number: int) -> SourcePair:
    if not line.strip():
        return SourcePair("", "")
    words = line.split(" ")
    num_separators = words.count(SEPARATOR)
    if number == 1 and not num_separators:
        raise DataError(
            f"{name}:1: has no ` {SEPARATOR} `; expected source {SEPARATOR} target on each line, or TGT, "
            "a file with the translations of these lines"
        )
    if num_separators != 1:
        raise DataError(
            f"{name}:{number}: has ` {SEPARATOR} ` {num_separators} times, expected once: "
            f"source {SEPARATOR} target; text that has it itself goes into two files or JSON lines"
        )
    middle = words.index(SEPARATOR)
    return SourcePair(" ".join(words[:middle]), " ".join(words[middle + 1 :]))


def object_pairs(lines: Iterable[str], odd: OddLines, *, strict: bool) -> Iterator[SourcePair]:
    """The pairs of JSON objects with texts in src and tgt; see `open_pairs`."""
    requests = json_requests(
        lines,
        name=odd.name,
        strict=strict,
        on_mended=odd.replaced.add,
        needed="texts in src and tgt",
    )
    for request in requests:
        pair = _of_request(request)
        if pair.error and strict:
            raise DataError(f"{odd.name}:{request.number + 1}: {pair.error}")
        yield pair


def pairs_with_context(pairs: Iterator[SourcePair], name: str, *, strict: bool) -> Iterator[SourcePair]:
    """Pairs with what their objects say of their context; what says it in another way has an error."""
    for number, pair in enumerate(pairs, start=1):
        request = with_context(pair.request)
        if request.error and strict:
            raise DataError(f"{name}:{number}: {request.error}")
        sides = ("", "") if request.error else (pair.source, pair.target)
        yield replace(pair, source=sides[0], target=sides[1], context=request.context, error=request.error)


def _of_request(request: Request) -> SourcePair:
    pair = SourcePair("", "", request.fields, request.is_gap, request.error)
    if pair.is_gap or pair.error:
        return pair
    target = request.fields.get("tgt")
    if not isinstance(target, str):
        return replace(pair, error="has no text in tgt; expected one")
    return replace(pair, source=request.text, target=target)
