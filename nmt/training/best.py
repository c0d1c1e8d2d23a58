"""The best weights so far: found by looks at the development set, and kept in a folder of their own."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from nmt.checkpoint import TranslationModel, publish_model
from nmt.errors import DivergedError
from nmt.training.data import TrainingData
from nmt.training.evaluate import averaged, dev_loss, translate_dev
from nmt.training.report import Sample
from nmt.training.state import Progress


@dataclass(frozen=True)
class Look:
    """What a look at the development set has shown."""

    loss: float
    bleu: float
    bleu_by_direction: dict[str, float]
    signature: str
    is_best: bool
    sample: Sample


def best_dir(train_dir: Path, progress: Progress) -> Path:
    """Where the best weights so far lie."""
    return train_dir / f"best-{progress.best_step}"


def look(
    model: TranslationModel,
    data: TrainingData,
    *,
    average: list[Tensor],
    progress: Progress,
    train_dir: Path,
    facts: Callable[[TranslationModel], dict[str, Any]],
    on_progress: Callable[[int], None],
) -> Look:
    """Score the averaged weights; if they are the best so far, keep them with the `facts` about them.

    Raises DivergedError if they are of no use.
    """
    training = model.config.training
    with averaged(model.network, average):
        loss = dev_loss(model, data, on_progress=on_progress)
        _refuse_divergence(loss, data.tgt_tokenizer.vocab_size, progress)
        number = progress.step // training.eval_steps
        dev = translate_dev(model, data, number=number, on_progress=on_progress)
        is_best = _is_best(dev.bleu, loss, progress, metric=training.metric)
        if is_best:
            progress.best_value = dev.bleu if training.metric == "bleu" else -loss
            progress.best_step = progress.step
            progress.bleu, progress.loss, progress.signature = dev.bleu, loss, dev.signature
            progress.bleu_by_direction = dev.bleu_by_direction
            _keep(replace(model, manifest=facts(model)), best_dir(train_dir, progress))
    progress.num_stale = 0 if is_best else progress.num_stale + 1
    progress.num_evaluations += 1
    progress.evaluated_step = progress.step
    return Look(loss, dev.bleu, dev.bleu_by_direction, dev.signature, is_best, dev.sample)


def _refuse_divergence(loss: float, vocab_size: int, progress: Progress) -> None:
    """DivergedError if the model is far worse than guessing, and than it was at the start."""
    worst = math.log(2) + max(math.log(vocab_size), progress.first_loss)
    if not loss <= worst:  # nor if it is not a number
        raise DivergedError(
            f"training diverged: dev loss {loss:.4g} at step {progress.step:,}; "
            f"guessing gives {math.log(vocab_size):.4g}"
        )


def _is_best(bleu: float, loss: float, progress: Progress, *, metric: str) -> bool:
    """Whether the dev scores are better than those before; of equal BLEU the smaller loss is."""
    if metric == "loss":
        return -loss > progress.best_value
    return (bleu, -loss) > (progress.best_value, -progress.loss)


def _keep(model: TranslationModel, folder: Path) -> None:
    """Write the model as it is, whole."""
    if not folder.exists():  # from before the run was killed
        publish_model(model, folder)
