"""The links of a pair of lines, as probabilities on the model's pieces; words are a view of them."""

# S source pieces, T target pieces, V source words, W target words

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from nmt.alignment.merge import (
    WordAlignment,
    best_links,
    keep_final_mark,
    likely_links,
    merge_pieces,
    normalized_rows,
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
        src_words, tgt_words = self.src_words(mode), self.tgt_words(mode)
        fits = self._attention_fits(mode) if self.origin.source == "attention" else self._fits(mode)
        if self.origin.source == "attention" and not threshold:
            links = best_links(fits, least=LEAST_FIT["attention"])
        else:
            links = likely_links(fits, least=threshold or LEAST_FIT[self.origin.source])
        return WordAlignment(self.source, self.target, src_words, tgt_words, links)

    def matrix(self, mode: Units = "punct") -> Tensor:
        """How likely each target word belongs to each source word, (W, V) in float64.

        Rows of attention sum to 1; of the others what a row lacks is the probability of no counterpart.
        """
        merged = self._merged(self.forward, mode)
        return normalized_rows(merged) if self.origin.source == "attention" else merged

    def src_words(self, mode: Units = "punct") -> tuple[Span, ...]:
        """Spans of the source words."""
        if isinstance(mode, tuple):
            return mode[0]
        return self.src_spans if mode == "piece" else tuple(word_spans(self.source, mode))

    def tgt_words(self, mode: Units = "punct") -> tuple[Span, ...]:
        """Spans of the target words."""
        if isinstance(mode, tuple):
            return mode[1]
        return self.tgt_spans if mode == "piece" else tuple(word_spans(self.target, mode))

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

    def _fits(self, mode: Units) -> Tensor:
        assert self.backward is not None, "only attention may know one direction"
        return two_way(
            self._merged(self.forward, mode), self._merged(self.backward.mT, mode, is_turned=True).mT
        )

    def _attention_fits(self, mode: Units) -> Tensor:
        """The same with a final mark for a final mark alone."""
        forward = self._keep_marks(normalized_rows(self._merged(self.forward, mode)), mode)
        if self.backward is None:
            return two_way_of_rows(forward)
        backward = normalized_rows(self._merged(self.backward.mT, mode, is_turned=True))
        return two_way(forward, self._keep_marks(backward, mode, is_turned=True).mT)

    def _merged(self, pieces: Tensor, mode: Units, *, is_turned: bool = False) -> Tensor:
        """Probabilities over words, of which rows belong to the target unless they are turned."""
        if mode == "piece":
            return pieces.double()
        rows, columns = (self.tgt_spans, self.tgt_words(mode)), (self.src_spans, self.src_words(mode))
        if is_turned:
            rows, columns = columns, rows
        return merge_pieces(pieces, rows=rows, columns=columns)

    def _keep_marks(self, matrix: Tensor, mode: Units, *, is_turned: bool = False) -> Tensor:
        """Attention over words whose last column, if it is a mark, is only for a mark in the last row."""
        columns, rows = (
            (self.source, self.src_spans, self.src_words(mode)),
            (self.target, self.tgt_words(mode)),
        )
        if is_turned:
            columns, rows = (
                (self.target, self.tgt_spans, self.tgt_words(mode)),
                (self.source, self.src_words(mode)),
            )
        line, spans, words = columns
        if len(words) < 2 or not rows[1] or not _ends_with_mark(line, spans, words):
            return matrix
        return keep_final_mark(matrix, for_last=_is_mark(rows[0], rows[1][-1]))


def _ends_with_mark(line: str, spans: tuple[Span, ...], words: tuple[Span, ...]) -> bool:
    """Whether the last word is a mark, and not cut off before it."""
    is_cut = not spans or spans[-1][1] <= words[-1][0]
    return not is_cut and _is_mark(line, words[-1])


def _is_mark(line: str, word: Span) -> bool:
    """Whether a word has no letter and no digit."""
    return not any(character.isalnum() for character in line[slice(*word)])
