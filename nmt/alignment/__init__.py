"""Word alignments: read from the cross-attention, merged to words, combined, scored and shown."""

from nmt.alignment.attention import Alignment, align_layers, align_pairs, reading_layer
from nmt.alignment.layer import LayerChoice, choose_layer
from nmt.alignment.merge import WordAlignment

__all__ = [
    "Alignment",
    "LayerChoice",
    "WordAlignment",
    "align_layers",
    "align_pairs",
    "choose_layer",
    "reading_layer",
]
