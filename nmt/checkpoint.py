"""The model folder: saved whole or not at all, verified when it is loaded."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from nmt import __version__
from nmt.config.schema import Config
from nmt.config.toml import load_config, to_toml
from nmt.errors import ModelError, NmtError, UsageError
from nmt.files import make_dir, publish_dir, remove_dir, sha256_file, write_bytes, write_json
from nmt.hardware import use_device
from nmt.model import Transformer
from nmt.tokenizer import Tokenizer

FORMAT = 1
MANIFEST = "manifest.json"
CONFIG = "config.toml"
WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.model"
SRC_TOKENIZER = "tokenizer.src.model"
TGT_TOKENIZER = "tokenizer.tgt.model"


@dataclass(frozen=True)
class TranslationModel:
    """A network with its tokenizers and its configuration: all that translating and aligning need."""

    config: Config
    src_tokenizer: Tokenizer
    tgt_tokenizer: Tokenizer
    network: Transformer
    manifest: dict[str, Any]
    path: Path | None = None

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.network.tgt_embedding.weight.device


def build_network(config: Config, src_tokenizer: Tokenizer, tgt_tokenizer: Tokenizer) -> Transformer:
    """A network with fresh weights for these vocabularies."""
    return Transformer(
        config.model, src_vocab_size=src_tokenizer.vocab_size, tgt_vocab_size=tgt_tokenizer.vocab_size
    )


def save_model(model: TranslationModel, model_dir: Path) -> None:
    """Write the files of a model into a folder, the manifest last: without one there is no model."""
    make_dir(model_dir)
    contents = {CONFIG: to_toml(model.config).encode(), WEIGHTS: serialize(weights(model.network))}
    if model.config.tokenizer.joint:
        contents[TOKENIZER] = model.src_tokenizer.data
    else:
        contents |= {SRC_TOKENIZER: model.src_tokenizer.data, TGT_TOKENIZER: model.tgt_tokenizer.data}
    for name, data in contents.items():
        write_bytes(model_dir / name, data)
    write_manifest(model_dir, tuple(contents), model.manifest)


def publish_model(model: TranslationModel, model_dir: Path) -> None:
    """Write a model aside and give the folder its name in one rename."""
    publish(model_dir, lambda folder: save_model(model, folder))


def publish(final_dir: Path, write: Any) -> None:
    """Let `write` fill a folder beside the final one, sync it, and rename it."""
    tmp_dir = final_dir.with_name(final_dir.name + ".tmp")
    if tmp_dir.exists():
        remove_dir(tmp_dir)
    make_dir(tmp_dir)
    write(tmp_dir)
    publish_dir(tmp_dir, final_dir)


def weights(network: Transformer) -> dict[str, Tensor]:
    """The network's weights by name, shared ones once, on the CPU."""
    names = {}
    for name, parameter in network.named_parameters():  # leaves out a shared parameter's second name
        names[name] = parameter.detach().cpu().contiguous()
    return names


def serialize(tensors: dict[str, Tensor]) -> bytes:
    """Tensors as the bytes of a safetensors file."""
    return safetensors.torch.save(tensors)


def write_manifest(folder: Path, names: tuple[str, ...], facts: dict[str, Any]) -> None:
    """Write `manifest.json`: sizes and SHA-256 of the named files, versions, and the given facts."""
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_file(folder / name)}
        for name in names
    }
    versions = {"format": FORMAT, "nmt_version": __version__, "torch_version": torch.__version__}
    write_json(folder / MANIFEST, versions | {"files": files} | facts)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder, after every file in it was found to be as it was written.

    Raises ModelError naming what is missing or damaged.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        files = {name: (facts["bytes"], facts["sha256"]) for name, facts in manifest["files"].items()}
    except FileNotFoundError:
        raise ModelError(f"{folder}: no {MANIFEST}; expected a model folder made by nmt train") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{folder / MANIFEST}: damaged: {error}; copy the model folder again") from error
    if manifest.get("format") != FORMAT:
        raise ModelError(f"{folder}: model format {manifest.get('format')}; this nmt reads format {FORMAT}")
    for name, (size, digest) in files.items():
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise ModelError(f"{path}: missing, but listed in {MANIFEST}; copy the model folder again")
        if path.stat().st_size != size or sha256_file(path) != digest:
            raise ModelError(
                f"{path}: damaged: not the file listed in {MANIFEST}; copy the model folder again"
            )
    return dict(manifest)


def load_model(path: Path, *, device: str = "auto", threads: int = 0) -> TranslationModel:
    """Load a model folder, or the best model so far of one that is still being trained.

    Raises UsageError if there is no such folder, ModelError if something in it is damaged or does not fit.
    """
    folder = model_folder(path)
    manifest = read_manifest(folder)
    try:
        config = load_config(folder / CONFIG)
    except NmtError as error:
        raise ModelError(f"{folder}: {error}") from error
    names = (TOKENIZER, TOKENIZER) if config.tokenizer.joint else (SRC_TOKENIZER, TGT_TOKENIZER)
    src_tokenizer, tgt_tokenizer = (Tokenizer.load(folder / name) for name in names)
    tensors = load_tensors(folder / WEIGHTS)
    network = build_network(config, src_tokenizer, tgt_tokenizer)
    load_weights(network, tensors, name=str(folder / WEIGHTS))
    network.to(use_device(device, threads=threads)).eval()
    return TranslationModel(config, src_tokenizer, tgt_tokenizer, network, manifest, path)


def model_folder(path: Path) -> Path:
    """The folder itself if it holds a finished model, else the best one so far in its `train/`."""
    if not path.is_dir():
        raise UsageError(f"{path}: no such folder; expected a model folder made by nmt train")
    if (path / MANIFEST).exists():
        return path
    best = newest(path / "train", "best")
    return best[-1] if best else path


def newest(folder: Path, kind: str) -> list[Path]:
    """Folders `kind-N` in a folder, by rising N."""
    found = [path for path in folder.glob(f"{kind}-*") if path.name.removeprefix(f"{kind}-").isdigit()]
    return sorted(found, key=lambda path: int(path.name.removeprefix(f"{kind}-")))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file; ModelError if it is damaged or holds a number that is not finite."""
    try:
        tensors = safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path}: not a valid safetensors file: {error}") from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not math.isfinite(
            float(tensor.abs().max() if tensor.numel() else 0)
        ):
            raise ModelError(f"{path}: {name} holds a number that is not finite")
    return tensors


def load_weights(network: Transformer, tensors: dict[str, Tensor], *, name: str) -> None:
    """Put tensors into a network; ModelError tells the first five that are missing, extra or misshapen."""
    parameters = dict(network.named_parameters())
    problems = [f"{key} is missing" for key in parameters if key not in tensors]
    problems += [f"{key} is not of this model" for key in tensors if key not in parameters]
    problems += [
        f"{key} is {tuple(tensors[key].shape)}, expected {tuple(parameter.shape)}"
        for key, parameter in parameters.items()
        if key in tensors and tensors[key].shape != parameter.shape
    ]
    if problems:
        raise ModelError(f"{name}: the weights do not fit {CONFIG}: {'; '.join(problems[:5])}")
    with torch.no_grad():
        for key, parameter in parameters.items():
            parameter.copy_(tensors[key])


def with_alignment_layer(model: TranslationModel, layer: int) -> TranslationModel:
    """The model with another decoder layer (from 1) to read links from."""
    return replace(
        model, config=replace(model.config, alignment=replace(model.config.alignment, layer=layer))
    )
