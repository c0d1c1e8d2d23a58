"""What a training begins with: fresh weights, or those of a finished model, some of them kept as they are."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from nmt.checkpoint import (
    WEIGHTS,
    build_network,
    load_tensors,
    load_weights,
    read_manifest,
    stored_config,
)
from nmt.config.languages import UNKNOWN
from nmt.config.presets import SIZES, Options, merge
from nmt.config.schema import Config, DataConfig
from nmt.errors import ConfigError, OutputError, UsageError
from nmt.model import Transformer
from nmt.training.manifest import INITIAL
from nmt.training.preparation import Tokenizers
from nmt.training.run import CHANGEABLE, flat

PARTS = {
    "embeddings": ("src_embedding", "tgt_embedding", "out_proj", "src_positions", "tgt_positions"),
    "encoder": ("encoder", "encoder_norm"),
    "decoder": ("decoder", "decoder_norm"),
}
"""Modules of the network that `training.freeze` names."""
INDEPENDENT = CHANGEABLE - {"tokenizer.model"}
"""Options of model and tokenizer that go with a training, not with the weights that it begins with."""
FREE = {"data.src_lang", "data.tgt_lang", "data.context"}
"""Options of the model that a training begins with that need not be kept."""


def inherited(model_dir: Path, asked: Options, *, preset_name: str, data: DataConfig) -> Options:
    """Options that come with the weights of a finished model.

    Raises ConfigError if something else is asked for, by a preset too, or if a model for both directions
    knows other languages than those of the text; ModelError if there is no such model.
    """
    _manifest(model_dir)
    config = stored_config(model_dir)
    tokenizer = asdict(config.tokenizer) | {"model": ""}
    own: Options = {"model": asdict(config.model), "tokenizer": tokenizer, "data": _own_data(config, data)}
    for key in INDEPENDENT:
        section, option = key.split(".")
        del own[section][option]
    wanted = merge({"model": SIZES.get(preset_name, {})}, asked)
    for section, options in own.items():
        for key, value in options.items():
            found = wanted.get(section, {}).get(key, value)
            if found != value and not _is_free(f"{section}.{key}", found):
                origin = "" if key in asked.get(section, {}) else f"--preset {preset_name}: "
                raise ConfigError(
                    f"{origin}{section}.{key}: {_shown(found)} was asked for, {model_dir} has "
                    f"{_shown(value)}; leave it out, or train without --init-from"
                )
    is_bidirectional = config.data.bidirectional and asked.get("data", {}).get("bidirectional", True)
    found, known = sorted(replace(data, **own["data"]).languages), sorted(config.data.languages)
    if is_bidirectional and found != known:
        raise ConfigError(
            f"{model_dir}: knows {' and '.join(known)}, the text is {' and '.join(found)}; if these are the "
            "same, give data.src_lang and data.tgt_lang, else train without --init-from"
        )
    return own


def _manifest(model_dir: Path) -> dict[str, Any]:
    if not model_dir.is_dir():
        raise UsageError(f"--init-from {model_dir}: no such folder; expected a model made by nmt train")
    return read_manifest(model_dir)


def _is_free(key: str, value: object) -> bool:
    """Whether an option may differ; what was learnt in both directions may be trained further in one."""
    return key in FREE or (key == "data.bidirectional" and not value)


def _own_data(config: Config, data: DataConfig) -> dict[str, Any]:
    """Both directions, context, and the languages of the model where the names of files tell none."""
    own: dict[str, Any] = {"bidirectional": config.data.bidirectional, "context": config.data.context}
    if data.languages == UNKNOWN != config.data.languages:
        own["src_lang"], own["tgt_lang"] = config.data.languages
    return own


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) or "its own"


def requested(config: Config, model_dir: Path) -> dict[str, Any]:
    """What is asked for by "section.key"; of the model to begin with the hash of its weights.

    Raises OutputError if that is the model to be made.
    """
    init_from = config.training.init_from
    if not init_from:
        return flat(config)
    if Path(init_from).resolve() == model_dir.resolve():
        raise OutputError(
            f"{model_dir}: is the model of --init-from, too; give another folder for the new one"
        )
    return {**flat(config), INITIAL: _manifest(Path(init_from))["files"][WEIGHTS]["sha256"]}


def initial_tokenizers(config: Config) -> Path | None:
    """The folder with the tokenizers that a training begins with, if they are to be those of a model."""
    return Path(config.training.init_from) if config.training.init_from else None


def initial_network(config: Config, tokenizers: Tokenizers, device: torch.device) -> Transformer:
    """The network as it is before the first step; what is frozen asks for no gradient."""
    training = config.training
    torch.manual_seed(training.seed)
    network = build_network(config, tokenizers.src, tokenizers.tgt)
    if training.init_from:
        path = Path(training.init_from) / WEIGHTS
        load_weights(network, load_tensors(path), name=str(path))
    for part in training.freeze:
        for name in PARTS[part]:
            network.get_submodule(name).requires_grad_(False)
    return network.to(device)
