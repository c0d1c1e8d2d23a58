"""From a preset, a file, flags and overrides to one configuration."""

from pathlib import Path

import pytest

from nmt.errors import ConfigError
from nmt.training.options import nested, parse_duration, resolve


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("20m", 1200), ("1h30m", 5400), ("1.5H", 5400), ("2m5s", 125)],
)
def test_a_time_is_read_as_it_is_said(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "soon", "1.2.3", "5d", "-5m", "3m.", "0", "1h30", "20m5"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is not a time; expected something like 90s, 20m or 1h30m"):
        parse_duration(text)


def test_later_layers_win(tmp_path: Path) -> None:
    for name in ("a.de", "a.en"):
        (tmp_path / name).write_text("a\nb\n")
    config = tmp_path / "config.toml"
    config.write_text("[model]\nd_model = 64\ndropout = 0.15\n[training]\nseed = 3\nmax_steps = 5\n")
    flags = nested(
        {
            "data.src": [f"{tmp_path}/a.de"],
            "data.tgt": [f"{tmp_path}/a.en"],
            "training.seed": 4,
            "training.device": None,
        }
    )
    resolved = resolve(config, flags, preset_name="auto", overrides=["training.max_steps=6"])
    assert (resolved.model.encoder_layers, resolved.model.d_ff) == (4, 256)  # of the preset: tiny
    assert (resolved.model.d_model, resolved.model.dropout) == (64, 0.15)  # of the file
    assert resolved.training.seed == 4  # of a flag
    assert resolved.training.max_steps == 6
    assert resolved.training.learning_rate == pytest.approx(5e-3 * 2**1.5, rel=0.02)  # by the width
    assert resolve(None, flags, preset_name="base").model.encoder_layers == 6
    with pytest.raises(ConfigError, match=r"--preset base: .*config.toml sets model.d_model itself"):
        resolve(config, flags, preset_name="base")


@pytest.mark.parametrize(
    ("preset_name", "overrides", "is_fitted"),
    [
        ("auto", ["training.budget=60"], True),
        ("auto", ["training.budget=60", "model.dropout=0.1"], True),
        ("auto", [], False),
        ("tiny", ["training.budget=60"], False),
        ("auto", ["training.budget=60", "model.d_model=64"], False),
        ("auto", ["training.budget=60", "training.batch_tokens=512"], False),
        ("auto", ["training.budget=60", "training.learning_rate=0.001"], False),
        ("auto", ["training.budget=60", "training.learning_rate=0"], True),
        ("auto", ["training.budget=60", "alignment.layer=3"], False),
        ("auto", ["training.budget=60", "training.fit_budget=false"], False),
    ],
)
def test_only_a_size_that_nobody_asked_for_is_fitted_to_the_budget(
    preset_name, overrides, is_fitted, tmp_path
) -> None:
    for name in ("a.de", "a.en"):
        (tmp_path / name).write_text("a\nb\n")
    flags = nested({"data.src": [f"{tmp_path}/a.de"], "data.tgt": [f"{tmp_path}/a.en"]})
    resolved = resolve(None, flags, preset_name=preset_name, overrides=overrides)
    assert resolved.training.fit_budget is is_fitted


def test_a_file_may_give_the_budget_or_sizes(tmp_path: Path) -> None:
    for name in ("a.de", "a.en"):
        (tmp_path / name).write_text("a\nb\n")
    flags = nested({"data.src": [f"{tmp_path}/a.de"], "data.tgt": [f"{tmp_path}/a.en"]})
    config = tmp_path / "config.toml"
    for sizes, is_fitted in (("", True), ("[model]\nnum_heads = 2\n", False)):
        config.write_text(f"[training]\nbudget = 60.0\n{sizes}")
        assert resolve(config, flags, preset_name="auto").training.fit_budget is is_fitted
