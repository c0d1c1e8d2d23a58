"""A layer of the decoder as translation runs it: row by row, with a memory of rows and sources."""

# N rows, N' with those of nobody, B slots of sentences, T rows of the sentence with the most, C columns,
# S source length, D d_model, H heads, K = D / H

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from nmt.model.functions import as_function, feed_forward, heads, queries, residual
from nmt.model.layers import DecoderLayer
from nmt.model.positions import Rotation
from nmt.model.rows import Rows, as_type, biased_weights


@dataclass(frozen=True)
class Here:
    """Where the new pieces of a step stand, and what they may look at."""

    rows: Rows
    rotation: Rotation | None  # (N', 1, 1, …), of their places in their hypotheses
    memory_places: Tensor  # (N' 3 H,), flat over (3, B, H, C): where queries, keys and values of heads go
    bias: Tensor  # (B H, T, C)
    src_bias: Tensor  # (B H, 1, S)


class DecodingLayer:
    """What a layer makes of new pieces, and what it remembers of those before and of the source.

    Queries are only written beside the keys and values to come in the order of sentences and heads.
    """

    def __init__(self, module: DecoderLayer, empty: Tensor, *, is_watched: bool) -> None:
        """Memory begins as what is `empty`, (0, H, C, K); if watched, it keeps where it looked in a step."""
        attention, cross_attention = module.attention, module.cross_attention
        self.watched: Tensor | None = None  # (N, S) float32, heads averaged
        self._is_watched = is_watched
        self._heads, self._out = heads(attention), as_function(attention.out_proj)
        self._queries, self._src_out = queries(cross_attention), as_function(cross_attention.out_proj)
        self._keys_values = cross_attention.keys_values
        self._sublayers = (
            residual(module.attention_residual, self._look_back),
            residual(module.cross_residual, self._look_at_source),
            residual(module.feed_forward_residual, feed_forward(module.feed_forward)),
        )
        self._set(empty.expand(3, *empty.shape), empty.expand(2, *empty.shape))

    def step(self, x: Tensor, here: Here) -> Tensor:
        """Rows (N', D) to (N', D)."""
        look_back, look_at_source, feed_forward = self._sublayers
        return feed_forward(look_at_source(look_back(x, here), here))

    def put(self, states: Tensor, slots: Tensor) -> None:
        """Let slots (B',) remember sources (B', S', D)."""
        for memory, new in zip(self.source, self._keys_values(states), strict=True):
            memory[slots, :, : states.size(1)] = new.to(memory.dtype)

    def add_columns(self, more: int) -> None:
        """Room for more pieces of every sentence, or for less."""
        self._set(functional.pad(self.own, (0, 0, 0, more)), self.source)

    def fit(self, more_slots: int, src_length: int) -> None:
        """Room for more sentences, and for sources of this length."""
        more_src = src_length - self.source.size(3)
        source = functional.pad(self.source, (0, 0, 0, more_src, 0, 0, 0, more_slots))
        self._set(functional.pad(self.own, (0, 0, 0, 0, 0, 0, 0, more_slots)), source)

    def keep(self, held: Tensor) -> None:
        """Forget all slots but these."""
        self._set(self.own[:, held], self.source[:, held])

    def _set(self, own: Tensor, source: Tensor) -> None:
        self.own = own  # (3, B, H, C, K), queries, keys and values
        self.source = source  # (2, B, H, S, K), keys and values
        self._flat = own.view(-1, own.size(4))
        queries, keys, values = own.flatten(1, 2).unbind(0)
        self._own_parts = queries, keys.mT, values  # (B H, C, K) but for keys, (B H, K, C)
        keys, values = source.flatten(1, 2).unbind(0)
        self._src_parts = keys.mT, values

    def _look_back(self, normed: Tensor, here: Here) -> Tensor:
        """Self-attention of rows, which are written to memory first."""
        new = self._heads(normed, here.rotation)  # (N', 3, H, K)
        self._flat.index_copy_(0, here.memory_places, as_type(new.view(-1, new.size(3)), self.own.dtype))
        queries, keys, values = self._own_parts
        attended = here.rows.attend(queries[:, : here.bias.size(1)], keys, values, here.bias)
        return self._out(as_type(attended, normed.dtype))

    def _look_at_source(self, normed: Tensor, here: Here) -> Tensor:
        queries = as_type(here.rows.pad_heads(self._queries(normed)), self.own.dtype)
        keys, values = self._src_parts
        if self._is_watched:
            weights = biased_weights(queries, keys, here.src_bias)
            self.watched = here.rows.unpad(weights.view(*here.rows.shape[:2], *weights.shape[1:]).mean(1))
        attended = here.rows.attend(queries, keys, values, here.src_bias)
        return self._src_out(as_type(attended, normed.dtype))
