"""The encoder-decoder Transformer: tensors only, no text, no files."""

from nmt.model.cache import Cache
from nmt.model.transformer import DecoderOut, EncoderOut, Transformer

__all__ = ["Cache", "DecoderOut", "EncoderOut", "Transformer"]
