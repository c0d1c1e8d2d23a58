"""The floor of translating on a CPU: how fast linear layers are, with few rows and many, in every arithmetic.

python recipes/benchmarks/products.py --threads 1
"""

import argparse
from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch
from torch import Tensor, nn

from nmt.model.packed import Int8Linear, PackedLinear

SHAPES = ((512, 1536), (512, 512), (512, 2048), (2048, 512), (512, 8000))
"""Inputs and outputs of the layers of the size `base`; the last is the output over 8,000 pieces."""
ROWS = (1, 5, 64, 160, 320)
ROUNDS, SECONDS = 5, 0.1


def main() -> None:
    """Print a Markdown table of GFLOP/s, the median of rounds that take turns."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1, help="(default: %(default)s)")
    torch.set_num_threads(parser.parse_args().threads)
    names = list(layers(nn.Linear(8, 8)))
    print(f"| rows × inputs × outputs | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for num_rows in ROWS:
        for num_inputs, num_outputs in SHAPES:
            linear, x = nn.Linear(num_inputs, num_outputs), torch.randn(num_rows, num_inputs)
            rates = measure(layers(linear), x, flops=2 * num_rows * num_inputs * num_outputs)
            cells = " | ".join(f"{rate / 1e9:,.0f}" for rate in rates)
            print(f"| {num_rows} × {num_inputs} × {num_outputs} | {cells} |", flush=True)


def layers(linear: nn.Linear) -> dict[str, Callable[[Tensor], Tensor]]:
    """The same layer in every arithmetic; of int8, making bytes of the inputs is a part."""
    return {
        "torch's linear": linear,
        "float32": PackedLinear(linear, torch.float32),
        "bfloat16": PackedLinear(linear, torch.bfloat16),
        "int8": Int8Linear(linear),
    }


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
