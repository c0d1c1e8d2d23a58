"""A prepared corpus on disk: flat arrays to map into memory, and a manifest of what they are made of."""

import json
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmt.corpus.cleaning import CleanPairs
from nmt.corpus.encoded import EncodedCorpus, RowWriter, directed
from nmt.corpus.sampling import IN_CONTEXT, SIDES
from nmt.files import plain_file, sha256_file, write_json

MANIFEST = "corpus.json"
FORMAT = {"version": 1, "byteorder": sys.byteorder}
NUMBERS = "numbers"
TOKEN_TYPES = {2: torch.int16, 4: torch.int32}


@dataclass(frozen=True)
class StoredCorpus:
    """A corpus whose arrays lie on disk; pages of them are read when they are looked at."""

    corpus: EncodedCorpus
    numbers: Tensor
    """Of the pairs in the text, from 0, ascending (pairs,) int64; each twice if both directions are there."""
    facts: dict[str, Any]
    """What the maker of the corpus noted."""
    has_lines: bool
    """Whether the text of the pairs is stored too."""


class StoreWriter:
    """Writes pairs into a folder, stretch by stretch, without keeping more of them than their lengths.

    With `tags` each is written in both directions, see `directed`; its lines are written once, each with its
    context before it, see `IN_CONTEXT`.
    """

    def __init__(
        self, folder: Path, *, vocab_sizes: tuple[int, int], with_lines: bool, tags: Sequence[int] = ()
    ) -> None:
        self._folder = folder
        self._tags = tags
        self._files = ExitStack()
        self._numbers = array("q")
        self._pieces = [
            RowWriter(self._files.enter_context(plain_file(folder / f"{side}.tokens")), vocab_size=size)
            for side, size in zip(SIDES, vocab_sizes, strict=True)
        ]
        self._lines = [_LineWriter(folder, side, self._files) for side in SIDES] if with_lines else []

    def write(self, chunks: Iterable[CleanPairs]) -> Iterator[CleanPairs]:
        """Write pairs as they come, and pass them on."""
        with self._files:
            for chunk in chunks:
                num_directions = max(1, len(self._tags))
                self._numbers.extend(number for number in chunk.numbers for _ in range(num_directions))
                pieces = list(directed(chunk.pieces, self._tags, chunk.before))
                for writer, rows in zip(self._pieces, _sides(pieces), strict=True):
                    writer.extend(rows)
                for line_writer, lines in zip(self._lines, _sides(_in_context(chunk)), strict=False):
                    line_writer.extend(lines)
                yield chunk

    def finish(self, made_of: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Write what is known only now, the manifest last."""
        _write_array(self._folder / NUMBERS, self._numbers)
        for side, writer in zip(SIDES, self._pieces, strict=True):
            _write_array(self._folder / f"{side}.offsets", writer.offsets)
        for line_writer in self._lines:
            line_writer.write_offsets()
        files = {
            path.name: {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
            for path in sorted(self._folder.iterdir())
        }
        manifest = {
            "format": FORMAT,
            "made_of": made_of,
            "bytes_per_piece": [writer.bytes_per_piece for writer in self._pieces],
            "facts": facts,
            "files": files,
        }
        write_json(self._folder / MANIFEST, manifest)


def open_store(folder: Path, made_of: Mapping[str, Any]) -> StoredCorpus | None:
    """The corpus in a folder, None unless it is whole and noted to be made of this, among other things."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        if manifest["format"] != FORMAT or not made_of.items() <= manifest["made_of"].items():
            return None
        if any(not _is_whole(folder / name, note) for name, note in manifest["files"].items()):
            return None
        dtypes = [TOKEN_TYPES[size] for size in manifest["bytes_per_piece"]]
        src, tgt = (
            (_mapped(folder / f"{side}.tokens", dtype), _mapped(folder / f"{side}.offsets", torch.int64))
            for side, dtype in zip(SIDES, dtypes, strict=True)
        )
        return StoredCorpus(
            EncodedCorpus(*src, *tgt),
            _mapped(folder / NUMBERS, torch.int64),
            manifest["facts"],
            has_lines=f"{SIDES[0]}.lines" in manifest["files"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # damaged, or of another version: to be made anew


class _LineWriter:
    """Writes lines end to end into a file."""

    def __init__(self, folder: Path, side: str, files: ExitStack) -> None:
        self._stream = files.enter_context(plain_file(folder / f"{side}.lines"))
        self._offsets_path = folder / f"{side}.line_offsets"
        self._offsets = array("q", [0])

    def extend(self, lines: list[str]) -> None:
        encoded = [line.encode() for line in lines]
        self._stream.write(b"".join(encoded))
        self._offsets.extend(list(accumulate(map(len, encoded), initial=self._offsets.pop())))

    def write_offsets(self) -> None:
        _write_array(self._offsets_path, self._offsets)


def _in_context(chunk: CleanPairs) -> list[tuple[str, str]]:
    if not chunk.contexts:
        return chunk.lines
    return [
        (IN_CONTEXT.join((*src_context, src)), IN_CONTEXT.join((*tgt_context, tgt)))
        for (src, tgt), (src_context, tgt_context) in zip(chunk.lines, chunk.contexts, strict=True)
    ]


def _sides(pairs: list[tuple[Any, Any]]) -> tuple[list[Any], list[Any]]:
    return [src for src, _ in pairs], [tgt for _, tgt in pairs]


def _write_array(path: Path, values: "array[int]") -> None:
    with plain_file(path) as stream:
        stream.write(values)


def _is_whole(path: Path, note: Mapping[str, Any]) -> bool:
    return bool(path.stat().st_size == note["bytes"] and sha256_file(path) == note["sha256"])


def _mapped(path: Path, dtype: torch.dtype) -> Tensor:
    return torch.from_file(str(path), shared=False, size=path.stat().st_size // dtype.itemsize, dtype=dtype)
