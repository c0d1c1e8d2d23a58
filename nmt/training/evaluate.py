"""Looks at the averaged weights: loss and BLEU on the development set, and one sentence to read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import fmean

import torch
from torch import Tensor

from nmt.alignment import align_pairs
from nmt.checkpoint import TranslationModel
from nmt.corpus.context import Context
from nmt.decoding import Translator
from nmt.evaluation import score
from nmt.model import Transformer
from nmt.training.data import TrainingData
from nmt.training.loss import batch_loss
from nmt.training.report import Sample

PART = 512  # development sentences that are translated before anybody is asked whether to go on
SAMPLE_STRIDE = 97  # prime: successive evaluations show sentences from all over the development set


@dataclass(frozen=True)
class DevTranslation:
    """How well the development set was translated."""

    bleu: float  # the mean of all directions
    bleu_by_direction: dict[str, float]  # of a model with several, as in `de-en`
    signature: str
    sample: Sample  # of the first direction


def translate_dev(
    model: TranslationModel, data: TrainingData, *, number: int, on_progress: Callable[[int], None]
) -> DevTranslation:
    """Translate `dev_sentences` of the development set as a user would; sample number 0, 1, …"""
    most = model.config.training.dev_sentences
    pairs, contexts = data.dev_pairs[:most], data.dev_contexts[:most]
    sides = [src for src, _ in pairs], [tgt for _, tgt in pairs]
    before = [src for src, _ in contexts], [tgt for _, tgt in contexts]
    hypotheses = _translate(model, sides[0], before[0], on_progress=on_progress)
    (bleu,) = score(hypotheses, [sides[1]])
    forward, *others = model.directions
    values = {str(forward): bleu.value}
    for direction in others:
        reverse = _translate(model, sides[1], before[1], to=direction.tgt_lang, on_progress=on_progress)
        values[str(direction)] = score(reverse, [sides[0]])[0].value
    shown = number * SAMPLE_STRIDE % len(pairs)
    (alignment,) = align_pairs(model, [(sides[0][shown], hypotheses[shown], before[0][shown])])
    return DevTranslation(
        fmean(values.values()),
        values if others else {},
        bleu.signature,
        Sample(pairs[shown][1], alignment.words("punct")),
    )


def _translate(
    model: TranslationModel,
    lines: list[str],
    contexts: list[Context],
    *,
    to: str | None = None,
    on_progress: Callable[[int], None],
) -> list[str]:
    decoding = replace(
        model.config.decoding,
        beam_size=model.config.training.dev_beam_size,
        on_long="split",
        samples=0,
        mbr=False,
        shortlist=0,  # links are learnt at the end
    )
    translator, hypotheses = Translator(model, decoding, to=to), list[str]()
    for start in range(0, len(lines), PART):
        part = slice(start, start + PART)
        hypotheses += [each.text for each in translator.translate(lines[part], contexts[part])]
        on_progress(len(lines[part]))
    return hypotheses


@torch.no_grad()
def dev_loss(
    model: TranslationModel, data: TrainingData, *, on_progress: Callable[[int], None] = lambda _: None
) -> float:
    """Negative log-likelihood of the development set, nats per target token."""
    nll, num_tokens = 0.0, 0
    for batch in data.dev_batches(model.device, model.config.training.batch_tokens):
        loss = batch_loss(
            model.network,
            batch,
            label_smoothing=0.0,
            reconstruction=0.0,
        )
        nll += float(loss.nll)
        num_tokens += loss.num_tokens
        on_progress(len(batch.src_tokens))
    return nll / num_tokens


@contextmanager
def averaged(network: Transformer, average: list[Tensor]) -> Iterator[None]:
    """Let the network work with averages of its weights for a while, without dropout."""
    parameters = [parameter.data for parameter in network.parameters()]
    kept = [parameter.clone() for parameter in parameters]
    was_training = network.training
    torch._foreach_copy_(parameters, average)
    network.eval()
    try:
        yield
    finally:
        torch._foreach_copy_(parameters, kept)
        network.train(was_training)
