"""The links of a pair of lines, as probabilities on the model's pieces; words are a view of them."""

# S source pieces, T target pieces, V source words, W target words

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from torch import Tensor

from nmt.alignment.merge import (
    WordAlignment,
    best_links,
    keep_final_mark,
    likely_links,
    merge_pieces,
    normalized_rows,
    piece_shares,
    two_way,
    two_way_of_rows,
)
from nmt.alignment.origin import LinkSource, Origin
from nmt.corpus.words import Span, UnitMode, word_spans

Unlinked = Literal["too long", "out of memory"]
Units = UnitMode | tuple[tuple[Span, ...], tuple[Span, ...]]
"""What links are counted on: a kind of words, or the spans of some of the source and of the target."""

LEAST_FIT: dict[LinkSource, float] = {"attention": 0.25, "head": 0.3, "hmm": 0.25}
"""Words that fit each other no better than this (see `two_way`) are not linked."""


@dataclass(frozen=True)
class Alignment:
    """How likely the pieces of two lines belong together, asked from both sides."""

    source: str
    target: str
    src_spans: tuple[Span, ...]
    tgt_spans: tuple[Span, ...]
    forward: Tensor  # (T, S) float32: that a target piece belongs to a source piece; rows sum to at most 1
    backward: Tensor | None  # (T, S) float32: asked from the source piece; columns sum to at most 1
    origin: Origin
    unlinked: Unlinked | None = None
    """Why there are no links, although there is text on both sides."""

    def words(self, mode: Units = "punct", threshold: float = 0.0) -> WordAlignment:
        """Words with the links between them that fit at least so well; 0: as suits where they come from.

        Raw attention is not calibrated well enough for a threshold alone: of a target word only its best link
        is taken then.
        """
        src, tgt = self._sides(mode)
        if self.origin.source == "attention":
            fits = self._attention_fits(src, tgt)
        else:
            assert self.backward is not None, "only attention may know one direction"
            fits = two_way(_merged(self.forward, tgt, src), _merged(self.backward.mT, src, tgt).mT)
        if self.origin.source == "attention" and not threshold:
            links = best_links(fits, least=LEAST_FIT["attention"])
        else:
            links = likely_links(fits, least=threshold or LEAST_FIT[self.origin.source])
        return WordAlignment(self.source, self.target, src.words, tgt.words, links)

    def matrix(self, mode: Units = "punct") -> Tensor:
        """How likely each target word belongs to each source word, (W, V) in float64.

        Rows of attention sum to 1; of the others what a row lacks is the probability of no counterpart.
        """
        src, tgt = self._sides(mode)
        merged = _merged(self.forward, tgt, src)
        return normalized_rows(merged) if self.origin.source == "attention" else merged

    def turned(self) -> "Alignment":
        """The same with source and target exchanged."""
        assert self.backward is not None or not self.src_spans, "or there is no row for a source piece"
        forward = self.forward.mT if self.backward is None else self.backward.mT
        return Alignment(
            self.target,
            self.source,
            self.tgt_spans,
            self.src_spans,
            forward,
            self.backward if self.backward is None else self.forward.mT,
            self.origin,
            self.unlinked,
        )

    def _sides(self, mode: Units) -> tuple["_Side", "_Side"]:
        if isinstance(mode, tuple):
            src_words, tgt_words = mode
        elif mode == "piece":
            src_words, tgt_words = self.src_spans, self.tgt_spans
        else:
            src_words, tgt_words = (tuple(word_spans(line, mode)) for line in (self.source, self.target))
        return _Side(self.source, self.src_spans, src_words), _Side(self.target, self.tgt_spans, tgt_words)

    def _attention_fits(self, src: "_Side", tgt: "_Side") -> Tensor:
        """How well words fit each other, a final mark for a final mark alone."""
        forward = _keep_marks(normalized_rows(_merged(self.forward, tgt, src)), tgt, src)
        if self.backward is None:
            return two_way_of_rows(forward)
        backward = normalized_rows(_merged(self.backward.mT, src, tgt))
        return two_way(forward, _keep_marks(backward, src, tgt).mT)


@dataclass(frozen=True)
class _Side:
    """One side of a pair: its pieces, and the words that they make up."""

    line: str
    pieces: tuple[Span, ...]
    words: tuple[Span, ...]

    @cached_property
    def shares(self) -> Tensor:
        """Of pieces in words."""
        return piece_shares(self.pieces, self.words)

    @property
    def ends_with_mark(self) -> bool:
        """Whether the last word has no letter and no digit."""
        return bool(self.words) and not any(map(str.isalnum, self.line[slice(*self.words[-1])]))

    @property
    def is_cut(self) -> bool:
        """Whether there is no piece of the last word."""
        return not self.pieces or self.pieces[-1][1] <= self.words[-1][0]


def _merged(pieces: Tensor, rows: _Side, columns: _Side) -> Tensor:
    """Probabilities over words."""
    if rows.words is rows.pieces and columns.words is columns.pieces:
        return pieces.double()
    return merge_pieces(pieces, rows.shares, columns.shares)


def _keep_marks(matrix: Tensor, rows: _Side, columns: _Side) -> Tensor:
    """Attention over words whose last column, if it is a mark, is only for a mark in the last row."""
    if len(columns.words) < 2 or not rows.words or columns.is_cut or not columns.ends_with_mark:
        return matrix
    return keep_final_mark(matrix, for_last=rows.ends_with_mark)
