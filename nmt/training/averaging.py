"""Averages the weights of a run's checkpoints, or those of finished models, into a model of its own."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmt.alignment.origin import source_of_links
from nmt.checkpoint import (
    ALIGN_HEAD,
    WEIGHTS,
    TranslationModel,
    check_weights,
    load_model,
    load_tensors,
    load_weights,
    model_folder,
    newest,
    publish,
    read_manifest,
    save_model,
    stored_config,
)
from nmt.config.schema import LinksFrom
from nmt.errors import ModelError, OutputError, UsageError
from nmt.files import sha256_file, write_text
from nmt.model import Transformer
from nmt.training.card import model_card
from nmt.training.run import CARD, differences, flat

KEPT = ("parameters", "data", "tokenizer_hash", "signature")  # of the first model's facts
KEPT_OF_LINKS = (
    "layer",
    "chosen",
    "pairs",
    "text",
)  # of its facts about them, those that outlast its weights
SHARED = ("data.bidirectional", "data.src_lang", "data.tgt_lang", "data.context", "tokenizer.joint")
"""Options that models have in common, beside sizes."""


@dataclass(frozen=True)
class Averaged:
    """What a mean was made of."""

    of: tuple[str, ...]
    lost_head: bool  # there was an align head, which is for the weights that it learnt from


def average_checkpoints(run_dir: Path, out_dir: Path, *, last: int = 0) -> Averaged:
    """Write the mean of the last so many checkpoints of a run, 0 for all that were kept, as a new model.

    These are the weights as they were trained, and not their moving average (Vaswani et al., 2017, 6.1).
    Raises UsageError if there are not as many, ModelError if one is damaged or of another run.
    """
    _refuse_used(out_dir)
    if not run_dir.is_dir():
        raise UsageError(f"{run_dir}: no such folder; expected the run whose checkpoints to average")
    checkpoints = newest(run_dir / "train", "step")
    if len(checkpoints) < max(last, 2):
        raise UsageError(
            f"{run_dir}: has {len(checkpoints)} checkpoints in train/, expected at least {max(last, 2)}; "
            "train with --set training.keep_checkpoints=10 to keep more, or name finished models to average"
        )
    model = load_model(run_dir, device="cpu")
    checkpoints = checkpoints[-last:]
    for path in checkpoints:
        found = read_manifest(path).get("tokenizer_hash")
        if found != model.tokenizer_hash:
            raise ModelError(f"{path}: is of another run than the model in {run_dir}; restore its files")
    return _write_mean(model, [(path.name, path / "weights.safetensors") for path in checkpoints], out_dir)


def average_models(model_dirs: Sequence[Path], out_dir: Path) -> Averaged:
    """Write the mean of finished models as a new one, which has all but its weights from the first.

    Raises ModelError if one is damaged, or if sizes, languages or tokenizers differ.
    """
    _refuse_used(out_dir)
    model = load_model(model_dirs[0], device="cpu")
    folders = [model_folder(path) for path in model_dirs]
    for folder in folders[1:]:
        _refuse_others(folder, folders[0])
    members = [(str(path), folder / WEIGHTS) for path, folder in zip(model_dirs, folders, strict=True)]
    return _write_mean(model, members, out_dir)


def _refuse_used(out_dir: Path) -> None:
    if out_dir.exists() and (not out_dir.is_dir() or any(out_dir.iterdir())):
        raise OutputError(f"{out_dir}: is there already; expected a new or an empty folder to write into")


def _refuse_others(folder: Path, first: Path) -> None:
    """ModelError if a folder holds a model whose weights mean something else than those of the first."""
    manifests = read_manifest(first), read_manifest(folder)
    options = (flat(stored_config(path)) for path in (first, folder))
    differing = [
        line
        for line in differences(*options)
        if (line.startswith("model.") and "dropout" not in line) or line.startswith(SHARED)
    ]
    tokenizers = [
        {name: facts["sha256"] for name, facts in manifest["files"].items() if name.startswith("tokenizer")}
        for manifest in manifests
    ]
    if tokenizers[0] != tokenizers[1]:
        differing.append("another tokenizer")
    if differing:
        raise ModelError(
            f"{folder}: can not be averaged with {first}: {'; '.join(differing)}; "
            "expected models of the same sizes with the same tokenizer"
        )


def _write_mean(model: TranslationModel, weights: Sequence[tuple[str, Path]], out_dir: Path) -> Averaged:
    load_weights(model.network, _mean(model.network, [path for _, path in weights]), name="the mean")
    members = [{"name": name, "sha256": sha256_file(path)} for name, path in weights]
    facts = {key: model.manifest[key] for key in KEPT if key in model.manifest}
    if "signature" in facts:
        facts["signature"] += f"|mean:{len(members)}"
    facts["training"] = {"averaged": members}
    alignment = model.config.alignment
    asked: LinksFrom = "auto" if alignment.source == "head" else alignment.source
    hmm = load_tensors(model.hmm_path) if model.hmm_path else None  # learnt from text, whatever the weights
    facts["alignment"] = _facts_of_links(model.manifest.get("alignment", {}), asked, has_hmm=hmm is not None)
    mean = replace(
        model,
        config=replace(model.config, alignment=replace(alignment, source=asked)),
        manifest=facts,
        align_head=None,
    )

    def write(folder: Path) -> None:
        write_text(folder / CARD, model_card(mean.config, mean.manifest))
        save_model(mean, folder, hmm=hmm)

    publish(out_dir, write)
    return Averaged(tuple(name for name, _ in weights), lost_head=ALIGN_HEAD in model.manifest["files"])


def _facts_of_links(facts: Mapping[str, Any], asked: LinksFrom, *, has_hmm: bool) -> dict[str, Any]:
    """What is still true of links once there is no align head."""
    num_pairs = facts.get("pairs")
    source = source_of_links(asked, has_head=False, has_hmm=has_hmm, num_pairs=num_pairs)
    return {key: facts[key] for key in KEPT_OF_LINKS if key in facts} | {"from": source}


def _mean(network: Transformer, paths: Collection[Path]) -> dict[str, Tensor]:
    """The mean of some files of weights, summed in float64; only one of them is in memory at a time."""
    sums = {name: torch.zeros_like(each, dtype=torch.float64) for name, each in network.named_parameters()}
    for path in paths:
        tensors = load_tensors(path)
        check_weights(network, tensors, name=str(path))
        for name, tensor in tensors.items():
            sums[name] += tensor
    return {name: (total / len(paths)).float() for name, total in sums.items()}
