"""What a layer of the decoder remembers: keys and values of the pieces of sentences, and of their sources."""

# N rows, B sentences, H heads, K = D / H, C columns for pieces, S source length

from typing import Self

import torch
from torch import Tensor

from nmt.model.rows import as_long, together


class Memory:
    """Keys and values of one layer."""

    def __init__(self, own: Tensor, src_keys: Tensor, src_values: Tensor) -> None:
        self.own = own  # (2, B, H, C, K), keys and values of pieces
        self.src_keys = laid_out(src_keys)  # (B, H, K, S)
        self.src_values = src_values.contiguous()  # (B, H, S, K)
        keys, values = own.flatten(1, 2)
        self.of_pieces = keys.mT, values  # (B H, K, C), (B H, C, K)
        self.of_sources = self.src_keys.flatten(0, 1), self.src_values.flatten(0, 1)  # with S for C
        self._flat = own.view(-1, own.size(4))

    @classmethod
    def of(cls, keys: Tensor, values: Tensor, *, num_columns: int) -> Self:
        """Of sources with keys and values (B, H, S, K), and with room for pieces."""
        num_sentences, num_heads, _, width = keys.shape
        return cls(keys.new_zeros(2, num_sentences, num_heads, num_columns, width), keys.mT, values)

    def write(self, keys_values: Tensor, places: Tensor) -> None:
        """Keys and values (N 2 H, K) of new pieces to places (N 2 H,), flat over (2, B, H, C)."""
        self._flat.index_copy_(0, places, keys_values)

    def some(self, held: Tensor, places: Tensor, *, num_columns: int, src_length: int) -> "Memory":
        """Of some sentences (B',) alone, what is at places (2 B' H C',) and so much of their sources."""
        _, _, num_heads, _, width = self.own.shape
        own = self._flat.index_select(0, places).view(2, len(held), num_heads, num_columns, width)
        if (len(held), src_length) == (len(self.src_values), self.src_values.size(2)):
            return Memory(own, self.src_keys, self.src_values)
        keys, values = self.src_keys[..., :src_length], self.src_values[:, :, :src_length]
        return Memory(own, keys.index_select(0, held), values.index_select(0, held))

    def with_those_of(self, other: "Memory") -> "Memory":
        """Memory of these sentences, and behind them of those of the other one."""
        own = torch.cat(as_long(self.own, other.own), dim=1)
        keys = together([self.src_keys, other.src_keys], filler=0.0)
        return Memory(own, keys, torch.cat(as_long(self.src_values, other.src_values)))


def laid_out(keys: Tensor) -> Tensor:
    """Keys of sources (B, H, K, S) in the order in memory that products read fastest.

    On a CPU products take half the time where, for each number of a key, those of all pieces lie side by
    side; fused attention on a GPU wants each key in one piece.
    """
    return keys.contiguous() if keys.device.type == "cpu" else keys.mT.contiguous().mT
