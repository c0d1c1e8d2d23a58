"""The layers of encoder and decoder: attention, feed-forward, norms and residuals."""

# B sentences (times beam), T target length, S source length, D d_model, F d_ff

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.config.schema import ModelConfig
from nmt.model.attention import CrossAttention, SelfAttention
from nmt.model.dropout import dropout

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "gelu": functional.gelu,
    "silu": functional.silu,
}


def make_norm(config: ModelConfig) -> nn.Module:
    """LayerNorm or RMSNorm over the last dimension."""
    if config.norm == "rms":
        return nn.RMSNorm(config.d_model, eps=1e-6)
    return nn.LayerNorm(config.d_model, bias=config.bias)


class FeedForward(nn.Module):
    """Two linear layers with a nonlinearity between, gated or not (Shazeer, 2020)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[config.activation]
        self.gated = config.gated
        self.dropout_rate = config.activation_dropout
        self.in_proj = nn.Linear(config.d_model, config.d_ff * (2 if config.gated else 1), bias=config.bias)
        self.out_proj = nn.Linear(config.d_ff, config.d_model, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        inner: Tensor = self.in_proj(x)  # (B, T, F), twice as wide if gated
        if self.gated:
            gate, linear = inner.chunk(2, dim=-1)
            inner = self.activation(gate) * linear
        else:
            inner = self.activation(inner)
        if self.training:
            inner = dropout(inner, self.dropout_rate)
        out: Tensor = self.out_proj(inner)
        return out


class Residual(nn.Module):
    """x + sublayer(x) with its norm, before the sub-layer or after the sum."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.pre_norm = config.norm_position == "pre"
        self.dropout_rate = config.dropout_rate
        self.norm = make_norm(config)

    def forward(self, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        out = sublayer(self.norm(x) if self.pre_norm else x)
        if self.training:
            out = dropout(out, self.dropout_rate)
        x = x + out
        if not self.pre_norm:
            x = self.norm(x)
        return x


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention = make_self_attention(config)
        self.attention_residual = Residual(config)
        self.feed_forward = FeedForward(config)
        self.feed_forward_residual = Residual(config)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, S, D) to (B, S, D); mask (B, 1, 1, S) is true at real positions, None if all are."""
        x = self.attention_residual(x, lambda normed: self.attention(normed, mask=mask))
        out: Tensor = self.feed_forward_residual(x, self.feed_forward)
        return out


class DecoderLayer(nn.Module):
    """Causal self-attention, cross-attention to the source, and feed-forward."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention = make_self_attention(config)
        self.attention_residual = Residual(config)
        self.cross_attention = CrossAttention(
            config.d_model,
            config.num_heads,
            bias=config.bias,
            dropout_rate=config.attention_dropout,
            qk_norm=config.qk_norm,
        )
        self.cross_residual = Residual(config)
        self.feed_forward = FeedForward(config)
        self.feed_forward_residual = Residual(config)

    def forward(
        self,
        x: Tensor,
        source: tuple[Tensor, Tensor, Tensor],
        *,
        return_weights: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """(B, T, D) to (B, T, D) and the cross-attention weights (B, H, T, S) if asked for.

        `source` holds keys and values (B, H, S, K) of the source and its mask (B, 1, 1, S).
        """
        weights: Tensor | None = None

        def look_at_source(normed: Tensor) -> Tensor:
            nonlocal weights
            keys, values, mask = source
            out: Tensor
            out, weights = self.cross_attention(
                normed, keys, values, mask=mask, return_weights=return_weights
            )
            return out

        x = self.cross_residual(self.look_back(x), look_at_source)
        return self.feed_forward_residual(x, self.feed_forward), weights

    def look_back(self, x: Tensor) -> Tensor:
        """(B, T, D) after self-attention: what the cross-attention asks the source with."""
        out: Tensor = self.attention_residual(x, lambda normed: self.attention(normed, causal=True))
        return out


def make_self_attention(config: ModelConfig) -> SelfAttention:
    """The self-attention of one layer."""
    return SelfAttention(
        config.d_model,
        config.num_heads,
        bias=config.bias,
        dropout_rate=config.attention_dropout,
        rotary=config.positions == "rotary",
        qk_norm=config.qk_norm,
    )
