"""A model in memory: the network, its tokenizers, its configuration, and the directions it knows."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from nmt.config.schema import Config
from nmt.errors import UsageError
from nmt.model import Transformer
from nmt.model.align_head import AlignHead
from nmt.tokenizer import Tokenizer


@dataclass(frozen=True)
class Direction:
    """From which language a model translates into which, and how its network is told."""

    src_lang: str
    tgt_lang: str
    tag_ids: tuple[int, ...] = ()
    """What stands before the pieces of a source; nothing if the model has no other direction."""

    def __str__(self) -> str:
        return f"{self.src_lang}-{self.tgt_lang}"


@dataclass(frozen=True)
class TranslationModel:
    """A network with its tokenizers and its configuration: all that translating and aligning need."""

    config: Config
    src_tokenizer: Tokenizer
    tgt_tokenizer: Tokenizer
    network: Transformer
    manifest: dict[str, Any]
    path: Path | None = None
    align_head: AlignHead | None = None
    hmm_path: Path | None = None
    """File of the HMM aligners, which are only loaded where links are to come from them."""

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.network.tgt_embedding.weight.device

    @cached_property
    def directions(self) -> tuple[Direction, ...]:
        """All directions that the model was trained for, the one of its training files first."""
        src, tgt = self.config.data.languages
        if not self.config.data.bidirectional:
            return (Direction(src, tgt),)
        tags = self.tgt_tokenizer.tags
        return Direction(src, tgt, (tags[tgt],)), Direction(tgt, src, (tags[src],))

    def direction(self, to: str | None = None) -> Direction:
        """The direction into a language, by default the first; UsageError if there is none."""
        if to is None:
            return self.directions[0]
        name = self.path or "the model"
        if not self.config.data.bidirectional:
            raise UsageError(
                f"{name}: translates in one direction only; --to is for models of nmt train --bidirectional"
            )
        for direction in self.directions:
            if direction.tgt_lang == to:
                return direction
        known = ", ".join(direction.tgt_lang for direction in self.directions)
        raise UsageError(f"{name}: does not translate into {to!r}; expected one of: {known}")

    @property
    def tokenizer_hash(self) -> str:
        """SHA-256 of the tokenizer; of the hashes of both, where each language has its own."""
        if self.src_tokenizer.hash == self.tgt_tokenizer.hash:
            return self.src_tokenizer.hash
        return hashlib.sha256(f"{self.src_tokenizer.hash}\n{self.tgt_tokenizer.hash}".encode()).hexdigest()


def build_network(config: Config, src_tokenizer: Tokenizer, tgt_tokenizer: Tokenizer) -> Transformer:
    """A network with fresh weights for these vocabularies."""
    return Transformer(
        config.model, src_vocab_size=src_tokenizer.vocab_size, tgt_vocab_size=tgt_tokenizer.vocab_size
    )


def build_align_head(config: Config, *, layer: int, vocab_sizes: tuple[int, int]) -> AlignHead:
    """An align head with fresh weights for a model with these vocabularies, source and target."""
    src_vocab_size, tgt_vocab_size = vocab_sizes
    return AlignHead(
        config.model.d_model, layer=layer, src_vocab_size=src_vocab_size, tgt_vocab_size=tgt_vocab_size
    )


def with_alignment_layer(model: TranslationModel, layer: int) -> TranslationModel:
    """The model with another decoder layer (from 1) to read links from."""
    return replace(
        model, config=replace(model.config, alignment=replace(model.config.alignment, layer=layer))
    )
