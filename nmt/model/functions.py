"""Modules as functions: what they compute once trained, without what calling a module costs."""

# N rows, D d_model, H heads, K = D / H

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from nmt.model.attention import CrossAttention, SelfAttention
from nmt.model.int8_linear import Int8Linear
from nmt.model.layers import FeedForward, Residual
from nmt.model.positions import Rotation

Function = Callable[[Tensor], Tensor]
"""Of rows (N, D)."""


def as_function(module: nn.Module) -> Function:
    """What a module makes of rows."""
    if isinstance(module, nn.Linear):
        weight, bias = module.weight.t(), module.bias
        return partial(torch.mm, mat2=weight) if bias is None else partial(torch.addmm, bias, mat2=weight)
    if isinstance(module, nn.LayerNorm):
        shape, weight, bias = module.normalized_shape, module.weight, module.bias
        return partial(torch.layer_norm, normalized_shape=shape, weight=weight, bias=bias, eps=module.eps)
    if isinstance(module, nn.RMSNorm):
        shape = module.normalized_shape
        return partial(torch.rms_norm, normalized_shape=shape, weight=module.weight, eps=module.eps)
    return module.forward


def as_function_(module: nn.Module, *, is_positive: bool) -> Function:
    """The same, which may write over the rows; if nothing in them is negative, it may make use of that."""
    if isinstance(module, Int8Linear):
        return partial(module.forward_, is_positive=is_positive)
    return as_function(module)


def queries_keys_values(module: SelfAttention) -> Callable[[Tensor, Rotation | None], Tensor]:
    """Queries, keys and values (N, 3, H, K) of rows that stand where a rotation (N, 1, 1, …) tells."""
    project, shape = as_function(module.in_proj), (-1, 3, module.num_heads, module.head_width)
    norms = [as_function(norm) for norm in (module.query_norm, module.key_norm)]
    is_normed = not isinstance(module.query_norm, nn.Identity)

    def function(x: Tensor, rotation: Rotation | None) -> Tensor:
        parts = project(x).view(shape)
        if is_normed:
            parts[:, 0], parts[:, 1] = (norm(parts[:, i]) for i, norm in enumerate(norms))
        if rotation:
            rotation.turn_(parts[:, :2])
        return parts

    return function


def queries(module: CrossAttention) -> Function:
    """Queries of all heads of rows, one after the other, (N H, K)."""
    project, norm = as_function(module.query_proj), as_function(module.query_norm)
    return lambda x: norm(project(x).view(len(x) * module.num_heads, -1))


def feed_forward(module: FeedForward) -> Function:
    """What the feed-forward part of a layer makes of rows."""
    is_relu = module.activation is torch.relu
    activation = torch.relu_ if is_relu else module.activation
    first = as_function(module.in_proj)
    second = as_function_(module.out_proj, is_positive=is_relu and not module.gated)

    def gated(x: Tensor) -> Tensor:
        gate, linear = first(x).chunk(2, dim=-1)
        return second(activation(gate) * linear)

    return gated if module.gated else lambda x: second(activation(first(x)))


def residual(module: Residual, sublayer: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """What a sub-layer, which may need to know more, makes of rows, with its norm and its residual."""
    norm = as_function(module.norm)
    if module.pre_norm:
        return lambda x, *more: sublayer(norm(x), *more).add_(x)
    return lambda x, *more: norm(x + sublayer(x, *more))
