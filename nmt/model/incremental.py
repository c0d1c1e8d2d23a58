"""The network as translation runs it: sources without padding, and targets piece by piece, as a tree.

Hypotheses of a sentence have most of their pieces in common. What they have in common is computed and kept
once: keys and values of a piece stay in the column they were written to, every hypothesis knows which
columns are its own, and one that no hypothesis descends from is free again. So following a beam moves
nothing.
"""

# B sentences, N hypotheses of all of them, W of the one with the most, S source length, C columns, T pieces,
# D d_model, H heads, K = D / H, V vocabulary

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from nmt.model.functions import as_function, feed_forward, heads, residual
from nmt.model.layers import DecoderLayer, EncoderLayer
from nmt.model.memory import DecodingLayer, Here
from nmt.model.packed_linear import PackedLinear, num_computed
from nmt.model.positions import Rotation
from nmt.model.rows import Rows, as_bias, as_type
from nmt.model.short_output import OwnOutputs, ShortOutput
from nmt.model.transformer import Transformer
from nmt.tokenizer import EOS_ID

MORE_COLUMNS = 16  # that memory, and what is looked at of it, grows by
FEWEST_STEPS, MOST_STEPS = 2, 4  # that columns are looked for at once
FEWEST_KEYS = 16  # torch's softmax is slow on a CPU for fewer


@dataclass(frozen=True)
class _Columns:
    """Columns of memory that the new pieces of a step go to."""

    numbers: Tensor  # (N, 1)
    memory_places: Tensor  # see `Here`
    num_seen: int  # of the first columns, with which all pieces of all hypotheses are seen


