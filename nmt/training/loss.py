"""What is minimised: label-smoothed cross-entropy, and the reconstruction that shapes the alignment layer."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nmt.corpus.batching import Batch
from nmt.model import DecoderOut, EncoderOut, Transformer
from nmt.tokenizer import BOS_ID, PAD_ID

# B pairs, S source and T target length, D d_model, V vocabulary, N real target positions


@dataclass(frozen=True)
class BatchLoss:
    """Sums over the target tokens of a batch, EOS included."""

    objective: Tensor  # scalar with gradient: what is minimised
    nll: Tensor  # scalar: negative log-likelihood in nats
    num_tokens: int


def batch_loss(
    network: Transformer, batch: Batch, *, label_smoothing: float, reconstruction: float, precision: str
) -> BatchLoss:
    """Loss of one batch, summed over its tokens; matrix products run in `precision`.

    Smoothing ε spreads the mass ε evenly over the whole vocabulary (Szegedy et al., 2016):
    (1 - ε) · -log p(y) + ε · mean over v of -log p(v). `reconstruction` weighs the second part.
    """
    layer = network.config.alignment_layer - 1
    with torch.autocast(batch.src_tokens.device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
        source = network.encode(batch.src_tokens)
        target = network.decode(batch.tgt_in, source, attention_layers=[layer] if reconstruction else ())
        real = batch.tgt_out != PAD_ID  # (B, T)
        logits = network.logits(target.states[real])  # (N, V): no product is spent on padding
    log_probs = logits.log_softmax(-1, dtype=torch.float32)  # bf16 loses the tail of thousands of pieces
    nll = functional.nll_loss(log_probs, batch.tgt_out[real], reduction="sum")
    objective = (1 - label_smoothing) * nll - label_smoothing * log_probs.mean(-1).sum()
    if reconstruction:
        objective = objective + reconstruction * reconstruction_loss(
            network, batch.tgt_in, source, target, layer=layer, precision=precision
        )
    return BatchLoss(objective, nll.detach(), batch.num_tokens)


def reconstruction_loss(
    network: Transformer,
    tgt_in: Tensor,
    source: EncoderOut,
    target: DecoderOut,
    *,
    layer: int,
    precision: str,
) -> Tensor:
    """-log p(y | what layer `layer` attends to while y is the decoder's input), summed over target pieces.

    The piece is predicted by the output embedding from the encoder's states alone, weighted by the attention
    of that position, heads averaged: to do so the attention must find the source of the piece. It is the
    source-only constraint of Zenkel et al. (2019) put on the position that has seen its piece (Chen et al.,
    2020), so that links can be read there without labels.
    """
    pieces = (tgt_in != PAD_ID) & (tgt_in != BOS_ID)  # (B, T)
    with torch.autocast(tgt_in.device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
        attention = target.attention[layer].mean(1).to(source.states.dtype)  # (B, T, S)
        attended = attention @ source.states  # (B, T, D)
        logits = network.logits(attended[pieces])
    return functional.cross_entropy(logits.float(), tgt_in[pieces], reduction="sum")
