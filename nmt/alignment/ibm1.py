"""IBM Model 1: word translation probabilities from parallel text alone (Brown et al., 1993)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.corpus.links import Links

WordPair = tuple[Sequence[str], Sequence[str]]
"""The words of a source and of a target line."""

NULL_ID = 0
"""The source word that target words without a translation come from."""


@dataclass(frozen=True)
class Ibm1:
    """p(target word | source word), for pairs of words that occurred together."""

    src_vocabulary: dict[str, int]
    tgt_vocabulary: dict[str, int]
    keys: Tensor  # (pairs of words,) int64, sorted: source id * size of the target vocabulary + target id
    probabilities: Tensor  # (pairs of words,) float32

    def links(self, pair: WordPair) -> Links:
        """Each target word linked to its most probable source word, unless that is NULL."""
        src_words, tgt_words = pair
        if not src_words or not tgt_words:
            return set()
        src_ids = torch.tensor([NULL_ID, *(self.src_vocabulary.get(word, -1) for word in src_words)])
        tgt_ids = torch.tensor([self.tgt_vocabulary.get(word, -1) for word in tgt_words])
        largest, best = self._lookup(src_ids, tgt_ids).max(-1)
        return {
            (i - 1, j)
            for j, (i, p) in enumerate(zip(best.tolist(), largest.tolist(), strict=True))
            if i and p > 0
        }

    def _lookup(self, src_ids: Tensor, tgt_ids: Tensor) -> Tensor:
        """Probabilities (target words, source words and NULL); 0 for words that never occurred together."""
        keys = src_ids[None, :] * len(self.tgt_vocabulary) + tgt_ids[:, None]
        places = torch.searchsorted(self.keys, keys).clamp_max(len(self.keys) - 1)
        is_known = (self.keys[places] == keys) & (src_ids >= 0)[None, :] & (tgt_ids >= 0)[:, None]
        return torch.where(is_known, self.probabilities[places], 0.0)


def train_ibm1(pairs: Iterable[WordPair], *, iterations: int = 5) -> Ibm1:
    """Expectation-maximisation from a uniform start, over all words that meet in a pair of lines."""
    src_vocabulary: dict[str, int] = {"": NULL_ID}
    tgt_vocabulary: dict[str, int] = {}
    src_lines = []
    tgt_lines = []
    for src_words, tgt_words in pairs:
        if src_words and tgt_words:
            src_lines.append(
                [NULL_ID, *(src_vocabulary.setdefault(w, len(src_vocabulary)) for w in src_words)]
            )
            tgt_lines.append([tgt_vocabulary.setdefault(w, len(tgt_vocabulary)) for w in tgt_words])
    if not src_lines:
        empty = torch.zeros(1)  # one impossible pair, so that there is always one to look at
        return Ibm1(src_vocabulary, tgt_vocabulary, empty.long() - 1, empty)
    token_of_cell, src_of_cell, tgt_of_cell = _cells(src_lines, tgt_lines)
    keys, pair_of_cell = torch.unique(src_of_cell * len(tgt_vocabulary) + tgt_of_cell, return_inverse=True)
    src_of_pair = keys // len(tgt_vocabulary)
    probabilities = torch.full(keys.shape, 1 / len(tgt_vocabulary))
    for _ in range(iterations):
        likelihood = probabilities[pair_of_cell]
        posterior = likelihood / torch.bincount(token_of_cell, weights=likelihood)[token_of_cell]
        counts = torch.bincount(pair_of_cell, weights=posterior)
        probabilities = counts / torch.bincount(src_of_pair, weights=counts)[src_of_pair]
    return Ibm1(src_vocabulary, tgt_vocabulary, keys, probabilities)


def _cells(src_lines: list[list[int]], tgt_lines: list[list[int]]) -> tuple[Tensor, Tensor, Tensor]:
    """Each target token with each source token of its line: number of the token, source id, target id."""
    src_lengths = torch.tensor([len(line) for line in src_lines])
    tgt_lengths = torch.tensor([len(line) for line in tgt_lines])
    src_ids = torch.tensor([i for line in src_lines for i in line])
    tgt_ids = torch.tensor([i for line in tgt_lines for i in line])
    cells_of_token = src_lengths.repeat_interleave(tgt_lengths)
    src_start_of_token = (src_lengths.cumsum(0) - src_lengths).repeat_interleave(tgt_lengths)
    token_of_cell = torch.arange(len(tgt_ids)).repeat_interleave(cells_of_token)
    first_cell_of_token = cells_of_token.cumsum(0) - cells_of_token
    offset = torch.arange(len(token_of_cell)) - first_cell_of_token[token_of_cell]
    return token_of_cell, src_ids[src_start_of_token[token_of_cell] + offset], tgt_ids[token_of_cell]
