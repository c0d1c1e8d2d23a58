"""What a configuration leaves open, decided before the first step by text, machine and budget."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch

from nmt.config.presets import (
    FEW_TOKENS,
    SMALLEST,
    dropout,
    learning_rate,
    preset,
    size_name,
    smaller_sizes,
    typical_pairs,
)
from nmt.config.schema import Config, DataConfig, TrainingConfig
from nmt.corpus.batching import Batch
from nmt.errors import ConfigError
from nmt.model import Transformer
from nmt.training.data import TrainingData
from nmt.training.flops import training_flops
from nmt.training.gradient import make_workers
from nmt.training.initial import initial_network
from nmt.training.plan import SHARE_FOR_STEPS, planned_steps
from nmt.training.rehearsal import (
    Rehearsal,
    cost_of_bfloat16,
    measure_step,
    parts_that_fit,
    some_batches,
)

FEWEST_STEPS = 50  # that a budget has to have room for
ENOUGH_STEPS = 1_000  # of a size, with fewer of which a smaller one is taken
MANY_STEPS = 2_000  # of the smallest size, with fewer of which more and smaller ones teach it more
LARGEST_GAINS = {"cpu": 2}  # times as many operations a second that a device does for a larger size, at most
LARGEST_GAIN = 4  # of other devices, as far as it is worth the time to measure
TYPICAL_LENGTH = 20  # of a sentence in pieces
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
    """A configuration in which nothing is open any more, its network, and what was measured for it."""

    config: Config
    network: Transformer
    notes: tuple[str, ...] = ()  # what was measured, in words
    step_seconds: float = 0.0  # of an optimiser step; 0 if there was no need to know


def freeze(
    config: Config, data: TrainingData, device: torch.device, *, elapsed: float, num_ranks: int = 1
) -> Frozen:
    """Decide what was left open, `elapsed` seconds after the start.

    That is threads, the size of the vocabulary, the languages of tags, the size of the network with batches
    and learning rate if that is to fit the budget, precision, micro-batch, steps, and dropout.

    Raises ConfigError if the budget is too short to train anything.
    """
    clock = _Clock(config.training.budget, time.perf_counter() - elapsed)
    measure = partial(_measured, data=data, device=device, num_ranks=num_ranks)
    fits = config.training.fit_budget and config.training.budget
    frozen = _fitted(config, data, device, measure, clock) if fits else measure(config)
    model, training, notes = frozen.config.model, frozen.config.training, frozen.notes
    training = replace(training, fit_budget=False)
    if training.budget:
        max_steps = _steps_in_budget(training, _most_steps(training, data), clock, frozen.step_seconds)
        schedule = "cosine" if training.schedule == "inverse-sqrt" else training.schedule
        training = replace(training, max_steps=max_steps, schedule=schedule)
        note = f"a step takes {frozen.step_seconds:.3g} s, so about {max_steps:,} fit into the budget"
        notes = (*notes, note)
    if not training.eval_steps:
        training = replace(training, eval_steps=_eval_steps(training, data))
    if model.dropout == "auto":
        steps_per_epoch = data.num_batches(training)
        num_passes = _most_steps(training, data) / steps_per_epoch
        model = replace(model, dropout=dropout(data.report.num_kept, num_passes))
    tokenizer = replace(config.tokenizer, vocab_size=data.src_tokenizer.vocab_size)
    whole = replace(
        config, data=_with_languages(config.data), tokenizer=tokenizer, model=model, training=training
    )
    network = frozen.network
    if model != frozen.config.model:  # its dropout is known now
        network = initial_network(whole, data.tokenizers, device)
    return Frozen(whole, network, notes, frozen.step_seconds)


@dataclass(frozen=True)
class _Clock:
    """A budget of seconds, and when it began to run."""

    budget: float
    start: float

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self.start

    def num_steps(self, step_seconds: float) -> int:
        """How many steps there is time for from now on."""
        return max(0, int((SHARE_FOR_STEPS * self.budget - self.elapsed) / step_seconds))


def _fitted(
    config: Config,
    data: TrainingData,
    device: torch.device,
    measure: Callable[[Config], Frozen],
    clock: _Clock,
) -> Frozen:
    """The largest size, up to that of the configuration, of which the budget has room for enough steps.

    If it has room for few even of the smallest, that one gets smaller batches.

    Sizes are measured from the smallest on, up to the first that is too large, or would be even if the device
    made much more of it, so that this takes a small part of the budget. The smallest is taken in any case.
    """
    gain = LARGEST_GAINS.get(device.type, LARGEST_GAIN)
    names = smaller_sizes(size_name(vars(config.model)))
    smallest, *others = [*(_with_size(config, name, data.report.num_pairs) for name in names), config]
    fitted, chosen = measure(smallest), smallest
    for larger in others:
        enough = min(ENOUGH_STEPS, _most_steps(larger.training, data))
        ratio = _step_flops(larger, data) / _step_flops(fitted.config, data)
        num_steps = clock.num_steps(fitted.step_seconds * ratio)  # if a larger size gains nothing
        if gain * num_steps >= enough:
            found = measure(larger)
            num_steps = clock.num_steps(found.step_seconds)
        if num_steps < enough:
            name = size_name(vars(larger.model))
            note = f"about {num_steps:,} steps of {name} would fit into the budget"
            fitted = replace(fitted, notes=(*fitted.notes, note))
            break
        fitted, chosen = found, larger
    num_steps, num_tokens = clock.num_steps(fitted.step_seconds), chosen.training.batch_tokens
    if size_name(vars(chosen.model)) != SMALLEST or num_steps >= MANY_STEPS or num_tokens <= FEW_TOKENS:
        return fitted
    note = f"about {num_steps:,} steps of {num_tokens:,} target tokens would fit into the budget"
    found = measure(replace(chosen, training=replace(chosen.training, batch_tokens=FEW_TOKENS)))
    return replace(found, notes=(*fitted.notes, note))


def _most_steps(training: TrainingConfig, data: TrainingData) -> int:
    """As many as are done, were there time for all."""
    steps_per_epoch = data.num_batches(training) if training.max_epochs else 1
    return planned_steps(training.max_steps, training.max_epochs, steps_per_epoch)


def _with_size(config: Config, name: str, num_pairs: int) -> Config:
    """A configuration with another size, and the batches and learning rate that suit it."""
    suiting = preset(name, num_pairs=min(num_pairs, typical_pairs(name)))
    model = replace(config.model, **suiting["model"])
    training = replace(
        config.training,
        batch_tokens=suiting["training"]["batch_tokens"],
        learning_rate=learning_rate(model.d_model),
    )
    return replace(config, model=model, training=training)


def _step_flops(config: Config, data: TrainingData) -> float:
    """Operations of a step, about."""
    length = torch.tensor([TYPICAL_LENGTH])
    flops = training_flops(
        length,
        length,
        config=config.model,
        src_vocab_size=data.src_tokenizer.vocab_size,
        tgt_vocab_size=data.tgt_tokenizer.vocab_size,
        reconstruction=False,
    )
    return flops.total / TYPICAL_LENGTH * config.training.batch_tokens


def _measured(config: Config, *, data: TrainingData, device: torch.device, num_ranks: int) -> Frozen:
    """Threads, precision and micro-batch of a configuration, and with a budget what a step takes."""
    network = initial_network(config, data.tokenizers, device)
    training, notes = config.training, []
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
    return Frozen(replace(config, training=training), network, tuple(notes), step_seconds)


def _with_languages(data: DataConfig) -> DataConfig:
    """The languages that tags name, written down: the files may have other names when the run goes on."""
    if not data.bidirectional:
        return data
    src, tgt = data.languages
    return replace(data, src_lang=src, tgt_lang=tgt)


def _steps_in_budget(training: TrainingConfig, most: int, clock: _Clock, step_seconds: float) -> int:
    """As many steps as fit, at `most` so many; ConfigError if they are too few to learn anything."""
    num_steps, elapsed = clock.num_steps(step_seconds), clock.elapsed
    if num_steps < min(FEWEST_STEPS, most):
        needed = (elapsed + FEWEST_STEPS * step_seconds) / SHARE_FOR_STEPS
        raise ConfigError(
            f"training.budget: {training.budget:g} s have room for {num_steps} steps of {step_seconds:.2g} s "
            f"after {elapsed:.3g} s of preparation; expected at least {FEWEST_STEPS}; "
            f"give --budget {math.ceil(needed)}s or, to learn something, many times more"
        )
    return min(most, num_steps)


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
