"""Label-smoothed cross-entropy over the real target positions of a batch."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nmt.corpus.batching import Batch
from nmt.model import Transformer
from nmt.tokenizer import PAD_ID


@dataclass(frozen=True)
class BatchLoss:
    """Sums over the target tokens of a batch, EOS included."""

    smoothed: Tensor  # scalar with gradient: what is minimised
    nll: Tensor  # scalar: negative log-likelihood in nats
    num_tokens: int


def batch_loss(network: Transformer, batch: Batch, *, label_smoothing: float, precision: str) -> BatchLoss:
    """Loss of one batch, summed over its tokens; matrix products run in `precision`.

    Smoothing ε spreads the mass ε evenly over the whole vocabulary (Szegedy et al., 2016):
    (1 - ε) · -log p(y) + ε · mean over v of -log p(v).
    """
    device = batch.src_tokens.device.type
    with torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
        states = network(batch.src_tokens, batch.tgt_in)  # (B, T, D)
        real = batch.tgt_out != PAD_ID
        logits = network.logits(states[real])  # (N, V): no product is spent on padding
    log_probs = logits.log_softmax(-1, dtype=torch.float32)  # bf16 loses the tail of thousands of pieces
    nll = functional.nll_loss(log_probs, batch.tgt_out[real], reduction="sum")
    smoothed = (1 - label_smoothing) * nll - label_smoothing * log_probs.mean(-1).sum()
    return BatchLoss(smoothed, nll.detach(), batch.num_tokens)
