"""Cross-entropy over a vocabulary, whose logits become their own gradient in place, block by block."""

# N positions, D d_model, V vocabulary

from typing import Any

import torch
from torch import Tensor

BLOCK = {"cpu": 1 << 19, "cuda": 1 << 26}  # float32 elements at a time; on a CPU what stays in a core's cache


def cross_entropy(
    states: Tensor, weight: Tensor, targets: Tensor, *, label_smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """The smoothed loss and the negative log-likelihood of N positions, summed; logits are states · weightᵀ.

    `states` is (N, D), `weight` (V, D) of the same type, in which the products run; `targets` is (N,).
    Smoothing ε spreads the mass ε evenly over the whole vocabulary (Szegedy et al., 2016):
    (1 - ε) · -log p(y) + ε · mean over v of -log p(v). Only this one has a gradient. The logits (N, V) are
    held once, in the type of the states, and never as a whole in float32.
    """
    has_gradient = torch.is_grad_enabled() and (states.requires_grad or weight.requires_grad)
    inputs = states, weight, targets, label_smoothing, has_gradient
    loss, nll = _CrossEntropy.apply(*inputs)  # type: ignore[no-untyped-call]
    return loss, nll


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, states: Tensor, weight: Tensor, targets: Tensor, label_smoothing: float, has_gradient: bool
    ) -> tuple[Tensor, Tensor]:
        logits = states @ weight.T  # (N, V)
        dtype = torch.promote_types(logits.dtype, torch.float32)
        wanted = logits.gather(1, targets[:, None]).sum(dtype=dtype)
        log_normalizers = _softmax_(logits, targets, share=1 - label_smoothing, replace=has_gradient)
        nll = log_normalizers - wanted
        mean_logits = states.sum(0, dtype=dtype) @ weight.mean(0, dtype=dtype)  # of each position, summed
        loss = (1 - label_smoothing) * nll + label_smoothing * (log_normalizers - mean_logits)
        if has_gradient:
            ctx.save_for_backward(states, weight, logits)
            ctx.uniform = label_smoothing / len(weight)
        ctx.mark_non_differentiable(nll)
        return loss, nll

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor, _: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        # the gradient of the logits is p - (1 - ε) · onehot(y), which they hold now, less ε / V everywhere
        states, weight, grad_logits = ctx.saved_tensors
        states = states * grad_loss
        grad_states = torch.addmm(weight.sum(0), grad_logits, weight, beta=-ctx.uniform) * grad_loss
        grad_weight = torch.addmm(states.sum(0), grad_logits.T, states, beta=-ctx.uniform)
        return grad_states, grad_weight, None, None, None


def rows_at_once(vocab_size: int, device: torch.device) -> int:
    """Positions whose logits are held in float32 at once."""
    return max(1, BLOCK.get(device.type, 1 << 22) // vocab_size)


def _softmax_(logits: Tensor, targets: Tensor, *, share: float, replace: bool) -> Tensor:
    """Sum over positions of log Σ exp z; `replace` puts p - share · onehot(target) in place of z (N, V)."""
    dtype = torch.promote_types(logits.dtype, torch.float32)  # bf16 loses the tail of thousands of pieces
    log_normalizers = logits.new_zeros((), dtype=dtype)
    rows = rows_at_once(logits.size(1), logits.device)
    for start in range(0, len(logits), rows):
        block, wanted = logits[start : start + rows], targets[start : start + rows, None]
        probs = block.softmax(-1, dtype=dtype)
        log_normalizers += (
            block.amax(-1).sum(dtype=dtype) - probs.amax(-1).log().sum()
        )  # z - log p of the best
        if replace:
            block.copy_(probs.scatter_add_(1, wanted, probs.new_full((), -share).expand(wanted.shape)))
    return log_normalizers
