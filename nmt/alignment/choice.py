"""Choose decoder layer and threshold by agreement with the HMM aligners: no gold links needed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from nmt.alignment.linking import align_layers, align_pairs, link_by_text
from nmt.alignment.scoring import LinkCounts, count_links
from nmt.alignment.text_aligner import TextAligner
from nmt.checkpoint import TranslationModel
from nmt.corpus.context import LinePair
from nmt.corpus.links import GoldLinks, Link
from nmt.corpus.reading import spread

PROBE_PAIRS = 500
"""At most this many pairs are linked in order to choose."""
LOWEST_THRESHOLD = 0.1


@dataclass(frozen=True)
class Probe:
    """Pairs of the training text, and the links between words that the HMM aligners give them."""

    pairs: Sequence[LinePair]
    links: Sequence[frozenset[Link]]

    @classmethod
    def of(cls, model: TranslationModel, pairs: Sequence[LinePair], aligner: TextAligner) -> "Probe":
        """Some of the pairs that the aligners were trained on, from all over the text."""
        some = [pairs[number] for number in spread(torch.arange(len(pairs)), PROBE_PAIRS).tolist()]
        return cls(some, [frozenset(one.words().links) for one in link_by_text(model, some, aligner)])


@dataclass(frozen=True)
class LayerChoice:
    """The layer whose links agree best with the HMM aligners."""

    layer: int
    """Counted from 1 at the bottom."""
    error_rates: tuple[float, ...]
    """Of every layer, on the links of the HMM aligners."""


def choose_layer(model: TranslationModel, probe: Probe) -> LayerChoice:
    """Compare the links that are read from the attention of every decoder layer."""
    layers = range(1, model.config.model.decoder_layers + 1)
    counts = dict.fromkeys(layers, LinkCounts())
    for by_layer, links in zip(align_layers(model, probe.pairs, layers), probe.links, strict=True):
        for layer, alignment in by_layer.items():
            counts[layer] += count_links(set(alignment.words().links), GoldLinks(links, links))
    error_rates = tuple(counts[layer].aer for layer in layers)
    return LayerChoice(1 + error_rates.index(min(error_rates)), error_rates)


def choose_threshold(model: TranslationModel, probe: Probe) -> float:
    """How well words have to fit for the links of a model's align head to agree best, by F1; 0 if none do.

    A head that could learn little spreads its probabilities, and would leave too many words without a link.
    """
    num_links = sum(map(len, probe.links))
    found = align_pairs(model, probe.pairs, links_from="head")
    fits = sorted(
        (
            (fit, link in links)
            for one, links in zip(found, probe.links, strict=True)
            for link, fit in one.words(threshold=LOWEST_THRESHOLD).links.items()
        ),
        reverse=True,
    )
    num_hits, best = 0, (0.0, 0.0)
    for count, (fit, is_hit) in enumerate(fits, start=1):
        if is_hit:
            num_hits += 1
            best = max(best, (2 * num_hits / (count + num_links), fit))
    return math.floor(best[1] * 1000) / 1000
