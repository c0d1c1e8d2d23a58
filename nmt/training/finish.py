"""The end of a run: the best weights become the finished model, with what links are made with."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from nmt.checkpoint import (
    WEIGHTS,
    TranslationModel,
    load_tensors,
    load_weights,
    save_model,
    with_alignment_layer,
)
from nmt.config.schema import Config
from nmt.errors import DataError
from nmt.files import write_text
from nmt.hardware import peak_memory
from nmt.training.best import best_dir
from nmt.training.card import model_card
from nmt.training.data import TrainingData, data_hash
from nmt.training.links import LinkModels, OnProgress, OnStage, learn_links
from nmt.training.report import EndReport
from nmt.training.run import CARD, Run
from nmt.training.state import Progress
from nmt.training.tuning import Tuning


def link_best(
    model: TranslationModel,
    data: TrainingData,
    *,
    run: Run,
    progress: Progress,
    num_pairs: int,
    on_progress: OnProgress,
    on_stage: OnStage,
) -> LinkModels:
    """Load the best weights, and learn what links are made with for them, from at most so many pairs.

    Raises DataError if the text, which is read again, is not what it was.
    """
    _check_text(model.config, data)
    path = best_dir(run.train_dir, progress) / WEIGHTS
    load_weights(model.network, load_tensors(path), name=str(path))
    model.network.eval()
    return learn_links(model, data.sample_pairs(num_pairs), on_progress=on_progress, on_stage=on_stage)


def _check_text(config: Config, data: TrainingData) -> None:
    """DataError if the text has changed since it was opened, which costs reading it only where times have."""
    paths = data.text.changed()
    gone = [path for path in paths if not path.exists()]
    if gone or (paths and data_hash(config) != data.hash):
        found = f"{gone[0]}: is gone" if gone else f"{' or '.join(map(str, paths))}: has changed"
        raise DataError(f"{found} since training began; restore it, and the same command goes on")


def write_finished(
    model: TranslationModel,
    links: LinkModels,
    tuning: Tuning | None,
    *,
    run: Run,
    progress: Progress,
    stopped: str,
    epochs: float,
    facts: Callable[[TranslationModel, EndReport], dict[str, Any]],
) -> EndReport:
    """Write the finished model, its manifest last; returns what came out."""
    model = with_alignment_layer(model, model.config.alignment.layer or links.choice.layer)
    model = replace(model, align_head=links.head)
    if tuning is not None:
        decoding = replace(model.config.decoding, length_penalty=tuning.length_penalty)
        model = replace(model, config=replace(model.config, decoding=decoding))
    end = EndReport(
        step=progress.step,
        epochs=epochs,
        stopped=stopped,
        best_step=progress.best_step,
        bleu=progress.bleu,
        bleu_by_direction=progress.bleu_by_direction,
        signature=progress.signature,
        loss=progress.loss,
        tokens_per_second=progress.tokens_per_second,
        seconds=progress.seconds,
        peak_memory=peak_memory(model.device),
        alignment_layer=model.config.alignment.layer,
        agreement=links.agreement,
        links_from=links.source(model.config.alignment.source),
        link_seconds=links.seconds,
        link_pairs=links.num_pairs,
        tuning=asdict(tuning) if tuning else {},
    )
    model = replace(model, manifest=facts(model, end))
    write_text(run.model_dir / CARD, model_card(model.config, model.manifest))
    save_model(model, run.model_dir, hmm=links.hmm)
    run.forget_what_made_it()
    return end


def end_of(facts: dict[str, Any]) -> EndReport:
    """The report with these facts, which may have gone through JSON."""
    return EndReport(
        **{**facts, "agreement": {int(layer): each for layer, each in facts["agreement"].items()}}
    )


def ended_before(manifest: dict[str, Any]) -> EndReport:
    """The end of a run that ended before, as the manifest of its model tells it."""
    training, bleu = manifest["training"], manifest["dev"]["bleu"]
    return EndReport(
        step=training["step"],
        epochs=training["epoch"],
        stopped=f"finished before at step {training['step']:,}, nothing to do",
        best_step=training["best_step"],
        bleu=bleu["score"],
        bleu_by_direction=manifest["dev"].get("bleu_by_direction", {}),
        signature=bleu["signature"],
        loss=manifest["dev"]["loss"],
        tokens_per_second=training["tokens_per_second"],
        seconds=training["seconds"],
        peak_memory=training.get("peak_memory", 0),  # which older versions did not note
        alignment_layer=manifest["alignment"]["layer"],
        agreement={int(layer): rate for layer, rate in manifest["alignment"]["agreement"].items()},
        links_from=manifest["alignment"]["from"],
        link_seconds=manifest["alignment"].get("seconds", 0.0),
        link_pairs=manifest["alignment"].get("pairs", 0),
        tuning=manifest["dev"].get("tuning", {}),
    )
