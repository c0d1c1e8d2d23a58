"""Multi-head attention, softmax(QKᵀ/√d_k)V, fused or with its weights (Vaswani et al., 2017)."""

# B sentences (times beam), T query length, S key length, D d_model, H heads, K = D / H

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.model.cache import LayerCache
from nmt.model.dropout import dropout
from nmt.model.positions import rotate


def attend(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    mask: Tensor | None = None,
    causal: bool = False,
    dropout_rate: float = 0.0,
    return_weights: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Attention of (B, H, T, K) queries over (B, H, S, K) keys and values: (B, H, T, K) and the weights.

    `mask` is boolean, broadcasts to (B, H, T, S), and is true where a query may look. `causal` lets query t
    see keys up to t + S - T. The weights (B, H, T, S) are returned in float32 if asked for, else None.
    """
    if causal and queries.size(2) > 1:  # a single query at the end sees everything
        before = _causal_mask(queries.size(2), keys.size(2), queries.device)
        mask = before if mask is None else mask & before
    if return_weights or dropout_rate > 0 or _fused_is_slow(queries):
        weights = attention_weights(queries, keys, mask=mask)
        dropped = dropout(weights, dropout_rate).to(values.dtype)
        return dropped @ values, weights if return_weights else None
    return functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask), None


def attention_weights(queries: Tensor, keys: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """softmax(QKᵀ/√K) over the keys that `mask` allows, (B, H, T, S) in float32."""
    scores: Tensor = (queries * queries.size(-1) ** -0.5) @ keys.transpose(-2, -1)  # (B, H, T, S)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return scores.softmax(-1, dtype=torch.float32)


def _causal_mask(queries: int, keys: int, device: torch.device) -> Tensor:
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)


def _fused_is_slow(queries: Tensor) -> bool:
    # the backward pass of torch's fused CPU kernel takes several times longer in bfloat16 than plain products
    return queries.device.type == "cpu" and queries.dtype == torch.bfloat16 and queries.requires_grad


class SelfAttention(nn.Module):
    """Every position looks at every real position of the same side, or at itself and those before it."""

    def __init__(
        self, d_model: int, num_heads: int, *, bias: bool, dropout_rate: float, rotary: bool
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout_rate = dropout_rate
        self.rotary = rotary
        self.in_proj = nn.Linear(d_model, 3 * d_model, bias=bias)  # queries, keys, values
        self.out_proj = nn.Linear(d_model, d_model, bias=bias)

    def forward(
        self, x: Tensor, *, mask: Tensor | None = None, causal: bool = False, cache: LayerCache | None = None
    ) -> Tensor:
        """(B, T, D) to (B, T, D); with a cache, x continues the positions seen before."""
        queries, keys, values = (
            _split_heads(part, self.num_heads) for part in self.in_proj(x).chunk(3, dim=-1)
        )  # (B, H, T, K)
        if self.rotary:
            start = cache.length if cache else 0
            queries, keys = rotate(queries, start), rotate(keys, start)
        if cache is not None:
            keys, values = cache.append(keys, values)
        rate = self.dropout_rate if self.training else 0.0
        attended, _ = attend(queries, keys, values, mask=mask, causal=causal, dropout_rate=rate)
        out: Tensor = self.out_proj(_join_heads(attended))
        return out


class CrossAttention(nn.Module):
    """Every target position looks at the real positions of the source: where the alignment comes from."""

    def __init__(self, d_model: int, num_heads: int, *, bias: bool, dropout_rate: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout_rate = dropout_rate
        self.query_proj = nn.Linear(d_model, d_model, bias=bias)
        self.key_value_proj = nn.Linear(d_model, 2 * d_model, bias=bias)
        self.out_proj = nn.Linear(d_model, d_model, bias=bias)

    def keys_values(self, encoder_states: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, H, S, K) of (B, S, D) encoder states: once per sentence."""
        keys, values = self.key_value_proj(encoder_states).chunk(2, dim=-1)
        return _split_heads(keys, self.num_heads), _split_heads(values, self.num_heads)

    def forward(
        self, x: Tensor, keys: Tensor, values: Tensor, *, mask: Tensor, return_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """(B, T, D) over keys and values (B, H, S, K) to (B, T, D) and the weights (B, H, T, S) if asked."""
        queries = _split_heads(self.query_proj(x), self.num_heads)
        rate = self.dropout_rate if self.training else 0.0
        attended, weights = attend(
            queries, keys, values, mask=mask, dropout_rate=rate, return_weights=return_weights
        )
        return self.out_proj(_join_heads(attended)), weights


def _split_heads(x: Tensor, num_heads: int) -> Tensor:
    return x.view(*x.shape[:2], num_heads, -1).transpose(1, 2)  # (B, T, D) -> (B, H, T, K)


def _join_heads(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(-2)  # (B, H, T, K) -> (B, T, D)
