"""Where a piece stands: sinusoidal or learned embeddings, or rotations of queries and keys."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn


def sinusoids(places: Tensor, d_model: int) -> Tensor:
    """Fixed embeddings (…, D) of places (…) with the angles p / 10000^(2i/D) (Vaswani et al., 2017).

    The paper's values in another order: all sines in the first half, all cosines in the second.
    """
    angles = _angles(places, (d_model + 1) // 2)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)[..., :d_model]


@dataclass(frozen=True)
class Rotation:
    """By how much places turn each half-pair of queries and keys (RoPE; Su et al., 2021)."""

    cos: Tensor  # (…, K / 2) of places (…), float32
    sin: Tensor

    @classmethod
    def at(cls, places: Tensor, width: int) -> Self:
        """Of places (T,), or (B, 1, T) where every sentence has its own, for heads of a width K."""
        angles = _angles(places, width // 2)
        return cls(angles.cos(), angles.sin())

    def turn(self, x: Tensor) -> Tensor:
        """Queries or keys (B, H, T, K), turned."""
        cos, sin = self.cos.to(x.dtype), self.sin.to(x.dtype)
        first, second = x.chunk(2, dim=-1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


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
