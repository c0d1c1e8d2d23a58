"""What a finished model makes links with, learnt from its text: HMM aligners, the layer, the align head."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from nmt.alignment.choice import LayerChoice, Probe, choose_layer, choose_threshold
from nmt.alignment.linking import EncodedPair, cut_pair, encode_pair
from nmt.alignment.origin import LinkSource, source_of_links
from nmt.alignment.text_aligner import CutPair, TextAligner, train_text_aligner
from nmt.checkpoint import TranslationModel
from nmt.config.schema import LinksFrom
from nmt.corpus.context import LinePair
from nmt.errors import DataError
from nmt.model.align_head import AlignHead
from nmt.training.align_head import EPOCHS, fresh_head, make_labels, train_align_head

OnProgress = Callable[[int], None]
"""Hears of pairs that were dealt with, and may raise to stop."""
OnStage = Callable[[str], None]
"""Hears in a few words what is done now."""


@dataclass(frozen=True)
class LinkModels:
    """What links are made with, besides the attention of the model itself."""

    choice: LayerChoice
    hmm: dict[str, Tensor]
    head: AlignHead | None
    num_pairs: int
    seconds: float

    def source(self, asked: LinksFrom) -> LinkSource:
        """Where links of a model that has them come from."""
        return source_of_links(asked, has_head=self.head is not None, has_hmm=True, num_pairs=self.num_pairs)

    @property
    def agreement(self) -> dict[int, float]:
        """Of every decoder layer (from 1) with the HMM aligners: 1 - AER."""
        return {layer: 1 - rate for layer, rate in enumerate(self.choice.error_rates, start=1)}


def learn_links(
    model: TranslationModel,
    pairs: Sequence[LinePair],
    *,
    on_progress: OnProgress = lambda _: None,
    on_stage: OnStage = lambda _: None,
) -> LinkModels:
    """Learn from pairs of the training text, in the model's first direction; its weights stay as they are.

    The HMM aligners come first; the layer is chosen by agreement with them, the head learns their links, and
    its threshold is chosen like the layer.
    Raises DataError if no pair can be used.
    """
    started = time.perf_counter()
    used, cut = _cut(model, pairs, on_progress)
    if not cut:
        raise DataError("no pair of lines with words on both sides to learn links from")
    on_stage(f"HMM aligners, from {len(cut):,} pairs")
    sizes = model.src_tokenizer.vocab_size, model.tgt_tokenizer.vocab_size
    is_joint = model.config.tokenizer.joint
    aligner = train_text_aligner(cut, vocab_sizes=sizes, is_joint=is_joint, on_progress=on_progress)
    on_stage("the decoder layer whose attention agrees best with them")
    probe = Probe.of(model, used, aligner)
    choice = choose_layer(model, probe)
    on_progress(0)
    head = None
    if model.config.alignment.head:
        layer = model.config.alignment.layer or choice.layer
        head = _train_head(model, cut, aligner, layer=layer, on_progress=on_progress, on_stage=on_stage)
        head.threshold = choose_threshold(replace(model, align_head=head), probe)
    return LinkModels(choice, aligner.state(), head, len(cut), time.perf_counter() - started)


def _cut(
    model: TranslationModel, pairs: Sequence[LinePair], on_progress: OnProgress
) -> tuple[list[LinePair], list[CutPair]]:
    """The pairs that can be learnt from, as they are and cut into pieces and words."""
    used, cut = list[LinePair](), list[CutPair]()
    for pair in usable_pairs(model, pairs):
        used.append((pair.source, pair.target, pair.context))
        cut.append(cut_pair(pair))
        on_progress(0)
    return used, cut


def usable_pairs(model: TranslationModel, pairs: Iterable[LinePair]) -> Iterator[EncodedPair]:
    """The pairs with pieces on both sides, and not too many, in pieces."""
    for pair in pairs:
        encoded = encode_pair(model, *pair)
        if encoded.ids and encoded.ids.length <= model.config.data.max_length + 1:
            yield encoded


def _train_head(
    model: TranslationModel,
    cut: Sequence[CutPair],
    aligner: TextAligner,
    *,
    layer: int,
    on_progress: OnProgress,
    on_stage: OnStage,
) -> AlignHead:
    """An align head, and a word at the beginning of each epoch."""
    num_seen = 0

    def heard(num_pairs: int) -> None:
        nonlocal num_seen
        if num_seen % len(cut) == 0:
            on_stage(f"align head, epoch {num_seen // len(cut) + 1} of {EPOCHS}")
        num_seen += num_pairs
        on_progress(num_pairs)

    seed = model.config.training.seed
    return train_align_head(
        model,
        cut,
        lambda batch: make_labels(aligner.posteriors(batch)),
        head=fresh_head(model, layer=layer, seed=seed),
        seed=seed,
        on_progress=heard,
    )
