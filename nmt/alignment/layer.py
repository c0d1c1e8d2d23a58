"""Choose the decoder layer to read links from, by agreement with IBM Model 1: no gold links needed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from nmt.alignment.attention import Read, align_layers
from nmt.alignment.ibm1 import WordPair, train_ibm1
from nmt.alignment.scoring import LinkCounts, count_links
from nmt.checkpoint import TranslationModel
from nmt.corpus.links import GoldLinks
from nmt.corpus.words import words
from nmt.errors import DataError

MODEL1_PAIRS = 30_000
"""At most this many pairs of lines, spread over the text, train Model 1."""
MODEL1_CELLS = 6_000_000
"""At most this many pairs of words: what bounds its time and memory."""
PROBE_PAIRS = 500
"""At most this many of them are aligned with every layer."""
SAMPLE_SEED = 1


@dataclass(frozen=True)
class LayerChoice:
    """The layer whose links agree best with Model 1."""

    layer: int
    """Counted from 1 at the bottom."""
    error_rates: tuple[float, ...]
    """Of every layer: sure links are those of both directions of Model 1, possible ones those of either."""


def choose_layer(
    model: TranslationModel, pairs: Sequence[tuple[str, str]], *, read: Read = "input"
) -> LayerChoice:
    """Train Model 1 both ways on a sample of the training pairs, compare every decoder layer with it."""
    sample = sample_pairs(pairs)
    if not sample:
        raise DataError("no pair of lines with words on both sides to choose the alignment layer by")
    gold = model1_gold([word_pair for _, word_pair in sample], num_gold=PROBE_PAIRS)
    probe = [pair for pair, _ in sample[:PROBE_PAIRS]]
    layers = range(1, model.config.model.decoder_layers + 1)
    counts = dict.fromkeys(layers, LinkCounts())
    for by_layer, gold_links in zip(align_layers(model, probe, layers, read=read), gold, strict=True):
        for layer, alignment in by_layer.items():
            counts[layer] += count_links(set(alignment.words("punct").links), gold_links)
    error_rates = tuple(counts[layer].aer for layer in layers)
    return LayerChoice(1 + error_rates.index(min(error_rates)), error_rates)


def sample_pairs(pairs: Sequence[tuple[str, str]]) -> list[tuple[tuple[str, str], WordPair]]:
    """Pairs from all over the text with their lower-cased words, within the limits above."""
    order = random.Random(SAMPLE_SEED).sample(range(len(pairs)), min(len(pairs), MODEL1_PAIRS))
    sample: list[tuple[tuple[str, str], WordPair]] = []
    cells = 0
    for i in order:
        src_words, tgt_words = (words(line.lower()) for line in pairs[i])
        num_cells = (len(src_words) + 1) * (len(tgt_words) + 1)
        if src_words and tgt_words and cells + num_cells <= MODEL1_CELLS:
            cells += num_cells
            sample.append((pairs[i], (src_words, tgt_words)))
    return sample


def model1_gold(pairs: Sequence[WordPair], *, num_gold: int) -> list[GoldLinks]:
    """Links of the first pairs by Model 1: sure if both directions have them, possible if one does."""
    forward = train_ibm1(pairs)
    reverse = train_ibm1([(tgt_words, src_words) for src_words, tgt_words in pairs])
    gold = []
    for src_words, tgt_words in pairs[:num_gold]:
        one = forward.links((src_words, tgt_words))
        other = {(i, j) for j, i in reverse.links((tgt_words, src_words))}
        gold.append(GoldLinks(frozenset(one & other), frozenset(one | other)))
    return gold
