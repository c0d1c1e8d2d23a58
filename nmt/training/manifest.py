"""What the manifest of a model tells about the run that made it."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from nmt import __version__
from nmt.alignment.origin import LinkSource
from nmt.checkpoint import TranslationModel
from nmt.config.schema import Config
from nmt.config.toml import to_toml
from nmt.hardware import describe, peak_memory
from nmt.training.data import TrainingData
from nmt.training.report import EndReport
from nmt.training.state import Progress

INITIAL = "training.init_from"  # among what was requested: the hash of the weights to begin with


def facts_of_run(
    model: TranslationModel,
    data: TrainingData,
    progress: Progress,
    *,
    epochs: float,
    requested: dict[str, Any],
    end: EndReport | None,
) -> dict[str, Any]:
    """Facts for the manifest beside files and versions; without an end the run is still going on."""
    training = {
        "step": progress.step,
        "epoch": epochs,
        "best_step": progress.best_step,
        "seconds": round(progress.seconds, 1),
        "tokens_per_second": round(progress.tokens_per_second, 1),
        "peak_memory": peak_memory(model.device),
        "left_out": progress.num_left_out,
        "device": describe(model.device),
        "precision": model.config.training.precision,
        "stopped": end.stopped if end else None,
        **_start(model.config, requested),
    }
    report = data.report
    facts: dict[str, Any] = {
        "parameters": sum(parameter.numel() for parameter in model.network.parameters()),
        "data": {
            "pairs": report.num_pairs,
            "kept": report.num_kept,
            **({"corpora": report.corpora} if len(report.corpora) > 1 else {}),
            **({"in_epoch": report.num_in_epoch} if report.weights else {}),
            "dropped": report.dropped,
            **({"documents": report.num_documents} if report.num_documents else {}),
            "mended": report.num_mended,
            "held_out": data.held_out_lines,
            "hash": data.hash,
        },
        "tokenizer_hash": model.tokenizer_hash,
        "training": training,
        "dev": {
            "bleu": {"score": progress.bleu, "signature": progress.signature},
            **({"bleu_by_direction": progress.bleu_by_direction} if progress.bleu_by_direction else {}),
            "loss": progress.loss,
            "pairs": report.num_dev,
            "dropped": report.num_dev_dropped,
            "decoded": min(report.num_dev, model.config.training.dev_sentences),
            "beam": model.config.training.dev_beam_size,
            "origin": report.dev_from,
            "overlap": report.overlap,
            **({"tuning": end.tuning} if end and end.tuning else {}),
        },
        "signature": signature(model, data),
        "requested": requested,
    }
    if end is not None:
        facts["alignment"] = facts_of_links(
            layer=end.alignment_layer,
            links_from=end.links_from,
            num_pairs=end.link_pairs,
            seconds=end.link_seconds,
            agreement=end.agreement,
            is_chosen=not requested["alignment.layer"],
        )
    return facts


def _start(config: Config, requested: Mapping[str, Any]) -> dict[str, Any]:
    """Facts about the model that a training began with; none of fresh weights."""
    if INITIAL not in requested:
        return {}
    return {"initial": {"name": Path(config.training.init_from).name, "sha256": requested[INITIAL]}}


def facts_of_links(
    *,
    layer: int,
    links_from: LinkSource,
    num_pairs: int,
    seconds: float,
    agreement: Mapping[int, float],
    is_chosen: bool,
) -> dict[str, Any]:
    """Facts about what links are made with; `is_chosen` says that nobody asked for the layer."""
    return {
        "layer": layer,
        "from": links_from,
        "pairs": num_pairs,
        "seconds": round(seconds, 1),
        "chosen": is_chosen,
        "agreement": {str(layer): round(rate, 4) for layer, rate in agreement.items()},
    }


def signature(model: TranslationModel, data: TrainingData) -> str:
    """One line that tells runs apart: versions, tokenizer, options, text, seed, device, precision."""
    training = model.config.training
    parts = {
        "nmt": __version__,
        "torch": torch.__version__,
        "spm": model.tokenizer_hash[:8],
        "cfg": config_hash(model.config)[:8],
        "data": data.hash[:8],
        "seed": str(training.seed),
        "dev": describe(model.device),
        "prec": training.precision,
    }
    return "|".join(f"{key}:{value}" for key, value in parts.items())


def config_hash(config: Config) -> str:
    """SHA-256 of a configuration as it is written."""
    return hashlib.sha256(to_toml(config).encode()).hexdigest()
