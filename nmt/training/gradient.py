"""The gradient of a batch, computed in parts: one for each worker, and more where memory is short."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from nmt.config.schema import TrainingConfig
from nmt.corpus.batching import Batch, mix_seeds
from nmt.errors import ResourceError
from nmt.hardware import is_out_of_memory
from nmt.model import Transformer
from nmt.model.dropout import seeded
from nmt.training.consistency import Consistency
from nmt.training.loss import batch_loss
from nmt.training.optimizer import trained
from nmt.training.working import WorkingNetwork
from nmt.workers import Workers

LEAST_TOKENS = 1024  # for a worker; products of fewer rows are too small to keep a core busy
MOST_WORKERS = 8  # each holds a gradient of its own


@dataclass(frozen=True)
class Gradient:
    """What there is to tell about a gradient; itself it stands in the parameters."""

    nll: float  # of the batch, in nats
    divergence: float  # of both predictions for it, in nats; see `nmt.training.consistency`
    num_parts: int  # that a worker or a rank computes one after the other, at most
    left_out: tuple[int, ...] = ()  # rows whose pairs do not fit into memory, not even alone
    num_workers: int = 1


class ComputeGradient(Protocol):
    """Puts the gradient of the loss per target token into the parameters' `.grad`."""

    def __call__(self, batch: Batch, *, step: int, num_parts: int) -> Gradient:
        """The batch is cut into so many parts for each worker."""


def parts_each(training: TrainingConfig, num_sharers: int) -> int:
    """Into how many parts each of so many workers or ranks cuts its share of a batch; one if that is open."""
    micro_batch = training.batch_tokens if training.micro_batch == "auto" else training.micro_batch
    return math.ceil(training.batch_tokens / (num_sharers * micro_batch))


def compute_gradient(
    working: WorkingNetwork,
    batch: Batch,
    *,
    training: TrainingConfig,
    workers: Workers,
    step: int,
    num_parts: int = 1,
) -> Gradient:
    """Put the gradient of the loss per target token into `.grad` of the master's parameters.

    The batch is cut into `num_parts` parts for each worker, and into twice as many whenever memory runs out.
    Parts change the gradient by no more than what is dropped, which is a function of seed, step and number
    of the part. Raises ResourceError if not even one of the pairs fits.
    """
    working.master.zero_grad()
    working.refresh()
    num_pairs = len(batch.src_tokens)
    add_up = partial(_add_up, working.network, training=training, num_tokens=batch.num_tokens, step=step)
    while True:
        parts = list(enumerate(batch.split(num_parts * workers.num_workers)))
        shares = [parts[i :: workers.num_workers] for i in range(workers.num_workers)]
        total = _sum_of(workers.map(add_up, shares))
        if not total.missing:
            break
        total.gradients = ()  # makes room
        if len(parts) == num_pairs:  # what is left to try is one pair after the other
            num_parts, total = num_pairs, add_up(parts, goes_on=True)
            break
        num_parts *= 2
    if len(total.missing) == num_pairs:
        raise ResourceError(
            f"out of memory: not even one pair of {batch.src_tokens.size(1):,} source and "
            f"{batch.tgt_out.size(1):,} target pieces fits; try a smaller model, or a smaller data.max_length"
        )
    for parameter, gradient in zip(trained(working.master), total.gradients, strict=True):
        parameter.grad = gradient
    return Gradient(total.nll, total.divergence, num_parts, tuple(total.missing), workers.num_workers)


@dataclass
class _Sum:
    """Gradients, one for each trained parameter, and what else there is to tell of some parts of a batch."""

    nll: float = 0.0
    divergence: float = 0.0
    gradients: tuple[Tensor, ...] = ()
    missing: list[int] = field(default_factory=list)  # numbers of the parts that did not fit

    def add(self, other: "_Sum") -> None:
        """Add the sum of other parts, whose tensors may be used up."""
        self.nll += other.nll
        self.divergence += other.divergence
        self.missing += other.missing
        if self.gradients and other.gradients:
            torch._foreach_add_(self.gradients, other.gradients)
        else:
            self.gradients = self.gradients or other.gradients


def _sum_of(shares: Iterable[_Sum]) -> _Sum:
    total = _Sum()
    for share in shares:
        total.add(share)
    return total


def _add_up(
    network: Transformer,
    parts: Iterable[tuple[int, Batch]],
    *,
    training: TrainingConfig,
    num_tokens: int,
    step: int,
    goes_on: bool = False,
) -> _Sum:
    """The share of numbered parts in the gradient of a batch of so many tokens.

    It ends with the first part that does not fit into memory, unless it `goes_on` to the next one.
    """
    total = _Sum()
    for number, part in parts:
        try:
            with seeded(mix_seeds(training.seed, step, number), part.src_tokens.device):
                total.add(_part_gradient(network, part, training=training, num_tokens=num_tokens))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            total.missing.append(number)
            if not goes_on:
                return total
    return total


def _part_gradient(network: Transformer, part: Batch, *, training: TrainingConfig, num_tokens: int) -> _Sum:
    loss = batch_loss(
        network,
        part,
        label_smoothing=training.label_smoothing,
        reconstruction=training.reconstruction,
        consistency=Consistency.of(training),
    )
    gradients = torch.autograd.grad(
        loss.objective / num_tokens,
        trained(network),
        materialize_grads=True,  # zeros for weights that only the reconstruction has a use for
    )
    exact = torch.promote_types(gradients[0].dtype, torch.float32)
    exact_gradients = tuple(gradient.to(exact) for gradient in gradients)
    return _Sum(float(loss.nll), float(loss.divergence), exact_gradients)


def make_workers(device: torch.device, training: TrainingConfig) -> Workers:
    """Workers that keep most cores of the CPU busy, as long as each has enough to do; on a GPU one."""
    num_cores = torch.get_num_threads()
    most = min(num_cores, training.batch_tokens // LEAST_TOKENS, MOST_WORKERS)
    if device.type != "cpu" or most < 2:
        return Workers()
    return Workers(max(range(2, most + 1), key=lambda number: (number * (num_cores // number), number)))
