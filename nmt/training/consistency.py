"""Consistency: the cross-entropy of two passes over a batch, and how far apart their predictions are."""

# B pairs, S source and T target length, N positions of each pass, D d_model, V vocabulary

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from nmt.config.schema import TrainingConfig
from nmt.corpus.batching import Batch
from nmt.model.dropout import survivors
from nmt.tokenizer import BOS_ID, EOS_ID
from nmt.training.cross_entropy import rows_at_once

BLOCKS_PER_PRODUCT = 16  # of those that the cross-entropy works in: a product of few rows is slow


@dataclass(frozen=True)
class Consistency:
    """What the second pass is, and what it costs if it says something else than the first."""

    kind: Literal["rdrop", "simcut"]
    weight: float  # α
    cutoff: float = 0.0  # share of the tokens that the second pass of SimCut does not see

    @classmethod
    def of(cls, training: TrainingConfig) -> "Consistency | None":
        """What a training asks for; None if it has one pass."""
        if training.consistency == "none":
            return None
        return cls(training.consistency, training.consistency_weight, training.cutoff)


def seen(batch: Batch, consistency: Consistency, dtype: torch.dtype) -> tuple[Tensor | None, Tensor | None]:
    """Ones, and zeros for tokens that are cut off: source (2B, S) and decoder input (2B, T) of both passes.

    The first pass sees everything, and the second the marks of beginning and end, and the tag of a language;
    None if it sees the rest too.
    """
    if consistency.kind == "rdrop" or not consistency.cutoff:
        return None, None
    src_kept = _some(batch.src_tokens, consistency.cutoff, dtype)
    src_kept[:, : batch.num_tags] = 1
    tgt_kept = _some(batch.tgt_in, consistency.cutoff, dtype)
    return torch.cat([torch.ones_like(src_kept), src_kept]), torch.cat([torch.ones_like(tgt_kept), tgt_kept])


def _some(tokens: Tensor, cutoff: float, dtype: torch.dtype) -> Tensor:
    kept, _ = survivors(torch.empty(tokens.shape, dtype=dtype, device=tokens.device), cutoff)
    return kept.masked_fill_((tokens == BOS_ID) | (tokens == EOS_ID), 1)


def consistent_cross_entropy(
    states: Tensor, weight: Tensor, targets: Tensor, *, label_smoothing: float, consistency: Consistency
) -> tuple[Tensor, Tensor, Tensor]:
    """What is minimised, the negative log-likelihood and the divergence of N positions, summed.

    `states` (2N, D) are those of the first pass and, behind them, those of the second; `weight` (V, D) and
    `targets` (N,) are as in `cross_entropy`, whose smoothed loss is H here. With p and q for what the passes
    predict, and the gradient going through both of them:

    | kind   | minimised              | divergence              |                                         |
    |--------|------------------------|-------------------------|-----------------------------------------|
    | rdrop  | ½ (H(p) + H(q) + α KL) | ½ (KL(p‖q) + KL(q‖p))   | half of what Liang et al. (2021) have   |
    | simcut | H(p) + α KL            | KL(p‖q)                 | Gao et al. (2022)                       |

    Only what is minimised has a gradient. Logits are there for some positions at a time, and never for all.
    """
    inputs = states, weight, targets, label_smoothing, consistency
    loss, nll, divergence = _ConsistentCrossEntropy.apply(*inputs)  # type: ignore[no-untyped-call]
    return loss, nll, divergence


class _ConsistentCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        weight: Tensor,
        targets: Tensor,
        label_smoothing: float,
        consistency: Consistency,
    ) -> tuple[Tensor, Tensor, Tensor]:
        dtype = torch.promote_types(states.dtype, torch.float32)
        both = states.view(2, len(targets), states.size(1))
        grad_states = torch.empty_like(both)
        grad_weight = torch.zeros_like(weight, dtype=dtype)
        terms = states.new_zeros(3, dtype=dtype)
        block_rows = rows_at_once(len(weight), weight.device)
        rows = BLOCKS_PER_PRODUCT * block_rows
        for start in range(0, len(targets), rows):
            some = both[:, start : start + rows]
            logits = some @ weight.T  # (2, rows, V)
            for block, wanted in zip(
                torch.split(logits, block_rows, 1),
                torch.split(targets[start : start + rows], block_rows),
                strict=True,
            ):
                terms += _terms_(block, wanted, label_smoothing, consistency)
            grad_states[:, start : start + rows] = logits @ weight
            grad_weight += logits.flatten(0, 1).T @ some.flatten(0, 1)
        ctx.save_for_backward(grad_states.view_as(states), grad_weight.to(weight.dtype))
        loss, nll, divergence = terms.unbind()
        ctx.mark_non_differentiable(nll, divergence)
        return loss, nll, divergence

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        grad_states, grad_weight = ctx.saved_tensors
        return grad_states * grad_loss, grad_weight * grad_loss, None, None, None


def _terms_(logits: Tensor, targets: Tensor, label_smoothing: float, consistency: Consistency) -> Tensor:
    """Loss, negative log-likelihood and divergence, summed; puts the gradient of the loss in place of logits.

    `logits` (2, rows, V) may be of less precision; everything else is float32.
    """
    dtype = torch.promote_types(logits.dtype, torch.float32)
    shares, forward, backward = _weights(consistency)  # of the passes, of KL(p‖q), of KL(q‖p)
    log_probs = logits.log_softmax(-1, dtype=dtype)
    probs = log_probs.exp()
    first, second = probs
    ratios = log_probs[0] - log_probs[1]
    ahead, back = (first * ratios).sum(-1, keepdim=True), -(second * ratios).sum(-1, keepdim=True)
    wanted = targets.expand(2, -1)[..., None]
    weights = torch.tensor(shares, dtype=dtype, device=logits.device)
    nll = -log_probs.gather(-1, wanted).sum((1, 2)) @ weights
    smoothed = (1 - label_smoothing) * nll - label_smoothing * (log_probs.mean(-1).sum(1) @ weights)

    grads = (probs - label_smoothing / logits.size(-1)) * weights[:, None, None]
    grads.scatter_add_(-1, wanted, (weights * (label_smoothing - 1))[:, None, None].expand(wanted.shape))
    grads[0] += forward * first * (ratios - ahead) + backward * (first - second)
    grads[1] += forward * (second - first) - backward * second * (ratios + back)
    logits.copy_(grads)

    ahead, back = ahead.sum(), back.sum()
    divergence = (ahead + back) / 2 if consistency.kind == "rdrop" else ahead
    return torch.stack([smoothed + forward * ahead + backward * back, nll, divergence])


def _weights(consistency: Consistency) -> tuple[tuple[float, float], float, float]:
    """Of the cross-entropy of both passes, of KL(p‖q) and of KL(q‖p) in what is minimised."""
    if consistency.kind == "rdrop":
        return (0.5, 0.5), consistency.weight / 4, consistency.weight / 4
    return (1.0, 0.0), consistency.weight, 0.0
