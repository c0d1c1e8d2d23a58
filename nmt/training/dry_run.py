"""What a training would be like, measured without writing anything: size, pace, memory, disk."""

import time
from dataclasses import dataclass

import torch

from nmt.checkpoint import build_network
from nmt.config.schema import Config
from nmt.hardware import describe, peak_memory, use_device
from nmt.training.data import prepare
from nmt.training.plan import freeze, measure_step, some_batches
from nmt.training.report import DataReport
from nmt.training.run import checkpoint_bytes


@dataclass(frozen=True)
class DryRun:
    """The facts of a training that was only looked at."""

    data: DataReport
    device: str
    precision: str
    num_parameters: int
    tokens_per_epoch: int  # real target tokens, EOS included
    steps_per_epoch: int
    max_steps: int
    tokens_per_second: float
    seconds: float  # for all the steps; evaluations come on top
    memory_bytes: int  # most that was used while measuring, by the device or else by the process
    disk_bytes: int  # for the checkpoints and the model


def dry_run(config: Config) -> DryRun:
    """Do everything that comes before the first step of a training, and a few steps on a copy of the network.

    Raises what `train` raises for bad text and bad options.
    """
    started = time.perf_counter()
    device = use_device(config.training.device, threads=config.training.threads)
    data = prepare(config)
    torch.manual_seed(config.training.seed)
    network = build_network(config, data.src_tokenizer, data.tgt_tokenizer).to(device)
    config, _ = freeze(config, network, data, elapsed=time.perf_counter() - started)
    training = config.training
    batches = some_batches(data, training, device)
    step_seconds = measure_step(network, batches, training)
    num_parameters = sum(parameter.numel() for parameter in network.parameters())
    tokens_per_step = sum(batch.num_tokens for batch in batches) / len(batches)
    steps_per_epoch = data.num_batches(training)
    max_steps = min(training.max_steps, (training.max_epochs or training.max_steps) * steps_per_epoch)
    return DryRun(
        data=data.report,
        device=describe(device),
        precision=training.precision,
        num_parameters=num_parameters,
        tokens_per_epoch=int(data.corpus.tgt_lengths.sum()) + len(data.corpus),
        steps_per_epoch=steps_per_epoch,
        max_steps=max_steps,
        tokens_per_second=tokens_per_step / step_seconds,
        seconds=max_steps * step_seconds,
        memory_bytes=peak_memory(device),
        disk_bytes=checkpoint_bytes(num_parameters, training.keep_checkpoints),
    )
