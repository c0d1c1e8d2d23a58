"""Every contradiction and every number out of range is refused by name."""

import math
from dataclasses import replace
from typing import Any

import pytest

from nmt.config import (
    AlignmentConfig,
    Config,
    DataConfig,
    DecodingConfig,
    ModelConfig,
    TokenizerConfig,
    TrainingConfig,
)
from nmt.errors import ConfigError

Section = type[DataConfig | TokenizerConfig | ModelConfig | TrainingConfig | DecodingConfig | AlignmentConfig]

REFUSED: list[tuple[Section, dict[str, Any], str]] = [
    (
        DataConfig,
        {"src": ("a", "b"), "tgt": ("c",)},
        "data: 2 source files and 1 target files; give one target",
    ),
    (DataConfig, {"src_lang": "German"}, "data.src_lang is 'German'; expected a code such as de"),
    (
        DataConfig,
        {"bidirectional": True, "src": ("a.de",), "tgt": ("b.en",), "tgt_lang": "de"},
        "data.bidirectional: both languages are 'de'; give two with --set data.src_lang=",
    ),
    (DataConfig, {"dev_src": "dev.de"}, "data: dev_src and dev_tgt go together; give both or neither"),
    (DataConfig, {"dev_tgt": "dev.en"}, "data: dev_src and dev_tgt go together; give both or neither"),
    (DataConfig, {"max_length": 0}, "data.max_length is 0; expected at least 1"),
    (DataConfig, {"max_ratio": 0.9}, "data.max_ratio is 0.9; expected at least 1"),
    (TokenizerConfig, {"vocab_size": -1}, "tokenizer.vocab_size is -1; expected 0 or more"),
    (TokenizerConfig, {"character_coverage": 0.8}, "tokenizer.character_coverage is 0.8; expected 0.9 to 1"),
    (TokenizerConfig, {"character_coverage": 1.1}, "tokenizer.character_coverage is 1.1; expected 0.9 to 1"),
    (TokenizerConfig, {"sampling_alpha": -0.1}, "tokenizer.sampling_alpha is -0.1; expected 0 to 1"),
    (TokenizerConfig, {"sampling_alpha": 1.1}, "tokenizer.sampling_alpha is 1.1; expected 0 to 1"),
    (ModelConfig, {"d_model": 100, "num_heads": 3}, "model: d_model 100 is not divisible by num_heads 3"),
    (
        ModelConfig,
        {"d_model": 12, "num_heads": 4, "positions": "rotary"},
        "rotary positions need an even head width, found 3",
    ),
    *(
        (ModelConfig, {name: number}, f"model.{name} is {number}; expected 1 to 65536")
        for name in ("encoder_layers", "decoder_layers", "d_model", "d_ff", "num_heads", "max_positions")
        for number in (0, 65_537)
    ),
    *(
        (ModelConfig, {name: number}, f"model.{name} is {number}; expected 0 to below 1")
        for name in ("dropout", "attention_dropout", "activation_dropout")
        for number in (-0.1, 1.0)
    ),
    *(
        (TrainingConfig, {name: 0}, f"training.{name} is 0; expected at least 1")
        for name in (
            "batch_tokens",
            "max_steps",
            "dev_beam_size",
            "dev_sentences",
            "report_steps",
        )
    ),
    (TrainingConfig, {"seed": -1}, "training.seed is -1; expected 0 to 2**63 - 1"),
    (TrainingConfig, {"seed": 2**63}, "training.seed is 9223372036854775808; expected 0 to 2**63 - 1"),
    (TrainingConfig, {"adam_epsilon": 0.0}, "training.adam_epsilon is 0.0; expected above 0"),
    *(
        (TrainingConfig, {"learning_rate": rate}, f"training.learning_rate is {rate}; expected 0 or more")
        for rate in (math.inf, math.nan)
    ),
    (TrainingConfig, {"keep_checkpoints": 1}, "training.keep_checkpoints is 1; expected at least 2"),
    *(
        (TrainingConfig, {name: -1}, f"training.{name} is -1; expected 0 or more")
        for name in (
            "threads",
            "max_epochs",
            "budget",
            "learning_rate",
            "warmup_steps",
            "weight_decay",
            "clip_norm",
            "eval_steps",
            "patience",
            "save_seconds",
        )
    ),
    *(
        (TrainingConfig, {name: number}, f"training.{name} is {number}; expected 0 to below 1")
        for name in ("adam_beta1", "adam_beta2", "label_smoothing", "ema_decay")
        for number in (-0.1, 1.0)
    ),
    *(
        (DecodingConfig, {name: 0}, f"decoding.{name} is 0; expected at least 1")
        for name in ("beam_size", "batch_tokens", "window")
    ),
    (DecodingConfig, {"length_penalty": -0.5}, "decoding.length_penalty is -0.5; expected 0 to 10"),
    (DecodingConfig, {"length_penalty": 400.0}, "decoding.length_penalty is 400.0; expected 0 to 10"),
    (DecodingConfig, {"max_length_ratio": 0.0}, "decoding.max_length_ratio is 0.0; expected above 0"),
    *(
        (DecodingConfig, {name: -1}, f"decoding.{name} is -1; expected 0 or more")
        for name in ("samples", "top_k", "seed")
    ),
    (DecodingConfig, {"temperature": 0.0}, "decoding.temperature is 0.0; expected 1e-6 to 1e6"),
    (DecodingConfig, {"temperature": math.inf}, "decoding.temperature is inf; expected 1e-6 to 1e6"),
    (DecodingConfig, {"top_p": 0.0}, "decoding.top_p is 0.0; expected above 0, to 1"),
    (DecodingConfig, {"top_p": 1.1}, "decoding.top_p is 1.1; expected above 0, to 1"),
    (DecodingConfig, {"min_p": -0.1}, "decoding.min_p is -0.1; expected 0 to 1"),
    (DecodingConfig, {"min_p": 1.1}, "decoding.min_p is 1.1; expected 0 to 1"),
    (DecodingConfig, {"mbr": True, "samples": 1}, "decoding.samples is 1, expected at least 2"),
    (AlignmentConfig, {"layer": -1}, "alignment.layer is -1; expected 0 or more"),
    (AlignmentConfig, {"threshold": -0.1}, "alignment.threshold is -0.1; expected 0 to 1"),
    (AlignmentConfig, {"threshold": 1.1}, "alignment.threshold is 1.1; expected 0 to 1"),
]


