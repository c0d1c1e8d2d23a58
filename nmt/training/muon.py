"""Muon: steps of momentum, in which every matrix is made orthogonal first (Jordan et al., 2024)."""

# N matrices of A by B

import math
from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor

MOMENTUM = 0.95
NUM_ITERATIONS = 5
COEFFICIENTS = 3.4445, -4.7750, 2.0315
"""Of x, x³ and x⁵ in each iteration: they bring singular values near 1 fast, to somewhere from 0.7 to 1.2."""
RMS = 0.2
"""Of the elements of a step, in learning rates: what it is with AdamW (Liu et al., 2025)."""
TINY_NORM = 1e-7
WIDE = 2.0  # as many columns as rows, or more: then squares are cheaper to iterate on


class Muon(torch.optim.Optimizer):
    """Moves matrices as far in every direction; a weight that several are stacked in is moved as these."""

    def __init__(
        self, num_stacked: Mapping[Tensor, int], *, learning_rate: float, weight_decay: float
    ) -> None:
        """`num_stacked` tells of each weight how many matrices stand in it, one below the other."""
        super().__init__(num_stacked, {"lr": learning_rate, "weight_decay": weight_decay})
        self._num_stacked = dict(num_stacked)

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Update all weights by their gradients, with Nesterov's momentum."""
        for group in self.param_groups:
            weights: defaultdict[torch.Size, list[Tensor]] = defaultdict(list)
            steps: defaultdict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                step = self._accelerated(parameter)
                num_parts = self._num_stacked[parameter]
                for weight, part in zip(parameter.chunk(num_parts), step.chunk(num_parts), strict=True):
                    weights[part.shape].append(weight)
                    steps[part.shape].append(part)
            for shape, some in weights.items():
                size = group["lr"] * RMS * math.sqrt(max(shape))
                torch._foreach_mul_(some, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(some, orthogonal(torch.stack(steps[shape])).unbind(), alpha=-size)

    def _accelerated(self, parameter: Tensor) -> Tensor:
        """The gradient as it is going to be, by what it was before."""
        assert parameter.grad is not None, "every weight that is trained has a gradient"
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        momentum = state["momentum_buffer"].lerp_(parameter.grad, 1 - MOMENTUM)
        return parameter.grad.lerp(momentum, MOMENTUM)


def orthogonal(matrices: Tensor) -> Tensor:
    """U Vᵀ of matrices U S Vᵀ, (N, A, B), about, by Newton and Schulz: in bfloat16 on a GPU."""
    x = matrices.bfloat16() if matrices.is_cuda else matrices
    is_tall = x.size(1) > x.size(2)
    x = x.mT if is_tall else x
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(TINY_NORM)
    is_wide = x.size(2) >= WIDE * x.size(1)
    x = _of_wide(x) if is_wide and x.dtype == torch.float32 else _of_any(x)
    return (x.mT if is_tall else x).to(matrices.dtype)


def _of_any(x: Tensor) -> Tensor:
    first, third, fifth = COEFFICIENTS
    for _ in range(NUM_ITERATIONS):
        square = x @ x.mT
        higher = torch.baddbmm(square, square, square, beta=third, alpha=fifth)
        x = torch.baddbmm(x, higher, x, beta=first)
    return x


def _of_wide(x: Tensor) -> Tensor:
    """The same on the small squares x xᵀ, of which each iteration multiplies x with a polynomial.

    bfloat16 is not exact enough for it.
    """
    square = x @ x.mT
    product = factor = _factor(square)
    for _ in range(NUM_ITERATIONS - 1):
        square = factor @ square @ factor
        factor = _factor(square)
        product = factor @ product
    return product @ x


def _factor(square: Tensor) -> Tensor:
    first, third, fifth = COEFFICIENTS
    factor = torch.baddbmm(square, square, square, beta=third, alpha=fifth)
    factor.diagonal(dim1=1, dim2=2).add_(first)
    return factor
