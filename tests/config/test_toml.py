"""The configuration survives TOML, and a mistake in it is named with what was meant."""

import tomllib
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.config import (
    SECTIONS,
    Config,
    DataConfig,
    TrainingConfig,
    from_dict,
    load_config,
    load_toml,
    override,
    parse_override,
    to_toml,
)
from nmt.config.toml import option_docs
from nmt.errors import ConfigError, DataError, UsageError


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_the_defaults_survive_toml() -> None:
    assert from_dict(tomllib.loads(to_toml(Config()))) == Config()


@given(st.floats(0, 1e300), st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3))
def test_any_value_survives_toml(budget: float, names: list[str]) -> None:
    data = DataConfig(src=tuple(names), tgt=tuple(reversed(names)))
    config = Config(data=data, training=replace(TrainingConfig(), budget=budget))
    assert from_dict(tomllib.loads(to_toml(config))) == config


def test_every_option_is_written_under_its_sentence() -> None:
    text = to_toml(Config())
    for section in SECTIONS:
        docs = option_docs()[type(getattr(Config(), section)).__name__]
        for option in fields(getattr(Config(), section)):
            last_line = docs[option.name].splitlines()[-1].strip()
            assert f"# {last_line}\n{option.name} = " in text


def test_what_is_not_given_keeps_its_default(config_file: Path) -> None:
    config_file.write_text("[model]\nd_model = 512\n[training]\nbudget = 60\n")
    assert load_toml(config_file) == {"model": {"d_model": 512}, "training": {"budget": 60.0}}
    config = load_config(config_file, ["model.num_heads=8", "training.seed=7"])
    assert (config.model.d_model, config.model.num_heads, config.model.d_ff) == (512, 8, 1024)
    assert (config.training.budget, config.training.seed) == (60.0, 7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model]\nd_modle = 512", r"config\.toml: model: unknown key 'd_modle'; did you mean 'd_model'\?"),
        ("[modle]\nd_model = 512", r"config\.toml: unknown section 'modle'; did you mean 'model'\?"),
        ("[model]\nzzz = 1", "unknown key 'zzz'; expected one of encoder_layers, decoder_layers"),
        ("[model]\nbatch_tokens = 1", r"unknown key 'batch_tokens'; it belongs to \[training\]"),
        ("d_model = 512", r"config\.toml: unknown section 'd_model'; it belongs to \[model\]"),
        ("model = 512", r"model: found 512, expected a section \[model\]"),
        ('[model]\nd_model = "big"', "model.d_model: found 'big', expected an integer"),
        ("[model]\nd_model = 512.0", r"model.d_model: found 512\.0, expected an integer"),
        ("[model]\nd_model = true", "model.d_model: found true, expected an integer"),
        ("[model]\nbias = 1", "model.bias: found 1, expected true or false"),
        ("[training]\nbudget = nan", "training.budget: found nan, expected a number"),
        ('[model]\nnorm = "rmsnorm"', "model.norm: found 'rmsnorm'; did you mean 'rms'"),
        ("[model]\nnorm = 1", "model.norm: found 1; expected one of layer, rms"),
        ('[data]\nsrc = "train.de"', "data.src: found 'train.de', expected a list of texts"),
        ("[data]\ndev_src = []", r"data.dev_src: found \[\], expected a text"),
        ("[training]\nbudget = 1" + "0" * 400, "training.budget: found 10+, expected a number"),
        ("[model]\nd_model = 1" + "0" * 5000, r"config\.toml: not valid TOML: "),
        ("[data]\nsrc = " + "[" * 100_000, r"config\.toml: not valid TOML: "),
        ("[model]\nd_model 5\n", r"config\.toml: not valid TOML: .*line 2"),
    ],
)
def test_a_mistake_is_named_with_what_was_expected(text: str, message: str, config_file: Path) -> None:
    config_file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_toml(config_file)


def test_a_contradiction_is_refused_wherever_it_comes_from() -> None:
    with pytest.raises(ConfigError, match="not divisible by num_heads"):
        from_dict({"model": {"d_model": 100, "num_heads": 3}})


def test_a_file_that_is_missing_or_not_text_is_refused(config_file: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        load_toml(config_file)
    config_file.write_bytes(b"[data]\ndev_src = '\xff'")
    with pytest.raises(DataError, match=r"config\.toml:2: byte 0xFF"):
        load_toml(config_file)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model.d_model=512", 512),
        ("model.d_model=65_536", 65536),
        ("training.learning_rate=1e-3", 0.001),
        ("training.budget=60", 60.0),
        ("training.micro_batch=2048", 2048),
        ("training.micro_batch=auto", "auto"),
        ("model.bias=false", False),
        ("model.norm=rms", "rms"),
        ("data.dev_src=a=b.de", "a=b.de"),
        ("data.src=a.de,b.de", ("a.de", "b.de")),
        ('data.src=["a, b.de"]', ("a, b.de",)),
        ("data.dev_tgt=", ""),
    ],
)
def test_an_override_has_the_type_of_its_option(text: str, expected: object) -> None:
    key, value = parse_override(text)
    assert key == text.partition("=")[0]
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model.d_model", "'model.d_model' does not set an option; expected section.key=value"),
        ("d_model=512", "'d_model=512' does not set an option; expected section.key=value"),
        ("model.d_modle=512", "unknown key 'd_modle'; did you mean 'd_model'"),
        ("model.d_model=big", "model.d_model: found 'big', expected an integer"),
        ("model.d_model=512\nnum_heads=1", "expected an integer"),
        ("training.micro_batch=big", "micro_batch: found 'big', expected an integer or 'auto'"),
        ("training.micro_batch=true", "micro_batch: found true, expected an integer or 'auto'"),
        ("model.d_model=1" + "0" * 5000, "found '10+', expected an integer"),
        ("data.src=" + "[" * 100_000, "expected a list of texts"),
        ("model.bias=no", "model.bias: found 'no', expected true or false"),
    ],
)
def test_an_override_that_makes_no_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_override(text)


def test_the_last_override_counts_and_the_given_options_stay_as_they_are() -> None:
    values = {"model": {"d_model": 128}}
    assert override(values, ["model.d_model=256", "training.seed=2", "model.d_model=512"]) == {
        "model": {"d_model": 512},
        "training": {"seed": 2},
    }
    assert values == {"model": {"d_model": 128}}
