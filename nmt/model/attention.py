"""Multi-head attention, softmax(QKᵀ/√d_k)V, fused or with its weights (Vaswani et al., 2017)."""

# B sentences (times beam), T query length, S key length, D d_model, H heads, K = D / H

import copy
import math
from typing import Any, Self, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.model.dropout import survivors
from nmt.model.positions import InterleavedRotation, Rotation, SplitRotation, interleaving

AnyModule = TypeVar("AnyModule", bound=nn.Module)

FAST_SOFTMAX = 16  # numbers; of fewer torch's takes several times as long on a CPU
FAST_FUSED = 256  # keys; up to so many torch's fused attention takes longer on a CPU, with its gradient


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
    if dropout_rate > 0 or return_weights or _fused_is_slow(queries, keys):
        inputs = queries, keys, values, _as_bias(mask), dropout_rate
        attended, weights = _WeightedSum.apply(*inputs)  # type: ignore[no-untyped-call]
        return attended, weights if return_weights else None
    return functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask), None


class _WeightedSum(torch.autograd.Function):
    """Attention with its weights, dropped out or not, and the gradient of both worked out by hand.

    Its operations are few and short.
    """

    @staticmethod
    def forward(
        ctx: Any, queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None, dropout_rate: float
    ) -> tuple[Tensor, Tensor]:
        queries, keys, values = (each.contiguous() for each in (queries, keys, values))
        dtype = torch.promote_types(queries.dtype, torch.float32)
        weights = (queries @ keys.mT).to(dtype).mul_(queries.size(-1) ** -0.5)  # (B, H, T, S)
        if bias is not None:
            weights += bias
        weights = _softmax_(weights)
        kept = None
        if dropout_rate > 0:
            survived, scale = survivors(weights, dropout_rate)
            kept = survived * scale
        dropped = (weights if kept is None else weights * kept).to(values.dtype)
        ctx.save_for_backward(queries, keys, values, weights, dropped, kept)
        ctx.set_materialize_grads(False)
        return dropped @ values, weights

    @staticmethod
    def backward(
        ctx: Any, grad_attended: Tensor | None, grad_weights: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, None, None]:
        queries, keys, values, weights, dropped, kept = ctx.saved_tensors
        if grad_attended is None:  # only the weights were used
            grad_attended = torch.zeros_like(queries)
        grad_attended = grad_attended.contiguous()
        grad_values = dropped.mT @ grad_attended
        grad = (grad_attended @ values.mT).to(weights.dtype)
        if kept is not None:
            grad *= kept
        if grad_weights is not None:
            grad += grad_weights
        grad *= weights
        grad.addcmul_(weights, grad.sum(-1, keepdim=True), value=-1)  # of what the softmax is of
        grad = grad.mul_(queries.size(-1) ** -0.5).to(queries.dtype)  # of the scores
        return grad @ keys, grad.mT @ queries, grad_values, None, None


def _softmax_(x: Tensor) -> Tensor:
    """Softmax over the last dimension, which may be written over x."""
    if x.device.type != "cpu" or x.size(-1) >= FAST_SOFTMAX:
        return x.softmax(-1)
    x = x.sub_(x.amax(-1, keepdim=True)).exp_()
    return x.div_(x.sum(-1, keepdim=True))


def _fused_is_slow(queries: Tensor, keys: Tensor) -> bool:
    """Whether torch's fused attention takes longer, with its gradient, than plain products do."""
    is_short = keys.size(2) <= FAST_FUSED
    return (
        queries.requires_grad
        and queries.device.type == "cpu"
        and (is_short or queries.dtype == torch.bfloat16)
    )


def _as_bias(mask: Tensor | None) -> Tensor | None:
    """Zero where the mask is true, minus infinity elsewhere."""
    if mask is None:
        return None
    return torch.zeros(mask.shape, device=mask.device).masked_fill_(~mask, -math.inf)


def _causal_mask(queries: int, keys: int, device: torch.device) -> Tensor:
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)


