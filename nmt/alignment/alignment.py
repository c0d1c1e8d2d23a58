"""The links of a pair of lines, as probabilities on the model's pieces; words are a view of them."""

# S source pieces, T target pieces, V source words, W target words

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
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
from nmt.corpus.links import Link
from nmt.corpus.words import Span, UnitMode, word_spans

Unlinked = Literal["too long", "out of memory"]

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
    """Why there are no links, although there is text on both sides, or none in one of its parts."""
    is_turned: bool = False
    """Whether the source is the target of the model's first direction, in which links are decided on."""
    parts: tuple["Part", ...] = ()
    """Of lines that are too long for the model: what was linked by itself, with its own probabilities."""

    @classmethod
    def of_parts(cls, source: str, target: str, parts: Sequence["Part"], origin: Origin) -> "Alignment":
        """The links of a pair whose parts were linked one by one: there are none between one and another."""
        src_spans = tuple(span for part in parts for span in part.in_source(part.links.src_spans))
        tgt_spans = tuple(span for part in parts for span in part.in_target(part.links.tgt_spans))
        unlinked = next((part.links.unlinked for part in parts if part.links.unlinked), None)
        nothing = torch.zeros(0, 0)  # all others would be zeros, of which there are too many
        return cls(
            source, target, src_spans, tgt_spans, nothing, nothing, origin, unlinked, parts=tuple(parts)
        )

    def words(self, mode: UnitMode = "punct", threshold: float = 0.0) -> WordAlignment:
        """Words with the links between them that fit at least so well; 0: as suits where they come from.

        Raw attention is not calibrated well enough for a threshold alone: of a target word only its best link
        is taken then, in the model's first direction.
        """
        src_words, tgt_words = self.src_words(mode), self.tgt_words(mode)
        if self.parts:
            links = self._links_of_parts(mode, threshold)
            return WordAlignment(self.source, self.target, src_words, tgt_words, links)
        fits = self._attention_fits(mode) if self.origin.source == "attention" else self._fits(mode)
        if self.origin.source == "attention" and not threshold:
            links = best_links(fits, least=LEAST_FIT["attention"], of_columns=self.is_turned)
        else:
            links = likely_links(fits, least=threshold or LEAST_FIT[self.origin.source])
        return WordAlignment(self.source, self.target, src_words, tgt_words, links)

    def matrix(self, mode: UnitMode = "punct") -> Tensor:
        """How likely each target word belongs to each source word, (W, V) in float64.

        Rows of attention sum to 1; of the others what a row lacks is the probability of no counterpart.
        """
        if self.parts:
            return self._matrix_of_parts(mode)
        merged = self._merged(self.forward, mode)
        return normalized_rows(merged) if self.origin.source == "attention" else merged

    def src_words(self, mode: UnitMode = "punct") -> tuple[Span, ...]:
        """Spans of the source words."""
        return self.src_spans if mode == "piece" else tuple(word_spans(self.source, mode))

    def tgt_words(self, mode: UnitMode = "punct") -> tuple[Span, ...]:
        """Spans of the target words."""
        return self.tgt_spans if mode == "piece" else tuple(word_spans(self.target, mode))

    def turned(self) -> "Alignment":
        """The same with source and target exchanged."""
        if self.parts:
            parts = [Part(part.links.turned(), part.tgt_start, part.src_start) for part in self.parts]
            return Alignment.of_parts(self.target, self.source, parts, self.origin)
        assert self.backward is not None, "or there is no row for a source piece"
        return Alignment(
            self.target,
            self.source,
            self.tgt_spans,
            self.src_spans,
            self.backward.mT,
            self.forward.mT,
            self.origin,
            self.unlinked,
            not self.is_turned,
        )

    def _links_of_parts(self, mode: UnitMode, threshold: float) -> dict[Link, float]:
        links: dict[Link, float] = {}
        for part, src_places, tgt_places in self._places(mode):
            for (i, j), fit in part.words(mode, threshold).links.items():
                link = src_places[i], tgt_places[j]
                links[link] = max(fit, links.get(link, 0.0))
        return dict(sorted(links.items()))

    def _matrix_of_parts(self, mode: UnitMode) -> Tensor:
        size = len(self.tgt_words(mode)), len(self.src_words(mode))
        matrix, num_rows = torch.zeros(size, dtype=torch.float64), torch.zeros(size[0], 1)
        for part, src_places, tgt_places in self._places(mode):
            rows, columns = (
                torch.tensor(tgt_places, dtype=torch.long),
                torch.tensor(src_places, dtype=torch.long),
            )
            matrix.index_put_((rows[:, None], columns), part.matrix(mode), accumulate=True)
            num_rows.index_add_(0, rows, torch.ones(len(rows), 1))
        return matrix.div_(num_rows.clamp_min_(1))

    def _places(self, mode: UnitMode) -> Iterator[tuple["Alignment", list[int], list[int]]]:
        """Every part, and for its source and target words which of all words they are, or are in."""
        src_words, tgt_words = self.src_words(mode), self.tgt_words(mode)
        num_src = num_tgt = 0
        for part in self.parts:
            src, tgt = part.links.src_words(mode), part.links.tgt_words(mode)
            if mode == "piece":
                yield part.links, [*range(num_src, num_src + len(src))], [*range(num_tgt, num_tgt + len(tgt))]
                num_src, num_tgt = num_src + len(src), num_tgt + len(tgt)
            else:
                src, tgt = part.in_source(src), part.in_target(tgt)
                yield part.links, _words_around(src, src_words), _words_around(tgt, tgt_words)

    def _fits(self, mode: UnitMode) -> Tensor:
        assert self.backward is not None, "only attention may know one direction"
        return two_way(
            self._merged(self.forward, mode), self._merged(self.backward.mT, mode, is_turned=True).mT
        )

    def _attention_fits(self, mode: UnitMode) -> Tensor:
        """The same with a final mark for a final mark alone."""
        forward = self._keep_marks(normalized_rows(self._merged(self.forward, mode)), mode)
        if self.backward is None:
            return two_way_of_rows(forward)
        backward = normalized_rows(self._merged(self.backward.mT, mode, is_turned=True))
        return two_way(forward, self._keep_marks(backward, mode, is_turned=True).mT)

    def _merged(self, pieces: Tensor, mode: UnitMode, *, is_turned: bool = False) -> Tensor:
        """Probabilities over words, of which rows belong to the target unless they are turned."""
        if mode == "piece":
            return pieces.double()
        rows, columns = (self.tgt_spans, self.tgt_words(mode)), (self.src_spans, self.src_words(mode))
        if is_turned:
            rows, columns = columns, rows
        return merge_pieces(pieces, rows=rows, columns=columns)

    def _keep_marks(self, matrix: Tensor, mode: UnitMode, *, is_turned: bool = False) -> Tensor:
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


