"""A network as translation runs it: its linear layers made ready for this processor and for so many rows."""

import copy
from collections.abc import Callable
from typing import Literal, TypeGuard, cast

import torch
from torch import nn

from nmt.hardware import hand_back_pages
from nmt.model.attention import AnyModule, SelfAttention
from nmt.model.int8_linear import Int8Linear, choose_largest_weight
from nmt.model.packed_linear import PackedLinear
from nmt.model.transformer import Transformer

Precision = Literal["float32", "bfloat16", "int8"]

SMALL_PRODUCT = 2**20  # multiplications, such as of one row of 512 and 2048


class Packer:
    """Makes networks ready for translating; a layer that is made in the same way again is made once."""

    def __init__(self, precision: Precision) -> None:
        self.precision = precision
        self._made: dict[tuple[nn.Module, Callable[[nn.Linear], nn.Module]], nn.Module] = {}

    def pack(self, module: AnyModule, *, num_rows: int | None = None) -> AnyModule:
        """The module with other linear layers in it; all else is shared with the original.

        Weights that lie in a mapped file are out of memory then, unless something still reads them there.
        On a CPU heads of self-attention that are turned by places are interleaved, see `SelfAttention`.
        In float32 on a CPU they are made for so many rows, by default for many, but for those of an encoder,
        which has more. On a CPU inputs and outputs stay in float32 whatever the precision of the products. On
        a GPU the whole module is of that precision, and int8 is not there.
        """
        if next(module.parameters()).device.type != "cpu":
            assert self.precision != "int8", "int8 products are for CPUs"
            dtype = getattr(torch, self.precision)
            return module if dtype == torch.float32 else copy.deepcopy(module).to(dtype)
        rows = num_rows if self.precision == "float32" else None
        return cast(AnyModule, self._replaced(module, rows, module))

    def _replaced(self, module: nn.Module, num_rows: int | None, original: nn.Module) -> nn.Module:
        """What takes the place of a module, which is the original or has its weights in another order."""
        if isinstance(module, nn.Linear):
            return self._ready(module, num_rows, original)
        clone = module.interleaved() if _is_turned(module) else copy.copy(module)
        clone._modules = {
            name: child
            if num_rows and name == "encoder"
            else child and self._replaced(child, num_rows, original.get_submodule(name))
            for name, child in clone._modules.items()
        }
        return clone

    def _ready(self, linear: nn.Linear, num_rows: int | None, original: nn.Module) -> nn.Module:
        make: Callable[[nn.Linear], nn.Module] = turn if num_rows == 1 else self._pack_for_many
        if num_rows and num_rows > 1 and _is_small(num_rows, linear.weight.numel()):
            make = _as_it_is
        if (original, make) not in self._made:
            self._made[original, make] = make(linear)
            if self._made[original, make] is not original:
                hand_back_pages(original.parameters())
        return self._made[original, make]

    def _pack_for_many(self, linear: nn.Linear) -> nn.Module:
        if self.precision != "int8":
            return PackedLinear(linear, getattr(torch, self.precision))
        largest_weight = choose_largest_weight()
        assert largest_weight, "no products of bytes on this processor"
        return Int8Linear(linear, largest_weight=largest_weight)


def pack(module: AnyModule, precision: Precision) -> AnyModule:
    """The module made ready for many rows, see `Packer`."""
    return Packer(precision).pack(module)


def turn(linear: nn.Linear) -> nn.Linear:
    """The same, whose weights lie input by input, as it is faster for a single row."""
    clone = copy.copy(linear)
    weight = linear.weight.detach().t().contiguous().t()
    clone._parameters = linear._parameters | {"weight": nn.Parameter(weight, requires_grad=False)}
    return clone


def _is_turned(module: nn.Module) -> TypeGuard[SelfAttention]:
    """Whether it turns queries and keys, in float32, of which products of complex numbers are."""
    return (
        isinstance(module, SelfAttention) and module.rotary and module.in_proj.weight.dtype == torch.float32
    )


def _as_it_is(linear: nn.Linear) -> nn.Linear:
    return linear


def are_products_small(network: Transformer, num_rows: int) -> bool:
    """Whether oneDNN takes about as long to begin a feed-forward product of so many rows as for all of it.

    Plain products are faster then, and cores that wait for each other at each of them win nothing; where
    others need the cores too, they wait until it is their turn.
    """
    config = network.config
    return _is_small(num_rows, config.d_model * config.d_ff)


def _is_small(num_rows: int, num_weights: int) -> bool:
    return num_rows * num_weights <= SMALL_PRODUCT
