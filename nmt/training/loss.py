"""What is minimised: smoothed cross-entropy, of one pass or two, and what shapes the alignment layer."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.corpus.batching import Batch
from nmt.model import EncoderOut, Transformer
from nmt.model.transformer import DecoderOut
from nmt.tokenizer import BOS_ID, EOS_ID, PAD_ID, SEPARATOR_ID
from nmt.training.consistency import Consistency, consistent_cross_entropy, seen
from nmt.training.cross_entropy import cross_entropy

# B pairs, S source and T target length, D d_model, V vocabulary, N and M real target and source positions

TELL_EVERY = 4  # one piece in so many is told from the other side: nearly as good, for much less work
SOURCE_SHARE = 0.5  # weight of telling source pieces from target pieces, beside the other way round


@dataclass(frozen=True)
class BatchLoss:
    """Sums over the target tokens of a batch, EOS included."""

    objective: Tensor  # scalar with gradient: what is minimised
    nll: Tensor  # scalar: negative log-likelihood in nats
    num_tokens: int
    divergence: Tensor | float = 0.0  # scalar: of the predictions of two passes, in nats


def batch_loss(
    network: Transformer,
    batch: Batch,
    *,
    label_smoothing: float,
    reconstruction: float,
    consistency: Consistency | None = None,
) -> BatchLoss:
    """Loss of one batch, summed over its tokens: `cross_entropy` and, weighed, `reconstruction_loss`.

    With `consistency` it is `consistent_cross_entropy` of two passes, of which the first is reconstructed.
    """
    layer = network.config.alignment_layer - 1
    source, target = _passes(network, batch, consistency, [layer] if reconstruction else [])
    real = batch.tgt_out != PAD_ID  # (B, T)
    targets, weight = batch.tgt_out[real], network.out_proj.weight
    divergence: Tensor | float = 0.0
    if consistency is None:
        states = target.states[real]  # (N, D): no product is spent on padding
        objective, nll = cross_entropy(states, weight, targets, label_smoothing=label_smoothing)
    else:
        states = target.states[real.repeat(2, 1)]  # (2N, D)
        objective, nll, divergence = consistent_cross_entropy(
            states, weight, targets, label_smoothing=label_smoothing, consistency=consistency
        )
    if reconstruction:
        num_pairs = len(batch.src_tokens)
        first = EncoderOut(source.states[:num_pairs], source.mask[:num_pairs])
        attention = target.attention[layer][:num_pairs].mean(1)  # (B, T, S)
        objective = objective + reconstruction * reconstruction_loss(network, batch, first, attention)
    return BatchLoss(objective, nll, batch.num_tokens, divergence)


def _passes(
    network: Transformer, batch: Batch, consistency: Consistency | None, attention_layers: list[int]
) -> tuple[EncoderOut, DecoderOut]:
    """What the network makes of a batch, or, as a batch of twice the size, of both passes over it."""
    if consistency is None:
        source = network.encode(batch.src_tokens)
        return source, network.decode(batch.tgt_in, source, attention_layers=attention_layers)
    src_seen, tgt_seen = seen(batch, consistency, network.tgt_embedding.weight.dtype)
    source = network.encode(batch.src_tokens.repeat(2, 1), seen=src_seen)
    target = network.decode(
        batch.tgt_in.repeat(2, 1), source, attention_layers=attention_layers, seen=tgt_seen
    )
    return source, target


def reconstruction_loss(network: Transformer, batch: Batch, source: EncoderOut, attention: Tensor) -> Tensor:
    """How badly `attention` (B, T, S) tells which pieces belong together, summed over the target pieces.

    Row t is the attention of the position that has piece y_t as its input, heads averaged. Two things are
    asked of the same weights: -log p(y_t | encoder states as row t weighs them), and, from the other side,
    -log p(x_s | target embeddings as column s weighs them). Both predictions see nothing but what is
    attended to, so the attention has to find the counterparts, and no source position can draw the
    attention of words that do not explain it. The source-only constraint is from Zenkel et al. (2019), the
    position that has seen its piece from Chen et al. (2020), the two normalisations from Chen et al. (2021).
    """
    tgt_pieces = (batch.tgt_in != PAD_ID) & (batch.tgt_in != BOS_ID)  # (B, T)
    src_pieces = (batch.src_tokens != PAD_ID) & (batch.src_tokens != EOS_ID)  # (B, S)
    src_pieces[:, : batch.num_tags] = False
    src_pieces &= ~_up_to_last(batch.src_tokens == SEPARATOR_ID)  # the context
    columns = attention * tgt_pieces[:, :, None]
    columns = columns / columns.sum(1, keepdim=True).clamp_min(1e-6)  # (B, T, S)
    tgt_told, src_told = _some(batch.tgt_in, tgt_pieces), _some(batch.src_tokens, src_pieces)
    dtype = source.states.dtype
    from_source = attention.to(dtype) @ source.states  # (B, T, D)
    from_target = columns.transpose(1, 2).to(dtype) @ network.embed_target(batch.tgt_in)  # (B, S, D)
    tgt_loss, _ = cross_entropy(from_source[tgt_told], network.out_proj.weight, batch.tgt_in[tgt_told])
    src_loss, _ = cross_entropy(
        network.tgt_to_src(from_target[src_told]), network.src_embedding.weight, batch.src_tokens[src_told]
    )
    return TELL_EVERY * (tgt_loss + SOURCE_SHARE * src_loss)


def _up_to_last(is_there: Tensor) -> Tensor:
    """Whether each place of a row (B, S) is the last that is true, or before it."""
    return is_there.flip(1).cumsum(1).flip(1) > 0


def _some(tokens: Tensor, pieces: Tensor) -> Tensor:
    """About one in `TELL_EVERY` of the true elements of `pieces`, scattered by piece, place and length.

    No random numbers, and nothing of the other rows: the loss of a pair is the same in every batch.
    """
    places = torch.arange(tokens.size(1), device=tokens.device)
    lengths = pieces.sum(1, keepdim=True)
    return pieces & ((31 * tokens + 17 * places + 13 * lengths) // 5 % TELL_EVERY == 0)
