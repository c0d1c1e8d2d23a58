"""The links of a pair of lines, as probabilities on the model's pieces; words are a view of them."""

# S source pieces, T target pieces, V source words, W target words

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
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
    padded_shares,
    piece_shares,
    two_way,
    two_way_of_rows,
)
from nmt.alignment.origin import Origin
from nmt.corpus.links import Link
from nmt.corpus.words import Span, UnitMode, word_spans

Unlinked = Literal["too long", "out of memory"]
Units = UnitMode | tuple[tuple[Span, ...], tuple[Span, ...]]
"""What links are counted on: a kind of words, or the spans of some of the source and of the target."""

CELLS_AT_ONCE = 2**17
"""Pairs of pieces, padding included, whose probabilities become such of words together."""


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
    shared: "Callable[[UnitMode, float], WordAlignment] | None" = field(
        default=None, init=False, compare=False, repr=False
    )
    """Makes the words together with those of other pairs, see `together`; a changed copy makes its own."""

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"shared": None}  # a copy, as for another process, takes no other pairs along

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

    def words(self, mode: Units = "punct", threshold: float = 0.0) -> WordAlignment:
        """Words with the links between them that fit at least so well; 0: as suits where they come from.

        Raw attention is not calibrated well enough for a threshold alone: of a target word only its best link
        is taken then, in the model's first direction.
        """
        if self.shared and not isinstance(mode, tuple):
            return self.shared(mode, threshold)
        return make_words([self], mode, threshold)[0]

    def matrix(self, mode: Units = "punct") -> Tensor:
        """How likely each target word belongs to each source word, (W, V) in float64.

        Rows of attention sum to 1; of the others what a row lacks is the probability of no counterpart.
        """
        if self.parts:
            return self._matrix_of_parts(mode)
        src, tgt = self._sides(mode)
        merged = _merged(self.forward, tgt, src)
        return normalized_rows(merged) if self.origin.source == "attention" else merged

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

    def _sides(self, mode: Units) -> tuple["_Side", "_Side"]:
        if isinstance(mode, tuple):
            src_words, tgt_words = mode
        elif mode == "piece":
            src_words, tgt_words = self.src_spans, self.tgt_spans
        else:
            src_words, tgt_words = (tuple(word_spans(line, mode)) for line in (self.source, self.target))
        return _Side(self.source, self.src_spans, src_words), _Side(self.target, self.tgt_spans, tgt_words)

    def _links_alone(
        self, mode: Units, threshold: float, src: "_Side", tgt: "_Side"
    ) -> dict[Link, float] | None:
        """Links that are not made together with those of other pairs: of attention, and of parts."""
        if self.parts:
            return self._links_of_parts(mode, threshold)
        if self.origin.source != "attention":
            return None
        fits = self._attention_fits(src, tgt)
        if threshold:
            return likely_links(fits[None], least=threshold)[0]
        return best_links(fits, least=self.origin.least_fit, of_columns=self.is_turned)

    def _attention_fits(self, src: "_Side", tgt: "_Side") -> Tensor:
        """How well words fit each other, a final mark for a final mark alone."""
        forward = _keep_marks(normalized_rows(_merged(self.forward, tgt, src)), tgt, src)
        if self.backward is None:
            return two_way_of_rows(forward)
        backward = normalized_rows(_merged(self.backward.mT, src, tgt))
        return two_way(forward, _keep_marks(backward, src, tgt).mT)

    def _links_of_parts(self, mode: Units, threshold: float) -> dict[Link, float]:
        links: dict[Link, float] = {}
        for part in self._placed(mode):
            for (i, j), fit in part.links.words(part.mode, threshold).links.items():
                link = part.src_places[i], part.tgt_places[j]
                links[link] = max(fit, links.get(link, 0.0))
        return dict(sorted(links.items()))

    def _matrix_of_parts(self, mode: Units) -> Tensor:
        src, tgt = self._sides(mode)
        matrix = torch.zeros(len(tgt.words), len(src.words), dtype=torch.float64)
        num_rows = torch.zeros(len(tgt.words), 1)
        for part in self._placed(mode):
            rows, columns = (
                torch.tensor(each, dtype=torch.long) for each in (part.tgt_places, part.src_places)
            )
            matrix.index_put_((rows[:, None], columns), part.links.matrix(part.mode), accumulate=True)
            num_rows.index_add_(0, rows, torch.ones(len(rows), 1))
        return matrix.div_(num_rows.clamp_min_(1))

    def _placed(self, mode: Units) -> Iterator["_PlacedPart"]:
        """Every part, and for its source and target words which of all words they are, or are in."""
        src, tgt = self._sides(mode)
        num_src = num_tgt = 0
        for part in self.parts:
            own = part.units(mode)
            src_words, tgt_words = (side.words for side in part.links._sides(own))
            if mode == "piece":
                src_places = [*range(num_src, num_src + len(src_words))]
                tgt_places = [*range(num_tgt, num_tgt + len(tgt_words))]
                num_src, num_tgt = num_src + len(src_words), num_tgt + len(tgt_words)
            else:
                src_places = _words_around(part.in_source(src_words), src.words)
                tgt_places = _words_around(part.in_target(tgt_words), tgt.words)
            yield _PlacedPart(part.links, own, src_places, tgt_places)


