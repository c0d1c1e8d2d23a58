"""Candidates for the next step of a search: the likeliest continuations of every sentence, or drawn ones."""

# B sentences, N rows, W of the sentence with the most, C candidates of a sentence, V vocabulary

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.decoding.rules import Rules, Sampling, Sentence

BLOCK = 64  # columns of which the largest number is looked at first
BITS = 32  # of a drawn number


@dataclass(frozen=True)
class Candidates:
    """Continuations of every sentence, best first."""

    values: Tensor  # (B, C), log P of the hypothesis with the new token; -inf where there is no candidate
    rows: Tensor  # (B, C), which the token continues
    tokens: Tensor  # (B, C)


def best_candidates(
    log_probs: Tensor,
    so_far: Tensor,
    lengths: Tensor,
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
    log_probs: Tensor,
    so_far: Tensor,
    lengths: Tensor,
    owners: Tensor,
    sentences: Sequence[Sentence],
    rules: Rules,
    *,
    ranks: Tensor,
) -> Candidates:
    """A drawn continuation of every row; at the beginning as many as hypotheses are wanted.

    The candidate of sample number i of a sentence stands in column i, and so `ranks` (N,) tells which one a
    row is. What is drawn is a function of the sentence's seed, the number, the length and the distribution,
    whatever is searched beside it; log P stays the model's.
    """
    assert rules.sampling is not None
    seeds = torch.tensor([each.seed % 2**BITS for each in sentences], device=owners.device)[owners]
    numbers = torch.arange(rules.nbest, device=owners.device)
    uniform = uniform_numbers(seeds[:, None], numbers, lengths[:, None])  # (N, C)
    drawn = draw(log_probs, uniform, rules.sampling)
    is_its = (numbers == ranks[:, None]) | (lengths == 0)[:, None]  # (N, C), the root is all of them
    row, number = is_its.nonzero(as_tuple=True)
    shape = len(sentences), rules.nbest
    values = so_far.new_full(shape, -math.inf)
    rows, tokens = torch.zeros_like(values, dtype=torch.int64), torch.zeros_like(values, dtype=torch.int64)
    place = owners[row], number
    rows[place], tokens[place] = row, drawn[row, number]
    values[place] = so_far[row] + log_probs[row, tokens[place]]
    return Candidates(values, rows, tokens)


def draw(log_probs: Tensor, uniform: Tensor, sampling: Sampling) -> Tensor:
    """Columns (N, C) of log_probs (N, V), each found by a number in [0, 1) where it falls among the chances.

    The temperature comes first, then top-k, top-p of what that left, and min-p.
    """
    shares, columns = _shares(log_probs, sampling)
    precise = torch.float32 if shares.device.type == "mps" else torch.float64  # which MPS does not have
    sums = shares.cumsum(1, dtype=precise)
    found = torch.searchsorted(sums, uniform.to(precise) * sums[:, -1:], right=True)
    found.clamp_(max=shares.size(1) - 1)  # where everything is forbidden
    return found if columns is None else columns.gather(1, found)


def _shares(log_probs: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor | None]:
    """What the chances are proportional to, and which columns they belong to, if not to each in its order."""
    best = log_probs.amax(1, keepdim=True)
    tempered, columns = (log_probs - best) / sampling.temperature, None
    if sampling.top_k:
        tempered, columns = top(tempered, sampling.top_k)
    shares = tempered.softmax(-1)
    if sampling.top_p < 1 and columns is None:
        # all that are less likely than this come to less than 1 - top_p together
        floor = (1 - sampling.top_p) / shares.size(1)
        shares, columns = top(shares, max(1, int((shares >= floor).sum(1).max())))
    if sampling.top_p < 1:
        shares = shares.masked_fill(shares.cumsum(1) - shares >= sampling.top_p, 0)
    if sampling.min_p:
        shares = shares.masked_fill(shares < sampling.min_p * shares.amax(1, keepdim=True), 0)
    return shares, columns


def uniform_numbers(seeds: Tensor, numbers: Tensor, steps: Tensor) -> Tensor:
    """Numbers in [0, 1), float64 but on MPS, that are a hash of three others each."""
    mixed = _mix(_mix(_mix(seeds) + numbers) + steps)
    if mixed.device.type == "mps":
        return (mixed >> 8).float() / 2 ** (BITS - 8)  # float32 would round the others up to 1
    return mixed.double() / 2**BITS


def _mix(x: Tensor) -> Tensor:
    """A hash of 32 bits in int64, none of whose products overflow."""
    mask = 2**BITS - 1
    x = (x + 0x9E3779B9) & mask  # or 0 would stay 0
    for _ in range(2):
        x = ((x >> 16) ^ x) * 0x45D9F3B & mask
    return (x >> 16) ^ x


def top(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest values of every row of (N, V), and their columns; of equals the leftmost.

    Wide rows are looked at in blocks first: the k largest numbers lie in the k blocks with the largest.
    """
    num_blocks = x.size(1) // BLOCK
    if num_blocks < 4 * k:
        return _top(x, k)
    whole = num_blocks * BLOCK
    blocks = x[:, :whole].unflatten(1, (num_blocks, BLOCK))
    chosen = blocks.amax(-1).topk(k, sorted=False).indices.sort().values  # (N, k)
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
