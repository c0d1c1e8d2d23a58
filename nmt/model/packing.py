"""A network as translation runs it: its linear layers made ready for this processor and for so many rows."""

import copy
from typing import Literal, TypeVar, cast

import torch
from torch import nn

from nmt.model.int8_linear import int8_linear
from nmt.model.packed_linear import PackedLinear
from nmt.model.transformer import Transformer

Precision = Literal["float32", "bfloat16", "int8"]
AnyModule = TypeVar("AnyModule", bound=nn.Module)

SMALL_PRODUCT = 2**20  # multiplications, such as of one row of 512 and 2048


def pack(module: AnyModule, precision: Precision, *, num_rows: int | None = None) -> AnyModule:
    """The module with other linear layers in it, made for so many rows or for many; all else is shared.

    On a CPU inputs and outputs stay in float32 whatever the precision of the products. On a GPU the whole
    module is of that precision, and int8 is not there.
    """
    if next(module.parameters()).device.type != "cpu":
        assert precision != "int8", "int8 products are for CPUs"
        dtype = getattr(torch, precision)
        return module if dtype == torch.float32 else copy.deepcopy(module).to(dtype)
    return cast(AnyModule, _replaced(module, precision, num_rows))


def are_products_small(network: Transformer, num_rows: int) -> bool:
    """Whether oneDNN takes about as long to begin a feed-forward product of so many rows as for all of it.

    Plain products are faster then, and cores that wait for each other at each of them win nothing; where
    others need the cores too, they wait until it is their turn.
    """
    config = network.config
    return _is_small(num_rows, config.d_model * config.d_ff)


def _is_small(num_rows: int, num_weights: int) -> bool:
    return num_rows * num_weights <= SMALL_PRODUCT


def _replaced(module: nn.Module, precision: Precision, num_rows: int | None) -> nn.Module:
    if isinstance(module, nn.Linear):
        return _made_ready(module, precision, num_rows)
    clone = copy.copy(module)
    clone._modules = {
        name: child and _replaced(child, precision, num_rows) for name, child in module._modules.items()
    }
    return clone


def _made_ready(linear: nn.Linear, precision: Precision, num_rows: int | None) -> nn.Module:
    if precision == "int8":
        layer = int8_linear()
        assert layer is not None, "no products of bytes on this processor"
        return layer(linear)
    if precision == "float32" and num_rows == 1:
        return turned(linear)
    if precision == "float32" and num_rows and _is_small(num_rows, linear.weight.numel()):
        return linear
    return PackedLinear(linear, getattr(torch, precision))


def turned(linear: nn.Linear) -> nn.Linear:
    """The same, whose weights lie input by input, as it is faster for a single row."""
    clone = copy.copy(linear)
    weight = linear.weight.detach().t().contiguous().t()
    clone._parameters = linear._parameters | {"weight": nn.Parameter(weight, requires_grad=False)}
    return clone
