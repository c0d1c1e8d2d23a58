"""A linear layer in the layout that oneDNN computes with, and the numbers of rows that it makes code for."""

# N rows, K inputs, M outputs of a layer

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.model.rows import as_type

ROW_STEPS = (8, 1), (256, 16), (512, 64)  # up to so many rows are rounded up to a multiple of that
LAST_STEP = 256  # and more to a multiple of this


def has_packed_products(dtype: torch.dtype) -> bool:
    """Whether torch was built with oneDNN, which brings the packed products for CPUs, and for this one's."""
    has_onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not has_onednn or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    return dtype != torch.bfloat16 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def num_computed(num_rows: int) -> int:
    """How many rows to compute instead of so many, which are one of few numbers.

    oneDNN makes code for every number of rows that it meets, which takes time, and keeps that of the last
    thousand, which takes a gigabyte where beams change from step to step.
    """
    step = next((step for most, step in ROW_STEPS if num_rows <= most), LAST_STEP)
    return num_rows + -num_rows % step


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
        rows = as_type(x.flatten(0, -2), self.dtype)
        if missing := num_computed(len(rows)) - len(rows):
            rows = functional.pad(rows, (0, 0, 0, missing))
        out: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self.weight, self.bias, "none", [], "")
        out = out[: len(out) - missing].view(*x.shape[:-1], -1) if missing or x.dim() > 2 else out
        return as_type(out, x.dtype)
