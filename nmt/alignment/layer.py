"""Choose the decoder layer to read links from, by agreement with the HMM aligners: no gold links needed."""

from collections.abc import Sequence
from dataclasses import dataclass

from nmt.alignment.linking import align_layers, link_by_text
from nmt.alignment.scoring import LinkCounts, count_links
from nmt.alignment.text_aligner import TextAligner
from nmt.checkpoint import TranslationModel
from nmt.corpus.links import GoldLinks

PROBE_PAIRS = 500
"""At most this many pairs are aligned with every layer."""


@dataclass(frozen=True)
class LayerChoice:
    """The layer whose links agree best with the HMM aligners."""

    layer: int
    """Counted from 1 at the bottom."""
    error_rates: tuple[float, ...]
    """Of every layer, on the links of the HMM aligners."""


def choose_layer(
    model: TranslationModel,
    pairs: Sequence[tuple[str, str]],
    aligner: TextAligner,
) -> LayerChoice:
    """Compare the links of every decoder layer with those of the aligner, on some of its training pairs."""
    probe = pairs[:: max(1, len(pairs) // PROBE_PAIRS)][:PROBE_PAIRS]
    gold = [frozenset(one.words("punct").links) for one in link_by_text(model, probe, aligner)]
    layers = range(1, model.config.model.decoder_layers + 1)
    counts = dict.fromkeys(layers, LinkCounts())
    for by_layer, links in zip(align_layers(model, probe, layers), gold, strict=True):
        for layer, alignment in by_layer.items():
            counts[layer] += count_links(set(alignment.words("punct").links), GoldLinks(links, links))
    error_rates = tuple(counts[layer].aer for layer in layers)
    return LayerChoice(1 + error_rates.index(min(error_rates)), error_rates)