def together(alignments: Sequence[Alignment]) -> list[Alignment]:
    """The alignments, whose words are made together once those of one are asked for, which is faster."""

    @cache
    def words(mode: UnitMode, threshold: float) -> list[WordAlignment]:
        return make_words(alignments, mode, threshold)

    def of_place(place: int, mode: UnitMode, threshold: float) -> WordAlignment:
        return words(mode, threshold)[place]

    several = [replace(each) for each in alignments]
    for place, each in enumerate(several):
        object.__setattr__(each, "shared", partial(of_place, place))
    return several


@torch.inference_mode()
def make_words(
    alignments: Sequence[Alignment], mode: Units = "punct", threshold: float = 0.0
) -> list[WordAlignment]:
    """What `Alignment.words` says of each; together they are made faster than one by one."""
    sides = [each._sides(mode) for each in alignments]
    links = [each._links_alone(mode, threshold, *both) for each, both in zip(alignments, sides, strict=True)]
    together = [i for i, each in enumerate(links) if each is None]
    for batch in _batches_by_size(together, [each.forward.shape for each in alignments]):
        fits = _fits([alignments[i] for i in batch], [sides[i] for i in batch])
        least = [threshold or alignments[i].origin.least_fit for i in batch]
        of_each = torch.tensor(least, dtype=torch.float64)[:, None, None]
        for i, found in zip(batch, likely_links(fits, least=of_each), strict=True):
            links[i] = found
    return [
        WordAlignment(each.source, each.target, src.words, tgt.words, found or {})
        for each, (src, tgt), found in zip(alignments, sides, links, strict=True)
    ]


def _batches_by_size(indices: Sequence[int], sizes: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Pairs of like sizes (T, S), no more than fit together into CELLS_AT_ONCE or one."""
    batch, most = list[int](), (0, 0)
    for i in sorted(indices, key=lambda i: tuple(sizes[i])):
        needed = max(most[0], sizes[i][0]), max(most[1], sizes[i][1])
        if batch and (len(batch) + 1) * needed[0] * needed[1] > CELLS_AT_ONCE:
            yield batch
            batch, needed = [], (sizes[i][0], sizes[i][1])
        batch.append(i)
        most = needed
    if batch:
        yield batch


def _fits(alignments: Sequence[Alignment], sides: Sequence[tuple["_Side", "_Side"]]) -> Tensor:
    """How well words of B pairs fit each other, (B, W, V), zero where a line has no more words."""
    src, tgt = (
        padded_shares([(side.pieces, side.words) for side in each]) for each in zip(*sides, strict=True)
    )
    both = torch.zeros(len(alignments), 2, tgt.size(1), src.size(1), dtype=torch.float64)  # (B, 2, T, S)
    for pair, each in zip(both, alignments, strict=True):
        assert each.backward is not None, "only attention may know one direction"
        num_tgt, num_src = each.forward.shape
        pair[0, :num_tgt, :num_src], pair[1, :num_tgt, :num_src] = each.forward, each.backward
    forward, backward = (tgt.mT[:, None] @ both @ src[:, None]).unbind(1)  # (B, W, V)
    of_tgt, of_src = (shares.sum(1) for shares in (tgt, src))  # pieces of each word
    forward, backward = forward / _or_one(of_tgt)[:, :, None], backward / _or_one(of_src)[:, None]
    return two_way(forward, backward)


def _or_one(num_pieces: Tensor) -> Tensor:
    return torch.where(num_pieces > 0, num_pieces, 1.0)


@dataclass(frozen=True)
class Part:
    """What was linked by itself, and where its texts begin in both lines."""

    links: Alignment
    src_start: int
    tgt_start: int

    def units(self, mode: Units) -> Units:
        """What links are counted on, seen from the part: of spans those that begin in it."""
        if not isinstance(mode, tuple):
            return mode
        starts, lines = (self.src_start, self.tgt_start), (self.links.source, self.links.target)
        src, tgt = (
            tuple((first - start, last - start) for first, last in spans if 0 <= first - start < len(line))
            for spans, start, line in zip(mode, starts, lines, strict=True)
        )
        return src, tgt

    def in_source(self, spans: Sequence[Span]) -> tuple[Span, ...]:
        """Spans of the part's source as such of the whole source."""
        return tuple((self.src_start + start, self.src_start + end) for start, end in spans)

    def in_target(self, spans: Sequence[Span]) -> tuple[Span, ...]:
        """Spans of the part's target as such of the whole target."""
        return tuple((self.tgt_start + start, self.tgt_start + end) for start, end in spans)


def _words_around(spans: Sequence[Span], words: Sequence[Span]) -> list[int]:
    """Of each span, which word it begins in: text without spaces is cut within what stands between them."""
    return [bisect_right(words, start, key=lambda word: word[0]) - 1 for start, _ in spans]


@dataclass(frozen=True)
class _PlacedPart:
    """A part, what its links are counted on, and which of all words its words are."""

    links: Alignment
    mode: Units
    src_places: list[int]
    tgt_places: list[int]


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
    return merge_pieces(pieces, rows.shares, columns.shares)


def _keep_marks(matrix: Tensor, rows: _Side, columns: _Side) -> Tensor:
    """Attention over words whose last column, if it is a mark, is only for a mark in the last row."""
    if len(columns.words) < 2 or not rows.words or columns.is_cut or not columns.ends_with_mark:
        return matrix
    return keep_final_mark(matrix, for_last=rows.ends_with_mark)
