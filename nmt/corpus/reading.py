"""Two sides of parallel text, read line by line from one or several pairs of files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from nmt.errors import DataError, UsageError
from nmt.files import InvalidUtf8, check_counts, read_lines

Pair = tuple[str, str]


@dataclass(frozen=True)
class ParallelText:
    """Pairs of lines in files, numbered from 0 across all of them; every iteration reads the files anew."""

    src_paths: tuple[Path, ...]
    tgt_paths: tuple[Path, ...]
    num_pairs: int
    on_invalid: InvalidUtf8 = "error"
    num_invalid: int = 0
    """Lines of both sides that are not UTF-8."""

    def __len__(self) -> int:
        return self.num_pairs

    def __iter__(self) -> Iterator[Pair]:
        for src_path, tgt_path in zip(self.src_paths, self.tgt_paths, strict=True):
            src_lines, tgt_lines = (
                read_lines(path, on_invalid=self.on_invalid) for path in (src_path, tgt_path)
            )
            yield from zip(src_lines, tgt_lines, strict=True)

    def select(self, keep: Tensor) -> Iterator[Pair]:
        """The pairs whose number is true in `keep`, a bool tensor with one element for each pair."""
        assert len(keep) == self.num_pairs, f"{len(keep)} flags for {self.num_pairs} pairs"
        return compress(self, keep.tolist())


def read_pairs(
    src_paths: Sequence[Path], tgt_paths: Sequence[Path], *, on_invalid: InvalidUtf8 = "error"
) -> ParallelText:
    """Parallel text in these files, the first of one side with the first of the other, and so on.

    Raises DataError if two files that belong together differ in their number of lines, or if all are empty.
    """
    if len(src_paths) != len(tgt_paths) or not src_paths:
        raise UsageError(
            f"{len(src_paths)} source files and {len(tgt_paths)} target files; "
            "give one target file for each source file"
        )
    num_pairs = num_invalid = 0
    for src_path, tgt_path in zip(src_paths, tgt_paths, strict=True):
        src, tgt = count_lines(src_path), count_lines(tgt_path)
        check_counts([(str(src_path), src.num_lines), (str(tgt_path), tgt.num_lines)])
        num_pairs += src.num_lines
        num_invalid += src.num_invalid + tgt.num_invalid
    if num_pairs == 0:
        raise DataError(f"{', '.join(map(str, (*src_paths, *tgt_paths)))}: no lines; expected parallel text")
    return ParallelText(tuple(src_paths), tuple(tgt_paths), num_pairs, on_invalid, num_invalid)


class LineCounts(NamedTuple):
    """How many lines there are, and how many of them are not UTF-8."""

    num_lines: int
    num_invalid: int


def count_lines(path: Path) -> LineCounts:
    """Count the lines of a file, whatever they hold; a last line need not end."""
    invalid: list[int] = []
    num_lines = sum(1 for _ in read_lines(path, on_invalid="skip", on_mended=invalid.append))
    return LineCounts(num_lines, len(invalid))
