"""The model folder: saved whole or not at all, verified when it is loaded."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from nmt.checkpoint.links import link_files, load_align_head
from nmt.checkpoint.manifest import (
    ALIGN_HEAD,
    CONFIG,
    HMM,
    MANIFEST,
    SRC_TOKENIZER,
    TGT_TOKENIZER,
    TOKENIZER,
    WEIGHTS,
    newest,
    publish,
    read_manifest,
    write_manifest,
)
from nmt.checkpoint.model import TranslationModel, build_network
from nmt.checkpoint.tensors import (
    expected_shapes,
    load_tensors,
    refuse_misfits,
    serialize,
    stored_shapes,
    take_weights,
    undrawn,
    weights,
)
from nmt.config.schema import Config
from nmt.config.toml import load_config, to_toml
from nmt.errors import ModelError, NmtError, UsageError
from nmt.files import make_dir, remove_file, write_bytes
from nmt.hardware import use_device
from nmt.tokenizer import Tokenizer


def save_model(model: TranslationModel, model_dir: Path, *, hmm: Mapping[str, Tensor] | None = None) -> None:
    """Write the files of a model into a folder, the manifest last: without one there is no model.

    `hmm` is the state of the HMM aligners that go with it.
    """
    make_dir(model_dir)
    remove_file(model_dir / MANIFEST)  # of a model that was there before
    contents = {CONFIG: to_toml(model.config).encode(), WEIGHTS: serialize(weights(model.network))}
    if model.config.tokenizer.joint:
        contents[TOKENIZER] = model.src_tokenizer.data
    else:
        contents |= {SRC_TOKENIZER: model.src_tokenizer.data, TGT_TOKENIZER: model.tgt_tokenizer.data}
    contents |= link_files(model, contents[WEIGHTS], hmm)
    for name, data in contents.items():
        write_bytes(model_dir / name, data)
    write_manifest(model_dir, tuple(contents), model.manifest)


def publish_model(model: TranslationModel, model_dir: Path) -> None:
    """Write a model aside and give the folder its name in one rename."""
    publish(model_dir, lambda folder: save_model(model, folder))


def load_model(
    path: Path, *, device: str = "auto", threads: int = 0, with_links: bool = True
) -> TranslationModel:
    """Load a model folder, or the best model so far of one that is still being trained.

    Without `with_links` the align head is left out, which only links are made with.
    Raises UsageError if there is no such folder, ModelError if something in it is damaged or does not fit.
    """
    folder = model_folder(path)
    manifest = read_manifest(folder)
    _require_listed(manifest, folder, CONFIG, WEIGHTS)
    config = stored_config(folder)
    names = (TOKENIZER, TOKENIZER) if config.tokenizer.joint else (SRC_TOKENIZER, TGT_TOKENIZER)
    _require_listed(manifest, folder, *names)
    tokenizers = {name: Tokenizer.load(folder / name) for name in dict.fromkeys(names)}
    src_tokenizer, tgt_tokenizer = (tokenizers[name] for name in names)
    _refuse_missing_tags(config, tgt_tokenizer, folder)
    vocab_sizes = (src_tokenizer.vocab_size, tgt_tokenizer.vocab_size)
    weights_path = folder / WEIGHTS
    refuse_misfits(
        expected_shapes(config.model, *vocab_sizes), stored_shapes(weights_path), str(weights_path)
    )
    with undrawn():
        network = build_network(config, src_tokenizer, tgt_tokenizer)
    take_weights(network, load_tensors(weights_path), name=str(weights_path))
    network.to(use_device(device, threads=threads)).eval()
    hmm_path = folder / HMM if HMM in manifest["files"] else None
    model = TranslationModel(config, src_tokenizer, tgt_tokenizer, network, manifest, path, hmm_path=hmm_path)
    if not with_links or ALIGN_HEAD not in manifest["files"]:
        return model
    return replace(model, align_head=load_align_head(model, folder))


def model_folder(path: Path) -> Path:
    """The folder itself if it holds a finished model, else the best one so far in its `train/`."""
    if path.is_file():
        raise ModelError(
            f"{path}: is a file, expected a model folder made by nmt train; "
            "checkpoints of other tools (.pt, .bin, .pkl) can run code and are never loaded"
        )
    if not path.is_dir():
        raise UsageError(f"{path}: no such folder; expected a model folder made by nmt train")
    if (path / MANIFEST).exists():
        return path
    best = newest(path / "train", "best")
    return best[-1] if best else path


def stored_config(folder: Path) -> Config:
    """The configuration in a model folder; ModelError if it is none, since no user has written it."""
    try:
        return load_config(folder / CONFIG)
    except NmtError as error:
        raise ModelError(f"{folder}: {error}") from error


def _require_listed(manifest: Mapping[str, Any], folder: Path, *names: str) -> None:
    for name in names:
        if name not in manifest["files"]:
            raise ModelError(f"{folder / MANIFEST}: does not list {name}, which every such model has")


def _refuse_missing_tags(config: Config, tokenizer: Tokenizer, folder: Path) -> None:
    missing = set(config.data.languages) - tokenizer.tags.keys() if config.data.bidirectional else ()
    if missing:
        raise ModelError(f"{folder / TOKENIZER}: has no tag of {', '.join(missing)}, which {CONFIG} names")
