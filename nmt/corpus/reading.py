"""Two sides of parallel text, read line by line from one or several pairs of files."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from nmt.corpus.context import Context, in_context
from nmt.errors import DataError, UsageError
from nmt.files import InvalidUtf8, check_counts, read_lines

Pair = tuple[str, str]
Contexts = tuple[Context, Context]
"""The lines before a pair in its document, of both sides."""
NO_CONTEXTS: Contexts = ((), ())
OnLine = Callable[[str], None]

FLAGS_AT_A_TIME = 1 << 16


@dataclass(frozen=True)
class Stamp:
    """By what one tells, without reading a file, whether it was written to."""

    path: Path
    num_bytes: int = -1  # there is no such file
    nanoseconds: int = 0

    @classmethod
    def of(cls, path: Path) -> "Stamp":
        """That of a file now."""
        try:
            found = path.stat()
        except OSError:
            return cls(path)
        return cls(path, found.st_size, found.st_mtime_ns)


@dataclass(frozen=True)
class ParallelText:
    """Pairs of lines in files, numbered from 0 across all of them; every iteration reads the files anew."""

    src_paths: tuple[Path, ...]
    tgt_paths: tuple[Path, ...]
    num_pairs: int
    on_invalid: InvalidUtf8 = "error"
    num_invalid: int = 0
    """Lines of both sides that are not UTF-8."""
    file_pairs: tuple[int, ...] = ()
    """How many of the pairs are of each pair of files, if that was counted."""
    stamps: tuple[Stamp, ...] = ()
    """Of the files of both sides, if they are to stay as they are, see `changed`."""

    def __len__(self) -> int:
        return self.num_pairs

    def __iter__(self) -> Iterator[Pair]:
        return self._read(None, None)

    def changed(self) -> list[Path]:
        """Files that may be others than when their stamps were taken, or are gone."""
        return [stamp.path for stamp in self.stamps if stamp != Stamp.of(stamp.path)]

    def select(self, keep: Tensor) -> Iterator[Pair]:
        """The pairs whose number is true in `keep`, a bool tensor with one element for each pair."""
        assert len(keep) == self.num_pairs, f"{len(keep)} flags for {self.num_pairs} pairs"
        return self._read(_flags(keep), _flags(keep))

    def select_in_context(self, keep: Tensor, sizes: tuple[int, int]) -> Iterator[tuple[Pair, Contexts]]:
        """The same pairs with their contexts, on either side of as many lines as `sizes` say.

        Dropped pairs are context, too. A document ends with its file.
        """
        if not any(sizes):
            yield from ((pair, NO_CONTEXTS) for pair in self.select(keep))
            return
        flags = _flags(keep)
        for paths in zip(self.src_paths, self.tgt_paths, strict=True):
            sides = [
                in_context(read_lines(path, on_invalid=self.on_invalid), size)
                for path, size in zip(paths, sizes, strict=True)
            ]
            for src, tgt in compress(zip(*sides, strict=True), flags):
                yield (src.text, tgt.text), (src.context, tgt.context)

    def _read(self, keep_src: Iterator[bool] | None, keep_tgt: Iterator[bool] | None) -> Iterator[Pair]:
        for src_path, tgt_path in zip(self.src_paths, self.tgt_paths, strict=True):
            src_lines = read_lines(src_path, on_invalid=self.on_invalid, keep=keep_src)
            tgt_lines = read_lines(tgt_path, on_invalid=self.on_invalid, keep=keep_tgt)
            yield from zip(src_lines, tgt_lines, strict=True)


def read_pairs(
    src_paths: Sequence[Path],
    tgt_paths: Sequence[Path],
    *,
    on_invalid: InvalidUtf8 = "error",
    on_src: OnLine | None = None,
    on_tgt: OnLine | None = None,
) -> ParallelText:
    """Parallel text in these files, the first of one side with the first of the other, and so on.

    While they are counted, `on_src` and `on_tgt` are given every line of their side, read like with `skip`
    instead of an error. Raises DataError if two files that belong together differ in their number of lines,
    or if all are empty.
    """
    if len(src_paths) != len(tgt_paths) or not src_paths:
        raise UsageError(
            f"{len(src_paths)} source files and {len(tgt_paths)} target files; "
            "give one target file for each source file"
        )
    num_invalid, file_pairs = 0, list[int]()
    for src_path, tgt_path in zip(src_paths, tgt_paths, strict=True):
        src = count_lines(src_path, on_invalid=on_invalid, on_line=on_src)
        tgt = count_lines(tgt_path, on_invalid=on_invalid, on_line=on_tgt)
        check_counts([(str(src_path), src.num_lines), (str(tgt_path), tgt.num_lines)])
        file_pairs.append(src.num_lines)
        num_invalid += src.num_invalid + tgt.num_invalid
    if not any(file_pairs):
        raise DataError(f"{', '.join(map(str, (*src_paths, *tgt_paths)))}: no lines; expected parallel text")
    return ParallelText(
        tuple(src_paths), tuple(tgt_paths), sum(file_pairs), on_invalid, num_invalid, tuple(file_pairs)
    )


class LineCounts(NamedTuple):
    """How many lines there are, and how many of them are not UTF-8."""

    num_lines: int
    num_invalid: int


def count_lines(path: Path, *, on_invalid: InvalidUtf8 = "skip", on_line: OnLine | None = None) -> LineCounts:
    """Count the lines of a file, whatever they hold, and show each to `on_line`; a last line need not end."""
    invalid: list[int] = []
    mend: InvalidUtf8 = "replace" if on_invalid == "replace" else "skip"
    num_lines = 0
    for line in read_lines(path, on_invalid=mend, on_mended=invalid.append):
        num_lines += 1
        if on_line:
            on_line(line)
    return LineCounts(num_lines, len(invalid))


def spread(numbers: Tensor, most: int) -> Tensor:
    """At most so many of the numbers of pairs, spread evenly over them."""
    count = min(most, len(numbers))
    return numbers[torch.arange(count) * len(numbers) // max(1, count)]


def _flags(keep: Tensor) -> Iterator[bool]:
    """The elements one by one, without a list of all."""
    for start in range(0, len(keep), FLAGS_AT_A_TIME):
        yield from keep[start : start + FLAGS_AT_A_TIME].tolist()
