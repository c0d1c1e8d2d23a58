"""From what a person asked for to a whole configuration: preset, file, flags."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from nmt.config.presets import Options, learning_rate, merge, preset
from nmt.config.schema import Config
from nmt.config.toml import from_dict, load_toml, override
from nmt.errors import ConfigError
from nmt.training.data import read_paths


def resolve(
    config_path: Path | None, flags: Options, *, preset_name: str, overrides: Iterable[str] = ()
) -> Config:
    """The configuration of a run: preset under file under flags under `section.key=value` overrides.

    The preset is chosen by the number of pairs in the training files, which are counted here.
    Raises ConfigError if no files are named, DataError if their numbers of lines differ.
    """
    asked = override(merge(load_toml(config_path) if config_path else {}, flags), overrides)
    data = from_dict({"data": asked.get("data", {})}).data
    if not data.src:
        raise ConfigError(
            "no training text; give --src FILE --tgt FILE, or data.src and data.tgt in a config"
        )
    config = from_dict(merge(preset(preset_name, num_pairs=len(read_paths(data))), asked))
    if config.training.learning_rate:
        return config
    rate = learning_rate(config.model.d_model)
    return replace(config, training=replace(config.training, learning_rate=rate))


def parse_duration(text: str) -> float:
    """Seconds of `90`, `90s`, `20m`, `1h30m`; ConfigError for anything else."""
    units: dict[str, float] = {"h": 3600, "m": 60, "s": 1}
    seconds, number = 0.0, ""
    for character in text.strip().lower():
        if character in units and number:
            seconds += float(number) * units[character]
            number = ""
        elif character.isdigit() or character == ".":
            number += character
        else:
            raise ConfigError(f"{text!r} is not a time; expected something like 90s, 20m or 1h30m")
    try:
        return seconds + (float(number) if number else 0.0)
    except ValueError:
        raise ConfigError(f"{text!r} is not a time; expected something like 90s, 20m or 1h30m") from None


def nested(values: dict[str, Any]) -> Options:
    """Options by section from `{"section.key": value}`; None is left out."""
    options: Options = {}
    for key, value in values.items():
        if value is not None:
            section, option = key.split(".")
            options.setdefault(section, {})[option] = value
    return options