class SelfAttention(nn.Module):
    """Every position looks at every real position of the same side, or at itself and those before it."""

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        *,
        bias: bool,
        dropout_rate: float,
        rotary: bool,
        qk_norm: bool = False,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout_rate = dropout_rate
        self.head_width = d_model // num_heads
        self.rotary = rotary
        self.is_interleaved = False
        self.in_proj = nn.Linear(d_model, 3 * d_model, bias=bias)  # queries, keys, values
        self.query_norm, self.key_norm = (_head_norm(self.head_width, qk_norm) for _ in range(2))
        self.out_proj = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x: Tensor, *, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        rotation = self.rotation(torch.arange(x.size(1), device=x.device))
        queries, keys, values = self.heads(self.in_proj(x), rotation)
        rate = self.dropout_rate if self.training else 0.0
        attended, _ = attend(queries, keys, values, mask=mask, causal=causal, dropout_rate=rate)
        out: Tensor = self.out_proj(join_heads(attended))
        return out

    def rotation(self, places: Tensor) -> Rotation | None:
        """What places (T,), or (B, 1, T), do to queries and keys in every layer, if they are rotations."""
        kind = InterleavedRotation if self.is_interleaved else SplitRotation
        return kind.at(places, self.head_width) if self.rotary else None

    def interleaved(self) -> Self:
        """The same function of float32, which turns queries and keys several times as fast on a CPU.

        The halves of the pairs that are turned lie side by side. What is not reordered is shared.
        """
        assert self.rotary
        clone = copy.copy(self)
        clone.is_interleaved = True
        clone._modules = dict(self._modules)
        order = interleaving(self.head_width)
        rows = torch.arange(len(self.in_proj.weight)).view(3, -1, self.head_width)  # queries, keys, values
        rows[:2] = rows[:2, :, order]
        clone.in_proj = _reordered(self.in_proj, rows.flatten())
        if not isinstance(self.query_norm, nn.Identity):
            clone.query_norm, clone.key_norm = (
                _reordered(norm, order) for norm in (self.query_norm, self.key_norm)
            )
        return clone

    def heads(self, projected: Tensor, rotation: Rotation | None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (B, H, T, K) of what `in_proj` gives (B, T, 3 D)."""
        queries, keys, values = (split_heads(part, self.num_heads) for part in projected.chunk(3, dim=-1))
        queries, keys = self.query_norm(queries), self.key_norm(keys)
        if rotation:
            queries, keys = rotation.turn(queries), rotation.turn(keys)
        return queries, keys, values


class CrossAttention(nn.Module):
    """Every target position looks at the real positions of the source: where the alignment comes from."""

    def __init__(
        self, d_model: int, num_heads: int, *, bias: bool, dropout_rate: float, qk_norm: bool = False
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout_rate = dropout_rate
        self.query_proj = nn.Linear(d_model, d_model, bias=bias)
        self.key_value_proj = nn.Linear(d_model, 2 * d_model, bias=bias)
        self.query_norm, self.key_norm = (_head_norm(d_model // num_heads, qk_norm) for _ in range(2))
        self.out_proj = nn.Linear(d_model, d_model, bias=bias)

    def keys_values(self, encoder_states: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, H, S, K) of (B, S, D) encoder states: once per sentence."""
        keys, values = self.key_value_proj(encoder_states).chunk(2, dim=-1)
        return self.key_norm(split_heads(keys, self.num_heads)), split_heads(values, self.num_heads)

    def queries(self, projected: Tensor) -> Tensor:
        """Queries (B, H, T, K) of what `query_proj` gives (B, T, D)."""
        queries: Tensor = self.query_norm(split_heads(projected, self.num_heads))
        return queries

    def forward(
        self, x: Tensor, keys: Tensor, values: Tensor, *, mask: Tensor, return_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """(B, T, D) over keys and values (B, H, S, K) to (B, T, D) and the weights (B, H, T, S) if asked."""
        queries = self.queries(self.query_proj(x))
        rate = self.dropout_rate if self.training else 0.0
        attended, weights = attend(
            queries, keys, values, mask=mask, dropout_rate=rate, return_weights=return_weights
        )
        return self.out_proj(join_heads(attended)), weights


def _head_norm(width: int, is_wanted: bool) -> nn.Module:
    """RMSNorm over the width of a head, with one gain for all heads."""
    return nn.RMSNorm(width, eps=1e-6) if is_wanted else nn.Identity()


def _reordered(module: AnyModule, rows: Tensor) -> AnyModule:
    """The module with the rows of its parameters in another order."""
    clone = copy.copy(module)
    clone._parameters = {
        name: None if each is None else nn.Parameter(each.detach()[rows], requires_grad=False)
        for name, each in module._parameters.items()
    }
    return clone


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """(B, T, D) to (B, H, T, K), a view."""
    return x.view(*x.shape[:-1], num_heads, x.size(-1) // num_heads).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """(B, H, T, K) to (B, T, D)."""
    return x.transpose(1, 2).flatten(-2)
