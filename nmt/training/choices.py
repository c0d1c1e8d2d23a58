"""What a training was given by its preset and by what was measured, and why, in three lines."""

import math
from collections.abc import Mapping
from typing import Any

from nmt.config.presets import (
    FEW_TOKENS,
    LARGEST_CORPUS,
    dropout,
    learning_rate,
    preset,
    size_name,
    suiting_size,
    vocab_size,
)
from nmt.config.schema import Config, ModelConfig, TrainingConfig
from nmt.training.plan import planned_steps
from nmt.training.report import DataReport, clock
from nmt.training.run import requested_size

ASKED = "as asked for"


def choices(
    config: Config, data: DataReport, requested: Mapping[str, Any], *, steps_per_epoch: int
) -> tuple[str, str, str]:
    """Size and vocabulary; regularisation; batches and schedule: each with its reason.

    `config` has nothing open any more; what differs from what suits the pairs and passes was `requested`, but
    for another size than that: the budget was too short for it.
    """
    training = config.training
    max_steps = planned_steps(training.max_steps, training.max_epochs, steps_per_epoch)
    is_vocab_open = not (requested["tokenizer.vocab_size"] or config.tokenizer.model)
    asked_size = requested_size(requested)
    usual_tokens = preset("auto", num_pairs=data.num_pairs)["training"]["batch_tokens"]
    is_hurried = training.batch_tokens == FEW_TOKENS != requested["training.batch_tokens"]
    if asked_size and asked_size != size_name(vars(config.model)):
        usual_tokens = training.batch_tokens  # they came with the size
    size = f"{_size(config, data.num_pairs, asked_size)}; {_vocabulary(data, is_vocab_open=is_vocab_open)}"
    if training.init_from:
        size = (
            f"{_layers(config.model)}, {data.tgt_vocab_size:,} pieces, as the model has that it begins with"
        )
    return (
        f"size: {size}",
        f"regularisation: {_regularisation(config, data.num_kept, max_steps / steps_per_epoch)}",
        f"schedule: {_batches(config, usual_tokens, is_hurried=is_hurried)}; {_course(training, max_steps)}",
    )


def _layers(model: ModelConfig) -> str:
    name = size_name(vars(model))
    layers = f"{model.encoder_layers}+{model.decoder_layers} layers of width {model.d_model}"
    return f"{name}, {layers}" if name else layers


def _size(config: Config, num_pairs: int, asked_size: str) -> str:
    name, reason = size_name(vars(config.model)), ASKED
    if asked_size and name != asked_size:
        budget = clock(config.training.budget)
        reason = f"as {budget} are too short for {asked_size}, which is meant for {_corpus(asked_size)}"
    elif name == suiting_size(num_pairs):
        reason = f"for {num_pairs:,} pairs, as it is meant for {_corpus(name)}"
    return f"{_layers(config.model)}, {reason}"


def _corpus(size: str) -> str:
    most = LARGEST_CORPUS.get(size)
    return f"up to {most:,} pairs" if most else "more pairs than any other"


def _vocabulary(data: DataReport, *, is_vocab_open: bool) -> str:
    suiting = vocab_size(data.num_kept)
    reason = ASKED
    if is_vocab_open:
        reason = f"as suits {data.num_kept:,} pairs"
        if data.tgt_vocab_size < suiting:
            reason = f"all that the text has, where {suiting:,} would suit {data.num_kept:,} pairs"
    return f"{data.tgt_vocab_size:,} pieces, {reason}"


def _regularisation(config: Config, num_pairs: int, num_passes: float) -> str:
    training, alpha, rate = config.training, config.tokenizer.sampling_alpha, config.model.dropout_rate
    reason = f"as suits up to {_counted(math.ceil(num_passes), 'pass', 'passes')} over {num_pairs:,} pairs"
    parts = [
        f"dropout {rate:g}, {reason if rate == dropout(num_pairs, num_passes) else ASKED}",
        f"label smoothing {training.label_smoothing:g}",
        f"subword sampling {alpha:g}" if alpha else "no subword sampling",
        f"{training.consistency} {training.consistency_weight:g}"
        if training.consistency != "none"
        else "no consistency",
    ]
    return "; ".join(parts)


def _batches(config: Config, usual_tokens: int, *, is_hurried: bool) -> str:
    training, d_model = config.training, config.model.d_model
    is_fresh = not training.init_from
    usual_rate = training.learning_rate == learning_rate(d_model, is_fresh=is_fresh)
    suiting = "as suits width" if is_fresh else "three tenths of what suits fresh weights of width"
    tokens = f"batches of {training.batch_tokens:,} target tokens"
    if is_hurried:
        tokens += ", as there is time for few steps"
    elif training.batch_tokens != usual_tokens:
        tokens += f", {ASKED}"
    return f"{tokens}; learning rate {training.learning_rate:g}, " + (
        f"{suiting} {d_model}" if usual_rate else ASKED
    )


def _course(training: TrainingConfig, max_steps: int) -> str:
    warmup = max(1, min(training.warmup_steps, max_steps // 10))
    course = f"{_counted(warmup, 'step', 'steps')} of warm-up, then {training.schedule}"
    if training.budget:
        return f"{course}, to be done by step {max_steps:,}, where {clock(training.budget)} are over"
    until = f", until {training.patience} evaluations bring nothing better" if training.patience else ""
    return f"{course}{until}, at most {max_steps:,} steps"


def _counted(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"
