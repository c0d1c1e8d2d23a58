"""The floor of translating on a CPU: how fast linear layers are, with few rows and many, in every arithmetic.

python recipes/benchmarks/products.py --threads 1
"""

import argparse
from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch
from torch import Tensor, nn

from nmt.model.int8_linear import Int8Linear, choose_largest_weight
from nmt.model.packed_linear import PackedLinear, has_packed_products
from nmt.model.packing import turn

PIECES = 8_000
ROWS = (1, 5, 64, 160, 320)
ROUNDS, SECONDS = 5, 0.1


def main() -> None:
    """Print a Markdown table of GFLOP/s, the median of rounds that take turns."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument("--d-model", type=int, default=512, help="(default: %(default)s, of `base`)")
    parser.add_argument("--d-ff", type=int, default=2048, help="(default: %(default)s)")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    d, d_ff = given.d_model, given.d_ff
    shapes = ((d, 3 * d), (d, d), (d, d_ff), (d_ff, d), (d, PIECES))  # inputs and outputs of its layers
    names = list(layers(nn.Linear(8, 8)))
    print(f"| rows × inputs × outputs | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for num_rows in ROWS:
        for num_inputs, num_outputs in shapes:
            linear, x = nn.Linear(num_inputs, num_outputs), torch.randn(num_rows, num_inputs)
            rates = measure(layers(linear), x, flops=2 * num_rows * num_inputs * num_outputs)
            cells = " | ".join(f"{rate / 1e9:,.0f}" for rate in rates)
            print(f"| {num_rows} × {num_inputs} × {num_outputs} | {cells} |", flush=True)


def layers(linear: nn.Linear) -> dict[str, Callable[[Tensor], Tensor]]:
    """The same layer in every arithmetic of this processor; of int8, making bytes of the inputs is a part."""
    found: dict[str, Callable[[Tensor], Tensor]] = {"torch's linear": linear}
    found["for one row"] = turn(linear)
    for dtype in (torch.float32, torch.bfloat16):
        if has_packed_products(dtype):
            found[str(dtype).removeprefix("torch.")] = PackedLinear(linear, dtype)
    if largest_weight := choose_largest_weight():
        found[f"int8, weights up to {largest_weight}"] = Int8Linear(linear, largest_weight=largest_weight)
    return found


@torch.inference_mode()
def measure(functions: dict[str, Callable[[Tensor], Tensor]], x: Tensor, *, flops: int) -> list[float]:
    """FLOP/s of each function."""
    rates: list[list[float]] = [[] for _ in functions]
    for _ in range(ROUNDS):
        for rate, function in zip(rates, functions.values(), strict=True):
            count, start = 0, perf_counter()
            while (seconds := perf_counter() - start) < SECONDS:
                function(x)
                count += 1
            rate.append(flops * count / seconds)
    return [median(rate) for rate in rates]


if __name__ == "__main__":
    main()