@pytest.mark.parametrize(("section", "options", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_number_out_of_range_is_refused_by_name(
    section: Section, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        section(**options)
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("section", "options"),
    [
        (DataConfig, {"src": ("a",), "tgt": ("b",), "max_length": 1, "max_ratio": 1.0}),
        (TokenizerConfig, {"character_coverage": 0.9, "sampling_alpha": 1.0, "vocab_size": 0}),
        (ModelConfig, {"d_model": 65_536, "num_heads": 32_768, "encoder_layers": 1, "dropout": 0.0}),
        (ModelConfig, {"d_model": 8, "num_heads": 4, "positions": "rotary"}),
        (TrainingConfig, {"batch_tokens": 1, "keep_checkpoints": 2, "ema_decay": 0.0, "patience": 0}),
        (TrainingConfig, {"seed": 0}),
        (TrainingConfig, {"seed": 2**63 - 1}),
        (DecodingConfig, {"beam_size": 1, "length_penalty": 0.0, "max_length_ratio": 0.01}),
        (DecodingConfig, {"samples": 2, "mbr": True, "top_p": 1.0, "min_p": 1.0, "temperature": 1e-6}),
        (AlignmentConfig, {"threshold": 1.0}),
    ],
)
def test_the_ends_of_a_range_belong_to_it(section: Section, options: dict[str, Any]) -> None:
    section(**options)


def test_the_alignment_layer_is_one_of_the_decoders() -> None:
    model = ModelConfig(decoder_layers=2)
    assert Config(model=model, alignment=AlignmentConfig(layer=2)).alignment.layer == 2
    with pytest.raises(ConfigError, match=r"alignment\.layer is 3; decoder_layers is 2"):
        Config(model=model, alignment=AlignmentConfig(layer=3))


def test_one_embedding_for_both_languages_needs_one_tokenizer() -> None:
    for tied in ("target", "none"):
        Config(tokenizer=TokenizerConfig(joint=False), model=ModelConfig(tied_embeddings=tied))
    with pytest.raises(ConfigError, match=r"tied_embeddings can not be 'all' without tokenizer\.joint; use"):
        Config(tokenizer=TokenizerConfig(joint=False))


def test_learned_positions_reach_to_the_longest_sentence() -> None:
    """With its BOS or EOS; where positions are not learned there is no limit."""
    learned = ModelConfig(positions="learned", max_positions=101)
    Config(data=DataConfig(max_length=100), model=learned)
    Config(data=DataConfig(max_length=10_000), model=replace(learned, positions="rotary"))
    expected = (
        "max_positions is 101; learned positions for sentences of data.max_length 101 take at least 102"
    )
    with pytest.raises(ConfigError, match=expected):
        Config(data=DataConfig(max_length=101), model=learned)


def test_both_directions_need_one_vocabulary_and_room_for_a_tag() -> None:
    both, model = (
        DataConfig(bidirectional=True, max_length=9),
        ModelConfig(positions="learned", max_positions=10),
    )
    with pytest.raises(ConfigError, match=r"data.bidirectional can not be true without tokenizer.joint"):
        Config(data=both, tokenizer=TokenizerConfig(joint=False), model=ModelConfig(tied_embeddings="target"))
    with pytest.raises(ConfigError, match="max_length 9 take at least 11"):
        Config(data=both, model=model)
    Config(data=replace(both, bidirectional=False), model=model)
