"""Where a piece stands: sinusoidal or learned embeddings, or rotations of queries and keys."""

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn


def sinusoids(places: Tensor, d_model: int) -> Tensor:
    """Fixed embeddings (…, D) of places (…) with the angles p / 10000^(2i/D) (Vaswani et al., 2017).

    The paper's values in another order: all sines in the first half, all cosines in the second.
    """
    angles = _angles(places, (d_model + 1) // 2)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)[..., :d_model]


@dataclass(frozen=True)
class SplitRotation:
    """By how much places turn each half-pair of queries and keys (RoPE; Su et al., 2021)."""

    cos: Tensor  # (…, K) of places (…), the same in both halves, float32
    sin: Tensor  # (…, K / 2)

    @classmethod
    def at(cls, places: Tensor, width: int) -> Self:
        """Of places (…) for heads of a width K."""
        angles = _angles(places, width // 2)
        cos = angles.cos()
        return cls(torch.cat([cos, cos], dim=-1), angles.sin())

    def to(self, dtype: torch.dtype) -> Self:
        """The same in another type."""
        return type(self)(self.cos.to(dtype), self.sin.to(dtype))

    def of(self, rows: Tensor) -> Self:
        """Those of some rows (N,) of the first dimension."""
        return type(self)(self.cos.index_select(0, rows), self.sin.index_select(0, rows))

    def turn(self, x: Tensor) -> Tensor:
        """Queries or keys (…, K), turned: x cos + (-x₂, x₁) sin."""
        turns = self if self.cos.dtype == x.dtype else self.to(x.dtype)
        turned: Tensor = _Turned.apply(x, turns.cos, turns.sin)  # type: ignore[no-untyped-call]
        return turned

    def turn_(self, x: Tensor) -> None:
        """Turn queries or keys (…, K) in place."""
        x.copy_(self.turn(x))


class _Turned(torch.autograd.Function):
    """x cos + (-x₂, x₁) sin, whose gradient is turned back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _turned(grad, cos, -sin), None, None


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    out = torch.mul(x, cos, out=x.new_empty(x.shape))  # in the order of its dimensions, as products read it
    (first, second), (out_first, out_second) = x.chunk(2, dim=-1), out.chunk(2, dim=-1)
    out_first.addcmul_(second, sin, value=-1)
    out_second.addcmul_(first, sin)
    return out


@dataclass(frozen=True)
class InterleavedRotation:
    """The same of heads that have the halves of a pair side by side: a product of complex numbers."""

    turns: Tensor  # (…, K / 2) complex64, of places (…)

    @classmethod
    def at(cls, places: Tensor, width: int) -> Self:
        """Of places (…) for heads of a width K."""
        angles = _angles(places, width // 2)
        return cls(torch.polar(torch.ones_like(angles), angles))

    def of(self, rows: Tensor) -> Self:
        """Those of some rows (N,) of the first dimension."""
        return type(self)(self.turns.index_select(0, rows))

    def turn(self, x: Tensor) -> Tensor:
        """Queries or keys (…, K) float32, turned."""
        turned = x.clone()
        self.turn_(turned)
        return turned

    def turn_(self, x: Tensor) -> None:
        """Turn queries or keys (…, K) float32 in place."""
        torch.view_as_complex(x.view(*x.shape[:-1], -1, 2)).mul_(self.turns)


Rotation = SplitRotation | InterleavedRotation


def interleaving(width: int) -> Tensor:
    """The order (K,) that brings the halves of each pair side by side."""
    return torch.arange(width).view(2, -1).t().flatten()


def _angles(places: Tensor, half: int) -> Tensor:
    frequencies = 10_000.0 ** -(torch.arange(half, dtype=torch.float32, device=places.device) / half)
    return places[..., None].float() * frequencies  # (…, half)


class Positions(nn.Module):
    """Position embeddings to add to the input, unless the positions are rotations."""

    def __init__(self, kind: str, d_model: int, max_positions: int) -> None:
        super().__init__()
        self.kind = kind
        self.d_model = d_model
        self.learned = nn.Embedding(max_positions, d_model) if kind == "learned" else None

    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        """x (…, D) whose rows stand at `places` (…, from 0), with what tells so."""
        if self.learned is not None:
            # a configuration that trains on longer sentences is refused; beyond it the last place repeats
            learned: Tensor = self.learned(places.clamp(max=self.learned.num_embeddings - 1))
            return x + learned
        if self.kind == "sinusoidal":
            return x + sinusoids(places, self.d_model).to(x.dtype)
        return x
