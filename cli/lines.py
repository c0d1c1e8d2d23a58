"""Lines from files and stdin, and lines to stdout or a file, as the alignment commands need them."""

import io
import os
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO

from nmt.config.languages import COMPRESSED
from nmt.errors import OutputError, UsageError
from nmt.files import atomic_file, check_counts, decode_lines, read_lines

from .console import is_terminal, warn
from .signals import whole_lines

STDIN = Path("-")
MODEL_MARKS = ("manifest.json", "train")
"""One of them is in a model folder, beside its config.toml."""


def lines_of(path: Path) -> Iterator[str]:
    """Lines of a text file, or of stdin for `-`, as they arrive."""
    return decode_lines(open_stdin(), "stdin") if path == STDIN else read_lines(path)


def open_stdin() -> BinaryIO:
    """Stdin with a buffer of its own: a thread waiting in that of sys.stdin would break the end of Python."""
    try:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    except io.UnsupportedOperation:
        return sys.stdin.buffer


def is_waited_for(path: Path) -> bool:
    """Whether somebody may be writing the lines one by one: this is a pipe or a terminal."""
    if path != STDIN:
        return _is_pipe(path)
    try:
        return not stat.S_ISREG(os.fstat(sys.stdin.fileno()).st_mode)
    except io.UnsupportedOperation:
        return True


def name_of(path: Path) -> str:
    """What to call a file in a message."""
    return "stdin" if path == STDIN else str(path)


def aligned_lines(paths: Sequence[Path]) -> Iterator[tuple[str, ...]]:
    """Lines that belong together; raises DataError if the files differ in their number of lines.

    Ordinary files are counted before the first line is given out, stdin only at its end.
    """
    count_lines(paths)
    return _zipped(paths)


def count_lines(paths: Sequence[Path]) -> int | None:
    """The number of lines that the ordinary ones of these files all have; None if there is none of them.

    Raises DataError if they differ in it, UsageError if stdin is to be read twice.
    """
    refuse_stdin_twice(paths)
    files = [path for path in paths if path != STDIN and not _is_pipe(path)]
    counts = [sum(1 for _ in read_lines(path)) for path in files]
    check_line_counts(files, counts)
    return counts[0] if counts else None


def refuse_stdin_twice(paths: Sequence[Path]) -> None:
    """Raise UsageError if several of these are stdin."""
    if paths.count(STDIN) > 1:
        raise UsageError("- is given twice, but stdin can be read only once")


def _is_pipe(path: Path) -> bool:
    """Whether this is neither a file nor a folder, but there: it can be read only once."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _zipped(paths: Sequence[Path]) -> Iterator[tuple[str, ...]]:
    counts = [0] * len(paths)
    for lines in zip_longest(*map(lines_of, paths)):
        counts = [count + (line is not None) for count, line in zip(counts, lines, strict=True)]
        if None not in lines and len(set(counts)) == 1:
            yield lines
    check_line_counts(paths, counts)


def check_line_counts(paths: Sequence[Path], counts: Sequence[int]) -> None:
    """Raise DataError, telling all, unless all files have the same number of lines."""
    check_counts(zip(map(name_of, paths), counts, strict=True))


def counted(number: int, what: str) -> str:
    """A number of things, as in `1 line` and `2,000 lines`."""
    return f"1 {what}" if number == 1 else f"{number:,} {what}s"


@contextmanager
def line_output(path: Path | None, *, inputs: Sequence[Path] = ()) -> Iterator[Callable[[str], None]]:
    """A function that writes a line: to stdout, or to a file that appears when it is whole."""
    if path is None or path == STDIN:  # - is stdout here
        num_lines = 0

        def write(line: str) -> None:
            nonlocal num_lines
            with whole_lines:
                write_all(sys.stdout.buffer, line)
                num_lines += 1

        try:
            yield write
        except BaseException as error:
            if not is_terminal():
                error.add_note(f"{counted(num_lines, 'line')} written")
            raise
        return
    check_output(path, inputs=inputs)
    with atomic_file(path) as stream:
        yield lambda line: write_whole(stream, line)


def write_whole(stream: BinaryIO, line: str) -> None:
    """Write a line whole, whatever signal comes in between."""
    with whole_lines:
        write_all(stream, line)


def write_all(stream: BinaryIO, line: str) -> None:
    """Write all of a line: with PYTHONUNBUFFERED stdout takes a part only where a signal comes in between."""
    rest = memoryview(line.encode() + b"\n")
    while rest:
        rest = rest[stream.write(rest) :]


def check_output(path: Path, *, inputs: Sequence[Path] = ()) -> None:
    """Raise OutputError if a file to write can not be written.

    It is an input too, or becomes one while it grows; or it lies in a model folder or in none at all, or has
    the ending of a compressed one.
    """
    for place in (path, path.parent / f"{path.name}.part"):
        if place.exists() and (_is_stdin(place) or any(map(place.samefile, filter(Path.exists, inputs)))):
            raise OutputError(f"{place}: is an input as well; give another file to write")
    if path.suffix in COMPRESSED:
        raise OutputError(f"{path}: would hold plain text; give it another ending, or compress it afterwards")
    refuse_model_folder(path)
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}")


def check_stdout(input_path: Path | None) -> None:
    """Raise OutputError if stdout is the file that is read, or stdin, too, which would never end."""
    with suppress(OSError, ValueError):
        found = os.fstat(sys.stdout.fileno())
        read = input_path.stat() if input_path else os.fstat(sys.stdin.fileno())
        if stat.S_ISREG(found.st_mode) and os.path.samestat(found, read):
            name = input_path or "stdin"
            raise OutputError(f"{name}: is written to as standard output, too; give --output FILE")


def _is_stdin(path: Path) -> bool:
    """Whether this file is what stdin is read from."""
    with suppress(OSError, ValueError):
        found = os.fstat(sys.stdin.fileno())
        return stat.S_ISREG(found.st_mode) and os.path.samestat(found, path.stat())
    return False


def refuse_model_folder(path: Path) -> None:
    """Raise OutputError if a file or folder to write is in a model folder, or one itself."""
    place = path.resolve()
    for folder in (place, *place.parents):
        if (folder / "config.toml").exists() and any((folder / name).exists() for name in MODEL_MARKS):
            raise OutputError(f"{path}: is in the model folder {folder}; give another place to write")


def warn_of_unlinked(reasons: Counter[str], what: str) -> None:
    """Tell how many lines or pairs have no links, and why."""
    for reason, number in reasons.items():
        warn(f"{reason}, without links: {counted(number, what)}")
