"""Choose the decoder layer to read links from, by agreement with the HMM aligner: no gold links needed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from nmt.alignment.attention import Read, align_layers
from nmt.alignment.hmm import IdPair, train_hmm
from nmt.alignment.scoring import LinkCounts, count_links
from nmt.checkpoint import TranslationModel
from nmt.corpus.links import GoldLinks
from nmt.corpus.words import words
from nmt.errors import DataError

HMM_PAIRS = 30_000
"""At most this many pairs of lines, spread over the text, train the HMM aligner."""
HMM_CELLS = 6_000_000
"""At most this many pairs of words: what bounds its time and memory."""
PROBE_PAIRS = 500
"""At most this many of them are aligned with every layer."""
SAMPLE_SEED = 1
LEAST_PROBABILITY = 0.5
"""Links of one direction of the HMM aligner are at least this probable."""

WordPair = tuple[Sequence[str], Sequence[str]]
"""The words of a source and of a target line."""


@dataclass(frozen=True)
class LayerChoice:
    """The layer whose links agree best with the HMM aligner."""

    layer: int
    """Counted from 1 at the bottom."""
    error_rates: tuple[float, ...]
    """Of every layer: sure links are those of both its directions, possible ones those of either."""


def choose_layer(
    model: TranslationModel, pairs: Sequence[tuple[str, str]], *, read: Read = "input"
) -> LayerChoice:
    """Train the HMM aligner on a sample of the training pairs, compare every decoder layer with it."""
    sample = sample_pairs(pairs)
    if not sample:
        raise DataError("no pair of lines with words on both sides to choose the alignment layer by")
    gold = hmm_gold([word_pair for _, word_pair in sample], num_gold=PROBE_PAIRS)
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
    order = random.Random(SAMPLE_SEED).sample(range(len(pairs)), min(len(pairs), HMM_PAIRS))
    sample: list[tuple[tuple[str, str], WordPair]] = []
    cells = 0
    for i in order:
        src_words, tgt_words = (words(line.lower()) for line in pairs[i])
        num_cells = (len(src_words) + 1) * (len(tgt_words) + 1)
        if src_words and tgt_words and cells + num_cells <= HMM_CELLS:
            cells += num_cells
            sample.append((pairs[i], (src_words, tgt_words)))
    return sample


def hmm_gold(pairs: Sequence[WordPair], *, num_gold: int) -> list[GoldLinks]:
    """Links of the first pairs by an HMM aligner: sure if both directions have them, possible if one has."""
    numbers: dict[str, int] = {}
    id_pairs: list[IdPair] = [
        ([numbers.setdefault(word, len(numbers)) for word in src_words],
         [numbers.setdefault(word, len(numbers)) for word in tgt_words])
        for src_words, tgt_words in pairs
    ]  # fmt: skip
    aligner = train_hmm(id_pairs, vocab_size=len(numbers))
    gold = []
    for forward, backward in aligner.posteriors_batch(id_pairs[:num_gold]):
        one, other = (
            {(i, j) for j, i in (links >= LEAST_PROBABILITY).nonzero().tolist()}
            for links in (forward, backward)
        )
        gold.append(GoldLinks(frozenset(one & other), frozenset(one | other)))
    return gold
