"""From attention over pieces to links between words of the raw text."""

# S source pieces, T target pieces, V source words, W target words

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.corpus.links import Link
from nmt.corpus.words import Span


@dataclass(frozen=True)
class WordAlignment:
    """Links between the words of two lines; a word is a span of characters."""

    source: str
    target: str
    src_words: tuple[Span, ...]
    tgt_words: tuple[Span, ...]
    links: dict[Link, float]
    """Share of the target word's attention that the source word gets, by (source word, target word)."""


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
    """Link every target word (row) to its largest column, and to those of `threshold` or more, unless 0.

    The first of equal columns wins; a row of zeros has no link.
    """
    links: dict[Link, float] = {}
    for j, row in enumerate(matrix.tolist()):
        largest = max(row, default=0.0)
        if largest <= 0.0:
            continue
        links[row.index(largest), j] = largest
        if threshold > 0.0:
            links |= {(i, j): share for i, share in enumerate(row) if share >= threshold}
    return dict(sorted(links.items()))


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
