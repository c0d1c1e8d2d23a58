"""The gradient of a batch on several ranks, each with a replica of the network (DDP) or a shard (FSDP2)."""

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.futures import Future

from nmt.config.schema import TrainingConfig
from nmt.corpus.batching import Batch, mix_seeds
from nmt.errors import ResourceError
from nmt.hardware import is_out_of_memory
from nmt.model import Transformer
from nmt.model.dropout import seeded
from nmt.model.layers import DecoderLayer
from nmt.training.consistency import Consistency
from nmt.training.distributed import Ranks
from nmt.training.gradient import Gradient
from nmt.training.loss import batch_loss
from nmt.training.optimizer import trained
from nmt.training.working import WorkingNetwork

if TYPE_CHECKING:
    from torch._C._distributed_c10d import GradBucket

BYTES_PER_PARAMETER = 20  # float32: weight, gradient, two moments, average
SHARE_OF_MEMORY = 0.5  # of a device that these may take; the other half is for what a batch needs


class PartLoss(nn.Module):
    """The loss of a part of a batch as one module, which is what DDP and FSDP2 take."""

    def __init__(self, network: Transformer, training: TrainingConfig) -> None:
        super().__init__()
        self.network = network
        self.training_config = training

    def forward(self, part: Batch) -> tuple[Tensor, Tensor]:
        """What is minimised, and (2,) the negative log-likelihood and the divergence; sums over the part."""
        loss = batch_loss(
            self.network,
            part,
            label_smoothing=self.training_config.label_smoothing,
            reconstruction=self.training_config.reconstruction,
            consistency=Consistency.of(self.training_config),
        )
        return loss.objective, torch.stack([loss.nll, torch.as_tensor(loss.divergence).to(loss.nll)])


class SharedGradient:
    """Computes this rank's parts of a batch, and sums them with those of the others.

    Both DDP and FSDP2 reduce the gradient of one layer while that of the next one is being computed.
    """

    def __init__(
        self, network: Transformer, training: TrainingConfig, ranks: Ranks, *, in_shards: bool
    ) -> None:
        self.network = network
        self.training = training
        self.ranks = ranks
        # shards are put together in the precision of the products, replicas work with a copy in it
        self.working = WorkingNetwork(network, "float32" if in_shards else training.precision)
        loss = PartLoss(self.working.network, training)
        self.module: Callable[[Batch], tuple[Tensor, Tensor]]
        self.unless_last: Callable[[], AbstractContextManager[None]] = nullcontext
        if in_shards:
            _shard(loss)  # a part is reduced at once, so that no rank ever holds the whole gradient
            self.module = loss
        else:
            replica = nn.parallel.DistributedDataParallel(
                loss,
                gradient_as_bucket_view=True,
                find_unused_parameters=not training.reconstruction,  # for which some weights are there
            )
            self.module = replica
            if self.working.network is network:
                self.unless_last = replica.no_sync
            else:  # parts are reduced one by one, and summed by the master
                replica.register_comm_hook(None, lambda _, bucket: _mean_in_float32(bucket))

    def __call__(self, batch: Batch, *, step: int, num_parts: int) -> Gradient:
        """Put the gradient of the loss per target token into the parameters' `.grad`.

        The batch is dealt out in `num_parts` parts for each rank, as it would be to as many workers. Raises
        ResourceError if a part does not fit into memory: what a rank computes then the others would wait for.
        """
        self.network.zero_grad()
        self.working.refresh()
        parts = batch.split(num_parts * self.ranks.world_size)
        nll = divergence = 0.0
        for first in range(0, len(parts), self.ranks.world_size):
            is_last = first + self.ranks.world_size >= len(parts)
            number = first + self.ranks.rank
            # without a part left, a rank joins in with one that does not count
            share = 1.0 if number < len(parts) else 0.0
            with nullcontext() if is_last else self.unless_last():
                told = self._add(parts[number if share else 0], number, share / batch.num_tokens, step)
                nll, divergence = nll + share * told[0], divergence + share * told[1]
            self.working.hand_over()
        for parameter in trained(self.network):
            if parameter.grad is None:  # no rank has used it
                parameter.grad = torch.zeros_like(parameter)
        return Gradient(self.ranks.sum(nll), self.ranks.sum(divergence), num_parts)

    def _add(self, part: Batch, number: int, scale: float, step: int) -> list[float]:
        """Add the gradient of a part, times `scale`; returns its negative log-likelihood and divergence."""
        try:
            with seeded(mix_seeds(self.training.seed, step, number), part.src_tokens.device):
                objective, told = self.module(part)
                torch.autograd.backward(objective * scale * self.ranks.world_size)  # both take the mean
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise ResourceError(
                f"out of memory: a part of {part.num_tokens:,} target tokens does not fit; give the same "
                f"command with --override training.micro_batch={self._half()}"
            ) from error
        return cast(list[float], told.tolist())

    def _half(self) -> int:
        """Half of what was computed at once."""
        whole = self.training.micro_batch
        return max(1, (self.training.batch_tokens if whole == "auto" else whole) // 2)


def _mean_in_float32(bucket: "GradBucket") -> Future[Tensor]:
    """The mean over all ranks of gradients in bfloat16, rounded once, when they are summed."""
    from torch import distributed

    gradients = bucket.buffer().float() / distributed.get_world_size()
    reduced = distributed.all_reduce(gradients, async_op=True).get_future()
    return cast("Future[Tensor]", reduced.then(lambda done: done.value()[0].to(bucket.buffer().dtype)))


def _shard(loss: PartLoss) -> None:
    """Leave each rank a share of every weight; a layer is put together while it computes."""
    from torch import distributed
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    # keys and values are computed outside of their layer; nobody changes them in place
    warnings.filterwarnings("ignore", message=r"FSDP2-wrapped module \(FSDPLinear\) returned a view")
    network = loss.network
    mesh = init_device_mesh(network.tgt_embedding.weight.device.type, (distributed.get_world_size(),))
    dtype = getattr(torch, loss.training_config.precision)
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32)
    for layer in network.encoder:
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    for layer in network.decoder:
        attention = cast(DecoderLayer, layer).cross_attention
        for part in (attention.key_value_proj, attention.key_norm):
            if list(part.parameters()):
                fully_shard(part, mesh=mesh, mp_policy=policy)
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(loss, mesh=mesh, mp_policy=policy)


def needs_shards(training: TrainingConfig, num_parameters: int, device: torch.device) -> bool:
    """Whether a network of so many parameters is to be sharded: if asked for, or too large for the device."""
    if training.sharding != "auto" or device.type != "cuda" or training.optimizer == "muon":
        return training.sharding == "full"
    memory = torch.cuda.get_device_properties(device).total_memory
    return BYTES_PER_PARAMETER * num_parameters > SHARE_OF_MEMORY * memory
