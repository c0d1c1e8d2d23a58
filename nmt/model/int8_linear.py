"""Linear layers whose products are of bytes, in the way that this processor does fast and exactly."""

# N rows, K inputs, M outputs of a layer

import warnings
from functools import cache
from typing import ClassVar

import torch
from torch import Tensor, nn

from nmt.model.packed_linear import in_few_sizes

LARGEST = 127  # of a signed byte; -128 is left out, so that a sign costs nothing
ZERO = 128  # of an unsigned byte that stands for a signed one
SMALLEST = 1e-12  # that is divided by
_LARGEST = torch.tensor(float(LARGEST))  # so that one operation divides it


class Int8Linear(nn.Module):
    """x Wᵀ + b with weights and inputs as signed bytes: a scale for every output, and every row of inputs.

    Products and sums of bytes are exact, so what becomes of a row does not depend on the rows beside it.
    """

    largest_weight: ClassVar[int] = LARGEST

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        peaks = weight.abs().amax(1).clamp_min(SMALLEST)  # (M,)
        self.rows = (weight * (self.largest_weight / peaks)[:, None]).round().to(torch.int8)  # (M, K)
        self.scales = peaks / (self.largest_weight * LARGEST)  # of a product, its row of inputs apart
        self.zeros = torch.zeros(len(peaks), dtype=torch.int64)
        self.bias = None if linear.bias is None else linear.bias.detach().float()

    def _in_full(self, product: Tensor, peaks: Tensor) -> Tensor:
        """Products (N, M), which may be written over, with the peaks (N, 1) of their rows, and the bias."""
        return product.mul_(peaks) if self.bias is None else torch.addcmul(self.bias, product, peaks)


class VnniLinear(Int8Linear):
    """One for processors that add products of bytes in 32 bits (AVX-512 VNNI, AVX-VNNI), by oneDNN."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear)
        self.packed = torch.ops.onednn.qlinear_prepack(self.rows, None)

    def forward(self, x: Tensor) -> Tensor:
        """(…, K) to (…, M) float32."""
        return in_few_sizes(self._product, x)

    def _product(self, x: Tensor) -> Tensor:
        signed, peaks = quantize_rows(x)
        if len(x) == 1:  # what is packed for many rows is slow for one
            product = torch._int_mm(signed, self.rows.t()) * self.scales
        else:
            product = torch.ops.onednn.qlinear_pointwise(
                *(signed.view(torch.uint8).bitwise_xor_(ZERO), 1.0, ZERO),
                *(self.packed, self.scales, self.zeros, None, 1.0, 0, torch.float32, "none", [], ""),
            )
        return self._in_full(product, peaks)


class PairwiseLinear(Int8Linear):
    """One for processors that add two products of bytes in 16 bits first (AVX2, older AVX-512), by FBGEMM.

    So that no pair is too large, weights have seven bits; inputs, whose peaks are larger, keep eight.
    """

    largest_weight = 64  # 2 · 255 · 64 < 2¹⁵

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear)
        scales = (self.scales * LARGEST).double()
        rows = torch._make_per_channel_quantized_tensor(self.rows, scales, self.zeros, 0)
        self.packed = torch.ops.quantized.linear_prepack(rows, None)
        del self.rows

    def forward(self, x: Tensor) -> Tensor:
        """(…, K) to (…, M) float32."""
        peaks = x.abs().amax(-1, keepdim=True).clamp_min_(SMALLEST)
        multiply = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32
        return self._in_full(multiply(x / peaks, 1 / LARGEST, ZERO, self.packed), peaks)


@cache
def choose_int8_linear() -> type[Int8Linear] | None:
    """The class for this processor; None if this torch multiplies no bytes on it, or not exactly."""
    return next(filter(is_exact, (VnniLinear, PairwiseLinear)), None)


def is_exact(layer: type[Int8Linear]) -> bool:
    """Whether sums of the largest products are right, of one row and of several."""
    linear = nn.Linear(64, 32, bias=False, device="meta")
    linear.weight = nn.Parameter(torch.ones(32, 64, dtype=torch.float32))
    x = torch.ones(4, 64, dtype=torch.float32)
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # torch says, once, that it will give up tensors of bytes some day
            made = layer(linear)
            return all(torch.allclose(made(some), linear(some)) for some in (x, x[:1]))
    except (RuntimeError, AttributeError, NotImplementedError):
        return False


def quantize_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """Signed bytes (N, K), and the largest number (N, 1) of each row, sign aside, which 127 stands for."""
    peaks = x.abs().amax(-1, keepdim=True).clamp_min_(SMALLEST)
    # torch converts float32 to signed bytes many at a time, but to unsigned ones one by one
    return (x * torch.div(_LARGEST, peaks)).round_().to(torch.int8), peaks
