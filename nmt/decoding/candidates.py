"""Candidates for the next step of a search: the likeliest continuations of every sentence, or drawn ones."""

# B sentences, N rows, W of the sentence with the most, C candidates of a sentence, V vocabulary

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.decoding.rules import Rules, Sentence

BLOCK = 64  # columns of which the largest number is looked at first


@dataclass(frozen=True)
class Candidates:
    """Continuations of every sentence, best first."""

    values: Tensor  # (B, C), log P of the hypothesis with the new token; -inf where there is no candidate
    rows: Tensor  # (B, C), which the token continues
    tokens: Tensor  # (B, C)


def best_candidates(
    log_probs: Tensor,
    so_far: Tensor,
    lengths: Tensor,  # noqa: ARG001
    owners: Tensor,
    sentences: Sequence[Sentence],
    rules: Rules,
) -> Candidates:
    """The likeliest continuations of all rows of a sentence, given those of each row, (N, V)."""
    best, tokens = top(log_probs, rules.beam_size + 1)  # one can be EOS, so beam_size remain that go on
    values = so_far[:, None] + best  # (N, k)
    counts = torch.bincount(owners, minlength=len(sentences))
    most = int(counts.max())
    ranks = torch.arange(len(owners), device=owners.device) - (counts.cumsum(0) - counts)[owners]
    slots = owners * most + ranks  # of each row among (B, W)
    padded = values.new_full((len(sentences) * most, values.size(1)), -math.inf)
    padded[slots] = values
    rows = torch.zeros_like(padded[:, 0], dtype=torch.int64)
    rows[slots] = torch.arange(len(owners), device=owners.device)
    ordered, order = padded.view(len(sentences), -1).sort(descending=True, stable=True)  # (B, W * k)
    chosen_rows = rows.view(len(sentences), most).gather(1, order // values.size(1))
    return Candidates(ordered, chosen_rows, tokens[chosen_rows, order % values.size(1)])


def sampled_candidates(
    log_probs: Tensor,  # noqa: ARG001
    so_far: Tensor,  # noqa: ARG001
    lengths: Tensor,  # noqa: ARG001
    owners: Tensor,  # noqa: ARG001
    sentences: Sequence[Sentence],  # noqa: ARG001
    rules: Rules,
) -> Candidates:
    """A drawn continuation of every row; at the beginning as many as hypotheses are wanted.

    What is drawn for a sentence is a function of its seed, whatever is searched beside it.
    """
    assert rules.sampling is not None
    raise NotImplementedError


def top(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest values of every row of (N, V), and their columns; of equals the leftmost.

    Wide rows are looked at in blocks first: the k largest numbers lie in the k blocks with the largest, and
    what is left of its equals lies in a block that is left of theirs.
    """
    num_blocks = x.size(1) // BLOCK
    if num_blocks < 4 * k:
        return _top(x, k)
    whole = num_blocks * BLOCK
    blocks = x[:, :whole].view(len(x), num_blocks, BLOCK)
    chosen = _top(blocks.amax(-1), k)[1].sort().values  # (N, k)
    columns = chosen[:, :, None] * BLOCK + torch.arange(BLOCK, device=x.device)
    rest = torch.arange(whole, x.size(1), device=x.device).expand(len(x), -1)
    columns = torch.cat([columns.flatten(1), rest], dim=1)
    inside = blocks.gather(1, chosen[:, :, None].expand(-1, -1, BLOCK)).flatten(1)
    values, indices = _top(torch.cat([inside, x[:, whole:]], dim=1), k)
    return values, columns.gather(1, indices)


def _top(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The same, which topk does but for the order of equals."""
    k = min(k, x.shape[1])
    values, indices = x.topk(min(k + 1, x.shape[1]))
    indices, order = indices.sort()
    values, order = values.gather(1, order).sort(descending=True, stable=True)
    indices = indices.gather(1, order)
    if values.shape[1] > k:  # equals on both sides of the cut: only a full sort knows which come first
        rows = (values[:, k - 1] == values[:, k]).nonzero().flatten()
        if len(rows):
            indices[rows] = x[rows].argsort(descending=True, stable=True)[:, : k + 1]
    return values[:, :k], indices[:, :k]
