"""From attention over pieces to links between words of the raw text."""

# S source pieces, T target pieces, V source words, W target words

from bisect import bisect_right
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
    """How probable each is, by (source word, target word): what both sides think of it, see `two_way`."""


def merge_pieces(matrix: Tensor, row_shares: Tensor, column_shares: Tensor) -> Tensor:
    """Probabilities over pieces as such over words, in float64: summed over columns, averaged over rows.

    Of both sides the shares (pieces, words) are given, see `piece_shares`; a word without pieces has zeros.
    """
    num_pieces = row_shares.sum(0)[:, None]
    merged = row_shares.mT @ matrix.double() @ column_shares
    return torch.where(num_pieces > 0, merged / num_pieces, 0.0)


def normalized_rows(matrix: Tensor) -> Tensor:
    """Rows that sum to 1, or are zero."""
    totals = matrix.sum(-1, keepdim=True)
    return torch.where(totals > 0, matrix / totals, 0.0)


def piece_shares(pieces: Sequence[Span], words: Sequence[Span]) -> Tensor:
    """The share of each piece that belongs to each word, by characters: (pieces, words) in float64.

    Words come in order and do not overlap. An empty piece counts only for a word that no other overlaps.
    """
    return padded_shares([(pieces, words)])[0]


def padded_shares(lines: Sequence[tuple[Sequence[Span], Sequence[Span]]]) -> Tensor:
    """The same of B lines, given as pieces and words: (B, most pieces, most words), zero beyond a line's.

    Words that are the pieces themselves have one each.
    """
    length = max((len(pieces) for pieces, _ in lines), default=0)
    width = max((len(words) for _, words in lines), default=0)
    shares = torch.zeros(len(lines), length, width, dtype=torch.float64)
    whole: list[int] = []
    others: dict[int, list[int]] = {}
    for line, (pieces, words) in enumerate(lines):
        if words is pieces:  # which may overlap: several stand for one character
            whole += [(line * length + row) * width + row for row in range(len(pieces))]
            continue
        ends = [end for _, end in words]
        for row, (start, end) in enumerate(pieces):
            word = bisect_right(ends, start)
            if word < len(words) and words[word][0] <= start < end <= ends[word]:  # as nearly all are
                whole.append((line * length + row) * width + word)
            else:
                others.setdefault(line, []).append(row)
    shares.view(-1).index_fill_(0, torch.tensor(whole, dtype=torch.int64), 1.0)
    for line, rows in others.items():
        _share_out(shares[line], *lines[line], rows=rows)
    return shares


def _share_out(shares: Tensor, pieces: Sequence[Span], words: Sequence[Span], *, rows: list[int]) -> None:
    """Fill in the rows of pieces that are in several words or in none, then those of the empty ones."""
    for row in rows:
        start, end = pieces[row]
        overlaps = [max(0, min(end, last) - max(start, first)) for first, last in words]
        shares[row, : len(words)] = torch.tensor(overlaps, dtype=torch.float64) / max(1, sum(overlaps))
    is_free = (shares.sum(0) == 0).tolist()
    for row in rows:
        start, end = pieces[row]
        around = [i for i, (s, e) in enumerate(words) if start == end and s <= start <= e and is_free[i]]
        shares[row, around] = 1 / max(1, len(around))


def best_links(fits: Tensor, *, least: float, of_columns: bool = False) -> dict[Link, float]:
    """Link every target word (row) to the source word that it fits best, the first of equal ones.

    A word that fits nothing so well as `least` has no link. `of_columns`: every source word to a target word.
    """
    if of_columns:
        links = best_links(fits.mT, least=least)
        return dict(sorted(((i, j), fit) for (j, i), fit in links.items()))
    links = {}
    for j, row in enumerate(fits.tolist()):
        best = max(row, default=0.0)
        if best >= least:
            links[row.index(best), j] = best
    return dict(sorted(links.items()))


def likely_links(fits: Tensor, *, least: float | Tensor) -> list[dict[Link, float]]:
    """Of each of B pairs (B, W, V), link all words that fit each other so well."""
    found: list[dict[Link, float]] = [{} for _ in range(len(fits))]
    by_source = fits.mT
    is_link = by_source >= least
    places = zip(is_link.nonzero().tolist(), by_source[is_link].tolist(), strict=True)
    for (pair, i, j), fit in places:
        found[pair][i, j] = fit
    return found


def two_way(forward: Tensor, backward: Tensor) -> Tensor:
    """Harmonic mean of what both sides think of each link, (W, V), as in Mask-Align (Chen et al., 2021)."""
    both = forward + backward
    return torch.where(both > 0, 2 * forward * backward / both, 0.0)


def two_way_of_rows(forward: Tensor) -> Tensor:
    """The same where only the target side was asked: the source side has the shares of its column (W, V).

    A source word that draws a little of everybody's attention, as articles, auxiliaries and full stops do,
    has a full column and so no large share of it. Where there are more target than source words a column
    belongs to several, and each may count its share so many times.
    """
    fertility = max(1.0, forward.size(0) / max(1, forward.size(1)))
    return two_way(forward, (normalized_rows(forward.mT).mT * fertility).clamp_max(1.0))


def keep_final_mark(matrix: Tensor, *, for_last: bool) -> Tensor:
    """The attention (W, V) with the last source word, a mark such as a full stop, left out.

    Attention that is at home nowhere else collects there. With `for_last` the last target word is a mark too
    and gets it for itself, as in Shift-Att (Chen et al., 2020).
    """
    kept = matrix.clone()
    kept[:, -1] = 0
    kept = normalized_rows(kept)
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
