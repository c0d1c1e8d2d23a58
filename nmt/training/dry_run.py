"""What a training would be like, measured without writing anything: size, pace, memory, disk."""

import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import torch

from nmt.checkpoint import serialize, weights
from nmt.config.schema import Config, TrainingConfig
from nmt.errors import OutputError
from nmt.hardware import describe, peak_memory, use_device
from nmt.model import Transformer
from nmt.training.choices import choices
from nmt.training.data import SAMPLE_PAIRS, TrainingData, data_hash, prepare
from nmt.training.freezing import Frozen, freeze, is_open
from nmt.training.initial import initial_network, initial_tokenizers, requested
from nmt.training.lock import is_locked
from nmt.training.plan import plan_links, planned_steps
from nmt.training.rehearsal import Rehearsal, measure_step, some_batches
from nmt.training.report import DataReport
from nmt.training.run import Run, checkpoint_bytes
from nmt.training.tensorboard import EventFile


@dataclass(frozen=True)
class DryRun:
    """The facts of a training that was only looked at."""

    data: DataReport
    choices: tuple[str, str, str]  # what was chosen, and why
    device: str
    precision: str
    num_parameters: int
    tokens_per_epoch: int  # real target tokens, EOS included
    steps_per_epoch: int
    max_steps: int
    tokens_per_second: float
    seconds: float  # for all the steps; evaluations come on top
    link_pairs: int  # that links are learnt from after all the steps
    link_seconds: float  # about, for that
    memory_bytes: int  # about what training takes at most, of the device or else of the process
    disk_bytes: int  # for the checkpoints and the model


def dry_run(
    config: Config, model_dir: Path, *, restart: bool = False, allowed_changes: Collection[str] = ()
) -> DryRun:
    """Do everything that comes before the first step of a training, and a few steps on a copy of the network.

    Raises what `train` raises for bad text, bad options, and a folder in which it would not train.
    """
    started = time.perf_counter()
    run = Run(model_dir, requested(config, model_dir), data_hash(config))
    before = _run_to_resume(run, config, restart=restart, allowed_changes=allowed_changes)
    options = before or config
    device = use_device(options.training.device, threads=options.training.threads)
    data = prepare(options, tokenizer_dir=run.train_dir if before else initial_tokenizers(options))
    if before is None or is_open(options):
        frozen = freeze(options, data, device, elapsed=time.perf_counter() - started)
    else:
        frozen = Frozen(options, initial_network(options, data.tokenizers, device))
    network = frozen.network
    training = frozen.config.training
    batches = some_batches(data, training, device)
    step_seconds = frozen.step_seconds or measure_step(network, batches, training)
    num_parameters = sum(parameter.numel() for parameter in network.parameters())
    disk_bytes = checkpoint_bytes(num_parameters, training.keep_checkpoints)
    run.check_space(disk_bytes)
    _use_memory(network, data, training, device)
    tokens_per_step = sum(batch.num_tokens for batch in batches) / len(batches)
    steps_per_epoch = data.num_batches(training)
    max_steps = planned_steps(training.max_steps, training.max_epochs, steps_per_epoch)
    link_plan = plan_links(
        training,
        num_pairs=data.report.num_kept,
        epochs=max_steps / steps_per_epoch * data.report.num_in_epoch / data.report.num_kept,
        num_tokens=round(max_steps * tokens_per_step),
        train_seconds=max_steps * step_seconds,
        most=SAMPLE_PAIRS,
        has_head=config.alignment.head,
        num_directions=1 + config.data.bidirectional,
    )
    return DryRun(
        data=data.report,
        choices=choices(frozen.config, data.report, run.requested, steps_per_epoch=steps_per_epoch),
        device=describe(device),
        precision=training.precision,
        num_parameters=num_parameters,
        tokens_per_epoch=data.num_epoch_tokens(training),
        steps_per_epoch=steps_per_epoch,
        max_steps=max_steps,
        tokens_per_second=tokens_per_step / step_seconds,
        seconds=max_steps * step_seconds,
        link_pairs=link_plan.num_pairs,
        link_seconds=link_plan.seconds,
        memory_bytes=peak_memory(device),
        disk_bytes=disk_bytes,
    )


def _run_to_resume(
    run: Run, config: Config, *, restart: bool, allowed_changes: Collection[str]
) -> Config | None:
    """The configuration of the run that training would go on with; refuses what training would refuse."""
    if config.training.tensorboard:
        EventFile(run.model_dir)
    run.check_place()
    if is_locked(run.train_dir):
        raise OutputError(f"{run.model_dir}: another process is training there now; try again later")
    if restart:
        return None
    run.finished_manifest()
    return run.resume(config, allowed_changes) if run.is_begun else None


def _use_memory(
    network: Transformer, data: TrainingData, training: TrainingConfig, device: torch.device
) -> None:
    """Take once what training takes at its peaks: for batches of all kinds, and for a checkpoint."""
    rehearsal = Rehearsal(network, training)
    for batch in data.batches_of_all_kinds(training):
        rehearsal.step(batch.to(device))
    rehearsal.wait()
    tensors = weights(network)  # each moment is as large
    serialize({f"{part}/{name}": tensor.clone() for part in (1, 2) for name, tensor in tensors.items()})
