"""The encoder-decoder Transformer: tensors only, no text, no files."""

from nmt.model.incremental import IncrementalDecoder
from nmt.model.packing import Precision, pack
from nmt.model.transformer import DecoderOut, EncoderOut, Transformer

__all__ = ["DecoderOut", "EncoderOut", "IncrementalDecoder", "Precision", "Transformer", "pack"]
