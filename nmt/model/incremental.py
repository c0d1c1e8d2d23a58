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
from functools import partial
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from nmt.model.attention import CrossAttention, SelfAttention, join_heads
from nmt.model.layers import DecoderLayer, EncoderLayer
from nmt.model.positions import Rotation
from nmt.model.short_output import OwnOutputs, ShortOutput
from nmt.model.transformer import Transformer
from nmt.tokenizer import EOS_ID

MORE_COLUMNS = 16  # that memory grows by, beyond those that are needed at once
FEWEST_KEYS = 16  # torch's softmax is slow on a CPU for fewer


@dataclass(frozen=True)
class _Rows:
    """Where rows of unequal groups stand in an array with a place for the largest group."""

    slots: Tensor  # (N,) int64
    shape: tuple[int, int]  # groups, rows of the largest
    in_order: bool  # whether there is a row at every place, and they come in this order

    @classmethod
    def place(cls, slots: Tensor, shape: tuple[int, int]) -> "_Rows":
        """Rows that go to these places of the flat array."""
        in_order = len(slots) == shape[0] * shape[1] and bool((slots[1:] > slots[:-1]).all())
        return cls(slots, shape, in_order)

    def pad(self, x: Tensor) -> Tensor:
        """(N, …) to (groups, largest, …), zero where no row is."""
        if not self.in_order:
            padded = x.new_zeros(self.shape[0] * self.shape[1], *x.shape[1:])
            x = padded.index_copy_(0, self.slots, x)
        return x.view(*self.shape, *x.shape[1:])

    def unpad(self, x: Tensor) -> Tensor:
        """(groups, largest, …) to (N, …)."""
        x = x.flatten(0, 1)
        return x if self.in_order else x.index_select(0, self.slots)


@dataclass(frozen=True)
class _Here:
    """Where in memory the new pieces of a step go, and what they may look at."""

    rows: _Rows
    rotation: Rotation | None  # of their places in their hypotheses
    columns: Tensor  # (B * W * H,), flat over (B, H, C)
    bias: Tensor  # (B, 1, W, C)


@dataclass
class _LayerMemory:
    """Keys and values of one decoder layer, (B, H, C or S, K), with a slot B for every sentence."""

    keys: Tensor
    values: Tensor
    src_keys: Tensor
    src_values: Tensor

    def change(self, how: Callable[[Tensor], Tensor]) -> None:
        """Do the same with all of them."""
        self.keys, self.values = how(self.keys), how(self.values)
        self.src_keys, self.src_values = how(self.src_keys), how(self.src_values)


