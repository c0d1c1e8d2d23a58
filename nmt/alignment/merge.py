"""From attention over pieces to links between words of the raw text."""

# S source pieces, T target pieces, V source words, W target words

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.corpus.links import Link
from nmt.corpus.words import Span

LEAST_FIT = 0.25
"""A target word that fits no source word better than this (see `two_way`) stays without a link."""


@dataclass(frozen=True)
class WordAlignment:
    """Links between the words of two lines; a word is a span of characters."""

    source: str
    target: str
    src_words: tuple[Span, ...]
    tgt_words: tuple[Span, ...]
    links: dict[Link, float]
    """Share of the target word's attention that the source word gets, by (source word, target word); 1 for
    the final mark of both."""


def word_matrix(
    attention: Tensor,
    src_spans: Sequence[Span],
    tgt_spans: Sequence[Span],
    *,
    src_words: Sequence[Span],
    tgt_words: Sequence[Span],
) -> Tensor:
    """Attention (T, S) over pieces as (W, V) over words: summed over source, averaged over target pieces.

    A piece that spans several words is split by characters. Rows sum to 1; a word without pieces has zeros.
    """
    tgt_shares = piece_shares(tgt_spans, tgt_words)  # (T, W)
    src_shares = piece_shares(src_spans, src_words)  # (S, V)
    matrix = tgt_shares.T @ attention.double() @ src_shares  # (W, V)
    totals = matrix.sum(-1, keepdim=True)
    return torch.where(totals > 0, matrix / totals, 0.0)


def piece_shares(pieces: Sequence[Span], words: Sequence[Span]) -> Tensor:
    """The share of each piece that belongs to each word, by characters: (pieces, words) in float64.

    An empty piece counts only for a word that no other piece overlaps.
    """
    if not pieces or not words:
        return torch.zeros(len(pieces), len(words), dtype=torch.float64)
    piece_starts, piece_ends = torch.tensor(pieces, dtype=torch.float64).T.unsqueeze(-1)  # (pieces, 1) each
    word_starts, word_ends = torch.tensor(words, dtype=torch.float64).T  # (words,) each
    overlap = (piece_ends.minimum(word_ends) - piece_starts.maximum(word_starts)).clamp_min(0)
    is_empty_inside = (piece_starts == piece_ends) & (word_starts <= piece_starts) & (piece_ends <= word_ends)
    overlap = overlap + (is_empty_inside & (overlap.sum(0) == 0))
    shares: Tensor = overlap / overlap.sum(-1, keepdim=True).clamp_min(1)
    return shares


def matrix_links(matrix: Tensor, *, threshold: float = 0.0) -> dict[Link, float]:
    """Link every target word (row) to the column it fits best, and to those of `threshold` or more, unless 0.

    What fits is decided two ways (`two_way`); a word that fits nothing better than `LEAST_FIT` has no link.
    The number that stays with a link is the row's share. The first of equal columns wins.
    """
    links: dict[Link, float] = {}
    for j, (row, fits) in enumerate(zip(matrix.tolist(), two_way(matrix).tolist(), strict=True)):
        best = max(fits, default=0.0)
        if best >= LEAST_FIT:
            i = fits.index(best)
            links[i, j] = row[i]
        if threshold > 0.0:
            links |= {(i, j): share for i, share in enumerate(row) if share >= threshold}
    return dict(sorted(links.items()))


def two_way(matrix: Tensor) -> Tensor:
    """Harmonic mean of the share of its row and the share of its column that each cell of (W, V) has.

    A source word that draws a little of everybody's attention, as articles, auxiliaries and full stops do,
    has a full column and so no large share of it (after Mask-Align; Chen et al., 2021). Where there are more
    target than source words a column belongs to several, and each may count its share so many times.
    """
    totals = matrix.sum(0, keepdim=True)
    fertility = max(1.0, matrix.size(0) / max(1, matrix.size(1)))
    columns = torch.where(totals > 0, matrix / totals * fertility, 0.0).clamp_max(1.0)
    both = matrix + columns
    return torch.where(both > 0, 2 * matrix * columns / both, 0.0)


def keep_final_mark(matrix: Tensor, *, for_last: bool) -> Tensor:
    """The attention (W, V) with the last source word, a mark such as a full stop, left out.

    Attention that is at home nowhere else collects there. With `for_last` the last target word is a mark too
    and gets it for itself, as in Shift-Att (Chen et al., 2020).
    """
    kept = matrix.clone()
    kept[:, -1] = 0
    totals = kept.sum(-1, keepdim=True)
    kept = torch.where(totals > 0, kept / totals, 0.0)
    if for_last:
        kept[-1] = 0
        kept[-1, -1] = 1
    return kept


def turned(alignment: WordAlignment) -> WordAlignment:
    """The same links with source and target exchanged."""
    links = {(target, source): share for (source, target), share in alignment.links.items()}
    return WordAlignment(
        alignment.target,
        alignment.source,
        alignment.tgt_words,
        alignment.src_words,
        dict(sorted(links.items())),
    )
