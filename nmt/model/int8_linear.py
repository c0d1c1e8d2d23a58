"""Linear layers whose products are of bytes, by FBGEMM."""

# N rows, K inputs, M outputs of a layer

import warnings
from functools import cache

import torch
from torch import Tensor, nn

LARGEST = 127  # of a signed byte; -128 is left out, so that a sign costs nothing
LARGEST_OF_SEVEN_BITS = 64  # two products with unsigned bytes fit into sixteen bits: 2 · 255 · 64 < 2¹⁵
ZERO = 128  # of an unsigned byte that stands for a signed one
LARGEST_OF_POSITIVE = 255  # of a byte that stands for a number that is not negative
SMALLEST = 1e-12  # that is divided by


class Int8Linear(nn.Module):
    """x Wᵀ + b with weights and inputs as signed bytes: a scale for every output, and every row of inputs.

    Products and sums of bytes are exact, so what becomes of a row does not depend on the rows beside it.
    """

    def __init__(self, linear: nn.Linear, *, largest_weight: int) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        scales = weight.abs().amax(1).clamp_min_(SMALLEST) / largest_weight  # (M,)
        rows = (weight / scales[:, None]).round_().to(torch.int8)  # (M, K)
        zeros = torch.zeros(len(scales), dtype=torch.int64)
        rows = torch._make_per_channel_quantized_tensor(rows, scales.double(), zeros, 0)
        self.packed = torch.ops.quantized.linear_prepack(rows, None)
        self.bias: Tensor | None = None if linear.bias is None else linear.bias.detach().float()

    def forward(self, x: Tensor) -> Tensor:
        """(…, K) to (…, M) float32."""
        return self._multiply(x, None, is_positive=False)

    def forward_(self, x: Tensor, *, is_positive: bool = False) -> Tensor:
        """The same; x is written over, which is faster where it is large.

        If nothing in it is negative, as after a ReLU, a step between two bytes is half as large.
        """
        return self._multiply(x, x, is_positive=is_positive)

    def _multiply(self, x: Tensor, scaled: Tensor | None, *, is_positive: bool) -> Tensor:
        largest, zero = (LARGEST_OF_POSITIVE, 0) if is_positive else (LARGEST, ZERO)
        peaks = x.amax(-1, keepdim=True)  # (…, 1), what the largest byte stands for in each row
        if not is_positive:  # of the absolute value all of x would be written once more
            peaks = torch.maximum(peaks, x.amin(-1, keepdim=True).neg_())
        peaks.clamp_min_(SMALLEST)
        multiply = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32
        product: Tensor = multiply(torch.div(x, peaks, out=scaled), 1 / largest, zero, self.packed)
        if self.bias is None:
            return product.mul_(peaks)
        return torch.addcmul(self.bias, product, peaks, out=product)


@cache
def choose_largest_weight() -> int | None:
    """What the largest weight of an output may be as a byte; None if this torch multiplies no bytes exactly.

    FBGEMM adds two products in 16 bits first on some processors (AVX2), but not where AVX-512 has VNNI.
    """
    return next(filter(is_exact, (LARGEST, LARGEST_OF_SEVEN_BITS)), None)


def is_exact(largest_weight: int) -> bool:
    """Whether sums of the largest products are right, of one row and of several."""
    linear = nn.Linear(64, 32, bias=False, device="meta")
    linear.weight = nn.Parameter(torch.ones(32, 64, dtype=torch.float32))
    x = torch.ones(4, 64, dtype=torch.float32)
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            # torch says, once, that it will give up tensors of bytes some day
            warnings.simplefilter("ignore")
            layer = Int8Linear(linear, largest_weight=largest_weight)
            return all(torch.allclose(layer(some), linear(some)) for some in (x, x[:1]))
    except (RuntimeError, AttributeError, NotImplementedError):
        return False