class IncrementalDecoder:
    """Reads sources, and tells for hypotheses that grow by a piece at a time what may come next.

    Rows of one sentence must stay together, in the order in which sentences were admitted.
    """

    def __init__(
        self,
        network: Transformer,
        *,
        watched_layer: int | None = None,
        output: ShortOutput | None = None,
    ) -> None:
        """With an `output` the logits are of few tokens, see `allow` and `tokens`.

        The cross-attention weights of a step in `watched_layer`, from 0, are kept in `watched`. If there is
        an `on_encoded`, it gets sources and their states (B, S, D), with EOS, once they are encoded.
        """
        self.network = network
        self.watched_layer = watched_layer
        self.on_encoded: Callable[[Sequence[list[int]], Tensor], None] | None = None
        weight = network.tgt_embedding.weight
        self._scale = math.sqrt(network.config.d_model)
        self._num_heads = network.config.num_heads
        self._new_sources: list[list[int]] = []
        self._new_own: list[Tensor] = []
        first = cast(DecoderLayer, network.decoder[0])
        self._is_packed = isinstance(first.feed_forward.in_proj, PackedLinear)
        self._final_norm, self._out = as_function(network.decoder_norm), as_function(network.out_proj)
        # of all places in hypotheses that there were so far:
        self._num_places = 0
        self._embedded_places: Tensor | None = None  # (P, D), unless places are rotations
        self._rotation: Rotation | None = None
        # of every row:
        self._slots = torch.zeros(0, dtype=torch.int64, device=weight.device)  # (N,), of its sentence
        self._places = self._slots  # (N,), where its next piece stands
        width = weight.size(1) // self._num_heads
        empty = weight.new_zeros(0, self._num_heads, MORE_COLUMNS, width)  # (0, H, C, K)
        self._bias = empty[:, 0, :, 0]  # (N, C), minus infinity where a column is not of its hypothesis
        self._rows: Rows | None = None
        self._longest = 0  # of the places
        self._ahead: list[_Columns] = []  # of the next pieces, the last one first
        self._num_seen = 0  # columns that are looked at; 0: that is to be told
        # of every sentence, each in a slot that is given to another when it is done:
        self._src_lengths = self._slots  # (B,), 0 of a free slot
        self._src_bias = self._bias  # (B H, 1, S)
        self._layers = [
            DecodingLayer(cast(DecoderLayer, layer), empty, is_watched=number == watched_layer)
            for number, layer in enumerate(network.decoder)
        ]
        self._own = OwnOutputs(output, empty.dtype) if output else None

    @property
    def watched(self) -> Tensor | None:
        """Cross-attention (N, S) of the last step in the watched layer, float32, heads averaged."""
        return None if self.watched_layer is None else self._layers[self.watched_layer].watched

    def admit(self, sources: Sequence[list[int]]) -> None:
        """Take sentences, without EOS, in: behind the rows of the last step there is one for each of them."""
        self._new_sources += sources

    def allow(self, own: Sequence[Tensor]) -> None:
        """Tell which tokens, besides those that all share, each of the sentences admitted last may have."""
        self._new_own += own

    def tokens(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Which tokens these columns of rows of the last logits are of, PAD_ID where there is none."""
        assert self._own is not None, "without an output layer for few tokens a column is a token"
        return self._own.tokens[self._slots[rows], columns]

    def step(self, parents: Tensor, tokens: Tensor) -> Tensor:
        """Logits (N, V) float32 of the piece after `tokens` (N,), each of which continues row `parents[i]`.

        Rows are those of the last step and of the sentences admitted since. A sentence that no row
        belongs to any more is forgotten.
        """
        rows = self._follow(parents)
        if self._longest >= self._num_places:
            self._grow_places(2 * self._longest + MORE_COLUMNS)
        places = rows.fill(self._places)
        rotation = self._rotation.of(places) if self._rotation else None
        memory_places = self._write(rows)
        bias = rows.for_heads(self._bias[:, : self._num_seen])
        here = Here(rows, rotation, memory_places, bias, self._src_bias)
        embedded = functional.embedding(rows.fill(tokens), self.network.tgt_embedding.weight)
        x = embedded * self._scale  # (N', D)
        if self._embedded_places is not None:
            x += self._embedded_places.index_select(0, places)
        for layer in self._layers:
            x = layer.step(x, here)
        self._places, self._longest = self._places + 1, self._longest + 1
        return self._logits(self._final_norm(x), rows)[: len(tokens)]

    def _logits(self, states: Tensor, rows: Rows) -> Tensor:
        if self._own is None:
            return as_type(self._out(states), torch.float32)
        own = rows.unpad(self._own.logits(rows.pad(states)))
        return torch.cat([self._own.shared_logits(states)[: len(own)], own], dim=1)

    def _grow_places(self, size: int) -> None:
        places, weight = torch.arange(size, device=self._places.device), self.network.tgt_embedding.weight
        self._num_places = size
        attention = cast(DecoderLayer, self.network.decoder[0]).attention
        self._rotation = attention.rotation(places[:, None, None])
        if self._rotation is None:
            self._embedded_places = self.network.tgt_positions(weight.new_zeros(size, weight.size(1)), places)

    # Columns of memory

    def _write(self, rows: Rows) -> Tensor:
        """Where in memory the new pieces go: to a column of each that no other row descends from."""
        if not self._ahead:
            self._ahead = self._find_columns(rows)
        columns = self._ahead.pop()
        if columns.num_seen != self._num_seen:
            self._num_seen = columns.num_seen
            for layer in self._layers:
                layer.see(self._num_seen)
        self._bias.scatter_(1, columns.numbers, 0.0)
        return columns.memory_places

    def _find_columns(self, rows: Rows) -> list["_Columns"]:
        """Free columns for this step and some that follow if no row goes; those of this step come last."""
        num_slots, _, most = rows.shape
        used = self._bias.new_zeros(num_slots, self._bias.size(1))
        is_taken = used.index_add_(0, self._slots, self._bias.exp()) > 0  # (B, C)
        numbers = torch.arange(1, is_taken.size(1) + 1, device=is_taken.device)
        of_all = torch.stack([is_taken.sum(1).max(), (is_taken.any(0) * numbers).max()])
        num_taken, last_taken = of_all.tolist()
        if more := self._missing_columns(num_taken, last_taken, most):
            for layer in self._layers:
                layer.add_columns(more)
            self._bias = functional.pad(self._bias, (0, more), value=-math.inf)
            is_taken = functional.pad(is_taken, (0, more))
        capacity, self._num_seen = is_taken.size(1), 0
        num_steps = min(MOST_STEPS, (capacity - num_taken) // most)
        free = is_taken.byte().argsort(dim=1, stable=True)  # (B, C), free ones come first
        steps = torch.arange(num_steps, device=free.device)[:, None]
        columns = free.take(self._slots * capacity + rows.ranks + most * steps)  # (steps, N)
        places = (rows.memory_places * capacity + columns[..., None, None]).flatten(1)  # (steps, N 2 H)
        last = columns.amax(1).clamp_(min=last_taken - 1).cummax(0).values.tolist()
        seen = [last_one + MORE_COLUMNS - last_one % MORE_COLUMNS for last_one in last]
        return list(map(_Columns, columns[..., None].unbind(), places.unbind(), seen))[::-1]

    def _missing_columns(self, num_taken: int, last_taken: int, most: int) -> int:
        """How many columns to add, in steps, so that every sentence finds free ones for `most` rows.

        None has more of them than `num_taken`, and none beyond the first `last_taken`. Less than 0 if a
        sentence that needed many has gone: all the others keep as many.
        """
        capacity = self._bias.size(1)
        missing = num_taken + FEWEST_STEPS * most - capacity
        spare = capacity - last_taken - most - MORE_COLUMNS
        if missing > 0:
            return missing + -missing % MORE_COLUMNS
        return spare % MORE_COLUMNS - spare if 2 * spare >= capacity else 0

    # Rows and their sentences

    def _follow(self, parents: Tensor) -> Rows:
        """Let the rows be continuations of others, and memory hold what belongs to their sentences."""
        sources, self._new_sources = self._new_sources, []
        old = parents[: len(parents) - len(sources)] if sources else parents
        slots = self._slots.index_select(0, old)
        self._bias = self._bias.index_select(0, old)
        if self._rows and not sources and torch.equal(slots, self._slots):
            return self._rows
        self._slots, self._places = slots, self._places.index_select(0, old)
        if sources:
            new = self._take_in(sources)
            self._slots = torch.cat([slots, new])
            self._places = functional.pad(self._places, (0, len(new)))
            self._bias = functional.pad(self._bias, (0, 0, 0, len(new)), value=-math.inf)
        elif 2 * len(held := slots.bincount().nonzero().flatten()) <= len(self._src_lengths):
            self._keep(held)
        self._longest, self._ahead = int(self._places.max()), []
        num_rows = num_computed(len(self._slots)) if self._is_packed else 0
        sizes = {"num_heads": self._num_heads, "num_computed": num_rows}
        self._rows = Rows.of(self._slots, len(self._src_lengths), **sizes)
        return self._rows

    def _take_in(self, sources: list[list[int]]) -> Tensor:
        """Slots of memory for new sentences, with the keys and values of their sources in them."""
        is_free = torch.ones(len(self._src_lengths), dtype=torch.bool, device=self._slots.device)
        is_free[self._slots] = False
        missing = max(0, len(sources) - int(is_free.sum()))
        is_free = functional.pad(is_free, (0, missing), value=True)
        slots, unused = is_free.nonzero().flatten().tensor_split([len(sources)])
        states, lengths = encode(self.network, sources)  # (B', S', D)
        if self.on_encoded:
            self.on_encoded(sources, states)
        if self._own:
            self._own.put(self._new_own, slots, is_free=is_free)
            self._new_own = []
        self._src_lengths = functional.pad(self._src_lengths, (0, missing))
        self._src_lengths[slots], self._src_lengths[unused] = lengths, 0
        self._fit_sources(missing)
        for layer in self._layers:
            layer.put(states, slots)
        return slots

    def _keep(self, held: Tensor) -> None:
        """Forget all sentences but those in the slots `held`."""
        numbers = torch.zeros_like(self._src_lengths)
        numbers[held] = torch.arange(len(held), device=held.device)
        self._slots, self._src_lengths = numbers[self._slots], self._src_lengths[held]
        for layer in self._layers:
            layer.keep(held)
        if self._own:
            self._own.keep(held)
        self._fit_sources(0)

    def _fit_sources(self, num_more: int) -> None:
        """Room for the longest source and not much more, and for so many more sentences."""
        capacity = self._layers[0].src_values.size(2)
        longest = max(FEWEST_KEYS, int(self._src_lengths.max()))
        length = longest if longest > capacity or 4 * longest < 3 * capacity else capacity
        if num_more or length != capacity:
            for layer in self._layers:
                layer.fit(num_more, length)
        is_real = torch.arange(length, device=self._slots.device) < self._src_lengths[:, None, None]
        is_real[self._src_lengths == 0] = True  # of nobody; a row of nothing but -inf is not a number
        self._src_bias = as_bias(is_real, self._bias.dtype).repeat_interleave(self._num_heads, dim=0)


def encode(network: Transformer, sources: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
    """States (B, S, D) of sources, without EOS, zero where a source has ended; and lengths (B,) with EOS.

    Only attention sees padding: all products are of real pieces alone.
    """
    weight = network.src_embedding.weight
    lengths = torch.tensor([len(source) + 1 for source in sources], dtype=torch.int64, device=weight.device)
    if not sources:
        return weight.new_zeros(0, 0, weight.size(1)), lengths
    tokens = torch.tensor([token for source in sources for token in (*source, EOS_ID)], device=weight.device)
    groups = torch.arange(len(lengths), device=weight.device)
    groups = groups.repeat_interleave(lengths, output_size=len(tokens))
    rows = Rows.of(groups, len(lengths), num_heads=network.config.num_heads)
    rotation = cast(EncoderLayer, network.encoder[0]).attention.rotation(rows.ranks[:, None, None])
    longest = rows.shape[2]
    is_real = torch.arange(longest, device=weight.device) < lengths[:, None, None]  # (B, 1, S)
    bias = as_bias(is_real, weight.dtype).repeat_interleave(network.config.num_heads, dim=0)  # (B H, 1, S)
    x = network.src_embedding(tokens) * math.sqrt(network.config.d_model)
    x = network.src_positions(x, rows.ranks)  # (N, D), N pieces of all sources
    for layer in network.encoder:
        x = _encoding(cast(EncoderLayer, layer))(x, rows, rotation, bias)
    states = x.new_zeros(len(lengths) * longest, x.size(1))
    states.index_copy_(0, rows.places, network.encoder_norm(x))
    return states.view(len(lengths), longest, -1), lengths


def _encoding(module: EncoderLayer) -> Callable[..., Tensor]:
    """What a layer of the encoder makes of rows (N, D)."""
    heads_of, out = heads(module.attention), as_function(module.attention.out_proj)

    def look_around(normed: Tensor, rows: Rows, rotation: Rotation | None, bias: Tensor) -> Tensor:
        queries, keys, values = rows.pad_parts(heads_of(normed, rotation))
        return out(rows.attend(queries, keys.mT, values, bias))

    attention = residual(module.attention_residual, look_around)
    forward = residual(module.feed_forward_residual, feed_forward(module.feed_forward))
    return lambda x, *around: forward(attention(x, *around))