class IncrementalDecoder:
    """Reads sources, and tells for hypotheses that grow by a piece at a time what may come next.

    Rows of one sentence must stay together, in the order in which sentences were admitted.
    """

    def __init__(
        self,
        network: Transformer,
        *,
        memory_dtype: torch.dtype | None = None,
        watched_layer: int | None = None,
        output: ShortOutput | None = None,
    ) -> None:
        """Keys and values are kept in `memory_dtype`, by default the network's.

        With an `output` the logits are of few tokens, see `allow` and `tokens`.
        The cross-attention weights of a step in `watched_layer`, from 0, are kept in `watched`. If there is
        an `on_encoded`, it gets sources and their states (B, S, D), with EOS, once they are encoded.
        """
        self.network = network
        self.watched_layer = watched_layer
        self.on_encoded: Callable[[Sequence[list[int]], Tensor], None] | None = None
        self.watched: Tensor | None = None  # (N, S) float32, heads averaged
        weight = network.tgt_embedding.weight
        self._scale = math.sqrt(network.config.d_model)
        self._num_heads = network.config.num_heads
        self._places_table = weight.new_zeros(0, weight.size(1))
        self._new_sources: list[list[int]] = []
        self._new_own: list[Tensor] = []
        # of every row:
        self._slots = torch.zeros(0, dtype=torch.int64, device=weight.device)  # (N,), of its sentence
        self._places = self._slots  # (N,), where its next piece stands
        self._ancestry = torch.zeros(0, 0, dtype=torch.bool, device=weight.device)  # (N, C)
        # of every sentence, each in a slot that is given to another when it is done:
        self._src_lengths = self._slots  # (B,), 0 of a free slot
        self._src_bias: Tensor | None = None  # (B, 1, 1, S)
        head_width = weight.size(1) // self._num_heads
        empty = weight.new_zeros(0, self._num_heads, 0, head_width, dtype=memory_dtype)
        self._layers = [_LayerMemory(empty, empty, empty, empty) for _ in network.decoder]
        self._own = OwnOutputs(output, empty.dtype) if output else None

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
        here = self._find_columns(self._follow(parents))
        if len(self._places_table) <= (longest := int(self._places.max())):
            self._grow_places_table(2 * longest + MORE_COLUMNS)
        x = self.network.tgt_embedding(tokens) * self._scale + self._places_table[self._places]  # (N, D)
        for number, (module, memory) in enumerate(zip(self.network.decoder, self._layers, strict=True)):
            layer, watch = cast(DecoderLayer, module), number == self.watched_layer
            look_back = partial(_look_back, attention=layer.attention, memory=memory, here=here)
            look_at_source = partial(
                self._look_at_source,
                attention=layer.cross_attention,
                memory=memory,
                rows=here.rows,
                watch=watch,
            )
            x = layer.attention_residual(x, look_back)
            x = layer.cross_residual(x, look_at_source)
            x = layer.feed_forward_residual(x, layer.feed_forward)
        self._places = self._places + 1
        return self._logits(self.network.decoder_norm(x), here.rows)

    def _logits(self, states: Tensor, rows: _Rows) -> Tensor:
        if self._own is None:
            logits: Tensor = self.network.out_proj(states).float()
            return logits
        own = rows.unpad(self._own.logits(rows.pad(states)))
        return torch.cat([self._own.shared_logits(states), own], dim=1)

    def _find_columns(self, rows: _Rows) -> _Here:
        """A free column of memory for the new piece of every row: one that no other row descends from."""
        num_sentences, most = rows.shape
        ancestry = rows.pad(self._ancestry)  # (B, W, C)
        is_taken = ancestry.any(1)  # (B, C)
        if more := self._missing_columns(is_taken, most):
            for layer in self._layers:
                layer.keys = functional.pad(layer.keys, (0, 0, 0, more))
                layer.values = functional.pad(layer.values, (0, 0, 0, more))
            ancestry, is_taken = functional.pad(ancestry, (0, more)), functional.pad(is_taken, (0, more))
        columns = is_taken.byte().argsort(dim=1, stable=True)[:, :most]  # (B, W), free ones come first
        ancestry.scatter_(2, columns[:, :, None], value=True)
        self._ancestry = rows.unpad(ancestry)
        bias = _as_bias(ancestry[:, None], self._layers[0].keys.dtype)
        heads = torch.arange(num_sentences * self._num_heads, device=columns.device)
        heads = heads.view(num_sentences, 1, self._num_heads)
        columns = (heads * ancestry.size(2) + columns[:, :, None]).flatten()
        places = rows.pad(self._places)[:, None]  # (B, 1, W)
        rotation = cast(DecoderLayer, self.network.decoder[0]).attention.rotation(places)
        return _Here(rows, rotation, columns, bias)

    def _missing_columns(self, is_taken: Tensor, most: int) -> int:
        """How many columns to add, so that every sentence finds `most` free ones of (B, C).

        Less than 0 if a sentence that needed many has gone: all the others look at as many columns.
        """
        capacity = is_taken.size(1)
        missing = int(is_taken.sum(1).max()) + most - capacity
        if missing > 0:
            return max(missing, MORE_COLUMNS)
        in_use = int((is_taken.any(0) * torch.arange(1, capacity + 1, device=is_taken.device)).max()) + most
        return in_use + MORE_COLUMNS - capacity if 2 * (in_use + MORE_COLUMNS) <= capacity else 0

    def _look_at_source(
        self, normed: Tensor, *, attention: CrossAttention, memory: _LayerMemory, rows: _Rows, watch: bool
    ) -> Tensor:
        queries = attention.queries(rows.pad(attention.query_proj(normed)))
        assert self._src_bias is not None
        if watch:
            weights = _weights(queries.to(memory.src_keys.dtype), memory.src_keys, self._src_bias)
            self.watched = rows.unpad(weights.mean(1))
        attended = _attend(queries, memory.src_keys, memory.src_values, self._src_bias)
        out: Tensor = attention.out_proj(rows.unpad(join_heads(attended)))
        return out

    def _grow_places_table(self, size: int) -> None:
        places = torch.arange(size, device=self._places.device)
        nothing = self._places_table.new_zeros(size, self._places_table.size(1))
        self._places_table = self.network.tgt_positions(nothing, places)

    # Rows and memory

    def _follow(self, parents: Tensor) -> _Rows:
        """Let the rows be continuations of others, and memory hold what belongs to their sentences."""
        num_old, sources = len(self._slots), self._new_sources
        old = parents[parents < num_old]
        self._slots, self._places = self._slots[old], self._places[old]
        self._ancestry = self._ancestry[old]
        self._new_sources = []
        if sources:
            slots = self._take_in(sources)
            new = parents[parents >= num_old] - num_old
            self._slots = torch.cat([self._slots, slots[new]])
            self._places = torch.cat([self._places, torch.zeros_like(new)])
            self._ancestry = functional.pad(self._ancestry, (0, 0, 0, len(new)))
        elif 2 * len(held := torch.unique(self._slots)) <= len(self._src_lengths):
            self._keep(held)
        order = torch.arange(len(parents), device=parents.device)
        is_first = torch.ones_like(self._slots, dtype=torch.bool)
        is_first[1:] = self._slots[1:] != self._slots[:-1]
        ranks = order - torch.where(is_first, order, 0).cummax(0).values
        most = int(ranks.max()) + 1
        return _Rows.place(self._slots * most + ranks, (len(self._src_lengths), most))

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
        for module, layer in zip(self.network.decoder, self._layers, strict=True):
            keys, values = cast(DecoderLayer, module).cross_attention.keys_values(states)
            layer.src_keys[slots, :, : states.size(1)] = keys.to(layer.keys.dtype)
            layer.src_values[slots, :, : states.size(1)] = values.to(layer.keys.dtype)
        return slots

    def _keep(self, held: Tensor) -> None:
        """Forget all sentences but those in the slots `held`."""
        numbers = torch.zeros_like(self._src_lengths)
        numbers[held] = torch.arange(len(held), device=held.device)
        self._slots, self._src_lengths = numbers[self._slots], self._src_lengths[held]
        for layer in self._layers:
            layer.change(lambda x: x[held])
        if self._own:
            self._own.keep(held)
        self._fit_sources(0)

    def _fit_sources(self, num_more: int) -> None:
        """Room for the longest source and not much more, and for so many more sentences.

        What is computed with lies in one piece: bfloat16 products would copy it else.
        """
        capacity = self._layers[0].src_keys.size(2)
        longest = max(FEWEST_KEYS, int(self._src_lengths.max()))
        length = longest if longest > capacity or 4 * longest < 3 * capacity else capacity
        if num_more or length != capacity:
            for layer in self._layers:
                layer.change(lambda x: functional.pad(x, (*(0, 0, 0, 0, 0, 0), 0, num_more)))
                layer.src_keys = functional.pad(layer.src_keys, (0, 0, 0, length - capacity))
                layer.src_values = functional.pad(layer.src_values, (0, 0, 0, length - capacity))
        is_real = torch.arange(length, device=self._slots.device) < self._src_lengths[:, None, None, None]
        is_real[self._src_lengths == 0] = True  # of nobody; a row of nothing but -inf is not a number
        self._src_bias = _as_bias(is_real, self._layers[0].keys.dtype)


