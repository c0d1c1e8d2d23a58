"""What is measured before the first step, and how many steps fit into a budget of time."""

import copy
import math
import time
from dataclasses import dataclass, replace
from itertools import cycle, islice

import torch
from torch.nn.utils import clip_grad_norm_

from nmt.config.presets import dropout
from nmt.config.schema import Config, DataConfig, TrainingConfig
from nmt.corpus.batching import Batch
from nmt.errors import ConfigError
from nmt.model import Transformer
from nmt.training.data import TrainingData
from nmt.training.gradient import Gradient, compute_gradient, make_workers, parts_each
from nmt.training.optimizer import MovingAverage, make_optimizer
from nmt.training.state import Progress
from nmt.training.working import WorkingNetwork
from nmt.workers import Workers

MEASURED_BATCHES = 4
WARM_UP_BATCHES = 2
SHARE_FOR_STEPS = 0.85  # of a budget, as long as no evaluation was timed
SHARE_AT_END = 0.04  # of a budget, kept for writing the model and for what is not planned
SHARE_FOR_LINKS = 0.09  # of a budget, for what links are made with
SEEN_FOR_LINKS = 0.06  # of the pairs trained on, each time counted, that links are learnt from without one
HMM_SECONDS, HMM_TOKENS = 0.0035, 20  # HMM aligners, on a slow machine, for a pair of up to so many tokens
HEAD_SHARE = 0.25  # of the time of training on a pair: the align head
FEWEST_LINK_PAIRS = 7_000  # that links are learnt from, if there are as many, however short the training
FEWEST_IN_BUDGET = 200
EVALUATIONS = 10  # with a budget, unless they take too long:
SHARE_FOR_LOOKS = 0.1  # of the time spent in steps, before there is another one
FEWEST_STEPS = 50  # that a budget has to have room for
PRODUCTS, PRODUCT_SIZE = 3, 512  # to see on a CPU whether a step in bfloat16 is worth measuring
SLOW = 1.5  # times as long: it is not
CPU_MICRO_BATCH = 4096  # tokens; with more at once a core is not faster
MIN_EVAL_STEPS, MAX_EVAL_STEPS = 500, 5000


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


def planned_steps(training: TrainingConfig, steps_per_epoch: int) -> int:
    """At most so many steps are done."""
    return min(training.max_steps, (training.max_epochs or training.max_steps) * steps_per_epoch)


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


@dataclass(frozen=True)
class LinkPlan:
    """From how many pairs links are to be learnt after training, and about how long that takes."""

    num_pairs: int
    seconds: float


def plan_links(
    training: TrainingConfig,
    *,
    num_pairs: int,
    epochs: float,
    num_tokens: int,
    train_seconds: float,
    most: int,
) -> LinkPlan:
    """Of so many pairs, trained on in so many epochs, target tokens and seconds, at `most` so many.

    Without a budget the pairs depend on counts alone, so that the same training learns the same links.
    """
    num_seen = max(1.0, epochs * num_pairs)
    length = max(1.0, num_tokens / num_seen / HMM_TOKENS)  # links of longer pairs take the square of it
    pair_seconds = HMM_SECONDS * length**2 + HEAD_SHARE * train_seconds / num_seen
    fit = max(FEWEST_LINK_PAIRS, round(SEEN_FOR_LINKS * epochs * num_pairs))
    if training.budget:
        fit = max(FEWEST_IN_BUDGET, int(SHARE_FOR_LINKS * training.budget / pair_seconds))
    planned = min(num_pairs, fit, most)
    return LinkPlan(planned, planned * pair_seconds)


def affords_look(progress: Progress) -> bool:
    """Whether evaluations have not taken too much of the time so far for another one."""
    return progress.other_seconds <= SHARE_FOR_LOOKS * progress.train_seconds


