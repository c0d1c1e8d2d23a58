"""Where the lines to translate come from: arguments, a file, a pipe, or a person at a prompt."""

import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from nmt.files import InvalidUtf8, decode_lines, open_for_reading

from .console import is_interactive, is_terminal, warn
from .lines import counted

MOST_NUMBERS = 10  # line numbers named in a warning


@dataclass(frozen=True)
class LineSource:
    """Lines to translate and the name to call them by."""

    name: str
    lines: Iterator[str]
    is_waited_for: bool
    """Somebody may be writing the lines one by one, each after the answer to the one before."""
    replaced: list[int] = field(default_factory=list)
    """Numbers of lines that were not UTF-8."""

    def warn_of_replaced(self) -> None:
        """Tell which lines were not UTF-8, if there were any."""
        if self.replaced:
            numbers = ", ".join(map(str, self.replaced[:MOST_NUMBERS]))
            more = ", …" if len(self.replaced) > MOST_NUMBERS else ""
            found = counted(len(self.replaced), "line")
            warn(f"{self.name}: invalid UTF-8 on {found} ({numbers}{more}), replaced by U+FFFD")


@contextmanager
def open_source(texts: list[str], path: Path | None, *, strict: bool) -> Iterator[LineSource | None]:
    """The lines of the arguments, the file or stdin; none if a person is there to be asked for them."""
    if not texts and path is None and is_interactive() and is_terminal():
        yield None
        return
    if texts:
        name, stream = "arguments", _as_file(texts)
    else:
        name, stream = (str(path), open_for_reading(path)) if path else ("stdin", _open_stdin())
    replaced: list[int] = []
    on_invalid: InvalidUtf8 = "error" if strict else "replace"
    lines = decode_lines(stream, name, on_invalid=on_invalid, on_mended=replaced.append)
    is_file = _is_regular_file(path, stream)
    # Something that may still be waited for stays open: closing it would wait too.
    with stream if path and is_file else nullcontext():
        yield LineSource(name, lines, not is_file and not texts, replaced)


def one_line(text: str) -> str:
    """What was typed, as one line."""
    return " ".join(text.splitlines())


def mended(text: str) -> str:
    """What was typed, with U+FFFD for bytes that were not UTF-8."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def _as_file(texts: list[str]) -> BinaryIO:
    """Arguments as the lines of a file, byte for byte as they were typed."""
    return io.BytesIO(b"".join(one_line(text).encode(errors="surrogateescape") + b"\n" for text in texts))


def _open_stdin() -> BinaryIO:
    """Stdin with a buffer of its own: a thread waiting in that of sys.stdin would break the end of Python."""
    try:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    except io.UnsupportedOperation:
        return sys.stdin.buffer


def _is_regular_file(path: Path | None, stream: BinaryIO) -> bool:
    if path:
        return path.is_file()
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except io.UnsupportedOperation:
        return False
