"""Where a piece stands: sinusoidal or learned embeddings, or rotations of queries and keys."""

import torch
from torch import Tensor, nn


def sinusoids(start: int, length: int, d_model: int, device: torch.device) -> Tensor:
    """Fixed position embeddings (length, d_model) with the angles p / 10000^(2i/D) (Vaswani et al., 2017).

    The paper's values in another order: all sines in the first half, all cosines in the second.
    """
    angles = _angles(start, length, (d_model + 1) // 2, device)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)[:, :d_model]


def rotate(x: Tensor, start: int) -> Tensor:
    """Rotate each half-pair of the last dimension of (B, H, T, K) by its position (RoPE; Su et al., 2021)."""
    angles = _angles(start, x.size(2), x.size(3) // 2, x.device)  # (T, K/2)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def _angles(start: int, length: int, half: int, device: torch.device) -> Tensor:
    positions = torch.arange(start, start + length, dtype=torch.float32, device=device)
    frequencies = 10_000.0 ** -(torch.arange(half, dtype=torch.float32, device=device) / half)
    return positions[:, None] * frequencies  # (length, half)


class Positions(nn.Module):
    """Adds position embeddings to the input, unless the positions are rotations."""

    def __init__(self, kind: str, d_model: int, max_positions: int) -> None:
        super().__init__()
        self.kind = kind
        self.learned = nn.Embedding(max_positions, d_model) if kind == "learned" else None

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """(B, T, D) to (B, T, D), the first of T standing at position `start`."""
        if self.learned is not None:
            last = self.learned.num_embeddings - 1
            # a configuration that trains on longer sentences is refused; beyond it the last place repeats
            places = torch.arange(start, start + x.size(1), device=x.device).clamp(max=last)
            learned: Tensor = self.learned(places)
            return x + learned
        if self.kind == "sinusoidal":
            return x + sinusoids(start, x.size(1), x.size(2), x.device).to(x.dtype)
        return x