@dataclass(frozen=True)
class Part:
    """What was linked by itself, and where its texts begin in both lines."""

    links: Alignment
    src_start: int
    tgt_start: int

    def in_source(self, spans: Sequence[Span]) -> tuple[Span, ...]:
        """Spans of the part's source as such of the whole source."""
        return tuple((self.src_start + start, self.src_start + end) for start, end in spans)

    def in_target(self, spans: Sequence[Span]) -> tuple[Span, ...]:
        """Spans of the part's target as such of the whole target."""
        return tuple((self.tgt_start + start, self.tgt_start + end) for start, end in spans)


def _words_around(spans: Sequence[Span], words: Sequence[Span]) -> list[int]:
    """Of each span, which word it begins in: text without spaces is cut within what stands between them."""
    return [bisect_right(words, start, key=lambda word: word[0]) - 1 for start, _ in spans]


def _ends_with_mark(line: str, spans: tuple[Span, ...], words: tuple[Span, ...]) -> bool:
    """Whether the last word is a mark, and not cut off before it."""
    is_cut = not spans or spans[-1][1] <= words[-1][0]
    return not is_cut and _is_mark(line, words[-1])


def _is_mark(line: str, word: Span) -> bool:
    """Whether a word has no letter and no digit."""
    return not any(character.isalnum() for character in line[slice(*word)])