def replan(
    progress: Progress,
    training: TrainingConfig,
    *,
    most: int,
    end_seconds: float = 0.0,
    all_looks: bool = True,
) -> int:
    """Steps that fit into the budget at the pace so far, with evaluations and the end; at `most` so many.

    Without `all_looks` there are only evaluations that it affords.
    """
    step_seconds = progress.train_seconds / progress.step
    look_seconds = step_seconds * training.eval_steps * (1 / SHARE_FOR_STEPS - 1)
    if progress.num_evaluations:
        look_seconds = progress.other_seconds / progress.num_evaluations
    left = training.budget * (1 - SHARE_AT_END) - end_seconds - progress.seconds - look_seconds
    seconds_each = look_seconds / training.eval_steps
    if not all_looks:
        seconds_each = min(seconds_each, SHARE_FOR_LOOKS * step_seconds)
    more_steps = int(left / (step_seconds + seconds_each))
    return min(most, progress.step + max(0, more_steps))


class Rehearsal:
    """Optimiser steps on a copy of a network, as training takes them, to be measured."""

    def __init__(self, network: Transformer, training: TrainingConfig) -> None:
        self.network = copy.deepcopy(network).train()
        self.training = training
        self.device = network.tgt_embedding.weight.device
        self.workers = make_workers(self.device, training)
        self._working = WorkingNetwork(self.network, training.precision)
        self._optimizer = make_optimizer(self.network, training)
        self._average = MovingAverage(self.network, training.ema_decay)
        self._num_parts = parts_each(training, self.workers.num_workers)

    def step(self, batch: Batch, *, in_turn: bool = False) -> Gradient:
        """One update; with `in_turn` this thread computes the parts of all workers one after the other."""
        num_workers = self.workers.num_workers
        gradient = compute_gradient(
            self._working,
            batch,
            training=self.training,
            workers=Workers() if in_turn else self.workers,
            step=0,
            num_parts=self._num_parts * (num_workers if in_turn else 1),
        )
        if not in_turn:
            self._num_parts = gradient.num_parts  # more, if memory ran out
        clip_grad_norm_(self.network.parameters(), self.training.clip_norm or math.inf)
        self._optimizer.step()
        self._average.update(step=1)
        return gradient

    def wait(self) -> None:
        """Wait until the device has done what it was told."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def measure_step(network: Transformer, batches: list[Batch], training: TrainingConfig) -> float:
    """Seconds of an optimiser step on a copy of the network, averaged over the batches."""
    rehearsal = Rehearsal(network, training)
    for batch in islice(cycle(batches), WARM_UP_BATCHES):
        rehearsal.step(batch)
    rehearsal.wait()
    start = time.perf_counter()
    for batch in batches:
        rehearsal.step(batch)
    rehearsal.wait()
    return (time.perf_counter() - start) / len(batches)


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


def cost_of_bfloat16() -> float:
    """How many times as long matrix products take on this CPU in bfloat16 as in float32."""

    def seconds(dtype: torch.dtype) -> float:
        matrix = torch.ones(PRODUCT_SIZE, PRODUCT_SIZE, dtype=dtype)
        times = []
        for _ in range(PRODUCTS):
            start = time.perf_counter()
            matrix @ matrix
            times.append(time.perf_counter() - start)
        return min(times)

    return seconds(torch.bfloat16) / seconds(torch.float32)


def some_batches(data: TrainingData, training: TrainingConfig, device: torch.device) -> list[Batch]:
    """The first batches of training, to measure with."""
    batches = data.train_batches(training, epoch=1, start=0, device=device)
    return [batch for _, batch in islice(batches, MEASURED_BATCHES)]


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


def parts_that_fit(rehearsal: Rehearsal, batches: list[Batch]) -> int:
    """In how many parts a worker has to compute its share, so that all of these batches fit into memory."""
    return max(rehearsal.step(batch).num_parts for batch in batches)


def _eval_steps(training: TrainingConfig, data: TrainingData) -> int:
    if training.budget:
        return max(1, training.max_steps // EVALUATIONS)
    return min(max(data.num_batches(training), MIN_EVAL_STEPS), MAX_EVAL_STEPS, training.max_steps)
