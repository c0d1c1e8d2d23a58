"""Sentences that were admitted together: their hypotheses, and the memory that every layer has of them.

Hypotheses of a sentence have most of their pieces in common. What they have in common is computed and kept
once: keys and values of a piece stay in the column they were written to, every hypothesis knows which
columns are its own, and one that no hypothesis descends from is free again. So following a beam moves
nothing.
"""

# n hypotheses of the cohort, T of the sentence with the most, B sentences, some of which may be done,
# C columns, H heads, S source length, D d_model

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nmt.model.layers import DecoderLayer
from nmt.model.memory import Memory
from nmt.model.rows import Rows, as_bias, together
from nmt.model.short_output import OwnOutputs

MORE_COLUMNS = 16  # that memory grows by
FEWEST_STEPS, MOST_STEPS = 2, 4  # that columns are looked for at once
FEWEST_KEYS = 16  # torch's softmax is slow on a CPU for fewer
LEAST_USE = 0.6  # of memory: with less, what is not used is given up


@dataclass(frozen=True)
class _Columns:
    """Columns of memory that the new pieces of a step go to."""

    numbers: Tensor  # (n, 1)
    memory_places: Tensor  # (n 2 H,)


class Cohort:
    """Sentences, at first with one hypothesis each, that end one by one."""

    rows: Rows
    """Where hypotheses stand among sentences."""
    bias: Tensor
    """(B H, T, C) of the columns that are seen."""
    src_bias: Tensor
    """(B H, 1, S)."""
    memory_places: Tensor
    """(n 2 H,), flat over (2, B, H, C): where keys and values of new pieces go."""

    def __init__(
        self,
        layers: Sequence[DecoderLayer],
        states: Tensor,
        src_lengths: Tensor,
        own_outputs: OwnOutputs | None = None,
    ) -> None:
        """Sources as the encoder gives them, (B, S, D), of these lengths (B,), EOS included."""
        num_sentences, longest, _ = states.shape
        states = functional.pad(states, (0, 0, 0, max(0, FEWEST_KEYS - longest)))
        self.memories = [
            Memory.of(*layer.cross_attention.keys_values(states), num_columns=MORE_COLUMNS)
            for layer in layers
        ]
        self._own_outputs = own_outputs
        self.longest = 0  # of the hypotheses, in pieces
        self.slots = torch.arange(num_sentences, device=states.device)  # (n,), of sentences
        self._bias = states.new_full((num_sentences, MORE_COLUMNS), -math.inf)  # (n, C), 0 of own columns
        self._num_heads = layers[0].attention.num_heads
        self._src_lengths = src_lengths
        self._ahead: list[_Columns] = []  # of the next pieces, the last one first
        self._has_changed = True  # so that `rows` have to be told anew
        self._describe_sources()

    @property
    def num_rows(self) -> int:
        """Hypotheses that go on."""
        return len(self.slots)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(B, C, S)."""
        return len(self._src_lengths), self._bias.size(1), self.src_bias.size(2)

    def follow(self, parents: Tensor) -> bool:
        """Let the hypotheses be continuations of others (n,); whether there are any."""
        slots = self.slots.index_select(0, parents)
        self._bias = self._bias.index_select(0, parents)
        if not torch.equal(slots, self.slots):
            self.slots, self._ahead, self._has_changed = slots, [], True
        return len(slots) > 0

    def begin_step(self) -> None:
        """Find columns for the new pieces, which no other hypothesis descends from."""
        if not self._ahead:
            self._ahead = self._find_columns()
        columns = self._ahead.pop()
        self._bias.scatter_(1, columns.numbers, 0.0)
        self.bias, self.memory_places = self.rows.for_heads(self._bias), columns.memory_places
        self.longest += 1

    def absorb(self, other: "Cohort") -> None:
        """Take the sentences of another cohort in, behind those that are here; the other loses its memory."""
        for number, memory in enumerate(self.memories):  # of one layer after the other there are both
            self.memories[number] = memory.with_those_of(other.memories.pop(0))
        if self._own_outputs and other._own_outputs:
            self._own_outputs.absorb(other._own_outputs)
        self.slots = torch.cat([self.slots, other.slots + len(self._src_lengths)])
        self._src_lengths = torch.cat([self._src_lengths, other._src_lengths])
        self._bias = together([self._bias, other._bias], filler=-math.inf)
        self._ahead, self._has_changed = [], True
        self._describe_sources()

    @property
    def own_tokens(self) -> Tensor:
        """(B, O), of sentences whose logits are of few tokens."""
        assert self._own_outputs is not None
        return self._own_outputs.tokens

    def own_logits(self, states: Tensor) -> Tensor:
        """Of those tokens, (n, O), from states (n, D)."""
        assert self._own_outputs is not None
        return self.rows.unpad(self._own_outputs.logits(self.rows.pad(states)))

    def _find_columns(self) -> list[_Columns]:
        """Free columns for this step and some that follow if no row goes; those of this step come last."""
        num_slots, capacity, src_capacity = self.shape
        is_own = self._bias == 0  # (n, C)
        used = self._bias.new_zeros(num_slots, capacity).index_add_(
            0, self.slots, is_own.to(self._bias.dtype)
        )
        is_taken = used > 0  # (B, C)
        counts = torch.zeros_like(self._src_lengths).index_add_(0, self.slots, torch.ones_like(self.slots))
        src_lengths = self._src_lengths * (counts > 0)
        facts = is_own.sum(1), is_taken.sum(1), counts, src_lengths
        of_all = [*(each.max() for each in facts), counts.count_nonzero()]
        self.longest, num_taken, most, longest_src, num_held = torch.stack(of_all).tolist()
        needed = num_taken + FEWEST_STEPS * most
        needed += -needed % MORE_COLUMNS
        src_needed = max(FEWEST_KEYS, longest_src)
        use = num_held * (needed + src_needed) / (num_slots * (capacity + src_capacity))
        if needed > capacity or use < LEAST_USE:
            is_taken = self._fit(counts.nonzero().flatten(), is_taken, needed, src_needed)
        num_slots, capacity, _ = self.shape
        if self._has_changed:
            self.rows = Rows.of(self.slots, num_slots, most=most, num_heads=self._num_heads)
            self._has_changed = False
        num_steps = min(MOST_STEPS, (capacity - num_taken) // most)
        free = is_taken.byte().argsort(dim=1, stable=True)  # (B, C), free ones come first
        steps = torch.arange(num_steps, device=free.device)[:, None]
        columns = free.take(self.slots * capacity + self.rows.ranks + most * steps)  # (steps, n)
        places = (self.rows.memory_places * capacity + columns[..., None, None]).flatten(1)  # (steps, n 2 H)
        return list(map(_Columns, columns[..., None].unbind(), places.unbind()))[::-1]

    def _fit(self, held: Tensor, is_taken: Tensor, num_columns: int, src_length: int) -> Tensor:
        """Memory of the sentences in these slots (B',) alone, of so many columns: which are taken, (B', C').

        Columns that are taken come first.
        """
        num_slots, capacity = is_taken.shape
        is_taken = is_taken.index_select(0, held)
        order = is_taken.byte().argsort(dim=1, descending=True, stable=True)[:, :num_columns]  # (B', C')
        more = max(0, num_columns - capacity)
        numbers = torch.zeros_like(self._src_lengths)
        numbers[held] = torch.arange(len(held), device=held.device)
        self.slots, self._has_changed = numbers[self.slots], True
        bias = self._bias.gather(1, order.index_select(0, self.slots))
        self._bias = functional.pad(bias, (0, more), value=-math.inf)
        is_taken = functional.pad(is_taken.gather(1, order), (0, more))
        order = functional.pad(order, (0, more))  # what is in a column that is not taken is any number
        heads = torch.arange(self._num_heads, device=held.device)[:, None]
        places = (held[:, None, None] * self._num_heads + heads) * capacity + order[:, None]  # (B', H, C')
        parts = torch.arange(2, device=held.device)[:, None]
        places = (parts * (num_slots * self._num_heads * capacity) + places.flatten()).flatten()
        self._src_lengths = self._src_lengths.index_select(0, held)
        for number, memory in enumerate(self.memories):
            self.memories[number] = memory.some(held, places, num_columns=num_columns, src_length=src_length)
        if self._own_outputs:
            self._own_outputs.keep(held)
        self._describe_sources()
        return is_taken

    def _describe_sources(self) -> None:
        length = self.memories[0].src_values.size(2)
        is_real = torch.arange(length, device=self.slots.device) < self._src_lengths[:, None, None]
        self.src_bias = as_bias(is_real, self._bias.dtype).repeat_interleave(self._num_heads, dim=0)


def added_cells(first: Cohort, second: Cohort) -> int:
    """How many more keys a head has if two cohorts are made one."""
    (num_first, *lengths), (num_second, *others) = first.shape, second.shape
    both = (num_first + num_second) * sum(map(max, lengths, others))
    return both - num_first * sum(lengths) - num_second * sum(others)
