"""What is measured before the first step, and how many steps fit into a budget of time."""

import copy
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice

import torch

from nmt.config.schema import Config, TrainingConfig
from nmt.corpus.batching import Batch
from nmt.model import Transformer
from nmt.training.data import TrainingData
from nmt.training.loss import batch_loss
from nmt.training.optimizer import make_optimizer
from nmt.training.state import Progress

MEASURED_BATCHES = 4
WARM_UP_BATCHES = 2
SHARE_FOR_STEPS = 0.85  # of a budget; the rest is for evaluation and the last look
SHARE_AT_END = 0.04  # of a budget, kept for choosing the alignment layer and writing the model
EVALUATIONS = 10  # with a budget
MIN_EVAL_STEPS, MAX_EVAL_STEPS = 500, 5000


def freeze(
    config: Config, network: Transformer, data: TrainingData, *, elapsed: float
) -> tuple[Config, list[str]]:
    """Decide what was left open, `elapsed` seconds after the start: vocabulary, precision, steps, looks.

    Returns the configuration to keep and, in words, what was measured.
    """
    start = time.perf_counter()
    training, notes = config.training, []
    device = network.tgt_embedding.weight.device
    batches = list(islice(data.train_batches(training, epoch=1, start=0, device=device), MEASURED_BATCHES))
    if training.precision == "auto":
        training, note = _choose_precision(training, network, batches)
        notes.append(note)
    if training.budget:
        step_seconds = measure_step(network, batches, training)
        measuring = time.perf_counter() - start
        usable = SHARE_FOR_STEPS * training.budget - elapsed - measuring
        max_steps = min(training.max_steps, max(1, int(usable / step_seconds)))
        schedule = "cosine" if training.schedule == "inverse-sqrt" else training.schedule
        training = replace(training, max_steps=max_steps, schedule=schedule)
        notes.append(f"a step takes {step_seconds:.3g} s, so the budget allows about {max_steps:,} steps")
    if not training.eval_steps:
        training = replace(training, eval_steps=_eval_steps(training, data.num_batches(training)))
    tokenizer = replace(config.tokenizer, vocab_size=data.src_tokenizer.vocab_size)
    return replace(config, tokenizer=tokenizer, training=training), notes


def replan(progress: Progress, training: TrainingConfig) -> int:
    """Steps that fit into the budget at the pace so far, evaluations included."""
    left = training.budget * (1 - SHARE_AT_END) - progress.seconds
    return max(progress.step, progress.step + int(left * progress.step / progress.seconds))


def measure_step(network: Transformer, batches: list[Batch], training: TrainingConfig) -> float:
    """Seconds of an optimiser step on a copy of the network, averaged over the batches."""
    network = copy.deepcopy(network).train()
    optimizer = make_optimizer(network, training)

    def run(batches: Iterator[Batch]) -> None:
        for batch in batches:
            optimizer.zero_grad()
            loss = batch_loss(
                network, batch, label_smoothing=training.label_smoothing, precision=training.precision
            )
            torch.autograd.backward(loss.smoothed / batch.num_tokens)
            optimizer.step()
        if network.tgt_embedding.weight.is_cuda:
            torch.cuda.synchronize()

    run(islice(cycle(batches), WARM_UP_BATCHES))
    start = time.perf_counter()
    run(iter(batches))
    return (time.perf_counter() - start) / len(batches)


def _choose_precision(
    training: TrainingConfig, network: Transformer, batches: list[Batch]
) -> tuple[TrainingConfig, str]:
    """bfloat16 where a step is at least a tenth faster with it, else float32."""
    full, half = replace(training, precision="float32"), replace(training, precision="bfloat16")
    device = network.tgt_embedding.weight.device.type
    if device == "mps" or (device == "cuda" and not torch.cuda.is_bf16_supported()):
        return full, "float32: this device has no fast bfloat16"
    full_seconds, half_seconds = (measure_step(network, batches, each) for each in (full, half))
    note = f"a step takes {full_seconds:.3g} s in float32, {half_seconds:.3g} s in bfloat16"
    return (half if half_seconds < 0.9 * full_seconds else full), note


def _eval_steps(training: TrainingConfig, batches_per_epoch: int) -> int:
    if training.budget:
        return max(1, training.max_steps // EVALUATIONS)
    return min(max(batches_per_epoch, MIN_EVAL_STEPS), MAX_EVAL_STEPS, training.max_steps)
