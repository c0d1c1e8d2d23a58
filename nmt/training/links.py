"""What a finished model makes links with, learnt from its text: HMM aligners, the layer, the align head."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from nmt.alignment.layer import LayerChoice, choose_layer
from nmt.alignment.linking import EncodedPair, cut_pair, encode_pair
from nmt.alignment.text_aligner import CutPair, train_text_aligner
from nmt.checkpoint import TranslationModel
from nmt.corpus.reading import Pair
from nmt.errors import DataError
from nmt.model.align_head import AlignHead
from nmt.training.align_head import fresh_head, make_labels, train_align_head

OnProgress = Callable[[int], None]
"""Hears of pairs that were dealt with, and may raise to stop."""


@dataclass(frozen=True)
class LinkModels:
    """What links are made with, besides the attention of the model itself."""

    choice: LayerChoice
    hmm: dict[str, Tensor]
    head: AlignHead | None
    seconds: float


def learn_links(
    model: TranslationModel, pairs: Sequence[Pair], *, on_progress: OnProgress = lambda _: None
) -> LinkModels:
    """Learn from pairs of the training text, in the model's first direction; its weights stay as they are.

    The HMM aligners come first; the layer is chosen by agreement with them, and the head learns their links.
    Raises DataError if no pair can be used.
    """
    started = time.perf_counter()
    used, cut = list[Pair](), list[CutPair]()
    for pair in usable_pairs(model, pairs):
        used.append((pair.source, pair.target))
        cut.append(cut_pair(pair))
    if not cut:
        raise DataError("no pair of lines with words on both sides to learn links from")
    on_progress(0)
    sizes = model.src_tokenizer.vocab_size, model.tgt_tokenizer.vocab_size
    is_joint = model.config.tokenizer.joint
    aligner = train_text_aligner(cut, vocab_sizes=sizes, is_joint=is_joint, on_progress=on_progress)
    choice = choose_layer(model, used, aligner)
    seed, head = model.config.training.seed, None
    if model.config.alignment.head:
        head = train_align_head(
            model,
            cut,
            lambda batch: make_labels(aligner.posteriors(batch)),
            head=fresh_head(model, layer=model.config.alignment.layer or choice.layer, seed=seed),
            seed=seed,
            on_progress=on_progress,
        )
    return LinkModels(choice, aligner.state(), head, time.perf_counter() - started)


def usable_pairs(model: TranslationModel, pairs: Iterable[Pair]) -> Iterator[EncodedPair]:
    """The pairs with pieces on both sides, and not too many, in pieces."""
    for pair in pairs:
        encoded = encode_pair(model, *pair)
        if encoded.ids and encoded.ids.length <= model.config.data.max_length + 1:
            yield encoded
