"""Linear layers whose products are of bytes, by FBGEMM."""

# N rows, K inputs, M outputs of a layer

import warnings
from functools import cache

import torch
from torch import Tensor, nn

LARGEST = 127  # of a signed byte; -128 is left out, so that a sign costs nothing
LARGEST_OF_SEVEN_BITS = 64  # two products with unsigned bytes fit into sixteen bits: 2 · 255 · 64 < 2¹⁵
ZERO = 128  # of an unsigned byte that stands for a signed one
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
        return self._multiply(x, None)

    def forward_(self, x: Tensor) -> Tensor:
        """The same; x is written over, which is faster where it is large."""
        return self._multiply(x, x)

    def _multiply(self, x: Tensor, scaled: Tensor | None) -> Tensor:
        # (…, 1), what 127 stands for in each row; of the absolute value all of x would be written once more
        peaks = torch.maximum(x.amax(-1, keepdim=True), x.amin(-1, keepdim=True).neg_()).clamp_min_(SMALLEST)
        multiply = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32
        product: Tensor = multiply(torch.div(x, peaks, out=scaled), 1 / LARGEST, ZERO, self.packed)
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
