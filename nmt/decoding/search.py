"""Greedy and beam search: pure functions over a step and its cache, whatever the model behind them.

A step takes the last token of every row, shape (N,), and the cache, and gives fresh logits (N, V) of the
next one; the search tells the cache which rows go on. The score of a hypothesis is
log P / length ** length_penalty, both with the end token.
"""

# B sentences still searched, W hypotheses of each, N = B * W rows, V vocabulary, C candidates, T tokens

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor


class Cache(Protocol):
    """What a step remembers of every row."""

    def reorder(self, rows: Tensor) -> None:
        """Row i becomes the former row rows[i], of the same sentence."""

    def select(self, rows: Tensor) -> None:
        """Row i becomes the former row rows[i], whichever sentence it belongs to; rows may repeat or go."""


CacheT = TypeVar("CacheT", bound=Cache)
Step: TypeAlias = Callable[[Tensor, CacheT], Tensor]


@dataclass(frozen=True)
class Rules:
    """What a search may generate, how wide it looks and how it ranks."""

    bos_id: int
    eos_id: int
    banned: tuple[int, ...] = ()
    beam_size: int = 1
    length_penalty: float = 1.0
    nbest: int = 1

    def score(self, log_prob: float, length: int) -> float:
        """What hypotheses are ranked by."""
        return log_prob / math.pow(length, self.length_penalty)


@dataclass(frozen=True)
class Found:
    """A finished hypothesis: its tokens without BOS and EOS, log P with EOS, and its score."""

    tokens: list[int]
    log_prob: float
    score: float
    num_parts: int = 1  # in which the source was searched


def search(step: Step[CacheT], cache: CacheT, limits: Tensor, rules: Rules) -> list[list[Found]]:
    """The `nbest` best hypotheses found for every sentence, best first.

    limits: (B,) int64 on the model's device, the most tokens (EOS not counted) of each translation.
    """
    if rules.beam_size == 1:
        return [[found] for found in greedy_search(step, cache, limits, rules)]
    return beam_search(step, cache, limits, rules)


def greedy_search(step: Step[CacheT], cache: CacheT, limits: Tensor, rules: Rules) -> list[Found]:
    """The hypothesis of the likeliest token at every step, for every sentence."""
    found: dict[int, Found] = {}
    sentences = torch.arange(len(limits), device=limits.device)  # (B,)
    tokens = torch.full_like(limits, rules.bos_id)[:, None]  # (B, T)
    log_probs = torch.zeros(len(limits), device=limits.device)  # (B,)
    while len(sentences):
        logits = step(tokens[:, -1], cache)  # (B, V)
        normaliser = logits.float().logsumexp(-1)  # the model's own: before anything is forbidden
        forbid(logits, limits[sentences] < tokens.shape[1], rules)
        best, chosen = logits.max(-1)  # the first of equals
        log_probs = log_probs + (best.float() - normaliser)
        tokens = torch.cat([tokens, chosen[:, None]], dim=1)
        ended = chosen == rules.eos_id
        for row in ended.nonzero().flatten().tolist():
            found[int(sentences[row])] = _finish(tokens[row, 1:-1].tolist(), float(log_probs[row]), rules)
        if ended.any():
            rows = (~ended).nonzero().flatten()
            sentences, tokens, log_probs = sentences[rows], tokens[rows], log_probs[rows]
            cache.select(rows)
    return [found[sentence] for sentence in range(len(limits))]