def encode(network: Transformer, sources: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
    """States (B, S, D) of sources, without EOS, zero where a source has ended; and lengths (B,) with EOS.

    Only attention sees padding: all products are of real pieces alone.
    """
    device = network.src_embedding.weight.device
    lengths = torch.tensor([len(source) + 1 for source in sources], dtype=torch.int64, device=device)
    tokens = torch.tensor([token for source in sources for token in (*source, EOS_ID)], device=device)
    longest = int(lengths.max()) if len(sources) else 0
    real = torch.arange(longest, device=device) < lengths[:, None]  # (B, S)
    places = torch.arange(longest, device=device)
    rotation = cast(EncoderLayer, network.encoder[0]).attention.rotation(places)
    rows = _Rows.place(real.flatten().nonzero().flatten(), (len(sources), longest))
    bias = None if bool(real.all()) else _as_bias(real[:, None, None], network.src_embedding.weight.dtype)
    x = network.src_embedding(tokens.long()) * math.sqrt(network.config.d_model)
    x = network.src_positions(x, places.expand_as(real)[real])  # (N, D), N pieces of all sources
    for module in network.encoder if len(sources) else ():
        layer = cast(EncoderLayer, module)
        look_around = partial(
            _look_around, attention=layer.attention, rows=rows, rotation=rotation, bias=bias
        )
        x = layer.attention_residual(x, look_around)
        x = layer.feed_forward_residual(x, layer.feed_forward)
    return rows.pad(network.encoder_norm(x)), lengths


def _look_around(
    normed: Tensor, *, attention: SelfAttention, rows: _Rows, rotation: Rotation | None, bias: Tensor | None
) -> Tensor:
    """Self-attention of the encoder over rows (N, D)."""
    queries, keys, values = attention.heads(rows.pad(attention.in_proj(normed)), rotation)
    out: Tensor = attention.out_proj(rows.unpad(join_heads(_attend(queries, keys, values, bias))))
    return out


def _look_back(normed: Tensor, *, attention: SelfAttention, memory: _LayerMemory, here: _Here) -> Tensor:
    """Self-attention of the decoder over rows (N, D), which are written to memory first."""
    queries, keys, values = attention.heads(here.rows.pad(attention.in_proj(normed)), here.rotation)
    for kept, new in ((memory.keys, keys), (memory.values, values)):
        flat = new.transpose(1, 2).flatten(0, 2).to(kept.dtype)  # (B * W * H, K)
        kept.view(-1, kept.size(3)).index_copy_(0, here.columns, flat)
    attended = _attend(queries, memory.keys, memory.values, here.bias)
    out: Tensor = attention.out_proj(here.rows.unpad(join_heads(attended)))
    return out


def _attend(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
    """softmax(QKᵀ/√K + bias)V: (B, H, T, K) of queries (B, H, T, K) over keys and values (B, H, S, K)."""
    wanted, queries = queries.dtype, queries.to(keys.dtype)
    if queries.device.type != "cpu":
        attended = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=bias)
    else:  # torch's fused attention is slower for so few queries and keys
        weights = _weights(queries, keys, bias).to(values.dtype)
        attended = torch.bmm(weights.flatten(0, 1), values.flatten(0, 1)).view_as(queries)
    return attended.to(wanted)


def _weights(queries: Tensor, keys: Tensor, bias: Tensor | None) -> Tensor:
    """softmax(QKᵀ/√K + bias), (B, H, T, S) float32."""
    queries = queries * queries.size(-1) ** -0.5
    scores = torch.bmm(queries.flatten(0, 1), keys.flatten(0, 1).transpose(1, 2))  # @ takes longer to begin
    scores = scores.view(*queries.shape[:3], -1)
    weights: Tensor = (scores if bias is None else scores.add_(bias)).softmax(-1, dtype=torch.float32)
    return weights


def _as_bias(may_look: Tensor, dtype: torch.dtype) -> Tensor:
    """Zero where it is true, minus infinity elsewhere."""
    return torch.zeros(may_look.shape, dtype=dtype, device=may_look.device).masked_fill_(~may_look, -math.inf)
