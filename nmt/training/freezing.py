"""What a configuration leaves open, decided before the first step by text, machine and budget."""

import math
import time
from dataclasses import dataclass, replace

import torch

from nmt.config.presets import dropout
from nmt.config.schema import Config, DataConfig, TrainingConfig
from nmt.corpus.batching import Batch
from nmt.errors import ConfigError
from nmt.model import Transformer
from nmt.training.data import TrainingData
from nmt.training.gradient import make_workers
from nmt.training.plan import SHARE_FOR_STEPS, planned_steps
from nmt.training.rehearsal import (
    Rehearsal,
    cost_of_bfloat16,
    measure_step,
    parts_that_fit,
    some_batches,
)

FEWEST_STEPS = 50  # that a budget has to have room for
EVALUATIONS = 10  # with a budget, unless they take too long
MIN_EVAL_STEPS, MAX_EVAL_STEPS = 500, 5000  # without
SLOW = 1.5  # times as long products take in bfloat16: a step is not worth measuring
CPU_MICRO_BATCH = 4096  # tokens; with more at once a core is not faster


def is_open(config: Config) -> bool:
    """Whether there is something left to measure or to choose."""
    training = config.training
    return (
        "auto" in (config.model.dropout, training.precision, training.micro_batch) or not training.eval_steps
    )


@dataclass(frozen=True)
class Frozen:
    """A configuration in which nothing is open any more, and what was measured for it."""

    config: Config
    notes: tuple[str, ...] = ()  # what was measured, in words
    step_seconds: float = 0.0  # of an optimiser step; 0 if there was no need to know


def freeze(
    config: Config, network: Transformer, data: TrainingData, *, elapsed: float, num_ranks: int = 1
) -> Frozen:
    """Decide what was left open, `elapsed` seconds after the start.

    That is threads, the size of the vocabulary, the languages of tags, precision, micro-batch, steps, and
    dropout, which the network does not have yet.

    Raises ConfigError if the budget is too short to train anything.
    """
    start = time.perf_counter()
    training, notes = config.training, []
    device = network.tgt_embedding.weight.device
    training = replace(training, threads=training.threads or torch.get_num_threads())
    if training.micro_batch == "auto" and device.type == "cpu":
        training = replace(training, micro_batch=_cpu_micro_batch(training, num_ranks))
    batches, step_seconds = some_batches(data, training, device), 0.0
    batches = [batch.split(num_ranks)[0] for batch in batches]  # what each rank has to compute
    if training.precision == "auto":
        training, step_seconds, note = _choose_precision(training, network, batches)
        notes.append(note)
    if training.micro_batch == "auto":
        training = replace(training, micro_batch=_fit(network, data, training, num_ranks=num_ranks))
    if training.budget:
        step_seconds = step_seconds or measure_step(network, batches, training)
        elapsed += time.perf_counter() - start
        max_steps = min(training.max_steps, _steps_in_budget(training, elapsed, step_seconds))
        schedule = "cosine" if training.schedule == "inverse-sqrt" else training.schedule
        training = replace(training, max_steps=max_steps, schedule=schedule)
        notes.append(f"a step takes {step_seconds:.3g} s, so about {max_steps:,} fit into the budget")
    if not training.eval_steps:
        training = replace(training, eval_steps=_eval_steps(training, data))
    model, tokenizer = config.model, replace(config.tokenizer, vocab_size=data.src_tokenizer.vocab_size)
    if model.dropout == "auto":
        steps_per_epoch = data.num_batches(training)
        num_passes = planned_steps(training, steps_per_epoch) / steps_per_epoch
        model = replace(model, dropout=dropout(data.report.num_kept, num_passes))
    config = Config(
        _with_languages(config.data), tokenizer, model, training, config.decoding, config.alignment
    )
    return Frozen(config, tuple(notes), step_seconds)


def _with_languages(data: DataConfig) -> DataConfig:
    """The languages that tags name, written down: the files may have other names when the run goes on."""
    if not data.bidirectional:
        return data
    src, tgt = data.languages
    return replace(data, src_lang=src, tgt_lang=tgt)


def _steps_in_budget(training: TrainingConfig, elapsed: float, step_seconds: float) -> int:
    num_steps = int((SHARE_FOR_STEPS * training.budget - elapsed) / step_seconds)
    if num_steps < min(FEWEST_STEPS, training.max_steps):
        needed = (elapsed + FEWEST_STEPS * step_seconds) / SHARE_FOR_STEPS
        raise ConfigError(
            f"training.budget: {training.budget:g} s have room for {max(0, num_steps)} steps of "
            f"{step_seconds:.2g} s after {elapsed:.3g} s of preparation; expected at least {FEWEST_STEPS}; "
            f"give --budget {math.ceil(needed)}s or, to learn something, many times more"
        )
    return num_steps


def _choose_precision(
    training: TrainingConfig, network: Transformer, batches: list[Batch]
) -> tuple[TrainingConfig, float, str]:
    """bfloat16 where a step is at least a tenth faster with it, else float32; and the seconds of a step."""
    full, half = replace(training, precision="float32"), replace(training, precision="bfloat16")
    device = network.tgt_embedding.weight.device
    if device.type == "mps" or (device.type == "cuda" and not torch.cuda.is_bf16_supported()):
        return full, 0.0, "this device has no fast bfloat16"
    if device.type == "cpu" and (times := cost_of_bfloat16()) > SLOW:
        return full, 0.0, f"products take {times:.1f} times as long in bfloat16 as in float32"
    full_seconds, half_seconds = (measure_step(network, batches, each) for each in (full, half))
    note = f"a step takes {full_seconds:.3g} s in float32, {half_seconds:.3g} s in bfloat16"
    if half_seconds < 0.9 * full_seconds:
        return half, half_seconds, note
    return full, full_seconds, note


def _fit(network: Transformer, data: TrainingData, training: TrainingConfig, *, num_ranks: int) -> int:
    """Tokens to compute at once: the share of a worker or a rank, if memory has room for it."""
    device = network.tgt_embedding.weight.device
    shares = [batch.split(num_ranks)[0].to(device) for batch in data.batches_of_all_kinds(training)]
    num_parts = parts_that_fit(Rehearsal(network, training), shares)
    if device.type == "cuda":
        torch.cuda.empty_cache()  # leaves room for what others hold there
    return math.ceil(training.batch_tokens / (num_ranks * num_parts))


def _cpu_micro_batch(training: TrainingConfig, num_ranks: int) -> int:
    """Tokens to compute at once on a CPU: no more than are of use, whatever there is of memory."""
    workers = make_workers(torch.device("cpu"), training)
    num_sharers = num_ranks if num_ranks > 1 else workers.num_workers
    return min(CPU_MICRO_BATCH, math.ceil(training.batch_tokens / num_sharers))


def _eval_steps(training: TrainingConfig, data: TrainingData) -> int:
    if training.budget:
        return max(1, training.max_steps // EVALUATIONS)
    return min(max(data.num_batches(training), MIN_EVAL_STEPS), MAX_EVAL_STEPS, training.max_steps)