def beam_search(step: Step[CacheT], cache: CacheT, limits: Tensor, rules: Rules) -> list[list[Found]]:
    """The best hypotheses that a beam of fixed width comes across, for every sentence.

    What ends among the `beam_size` best candidates is finished; the beam goes on with as many that do not.
    A sentence is done with `beam_size` finished, or once nothing can come among its `nbest` any more.
    """
    found: list[list[Found]] = [[] for _ in range(len(limits))]
    sentences = list(range(len(limits)))  # (B,)
    tokens = torch.full_like(limits, rules.bos_id)[:, None, None]  # (B, W, T); W is 1 before the first step
    log_probs = torch.zeros(tokens.shape[:2], device=limits.device)  # (B, W)
    while sentences:
        shape, length = log_probs.shape, tokens.shape[2]
        logits = step(tokens[:, :, -1].flatten(), cache)  # (N, V)
        values, parents, chosen = _candidates(logits, log_probs, limits < length, rules)  # (B, C) each
        ends = chosen == rules.eos_id
        for row, rank in (ends & values.isfinite())[:, : rules.beam_size].nonzero().tolist():
            hypothesis = tokens[row, parents[row, rank], 1:].tolist()
            found[sentences[row]].append(_finish(hypothesis, float(values[row, rank]), rules))

        live = ends.byte().argsort(dim=1, stable=True)[:, : rules.beam_size]  # (B, W): best first, ended last
        log_probs = values.masked_fill(ends, -math.inf).gather(1, live)
        so_far = [found[sentence] for sentence in sentences]
        kept = _undone(log_probs[:, 0].tolist(), limits.tolist(), length, so_far, rules)
        sentences = [sentences[row] for row in kept]
        if not sentences:
            break
        rows = torch.tensor(kept, device=limits.device)
        limits, log_probs, live = limits[rows], log_probs[rows], live[rows]
        parents, chosen = parents[rows].gather(1, live), chosen[rows].gather(1, live)  # (B, W)
        tokens = torch.cat([tokens[rows[:, None], parents], chosen[:, :, None]], dim=2)
        _rearrange(cache, rows[:, None] * shape[1] + parents, shape)
    return [sorted(some, key=lambda one: -one.score)[: rules.nbest] for some in found]


def forbid(logits: Tensor, at_limit: Tensor, rules: Rules) -> None:
    """Rule out, in place, what is never generated, and all but EOS in rows that are at their limit, (N,)."""
    if rules.banned:
        logits[:, list(rules.banned)] = -math.inf
    rows = at_limit.nonzero().flatten()
    if len(rows):
        end = logits[rows, rules.eos_id]
        logits[rows] = -math.inf
        logits[rows, rules.eos_id] = end


def top(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest values of every row and their columns; of equals the leftmost, which topk leaves open."""
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


def _candidates(
    logits: Tensor, log_probs: Tensor, at_limit: Tensor, rules: Rules
) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probability, parent and token of the likeliest continuations of every sentence, best first."""
    num_sentences, width = log_probs.shape
    normaliser = logits.float().logsumexp(-1, keepdim=True)  # before anything is forbidden
    forbid(logits, at_limit.repeat_interleave(width), rules)
    best, tokens = top(logits, rules.beam_size + 1)  # (N, k): one can be EOS, so beam_size remain that go on
    values = log_probs.reshape(-1, 1) + (best.float() - normaliser)
    values, order = values.reshape(num_sentences, -1).sort(descending=True, stable=True)  # (B, C = W * k)
    return values, order // best.shape[1], tokens.reshape(num_sentences, -1).gather(1, order)


def _undone(
    best_live: list[float], limits: list[int], length: int, found: list[list[Found]], rules: Rules
) -> list[int]:
    """Rows of the sentences whose search goes on."""
    return [
        row
        for row, log_prob in enumerate(best_live)
        if len(found[row]) < rules.beam_size
        and log_prob > -math.inf
        and _can_improve(log_prob, range(length + 1, limits[row] + 2), found[row], rules)
    ]


def _can_improve(log_prob: float, lengths: range, found: list[Found], rules: Rules) -> bool:
    """Whether a hypothesis as likely as this, ending at one of the lengths, could come among the n best."""
    if len(found) < rules.nbest:
        return True
    # log P only falls from here, and its score is monotone in the length: the bound stands at one end
    bound = max(rules.score(log_prob, lengths[0]), rules.score(log_prob, lengths[-1]))
    return bound > sorted((one.score for one in found), reverse=True)[rules.nbest - 1]


def _finish(tokens: list[int], log_prob: float, rules: Rules) -> Found:
    return Found(tokens, log_prob, rules.score(log_prob, len(tokens) + 1))


def _rearrange(cache: Cache, rows: Tensor, shape: torch.Size) -> None:
    """Let the cache follow the beam: `rows` (B, W) come from a beam of the given shape."""
    if rows.shape != shape:  # sentences left, or the first step widened the beam
        cache.select(rows.flatten())
    elif not torch.equal(rows.flatten(), torch.arange(rows.numel(), device=rows.device)):
        cache.reorder(rows.flatten())
