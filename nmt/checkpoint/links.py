"""What only links are made with: the align head, tied to its weights by hash, and the HMM aligners."""

import hashlib
import json
import shlex
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from nmt.checkpoint.manifest import ALIGN_HEAD, CONFIG, HMM, WEIGHTS, trusted_manifest, write_manifest
from nmt.checkpoint.model import TranslationModel, build_align_head
from nmt.checkpoint.tensors import load_tensors, refuse_misfits, safetensors_errors, serialize
from nmt.config.toml import to_toml
from nmt.errors import ModelError
from nmt.files import remove_file, write_bytes
from nmt.model.align_head import AlignHead

HEAD_VERSION = 2  # of the align head: 1 was given both directions of the network


def link_files(
    model: TranslationModel, weights_data: bytes, hmm: Mapping[str, Tensor] | None
) -> dict[str, bytes]:
    """What is in the files that only links are made with; that of an align head names its weights."""
    contents = {}
    if model.align_head is not None:
        state = model.align_head.state_dict()
        tensors = {name: tensor.cpu().contiguous() for name, tensor in state.items()}
        facts = {
            "version": HEAD_VERSION,
            "layer": model.align_head.layer,
            "threshold": model.align_head.threshold,
            "weights_sha256": hashlib.sha256(weights_data).hexdigest(),
        }
        # in one value: several are written in a random order
        contents[ALIGN_HEAD] = safetensors.torch.save(tensors, {"facts": json.dumps(facts)})
    if hmm is not None:
        contents[HMM] = serialize(dict(hmm))
    return contents


def save_links(model: TranslationModel, model_dir: Path, *, hmm: Mapping[str, Tensor]) -> None:
    """Replace what a finished model makes links with; at every instant the folder holds a whole model.

    The manifest first forgets the files, then lists the new ones; all else of it is the model's. Between the
    two it takes the configuration for whole as it was and as it is to be.
    """
    old = trusted_manifest(model_dir)
    contents = link_files(model, (model_dir / WEIGHTS).read_bytes(), hmm)
    kept = tuple(name for name in old["files"] if name not in (ALIGN_HEAD, HMM))
    config = to_toml(model.config).encode()
    without = {**old.get("alignment", {}), "from": "attention"}
    next_files = {CONFIG: {"bytes": len(config), "sha256": hashlib.sha256(config).hexdigest()}}
    write_manifest(model_dir, kept, {**old, "alignment": without}, next_files=next_files)
    for name, data in {CONFIG: config, **contents}.items():
        write_bytes(model_dir / name, data)
    write_manifest(model_dir, (*kept, *contents), model.manifest)
    for name in {ALIGN_HEAD, HMM} - contents.keys():
        remove_file(model_dir / name)


def relink_command(model_dir: Path) -> str:
    """What trains a new align head and new HMM aligners for a finished model."""
    return f"nmt train --align-head-only --out {shlex.quote(str(model_dir))}"


def load_align_head(model: TranslationModel, folder: Path) -> AlignHead:
    """The align head of a model; ModelError if it does not fit, or was trained on other weights."""
    path = folder / ALIGN_HEAD
    with safetensors_errors(path), safetensors.safe_open(path, framework="pt") as file:
        facts = json.loads((file.metadata() or {}).get("facts", "{}"))
    if facts.get("weights_sha256") != model.manifest["files"][WEIGHTS]["sha256"]:
        raise ModelError(
            f"{path}: is for other weights than {WEIGHTS}; train it again: {relink_command(folder)}"
        )
    if facts.get("version") != HEAD_VERSION:
        raise ModelError(
            f"{path}: is of version {facts.get('version', 1)}, expected {HEAD_VERSION}; "
            f"train it again: {relink_command(folder)}"
        )
    layer, num_layers = facts.get("layer"), model.config.model.decoder_layers
    if layer not in range(1, num_layers + 1):
        raise ModelError(f"{path}: is for decoder layer {layer!r}, expected one of 1 to {num_layers}")
    sizes = model.src_tokenizer.vocab_size, model.tgt_tokenizer.vocab_size
    head = build_align_head(model.config, layer=layer, vocab_sizes=sizes)
    tensors = load_tensors(path)
    expected = ((name, tensor.shape) for name, tensor in head.state_dict().items())
    refuse_misfits(expected, {name: tensor.shape for name, tensor in tensors.items()}, str(path))
    head.load_state_dict(tensors)
    head.threshold = float(facts.get("threshold", 0.0))
    return head.to(model.device).eval()
