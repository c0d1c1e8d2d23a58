"""Where the lines to translate come from: arguments, a file, a pipe, or a person at a prompt."""

import io
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from nmt.files import InvalidUtf8, decode_lines, open_for_reading

from .console import is_interactive, is_terminal, warn
from .lines import STDIN, counted, is_waited_for, open_stdin
from .requests import InputFormat, Request, json_requests, plain_requests

MOST_NUMBERS = 10  # line numbers named in a warning


@dataclass
class Tally:
    """How many lines something was found on, and the numbers of the first of them, from 1."""

    num_lines: int = 0
    first: list[int] = field(default_factory=list)
    last: int = 0

    def add(self, number: int) -> None:
        """Count a line, though it may be found twice in a row."""
        if number != self.last:
            self.num_lines, self.last = self.num_lines + 1, number
            if len(self.first) < MOST_NUMBERS:
                self.first.append(number)

    def __str__(self) -> str:
        more = ", …" if self.num_lines > len(self.first) else ""
        return f"{counted(self.num_lines, 'line')} ({', '.join(map(str, self.first))}{more})"


@dataclass(frozen=True)
class OddLines:
    """Which lines of a source are not as they should be."""

    name: str
    """Of the source."""
    work: str
    """What is to be done with its lines, as a verb."""
    replaced: Tally = field(default_factory=Tally)
    """Lines that were not UTF-8."""
    refused: Tally = field(default_factory=Tally)
    """Lines with nothing to work on, though not blank."""

    def refuse(self, number: int, error: str) -> None:
        """Tell of the first line, by its number from 0, that there is nothing to work on, and count all."""
        if not self.refused.num_lines:
            warn(f"{self.name}:{number + 1}: {error}; there is nothing to {self.work}")
        self.refused.add(number + 1)

    def explain(self) -> None:
        """Tell which lines they are, if there are any."""
        if self.replaced.num_lines:
            warn(f"{self.name}: invalid UTF-8 on {self.replaced}, replaced by U+FFFD")
        if self.refused.num_lines:
            warn(f"{self.name}: nothing to {self.work} on {self.refused}; --strict stops at the first")


@dataclass(frozen=True)
class LineSource:
    """What to translate, line by line, and the name to call it by."""

    name: str
    lines: Iterator[str]
    is_waited_for: bool
    """Somebody may be writing the lines one by one, each after the answer to the one before."""
    odd: OddLines
    input_format: InputFormat = "text"
    strict: bool = False
    """An odd line is an error."""

    @property
    def goes_on(self) -> bool:
        """Whether a line on which nothing can be done has a place to say so, and those after it go on."""
        return self.input_format == "jsonl" and not self.strict

    def requests(self, *, has_context: bool = False) -> Iterator[Request]:
        """What the lines ask for, as they arrive; those of JSON may bring their context."""
        if self.input_format == "text":
            return plain_requests(self.lines)
        return json_requests(
            self.lines,
            name=self.name,
            strict=self.strict,
            on_mended=self.odd.replaced.add,
            has_context=has_context,
        )


@contextmanager
def open_source(
    texts: list[str], path: Path | None, *, input_format: InputFormat, strict: bool, work: str = "translate"
) -> Iterator[LineSource | None]:
    """The lines of the arguments, the file or stdin; none if a person is there to be asked for them.

    `work` is what is to be done with them, as a verb.
    """
    if not texts and path is None and input_format == "text" and is_interactive() and is_terminal():
        yield None
        return
    if texts:
        name, stream = "arguments", _as_file(texts)
    else:
        name, stream = (str(path), open_for_reading(path)) if path else ("stdin", open_stdin())
    odd = OddLines(name, work)
    on_invalid: InvalidUtf8 = "error" if strict else "replace"
    lines = decode_lines(stream, name, on_invalid=on_invalid, on_mended=odd.replaced.add)
    waits = not texts and is_waited_for(path or STDIN)
    # Something that may still be waited for stays open: closing it would wait too.
    with stream if path and not waits else nullcontext():
        yield LineSource(name, lines, waits, odd, input_format, strict)


def one_line(text: str) -> str:
    """What was typed, as one line."""
    return " ".join(text.splitlines())


def mended(text: str) -> str:
    """What was typed, with U+FFFD for bytes that were not UTF-8."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def _as_file(texts: list[str]) -> BinaryIO:
    """Arguments as the lines of a file, byte for byte as they were typed."""
    return io.BytesIO(b"".join(one_line(text).encode(errors="surrogateescape") + b"\n" for text in texts))
