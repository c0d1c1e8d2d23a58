"""The encoder-decoder Transformer (Vaswani et al., 2017) in the variants of ModelConfig."""

# B sentences (times beam), S source length, T target length, D d_model, V vocabulary

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.config.schema import ModelConfig
from nmt.model.attention import CrossAttention, SelfAttention
from nmt.model.dropout import dropout
from nmt.model.layers import DecoderLayer, EncoderLayer, FeedForward, make_norm
from nmt.model.positions import Positions
from nmt.tokenizer import PAD_ID


@dataclass(frozen=True)
class EncoderOut:
    """What the encoder made of the source."""

    states: Tensor  # (B, S, D)
    mask: Tensor  # (B, S) bool, true at real positions


@dataclass(frozen=True)
class DecoderOut:
    """What the decoder made of its input."""

    states: Tensor  # (B, T, D)
    attention: dict[int, Tensor]  # decoder layer from 0 -> cross-attention weights (B, H, T, S), float32


class Transformer(nn.Module):
    """Source tokens to states to target logits; decoder input at position i is piece i, 0 being BOS."""

    def __init__(self, config: ModelConfig, *, src_vocab_size: int, tgt_vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.tgt_embedding = nn.Embedding(tgt_vocab_size, config.d_model, padding_idx=PAD_ID)
        self.src_embedding = (
            self.tgt_embedding
            if config.tied_embeddings == "all"
            else nn.Embedding(src_vocab_size, config.d_model, padding_idx=PAD_ID)
        )
        self.out_proj = nn.Linear(config.d_model, tgt_vocab_size, bias=False)
        if config.tied_embeddings != "none":
            self.out_proj.weight = self.tgt_embedding.weight
        # from target embeddings to those of the source pieces behind them, which only training asks for
        self.tgt_to_src = nn.Linear(config.d_model, config.d_model, bias=False)
        self.src_positions = Positions(config.positions, config.d_model, config.max_positions)
        self.tgt_positions = Positions(config.positions, config.d_model, config.max_positions)
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        pre_norm = config.norm_position == "pre"
        self.encoder_norm = make_norm(config) if pre_norm else nn.Identity()
        self.decoder_norm = make_norm(config) if pre_norm else nn.Identity()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights.

        | weights                    | distribution                                           |
        |----------------------------|--------------------------------------------------------|
        | embeddings, learned places | normal, deviation 1/√D; zero for padding               |
        | output, if not tied        | normal, deviation 1/√D                                 |
        | linear                     | Xavier uniform (Glorot & Bengio, 2010), fused ones     |
        |                            | projection by projection                               |
        | biases                     | zero                                                   |
        | norms                      | one, zero                                              |
        """
        deviation = self.config.d_model**-0.5
        fused = self.fused_projections()
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=deviation)
            elif isinstance(module, nn.Linear) and module is self.out_proj:
                if self.config.tied_embeddings == "none":
                    nn.init.normal_(module.weight, std=deviation)
            elif isinstance(module, nn.Linear):
                for part in module.weight.chunk(fused.get(module, 1)):
                    nn.init.xavier_uniform_(part)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.LayerNorm | nn.RMSNorm):
                module.reset_parameters()
        with torch.no_grad():
            for embedding in {self.src_embedding, self.tgt_embedding}:
                embedding.weight[PAD_ID] = 0

    def fused_projections(self) -> dict[nn.Module, int]:
        """The linear layers that are several in one product, whose matrices stand one below the other."""
        fused: dict[nn.Module, int] = {}
        for module in self.modules():
            if isinstance(module, SelfAttention):
                fused[module.in_proj] = 3
            elif isinstance(module, CrossAttention):
                fused[module.key_value_proj] = 2
            elif isinstance(module, FeedForward) and module.gated:
                fused[module.in_proj] = 2
        return fused

    def encode(self, src_tokens: Tensor, *, seen: Tensor | None = None) -> EncoderOut:
        """States of (B, S) source tokens, which end with EOS and are padded with PAD_ID on the right.

        Where `seen` (B, S) is zero instead of one, all that is known of a token is its place.
        """
        mask = src_tokens != PAD_ID  # (B, S)
        attention_mask = None if bool(mask.all()) else mask[:, None, None, :]
        x = self._embed(src_tokens, self.src_embedding, self.src_positions, seen)
        for layer in self.encoder:
            x = layer(x, attention_mask)
        return EncoderOut(self.encoder_norm(x), mask)

    def decode(
        self,
        tgt_tokens: Tensor,
        encoder_out: EncoderOut,
        *,
        attention_layers: Collection[int] = (),
        last_layer: int | None = None,
        seen: Tensor | None = None,
    ) -> DecoderOut:
        """States of (B, T) decoder input.

        `attention_layers` names the layers (from 0) whose cross-attention weights are wanted. `last_layer`
        stops after that layer: the states are then of no use, the weights are. `seen` is as in `encode`.
        """
        x = self._embed(tgt_tokens, self.tgt_embedding, self.tgt_positions, seen)
        attention: dict[int, Tensor] = {}
        for number, layer in enumerate(self.decoder[: None if last_layer is None else last_layer + 1]):
            source = self._source(number, encoder_out)
            x, weights = layer(x, source, return_weights=number in attention_layers)
            if weights is not None:
                attention[number] = weights
        return DecoderOut(self.decoder_norm(x), attention)

    def queries(self, tgt_tokens: Tensor, encoder_out: EncoderOut, *, layer: int) -> Tensor:
        """What the cross-attention of a layer (from 0) asks with, before norm and projection (B, T, D)."""
        x = self._embed(tgt_tokens, self.tgt_embedding, self.tgt_positions)
        layers = self._decoder_layers()
        for number in range(layer):
            x, _ = layers[number](x, self._source(number, encoder_out), return_weights=False)
        return layers[layer].look_back(x)

    def logits(self, states: Tensor) -> Tensor:
        """Unnormalised log-probabilities (…, V) of the piece after each of the states (…, D)."""
        return functional.linear(states, self.out_proj.weight)

    def embed_target(self, tgt_tokens: Tensor) -> Tensor:
        """Embeddings (B, T, D) of target pieces by themselves, without their positions."""
        embedded: Tensor = self.tgt_embedding(tgt_tokens)
        return embedded * math.sqrt(self.config.d_model)

    def forward(self, src_tokens: Tensor, tgt_tokens: Tensor) -> Tensor:
        """Decoder states (B, T, D) for source (B, S) and decoder input (B, T); see `logits`."""
        return self.decode(tgt_tokens, self.encode(src_tokens)).states

    def _decoder_layers(self) -> list[DecoderLayer]:
        return cast(list[DecoderLayer], list(self.decoder))

    def _source(self, number: int, encoder_out: EncoderOut) -> tuple[Tensor, Tensor, Tensor]:
        keys, values = self._decoder_layers()[number].cross_attention.keys_values(encoder_out.states)
        return keys, values, encoder_out.mask[:, None, None, :]

    def _embed(
        self, tokens: Tensor, embedding: nn.Embedding, positions: Positions, seen: Tensor | None = None
    ) -> Tensor:
        x = embedding(tokens) * math.sqrt(self.config.d_model)  # (B, T, D)
        if seen is not None:
            x = x * seen[..., None]
        x = positions(x, torch.arange(tokens.size(1), device=tokens.device))
        return dropout(x, self.config.dropout_rate) if self.training else x
