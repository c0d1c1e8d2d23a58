"""Rows of unequal groups: where they and their heads stand in arrays of equal ones, and their attention."""

# n rows of a part, N of all, N' with those of nobody; B groups, T rows of the largest, S keys of a group,
# H heads, K width of a head

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class Rows:
    """Where rows stand in an array (B, T), and their heads in one (B, H, T)."""

    shape: tuple[int, int, int]  # (B, H, T)
    groups: Tensor  # (n,) int64, those of one follow each other
    ranks: Tensor  # (n,) int64, of each row in its group
    places: Tensor  # (n,), of the rows in the flat array
    at: Tensor  # (B T,), the row at each place; any where there is none
    is_even: bool  # whether there is a row at every place, in order

    @classmethod
    def of(cls, groups: Tensor, num_groups: int, *, most: int, num_heads: int) -> Self:
        """Rows of these groups (n,), of which the largest has so many."""
        rows = torch.arange(len(groups), device=groups.device)
        first = rows.new_zeros(num_groups).scatter_reduce_(0, groups, rows, "amin", include_self=False)
        ranks = rows - first.index_select(0, groups)
        places = groups * most + ranks
        at = rows.new_zeros(num_groups * most).index_copy_(0, places, rows)
        return cls((num_groups, num_heads, most), groups, ranks, places, at, torch.equal(at, rows))

    def pad(self, x: Tensor) -> Tensor:
        """(n, D) to (B, T, D), any row where none is."""
        padded = x if self.is_even else x.index_select(0, self.at)
        return padded.view(self.shape[0], self.shape[2], -1)

    def unpad(self, x: Tensor) -> Tensor:
        """(B, T, D) to (n, D)."""
        x = x.flatten(0, 1)
        return x if self.is_even else x.index_select(0, self.places)

    def for_heads(self, x: Tensor) -> Tensor:
        """(n, S) to (B H, T, S): the same for all heads of a row."""
        return x.index_select(0, self.rows_at).view(-1, self.shape[2], x.size(1))

    @cached_property
    def rows_at(self) -> Tensor:
        """(B H T,), the row whose head is at each place."""
        num_groups, num_heads, most = self.shape
        return self.at.view(num_groups, 1, most).expand(-1, num_heads, -1).flatten()

    @cached_property
    def head_places(self) -> Tensor:
        """(n, H), where the heads of each row stand."""
        _, num_heads, most = self.shape
        heads = torch.arange(num_heads, device=self.groups.device)
        return (self.groups[:, None] * num_heads + heads) * most + self.ranks[:, None]

    @cached_property
    def memory_places(self) -> Tensor:
        """(n, 2, H), where keys and values of heads belong among (2, B, H)."""
        num_groups, num_heads, _ = self.shape
        heads = torch.arange(2 * num_heads, device=self.groups.device).view(2, -1)
        parts = heads + torch.arange(2, device=heads.device)[:, None] * (num_groups - 1) * num_heads
        return self.groups[:, None, None] * num_heads + parts


