"""Candidates for the next step of a search: the likeliest continuations of every sentence, or drawn ones."""

# B sentences, N rows, W of the sentence with the most, C candidates of a sentence, M of all, V vocabulary

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

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
    lengths: Tensor,  # noqa: ARG001
    owners: Tensor,
    sentences: Sequence[Sentence],
    rules: Rules,
) -> Candidates:
    """The likeliest continuations of all rows of a sentence, given those of each row, (N, V)."""
    # one can be EOS, so beam_size remain that go on; a greedy search is done with EOS
    is_greedy = rules.beam_size == 1 and not any(each.demands for each in sentences)
    best, tokens = top(log_probs, 1 if is_greedy else rules.beam_size + 1)
    values = so_far[:, None] + best  # (N, k)
    rows = torch.arange(len(owners), device=owners.device)
    if is_greedy:
        return Candidates(values, rows[:, None], tokens)
    num_sentences, count = len(sentences), values.size(1)
    if len(rows) not in (num_sentences, num_sentences * rules.width):  # or all have as many
        places, most = _places(owners, num_sentences)
        values = values.new_full((num_sentences * most, count), -math.inf).index_copy_(0, places, values)
        tokens = tokens.new_zeros(num_sentences * most, count).index_copy_(0, places, tokens)
        rows = rows.new_zeros(num_sentences * most).index_copy_(0, places, rows)
    ordered, order = values.view(num_sentences, -1).sort(descending=True, stable=True)  # (B, W k)
    chosen_rows = rows.view(num_sentences, -1).gather(1, order // count)
    return Candidates(ordered, chosen_rows, tokens.reshape(num_sentences, -1).gather(1, order))


def _places(owners: Tensor, num_sentences: int) -> tuple[Tensor, int]:
    """Of each row (N,) its place in an array (B, W), flat, and W."""
    counts = owners.bincount(minlength=num_sentences)
    most = int(counts.max())
    first = owners * most - (counts.cumsum(0) - counts).index_select(0, owners)
    return first + torch.arange(len(owners), device=owners.device), most


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
    numbers = torch.arange(rules.nbest, device=owners.device)
    is_its = (numbers == ranks[:, None]) | (lengths == 0)[:, None]  # (N, C), the root is all of them
    row, number = is_its.nonzero(as_tuple=True)  # (M,) each
    seeds = torch.tensor([each.seed % 2**BITS for each in sentences], device=owners.device)[owners[row]]
    drawn = draw(log_probs, row, hashed(seeds, number, lengths[row]), rules.sampling)
    values = so_far.new_full((len(sentences), rules.nbest), -math.inf)
    rows, tokens = torch.zeros_like(values, dtype=torch.int64), torch.zeros_like(values, dtype=torch.int64)
    place = owners[row], number
    rows[place], tokens[place] = row, drawn
    values[place] = so_far[row] + log_probs[row, drawn]
    return Candidates(values, rows, tokens)


def draw(log_probs: Tensor, rows: Tensor, keys: Tensor, sampling: Sampling) -> Tensor:
    """A column (M,) of each of these rows of (N, V), as likely as it is: a function of row and key (M,).

    The largest of log P with Gumbel noise (Gumbel, 1954): first of the sums of blocks, then inside of one, as
    noise for every column would take longer than all the rest. What rounding does to log P changes what is
    drawn only where the two largest are as good as equal.
    """
    shares = _shares(log_probs, sampling)
    exact = torch.float32 if shares.device.type == "mps" else torch.float64  # which MPS does not have
    blocks = functional.pad(shares, (0, -shares.size(1) % BLOCK)).view(len(shares), -1, BLOCK)
    sums = blocks.sum(2, dtype=exact).log()[rows]  # (M, V / BLOCK)
    block = (sums + _gumbel(keys, sums.size(1), exact)).argmax(1)
    inside = blocks[rows, block].to(exact).log()  # (M, BLOCK)
    column = block * BLOCK + (inside + _gumbel(_mix(keys), BLOCK, exact)).argmax(1)
    return column.clamp(max=shares.size(1) - 1)  # beyond only where everything is forbidden


def _gumbel(keys: Tensor, count: int, dtype: torch.dtype) -> Tensor:
    """Noise (M, count) with the distribution function exp(-exp(-x)), a function of keys (M,) and columns."""
    columns = _mix(torch.arange(count, device=keys.device))
    spare = BITS - 23 if dtype == torch.float32 else 0  # bits that it would round up to 1
    uniform: Tensor = ((_mix(keys[:, None] + columns) >> spare).to(dtype) + 0.5) / 2 ** (BITS - spare)
    return -torch.log(-torch.log(uniform))


def _shares(log_probs: Tensor, sampling: Sampling) -> Tensor:
    """What the chances are proportional to, (N, V): of the likeliest 1, of what is left out 0.

    The temperature comes first, then top-k, top-p of what that left, and min-p. Equals stay together.
    """
    best = log_probs.amax(1, keepdim=True).clamp(min=torch.finfo(log_probs.dtype).min)
    shares = (log_probs - best).div_(sampling.temperature).exp_()
    if 0 < sampling.top_k < shares.size(1):
        smallest = top(shares, sampling.top_k)[0][:, -1:]
        shares.masked_fill_(shares < smallest, 0)
    if sampling.top_p < 1:
        shares.masked_fill_(shares < _smallest_of_nucleus(shares, sampling.top_p), 0)
    if sampling.min_p:
        shares.masked_fill_(shares < sampling.min_p, 0)
    return shares


def _smallest_of_nucleus(shares: Tensor, top_p: float) -> Tensor:
    """The last share (N, 1) that is needed for a part `top_p` of all, counted from the largest."""
    wanted = top_p * shares.sum(1, keepdim=True)

    def needed(ordered: Tensor, wanted: Tensor) -> Tensor:
        num_needed = (ordered.cumsum(1) - ordered < wanted).sum(1, keepdim=True)
        return ordered.gather(1, num_needed.clamp(min=1) - 1)

    likeliest = shares.topk(min(BLOCK, shares.size(1))).values  # mostly they are enough, and a sort is slow
    smallest = needed(likeliest, wanted)
    flat = (likeliest.sum(1, keepdim=True) < wanted).flatten().nonzero().flatten()
    if len(flat):
        smallest[flat] = needed(shares[flat].sort(descending=True).values, wanted[flat])
    return smallest


def hashed(seeds: Tensor, numbers: Tensor, steps: Tensor) -> Tensor:
    """A number of 32 bits that is a hash of three others each."""
    return _mix(_mix(_mix(seeds) + numbers) + steps)


def _mix(x: Tensor) -> Tensor:
    """A hash of 32 bits in int64, none of whose products overflow."""
    mask = 2**BITS - 1
    x = (x + 0x9E3779B9) & mask  # or 0 would stay 0
    for _ in range(2):
        x = ((x >> 16) ^ x) * 0x45D9F3B & mask
    return x ^ (x >> 16)


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
    columns = (chosen[:, :, None] * BLOCK + torch.arange(BLOCK, device=x.device)).flatten(1)
    if whole < x.size(1):
        rest = torch.arange(whole, x.size(1), device=x.device).expand(len(x), -1)
        columns = torch.cat([columns, rest], dim=1)
    values, indices = _top(x.gather(1, columns), k)
    return values, columns.gather(1, indices)


def _top(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The same, which topk does but for the order of equals."""
    k = min(k, x.shape[1])
    values, indices = x.topk(min(k + 1, x.shape[1]))
    if not (values[:, 1:] == values[:, :-1]).any():
        return values[:, :k], indices[:, :k]
    indices, order = indices.sort()
    values, order = values.gather(1, order).sort(descending=True, stable=True)
    indices = indices.gather(1, order)
    if values.shape[1] > k:  # equals on both sides of the cut: only a full sort knows which come first
        rows = (values[:, k - 1] == values[:, k]).nonzero().flatten()
        if len(rows):
            indices[rows] = x[rows].argsort(descending=True, stable=True)[:, : k + 1]
    return values[:, :k], indices[:, :k]
