"""Word alignments: found by a model, merged to words, combined, scored and shown."""

from nmt.alignment.alignment import Alignment
from nmt.alignment.attention import reading_layer
from nmt.alignment.choice import LayerChoice, choose_layer
from nmt.alignment.linking import Linker, align_layers, align_pairs, load_lexicon, origin_of_links
from nmt.alignment.merge import WordAlignment
from nmt.alignment.origin import CombinedOrigin, Origin
from nmt.alignment.text_aligner import Lexicon

__all__ = [
    "Alignment",
    "CombinedOrigin",
    "LayerChoice",
    "Lexicon",
    "Linker",
    "Origin",
    "WordAlignment",
    "align_layers",
    "align_pairs",
    "choose_layer",
    "load_lexicon",
    "origin_of_links",
    "reading_layer",
]
