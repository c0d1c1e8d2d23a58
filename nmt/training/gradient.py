"""The gradient of a batch, computed in parts: one for each worker, and more where memory is short."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b

import torch
from torch import Tensor

from nmt.config.schema import TrainingConfig
from nmt.corpus.batching import Batch
from nmt.errors import ResourceError
from nmt.hardware import is_out_of_memory
from nmt.model import Transformer
from nmt.model.dropout import seeded
from nmt.training.loss import batch_loss
from nmt.training.workers import Workers


@dataclass(frozen=True)
class Gradient:
    """What there is to tell about a gradient; itself it stands in the parameters."""

    nll: float  # of the batch, in nats
    num_parts: int  # in which each worker computed its share
    left_out: tuple[int, ...] = ()  # rows whose pairs do not fit into memory, not even alone


def compute_gradient(
    network: Transformer,
    batch: Batch,
    training: TrainingConfig,
    *,
    workers: Workers,
    step: int = 0,
    num_parts: int = 1,
) -> Gradient:
    """Put the gradient of the loss per target token into the parameters' `.grad`.

    Every worker has its share of the pairs and computes it in `num_parts` parts, in twice as many whenever
    memory runs out; the gradient is the same. What is dropped in a part is a function of seed, step and
    number of the part. Raises ResourceError if not even one of the pairs fits.
    """
    num_pairs = len(batch.src_tokens)
    is_pairwise = num_parts >= num_pairs

    def part_of(numbered: tuple[int, Batch]) -> _Sum | None:
        number, part = numbered
        with seeded(_mix(training.seed, step, number), part.src_tokens.device):
            return _part_gradient(network, part, training, num_tokens=batch.num_tokens)

    while True:
        parts = enumerate(batch.split(num_pairs if is_pairwise else num_parts * workers.count))
        total = _add_up(map(part_of, parts) if is_pairwise else workers.map(part_of, parts))
        if is_pairwise or not total.missing:
            break
        num_parts = min(2 * num_parts, num_pairs)
        is_pairwise = num_parts == num_pairs
    if len(total.missing) == num_pairs:
        raise ResourceError(
            f"out of memory: not even one pair of {batch.src_tokens.size(1):,} source and "
            f"{batch.tgt_out.size(1):,} target pieces fits; try a smaller model, or a smaller data.max_length"
        )
    for parameter, gradient in zip(network.parameters(), total.gradients, strict=True):
        parameter.grad = gradient
    return Gradient(total.nll, num_parts, tuple(total.missing))


@dataclass
class _Sum:
    """Gradients, one for each parameter, and negative log-likelihood of some parts."""

    nll: float = 0.0
    gradients: list[Tensor] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)  # numbers of the parts that did not fit


def _part_gradient(
    network: Transformer, part: Batch, training: TrainingConfig, *, num_tokens: int
) -> _Sum | None:
    """The share of a part in the gradient of a batch of so many tokens; None if memory ran out."""
    try:
        loss = batch_loss(
            network,
            part,
            label_smoothing=training.label_smoothing,
            reconstruction=training.reconstruction,
            precision=training.precision,
        )
        gradients = torch.autograd.grad(
            loss.objective / num_tokens, list(network.parameters()), materialize_grads=True
        )
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return None
    return _Sum(float(loss.nll), list(gradients))


def _add_up(parts: Iterable[_Sum | None]) -> _Sum:
    """The sum of all parts, in their order."""
    total = _Sum()
    for number, part in enumerate(parts):
        if part is None:
            total.missing.append(number)
            continue
        total.nll += part.nll
        if total.gradients:
            torch._foreach_add_(total.gradients, part.gradients)
        else:
            total.gradients = part.gradients
    return total


def _mix(*numbers: int) -> int:
    return int.from_bytes(blake2b(" ".join(map(str, numbers)).encode(), digest_size=7).digest())
