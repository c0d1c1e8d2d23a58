"""A corpus in pieces: flat tensors, so that millions of pairs cost little more than their pieces."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain, islice
from typing import BinaryIO, Self

import torch
from torch import Tensor

from nmt.corpus.reading import Pair

EncodedPair = tuple[list[int], list[int]]
Encode = Callable[[Sequence[str]], list[list[int]]]

CHUNK_PAIRS = 4096


@dataclass(frozen=True)
class EncodedCorpus:
    """Pairs in pieces, without BOS and EOS; those of pair i are `tokens[offsets[i] : offsets[i + 1]]`.

    With int16, ids of 32,768 and more are the negative numbers of the same bits: see `as_ids`.
    """

    src_tokens: Tensor  # (source pieces,) int32, or int16
    src_offsets: Tensor  # (pairs + 1,) int64
    tgt_tokens: Tensor
    tgt_offsets: Tensor

    @classmethod
    def from_pairs(cls, pairs: Iterable[EncodedPair]) -> Self:
        """Gather encoded pairs, one by one."""
        src, tgt = _Side(), _Side()
        for src_ids, tgt_ids in pairs:
            src.append(src_ids)
            tgt.append(tgt_ids)
        return cls(*src.tensors(), *tgt.tensors())

    def __len__(self) -> int:
        return len(self.src_offsets) - 1

    def src(self, index: int) -> Tensor:
        """The source pieces of a pair."""
        return as_ids(self.src_tokens[self.src_offsets[index] : self.src_offsets[index + 1]])

    def tgt(self, index: int) -> Tensor:
        """The target pieces of a pair."""
        return as_ids(self.tgt_tokens[self.tgt_offsets[index] : self.tgt_offsets[index + 1]])

    @cached_property
    def src_lengths(self) -> Tensor:
        """Source pieces of each pair, int32."""
        return self.src_offsets.diff().int()

    @cached_property
    def tgt_lengths(self) -> Tensor:
        """Target pieces of each pair, int32."""
        return self.tgt_offsets.diff().int()


def encode_pairs(pairs: Iterable[Pair], encode_src: Encode, encode_tgt: Encode) -> Iterator[EncodedPair]:
    """Encode pairs chunk by chunk; `encode_src` and `encode_tgt` are given many lines at once."""
    remaining = iter(pairs)
    while chunk := list(islice(remaining, CHUNK_PAIRS)):
        src_lines, tgt_lines = zip(*chunk, strict=True)
        yield from zip(encode_src(src_lines), encode_tgt(tgt_lines), strict=True)


def directed(
    pairs: Iterable[EncodedPair], tags: Sequence[int], contexts: Sequence[EncodedPair] = ()
) -> Iterator[EncodedPair]:
    """Every pair in both directions, sources behind their tags: of the target's language, then the source's.

    Without tags every pair in its own direction. Of `contexts`, if there are any, each pair has what comes
    before its sides where they are sources.
    """
    nothing: EncodedPair = ([], [])
    rows = zip(pairs, contexts, strict=True) if contexts else ((pair, nothing) for pair in pairs)
    for (src_ids, tgt_ids), (src_before, tgt_before) in rows:
        if not tags:
            yield [*src_before, *src_ids], tgt_ids
            continue
        into_tgt, into_src = tags
        yield [into_tgt, *src_before, *src_ids], tgt_ids
        yield [into_src, *tgt_before, *tgt_ids], src_ids


def as_ids(tokens: Tensor) -> Tensor:
    """Stored pieces as the int64 that they stand for."""
    return tokens.long() & 0xFFFF if tokens.dtype == torch.int16 else tokens.long()


class RowWriter:
    """Writes rows of pieces end to end into a file, 16 bits a piece where that is enough, else 32."""

    def __init__(self, stream: BinaryIO, *, vocab_size: int) -> None:
        self.offsets = array("q", [0])
        self.bytes_per_piece = 2 if vocab_size <= 1 << 16 else 4
        self._stream = stream

    def extend(self, rows: Sequence[list[int]]) -> None:
        """Write more rows."""
        pieces = array("H" if self.bytes_per_piece == 2 else "i", list(chain.from_iterable(rows)))
        self._stream.write(pieces)
        self.offsets.extend(list(accumulate(map(len, rows), initial=self.offsets.pop())))


class _Side:
    """Rows of pieces, end to end."""

    def __init__(self) -> None:
        self._tokens = array("i")
        self._offsets = array("q", [0])

    def append(self, ids: list[int]) -> None:
        self._tokens.extend(ids)
        self._offsets.append(len(self._tokens))

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Pieces and offsets, in the memory where they are."""
        if not self._tokens:
            return torch.empty(0, dtype=torch.int32), torch.frombuffer(self._offsets, dtype=torch.int64)
        return (
            torch.frombuffer(self._tokens, dtype=torch.int32),
            torch.frombuffer(self._offsets, dtype=torch.int64),
        )
