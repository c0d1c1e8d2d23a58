"""From what a person asked for to a whole configuration: preset, file, flags."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from nmt.config.presets import SIZES, Options, learning_rate, merge, preset
from nmt.config.schema import Config
from nmt.config.toml import from_dict, load_toml, override
from nmt.errors import ConfigError
from nmt.training.data import read_paths
from nmt.training.initial import inherited


def resolve(
    config_path: Path | None, flags: Options, *, preset_name: str, overrides: Iterable[str] = ()
) -> Config:
    """The configuration of a run: preset under file under flags under `section.key=value` overrides.

    The preset is chosen by the number of pairs in the training files, which are counted here. Sizes and
    tokenizer of a model to begin with come with it. Raises ConfigError if no files are named, if sizes are
    given by name and in the file too, or others than those of that model; DataError if the numbers of lines
    differ.
    """
    file = load_toml(config_path) if config_path else {}
    sizes = sorted(SIZES["tiny"].keys() & file.get("model", {}).keys())
    if preset_name != "auto" and sizes:
        raise ConfigError(
            f"--preset {preset_name}: {config_path} sets model.{sizes[0]} itself; leave out one of the two"
        )
    asked = override(merge(file, flags), overrides)
    data = from_dict({"data": asked.get("data", {})}).data
    if not data.src:
        raise ConfigError(
            "no training text; give --src FILE --tgt FILE, or data.src and data.tgt in a config"
        )
    usual = preset(preset_name, num_pairs=len(read_paths(data)))
    init_from = asked.get("training", {}).get("init_from", "")
    if init_from:
        own = inherited(Path(init_from), asked, preset_name=preset_name, data=data)
        usual = merge(usual, own)
    elif preset_name == "auto" and asked.get("training", {}).get("budget") and not _asks_for_size(asked):
        usual["training"]["fit_budget"] = True
    config = from_dict(merge(usual, asked))
    if config.training.learning_rate:
        return config
    rate = learning_rate(config.model.d_model, is_fresh=not init_from)
    return replace(config, training=replace(config.training, learning_rate=rate))


def _asks_for_size(asked: Options) -> bool:
    """Whether something is given that suits one size only."""
    training = asked["training"]
    return bool(
        SIZES["tiny"].keys() & asked.get("model", {}).keys()
        or training.get("batch_tokens")
        or training.get("learning_rate")
        or asked.get("alignment", {}).get("layer")
    )


def parse_duration(text: str) -> float:
    """Seconds of `90`, `90s`, `20m`, `1h30m`; ConfigError for anything else, such as `1h30`."""
    number = r"(\d+(?:\.\d+)?)"
    found = re.fullmatch(f"(?:{number}h)?(?:{number}m)?(?:{number}s)?|{number}", text.strip().lower())
    parts = found.groups(default="0") if found else ()
    total = sum(float(part) * unit for part, unit in zip(parts, (3600, 60, 1, 1), strict=False))
    if not total:
        raise ConfigError(f"{text!r} is not a time; expected something like 90s, 20m or 1h30m")
    return total


def nested(values: dict[str, Any]) -> Options:
    """Options by section from `{"section.key": value}`; None is left out."""
    options: Options = {}
    for key, value in values.items():
        if value is not None:
            section, option = key.split(".")
            options.setdefault(section, {})[option] = value
    return options
