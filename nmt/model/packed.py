"""Linear layers as translation runs them: packed once for this processor, in float32, bfloat16 or int8."""

# N rows, K inputs, M outputs of a layer

import copy
from collections.abc import Callable
from typing import Literal, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.model.rows import as_type

Precision = Literal["float32", "bfloat16", "int8"]
AnyModule = TypeVar("AnyModule", bound=nn.Module)

LARGEST = 127  # of a signed byte; -128 is left out, so that a sign costs nothing
ZERO = 128  # of an unsigned byte that stands for a signed one
FEW_ROWS = 8  # each number of them is a size of its own
ROW_STEP = 16  # more are rounded up to a multiple of this
MANY_ROWS = 256  # and these to a multiple of themselves
SMALLEST = 1e-12  # that is divided by
_LARGEST = torch.tensor(float(LARGEST))  # so that one operation divides it


def pack(module: AnyModule, precision: Precision) -> AnyModule:
    """The module with other linear layers in it; all else is shared with the original.

    On a CPU inputs and outputs stay in float32 whatever the precision of the products. On a GPU the whole
    module is of that precision, and int8 is not there.
    """
    if next(module.parameters()).device.type != "cpu":
        assert precision != "int8", "int8 products are for CPUs"
        dtype = getattr(torch, precision)
        return module if dtype == torch.float32 else copy.deepcopy(module).to(dtype)
    return cast(AnyModule, _replaced(module, precision))


def _replaced(module: nn.Module, precision: Precision) -> nn.Module:
    if isinstance(module, nn.Linear):
        return Int8Linear(module) if precision == "int8" else PackedLinear(module, getattr(torch, precision))
    clone = copy.copy(module)
    clone._modules = {name: child and _replaced(child, precision) for name, child in module._modules.items()}
    return clone


def has_packed_products(dtype: torch.dtype) -> bool:
    """Whether torch was built with oneDNN, which brings the packed products for CPUs, and for this one's."""
    has_onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not has_onednn or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    return dtype != torch.bfloat16 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def has_int8_products() -> bool:
    """Whether this torch multiplies bytes on this processor, and right."""
    try:
        layer = nn.Linear(64, 32)
        x = torch.linspace(-1, 1, 4 * 64).view(4, 64)
        with torch.inference_mode():
            return bool((Int8Linear(layer)(x) - layer(x)).abs().max() < 0.1)
    except (RuntimeError, AttributeError, NotImplementedError):
        return False


def num_computed(num_rows: int) -> int:
    """How many rows to compute instead of so many, which are one of few numbers.

    oneDNN makes code for every number of rows that it meets, which takes time, and keeps that of the last
    thousand, which takes a gigabyte where beams change from step to step.
    """
    step = 1 if num_rows <= FEW_ROWS else ROW_STEP if num_rows <= MANY_ROWS else MANY_ROWS
    return num_rows + -num_rows % step


def _in_few_sizes(product: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The product (…, M) of inputs (…, K)."""
    if x.dim() > 2:
        return _in_few_sizes(product, x.flatten(0, -2)).view(*x.shape[:-1], -1)
    missing = num_computed(len(x)) - len(x)
    return product(functional.pad(x, (0, 0, 0, missing)))[: len(x)] if missing else product(x)


class PackedLinear(nn.Module):
    """x Wᵀ + b with weights in the layout that oneDNN computes with, of float32 or bfloat16."""

    def __init__(self, linear: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.is_packed = has_packed_products(dtype)
        weight = linear.weight.detach().to(dtype)
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight, None) if self.is_packed else weight
        self.bias = None if linear.bias is None else linear.bias.detach().to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(…, K) to (…, M), of the type of the input."""
        if not self.is_packed:
            return functional.linear(x.to(self.dtype), self.weight, self.bias).to(x.dtype)
        return as_type(_in_few_sizes(self._product, as_type(x, self.dtype)), x.dtype)

    def _product(self, x: Tensor) -> Tensor:
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")
        return out


class Int8Linear(nn.Module):
    """x Wᵀ + b with weights and inputs as signed bytes: a scale for every output, and every row of inputs.

    Products and sums of bytes are exact, so what becomes of a row does not depend on the rows beside it.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        peaks = weight.abs().amax(1).clamp_min(SMALLEST)  # (M,)
        self.rows = (weight * (LARGEST / peaks)[:, None]).round().to(torch.int8)
        self.packed = torch.ops.onednn.qlinear_prepack(self.rows, None)
        self.scales = peaks / LARGEST**2  # of a product, apart from the peak of its row of inputs
        self.zeros = torch.zeros(len(peaks), dtype=torch.int64)
        self.bias = torch.zeros(len(peaks)) if linear.bias is None else linear.bias.detach().float()

    def forward(self, x: Tensor) -> Tensor:
        """(…, K) to (…, M) float32."""
        return _in_few_sizes(self._product, x)

    def _product(self, x: Tensor) -> Tensor:
        signed, peaks = quantize_rows(x)
        if len(x) == 1:  # what is packed for many rows is slow for one
            product = torch._int_mm(signed, self.rows.t()) * self.scales
        else:
            product = torch.ops.onednn.qlinear_pointwise(
                *(signed.view(torch.uint8).bitwise_xor_(ZERO), 1.0, ZERO),
                *(self.packed, self.scales, self.zeros, None, 1.0, 0, torch.float32, "none", [], ""),
            )
        return torch.addcmul(self.bias, product, peaks)


def quantize_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """Signed bytes (N, K), and the largest number (N, 1) of each row, sign aside, which 127 stands for."""
    peaks = x.abs().amax(-1, keepdim=True).clamp_min_(SMALLEST)
    # torch converts float32 to signed bytes many at a time, but to unsigned ones one by one
    return (x * torch.div(_LARGEST, peaks)).round_().to(torch.int8), peaks
