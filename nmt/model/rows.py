"""Rows of unequal groups: where they and their heads stand in arrays of equal ones, and their attention."""

# N rows, N' with those of nobody, B groups, T rows of the largest, S keys of a group, H heads,
# K width of a head

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Rows:
    """Where rows stand in an array (B, T), and their heads in one (B, H, T)."""

    shape: tuple[int, int, int]  # (B, H, T)
    ranks: Tensor  # (N,) int64, of each row in its group
    places: Tensor  # (N,), of the rows in the flat array
    at: Tensor  # (B T,), the row at each place; any where there is none
    head_places: Tensor  # (N' H,), of their heads
    heads_at: Tensor  # (B H T,), the head at each place, of all N H
    rows_at: Tensor  # (B H T,), the row that it is of
    num_computed: int  # N, and rows of nobody behind them
    is_even: bool  # whether there is a row at every place, in order
    is_single: bool  # whether, besides, no group has several

    @classmethod
    def of(cls, groups: Tensor, num_groups: int, *, num_heads: int, num_computed: int = 0) -> Self:
        """Rows of these groups (N,); those of one follow each other.

        If more are computed, heads of all are asked for, (N', …), and those of nobody are any.
        """
        rows, heads = (torch.arange(size, device=groups.device) for size in (len(groups), num_heads))
        first = rows.new_zeros(num_groups).scatter_reduce_(0, groups, rows, "amin", include_self=False)
        ranks = rows - first.index_select(0, groups)
        most = int(ranks.max()) + 1
        places = groups * most + ranks
        at = rows.new_zeros(num_groups * most).index_copy_(0, places, rows)
        head_places = (groups[:, None] * num_heads + heads) * most + ranks[:, None]
        rows_at = at.view(-1, 1, most).expand(-1, num_heads, -1)  # (B, H, T)
        heads_at = rows_at * num_heads + heads[:, None]
        missing, is_even = max(0, num_computed - len(rows)), torch.equal(at, rows)
        head_places = functional.pad(head_places.flatten(), (0, missing * num_heads))
        return cls(
            shape=(num_groups, num_heads, most),
            num_computed=len(rows) + missing,
            ranks=ranks,
            places=places,
            at=at,
            head_places=head_places,
            heads_at=heads_at.flatten(),
            rows_at=rows_at.flatten(),
            is_even=is_even,
            is_single=is_even and most == 1 and not missing,
        )

    def fill(self, x: Tensor) -> Tensor:
        """(N,) to (N',), with zeros."""
        missing = self.num_computed - len(x)
        return functional.pad(x, (0, missing)) if missing else x

    def pad(self, x: Tensor) -> Tensor:
        """(N', D) to (B, T, D), any row where none is."""
        padded = x[: len(self.ranks)] if self.is_even else x.index_select(0, self.at)
        return padded.view(self.shape[0], self.shape[2], -1)

    def unpad(self, x: Tensor) -> Tensor:
        """(B, T, D) to (N, D)."""
        x = x.flatten(0, 1)
        return x if self.is_even else x.index_select(0, self.places)

    def pad_heads(self, heads: Tensor) -> Tensor:
        """(N' H, K) to (B H, T, K), any row where none is."""
        padded = heads if self.is_single else heads.index_select(0, self.heads_at)
        return padded.view(-1, self.shape[2], heads.size(1))

    def pad_parts(self, parts: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, K) to three times (B H, T, K), any row where none is."""
        width = parts.size(3)
        padded = parts.view(-1, width).index_select(0, self._parts_at)
        return padded.view(3, -1, self.shape[2], width).unbind()

    def pad_queries(self, parts: Tensor) -> Tensor:
        """Of (N', 3, H, K) the first part, (B H, T, K), any row where none is."""
        width = parts.size(3)
        return parts.view(-1, width).index_select(0, self._queries_at).view(-1, self.shape[2], width)

    @cached_property
    def memory_places(self) -> Tensor:
        """(N, 2, H), where keys and values of heads belong among (2, B, H)."""
        num_groups, num_heads, most = self.shape
        in_group = self.head_places[: len(self.ranks) * num_heads].view(-1, 1, num_heads) // most
        parts = torch.arange(2, device=in_group.device)[:, None]
        return in_group + parts * (num_groups * num_heads)

    @cached_property
    def _queries_at(self) -> Tensor:
        """(B H T,), of N' 3 H heads those at the places of queries."""
        return self.heads_at + 2 * self.shape[1] * self.rows_at

    @cached_property
    def _parts_at(self) -> Tensor:
        """(3 B H T,), those at the places of queries, then of keys, then of values."""
        return torch.cat([self._queries_at + part * self.shape[1] for part in range(3)])

    def unpad_heads(self, x: Tensor) -> Tensor:
        """(B H, T, K) to (N', H K)."""
        heads = x.view(-1, x.size(2))
        heads = heads if self.is_single else heads.index_select(0, self.head_places)
        return heads.view(self.num_computed, -1)

    def for_heads(self, x: Tensor) -> Tensor:
        """(N, S) to (B H, T, S): the same for all heads of a row."""
        return x.index_select(0, self.rows_at).view(-1, self.shape[2], x.size(1))

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
        """softmax(QK/√K + bias)V, (N', H K), of queries (B H, T, K), keys (B H, K, S), values (B H, S, K)."""
        if queries.device.type == "cpu":  # torch's fused attention is slower for so few queries and keys
            weights = biased_weights(queries, keys, bias)
            return self.unpad_heads(torch.bmm(as_type(weights, values.dtype), values))
        queries, keys, values, bias = (
            each.view(*self.shape[:2], *each.shape[1:]) for each in (queries, keys.mT, values, bias)
        )
        attended = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=bias)
        return self.unpad_heads(attended.flatten(0, 1))


def biased_weights(queries: Tensor, keys: Tensor, bias: Tensor) -> Tensor:
    """softmax(QK/√K + bias), (B H, T, S) float32, of queries (B H, T, K) and keys (B H, K, S)."""
    scores = torch.baddbmm(bias, queries, keys, alpha=queries.size(-1) ** -0.5)
    return as_type(scores, torch.float32).softmax(-1)


def as_type(x: Tensor, dtype: torch.dtype) -> Tensor:
    """The same in a type; `to` takes longer to find that there is nothing to do."""
    return x if x.dtype == dtype else x.to(dtype)


def as_bias(may_look: Tensor, dtype: torch.dtype) -> Tensor:
    """Zero where it is true, minus infinity elsewhere."""
    return torch.zeros(may_look.shape, dtype=dtype, device=may_look.device).masked_fill_(~may_look, -math.inf)
