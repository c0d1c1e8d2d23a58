"""Two sides of parallel text, read line by line from one or several pairs of files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

from torch import Tensor

from nmt.errors import DataError, UsageError
from nmt.files import check_counts, read_lines

Pair = tuple[str, str]


@dataclass(frozen=True)
class ParallelText:
    """Pairs of lines in files, numbered from 0 across all of them; every iteration reads the files anew."""

    src_paths: tuple[Path, ...]
    tgt_paths: tuple[Path, ...]
    num_pairs: int

    def __len__(self) -> int:
        return self.num_pairs

    def __iter__(self) -> Iterator[Pair]:
        for src_path, tgt_path in zip(self.src_paths, self.tgt_paths, strict=True):
            yield from zip(read_lines(src_path), read_lines(tgt_path), strict=True)

    def select(self, keep: Tensor) -> Iterator[Pair]:
        """The pairs whose number is true in `keep`, a bool tensor with one element for each pair."""
        assert len(keep) == self.num_pairs, f"{len(keep)} flags for {self.num_pairs} pairs"
        return compress(self, keep.tolist())


def read_pairs(src_paths: Sequence[Path], tgt_paths: Sequence[Path]) -> ParallelText:
    """Parallel text in these files, the first of one side with the first of the other, and so on.

    Raises DataError if two files that belong together differ in their number of lines, or if all are empty.
    """
    if len(src_paths) != len(tgt_paths) or not src_paths:
        raise UsageError(
            f"{len(src_paths)} source files and {len(tgt_paths)} target files; "
            "give one target file for each source file"
        )
    pairs_of_paths = zip(src_paths, tgt_paths, strict=True)
    num_pairs = sum(_count_pairs(src_path, tgt_path) for src_path, tgt_path in pairs_of_paths)
    if num_pairs == 0:
        raise DataError(f"{', '.join(map(str, (*src_paths, *tgt_paths)))}: no lines; expected parallel text")
    return ParallelText(tuple(src_paths), tuple(tgt_paths), num_pairs)


def count_lines(path: Path) -> int:
    """The number of lines in a file, whatever they hold; a last line need not end."""
    return sum(1 for _ in read_lines(path, on_invalid="replace"))


def _count_pairs(src_path: Path, tgt_path: Path) -> int:
    num_src, num_tgt = count_lines(src_path), count_lines(tgt_path)
    check_counts([(str(src_path), num_src), (str(tgt_path), num_tgt)])
    return num_src
