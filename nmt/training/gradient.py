"""The gradient of a batch, computed in as many parts as fit into memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from nmt.config.schema import TrainingConfig
from nmt.corpus.batching import Batch
from nmt.errors import ResourceError
from nmt.hardware import is_out_of_memory
from nmt.model import Transformer
from nmt.training.loss import batch_loss


@dataclass(frozen=True)
class Gradient:
    """What there is to tell about a gradient; itself it stands in the parameters."""

    nll: float  # of the batch, in nats
    num_parts: int  # in which it was computed
    left_out: tuple[int, ...] = ()  # rows whose pairs do not fit into memory, not even alone


def compute_gradient(
    network: Transformer, batch: Batch, training: TrainingConfig, *, num_parts: int
) -> Gradient:
    """Put the gradient of the loss per target token into the parameters' `.grad`.

    If memory runs out, the batch is cut into twice as many parts; the gradient is the same. Raises
    ResourceError if not even one of its pairs fits.
    """
    num_pairs = len(batch.src_tokens)
    while True:
        network.zero_grad()
        nll = _add_gradient(network, batch.split(num_parts), batch.num_tokens, training)
        if nll is not None:
            return Gradient(nll, num_parts)
        if num_parts >= num_pairs:
            return _pair_by_pair(network, batch, training)
        num_parts = min(2 * num_parts, num_pairs)


def _add_gradient(
    network: Transformer, parts: Sequence[Batch], num_tokens: int, training: TrainingConfig
) -> float | None:
    """Add the gradient of all parts; None if memory ran out, which leaves a part of it."""
    nll = 0.0
    try:
        for part in parts:
            loss = batch_loss(
                network,
                part,
                label_smoothing=training.label_smoothing,
                reconstruction=training.reconstruction,
                precision=training.precision,
            )
            torch.autograd.backward(loss.objective / num_tokens)  # by the tokens of the whole batch
            nll += float(loss.nll)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return None
    return nll


def _pair_by_pair(network: Transformer, batch: Batch, training: TrainingConfig) -> Gradient:
    """The gradient of the pairs that fit into memory alone."""
    network.zero_grad()
    nll, num_pairs = 0.0, len(batch.src_tokens)
    left_out: list[int] = []
    for row, pair in enumerate(batch.split(num_pairs)):
        before = [
            parameter.grad.clone() if parameter.grad is not None else None
            for parameter in network.parameters()
        ]
        pair_nll = _add_gradient(network, [pair], batch.num_tokens, training)
        if pair_nll is not None:
            nll += pair_nll
            continue
        left_out.append(row)
        for parameter, gradient in zip(network.parameters(), before, strict=True):
            parameter.grad = gradient
    if len(left_out) == num_pairs:
        raise ResourceError(
            f"out of memory: not even one pair of {batch.src_tokens.size(1):,} source and "
            f"{batch.tgt_out.size(1):,} target pieces fits; try a smaller model, or a smaller data.max_length"
        )
    return Gradient(nll, num_pairs, tuple(left_out))