class Heads:
    """Where heads of the rows of several parts stand in arrays (B, H, T), one for each part.

    Where more rows are computed than the parts have, those behind them are of nobody: their heads come from
    anywhere.
    """

    def __init__(self, parts: Sequence[Rows], *, num_computed: int = 0) -> None:
        self.num_rows = [len(rows.ranks) for rows in parts]
        self.num_computed = max(num_computed, sum(self.num_rows))
        self.parts = parts
        self._sizes = [math.prod(rows.shape) for rows in parts]
        has_gaps = self.num_computed > sum(self.num_rows) or not all(rows.is_even for rows in parts)
        self._is_in_place = not has_gaps and all(rows.shape[2] == 1 for rows in parts)

    def fill(self, x: Tensor) -> Tensor:
        """(N,) to (N',), with zeros."""
        missing = self.num_computed - len(x)
        return functional.pad(x, (0, missing)) if missing else x

    def divide(self, x: Tensor) -> Sequence[Tensor]:
        """(N', …) to (n, …) of each part."""
        return x[: sum(self.num_rows)].split_with_sizes(self.num_rows)

    def pad(self, heads: Tensor) -> list[Tensor]:
        """(N' H, K) to (B H, T, K) of each part, any row where none is."""
        return self._divided(heads if self._is_in_place else heads.index_select(0, self._heads_at))

    def pad_third(self, heads: Tensor, third: int = 0) -> list[Tensor]:
        """Queries, keys or values of (N', 3, H, K) to (B H, T, K) of each part, any row where none is."""
        at = self._queries_at + third * heads.size(2) if third else self._queries_at
        return self._divided(heads.view(-1, heads.size(3)).index_select(0, at))

    def unpad(self, parts: Sequence[Tensor]) -> Tensor:
        """(B H, T, K) of each part to (N', H K)."""
        heads = [part.view(-1, part.size(2)) for part in parts]
        in_place = heads[0] if len(heads) == 1 else torch.cat(heads)
        if not self._is_in_place:
            in_place = in_place.index_select(0, self._places)
        return in_place.view(self.num_computed, -1)

    def attend(self, queries: Sequence[Tensor], seen: Iterable[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
        """softmax(QK/√K + bias)V, (N', H K), of queries (B H, T, K) and what each part sees.

        These are keys (B H, K, S), values (B H, S, K) and a bias (B H, T, S).
        """
        num_heads = self.parts[0].shape[1]
        return self.unpad([_attended(*each, num_heads) for each in zip(queries, seen, strict=True)])

    def average(self, weights: Sequence[Tensor]) -> Tensor:
        """(B H, T, S) of each part to (N, S), the mean over heads, with zeros behind those of the shorter."""
        means = [
            rows.unpad(part.view(*rows.shape[:2], *part.shape[1:]).mean(1))
            for part, rows in zip(weights, self.parts, strict=True)
        ]
        return together(means, filler=0.0)

    def _divided(self, padded: Tensor) -> list[Tensor]:
        width, parts = padded.size(1), padded.split_with_sizes(self._sizes)
        return [part.view(-1, rows.shape[2], width) for part, rows in zip(parts, self.parts, strict=True)]

    @cached_property
    def _places(self) -> Tensor:
        """(N' H,), where heads stand, one part behind the other."""
        places = _end_to_end([rows.head_places for rows in self.parts], self._sizes)
        missing = self.num_computed * self.parts[0].shape[1] - len(places)
        return functional.pad(places, (0, missing))

    @cached_property
    def _heads_at(self) -> Tensor:
        """(Σ B H T,), the head at each place, of all N H."""
        num_heads = self.parts[0].shape[1]
        heads = torch.arange(num_heads, device=self._rows_at.device)[:, None]
        return torch.cat(
            [
                (part.view(-1, num_heads, rows.shape[2]) * num_heads + heads).flatten()
                for part, rows in zip(self._rows_at.split_with_sizes(self._sizes), self.parts, strict=True)
            ]
        )

    @cached_property
    def _rows_at(self) -> Tensor:
        """(Σ B H T,), the row that it is of."""
        return _end_to_end([rows.rows_at for rows in self.parts], self.num_rows)

    @cached_property
    def _queries_at(self) -> Tensor:
        """(Σ B H T,), of N 3 H heads those at the places of queries."""
        return self._heads_at + 2 * self.parts[0].shape[1] * self._rows_at


def _end_to_end(places: Sequence[Tensor], sizes: Sequence[int]) -> Tensor:
    """Places in parts of these sizes as places in all of them, one part behind the other."""
    starts = accumulate(sizes, initial=0)
    return torch.cat([part.flatten() + start for part, start in zip(places, starts, strict=False)])


def _attended(queries: Tensor, seen: tuple[Tensor, Tensor, Tensor], num_heads: int) -> Tensor:
    """softmax(QK/√K + bias)V, (B H, T, K), of queries (B H, T, K) and what they see."""
    keys, values, bias = seen
    if queries.device.type == "cpu":  # torch's fused attention is slower for so few queries and keys
        weights = biased_weights(queries, keys, bias)
        return torch.bmm(as_type(weights, values.dtype), values)
    queries, keys, values, bias = (
        each.view(-1, num_heads, *each.shape[1:]) for each in (queries, keys.mT, values, bias)
    )
    return functional.scaled_dot_product_attention(queries, keys, values, attn_mask=bias).flatten(0, 1)


def biased_weights(queries: Tensor, keys: Tensor, bias: Tensor) -> Tensor:
    """softmax(QK/√K + bias), (B H, T, S) float32, of queries (B H, T, K) and keys (B H, K, S)."""
    scores = torch.baddbmm(bias, queries, keys, alpha=queries.size(-1) ** -0.5)
    return as_type(scores, torch.float32).softmax(-1)


def as_type(x: Tensor, dtype: torch.dtype) -> Tensor:
    """The same in a type; `to` takes longer to find that there is nothing to do."""
    return x if x.dtype == dtype else x.to(dtype)


def together(parts: Sequence[Tensor], *, filler: float) -> Tensor:
    """(…, S) of several parts as one, as wide as the widest."""
    widest = max(part.size(-1) for part in parts)
    padded = [
        functional.pad(part, (0, widest - part.size(-1)), value=filler) if part.size(-1) < widest else part
        for part in parts
    ]
    return padded[0] if len(padded) == 1 else torch.cat(padded)


def as_long(*parts: Tensor) -> list[Tensor]:
    """Tensors (…, C, K) with zeros behind those of the shorter."""
    longest = max(part.size(-2) for part in parts)
    missing = [longest - part.size(-2) for part in parts]
    pairs = zip(parts, missing, strict=True)
    return [functional.pad(part, (0, 0, 0, more)) if more else part for part, more in pairs]


def as_bias(may_look: Tensor, dtype: torch.dtype) -> Tensor:
    """Zero where it is true, minus infinity elsewhere."""
    return torch.zeros(may_look.shape, dtype=dtype, device=may_look.device).masked_fill_(~may_look, -math.inf)
