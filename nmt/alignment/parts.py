"""Cuts a pair of lines into parts that correspond, by the lengths of their segments (Gale & Church, 1993)."""

# N source segments, M target segments

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn import functional

from nmt.corpus.splitting import CHARACTERS_A_PIECE, split_sentences
from nmt.corpus.words import Span
from nmt.tokenizer import Tokenizer

Bead = tuple[int, int]
"""How many segments of source and target translate each other."""

BEADS: dict[Bead, float] = {
    (1, 1): 0.89,
    (1, 0): 0.0099,
    (0, 1): 0.0099,
    (2, 1): 0.089,
    (1, 2): 0.089,
    (2, 2): 0.011,
}
"""How often they are so many (Gale & Church, 1993, table 5)."""
VARIANCE = 6.8
"""Of the number of target characters that a source character becomes."""
MOST_SURPRISE = 7.0
"""No lengths are less likely than e to the minus this, else one sentence left out moves all around it."""
MAX_SEGMENTS = 1000
"""Lines of more segments are matched by several at once: the cost is the product of both numbers."""


@dataclass(frozen=True)
class Side:
    """One line of a pair in segments: sentences, or parts of long ones."""

    spans: list[Span]
    pieces_before: list[int]
    """Pieces before each segment, and before the end."""

    @classmethod
    def of(cls, line: str, tokenizer: Tokenizer, max_length: int) -> "Side":
        """A line whose segments have at most half of `max_length` pieces, so that every bead fits."""
        most = max(1, max_length // 2)
        spans = split_sentences(line, lambda text: tokenizer.encode_with_spans(text).spans, most)
        starts = [start for start, _ in tokenizer.encode_with_spans(line).spans]
        return cls(spans, [*(bisect_left(starts, start) for start, _ in spans), len(starts)])

    def joined(self, number: int) -> "Side":
        """The same with so many segments as one."""
        groups = [self.spans[i : i + number] for i in range(0, len(self.spans), number)]
        spans = [(group[0][0], group[-1][1]) for group in groups]
        return Side(spans, [*self.pieces_before[:-1:number], self.pieces_before[-1]])

    def num_pieces(self, first: int, end: int) -> int:
        """Of the segments from the first to before the end."""
        return self.pieces_before[end] - self.pieces_before[first]

    def span(self, first: int, end: int) -> Span:
        """Of the segments from the first to before the end; an empty one of none."""
        return (self.spans[first][0], self.spans[end - 1][1]) if first < end else (0, 0)

    def lengths(self, max_length: int) -> list[int]:
        """Characters of the segments, as far as they fit into a part."""
        return [min(end - start, CHARACTERS_A_PIECE * max_length) for start, end in self.spans]


def corresponding_parts(src: Side, tgt: Side, max_length: int) -> list[tuple[Span, Span]]:
    """Spans of the parts of both lines, in order; what has no counterpart stands beside an empty span.

    A part has at most `max_length` pieces on either side, or a word that has more.
    """
    number = math.ceil(max(len(src.spans), len(tgt.spans)) / MAX_SEGMENTS)
    src, tgt = src.joined(number), tgt.joined(number)
    parts = []
    first = end = (0, 0)
    for bead in match_lengths(src.lengths(max_length), tgt.lengths(max_length)):
        grown = (end[0] + bead[0], end[1] + bead[1])
        most = max(src.num_pieces(first[0], grown[0]), tgt.num_pieces(first[1], grown[1]))
        if most > max_length and first != end:
            parts.append((first, end))
            first = end
        end = grown
    parts.append((first, end))
    return [(src.span(first[0], end[0]), tgt.span(first[1], end[1])) for first, end in parts]


def match_lengths(src_lengths: Sequence[int], tgt_lengths: Sequence[int]) -> list[Bead]:
    """The likeliest beads that use up both sequences of lengths in characters, in order."""
    ratio = sum(tgt_lengths) / sum(src_lengths)
    src_ends = [0, *accumulate(src_lengths)]
    tgt_ends = torch.tensor([0, *accumulate(tgt_lengths)], dtype=torch.float64)  # (M + 1,)
    inserted = functional.pad(bead_costs((0, 1), 0, tgt_ends.diff(), ratio).cumsum(0), (1, 0))  # (M + 1,)
    rows, beads_of = list[Tensor](), list[Tensor]()
    for i, src_end in enumerate(src_ends):
        costs = torch.full((len(BEADS), len(tgt_ends)), math.inf, dtype=torch.float64)
        costs[0, 0] = math.inf if i else 0
        for bead, (num_src, num_tgt) in enumerate(BEADS):
            if 0 < num_src <= i:
                before = len(tgt_ends) - num_tgt
                lengths = tgt_ends[num_tgt:] - tgt_ends[:before]
                cost = bead_costs((num_src, num_tgt), src_end - src_ends[i - num_src], lengths, ratio)
                costs[bead, num_tgt:] = rows[i - num_src][:before] + cost
        row, bead_of = costs.min(0)
        row, begun = (row - inserted).cummin(0)  # from where on target segments are inserted
        is_inserted = begun != torch.arange(len(begun))
        rows.append(row + inserted)
        beads_of.append(torch.where(is_inserted, list(BEADS).index((0, 1)), bead_of))
    return _traced_back(beads_of)


def bead_costs(bead: Bead, src_length: int, tgt_lengths: Tensor, ratio: float) -> Tensor:
    """-log of how likely a bead and these lengths of its two sides are, for each of several target sides.

    The `ratio` is that of the lengths of both lines.
    """
    mean = (src_length + tgt_lengths / ratio) / 2
    deviation = (tgt_lengths - src_length * ratio).abs() / (VARIANCE * mean).sqrt()
    surprise: Tensor = -math.log(2) - torch.special.log_ndtr(-deviation)
    surprise = surprise.clamp_max(MOST_SURPRISE)
    return surprise - math.log(BEADS[bead])


def _traced_back(beads_of: Sequence[Tensor]) -> list[Bead]:
    """The beads on the way to the last place, of those that end at each (N + 1, M + 1)."""
    i, j, beads = len(beads_of) - 1, len(beads_of[0]) - 1, list[Bead]()
    while i or j:
        beads.append(list(BEADS)[int(beads_of[i][j])])
        i, j = i - beads[-1][0], j - beads[-1][1]
    return beads[::-1]
