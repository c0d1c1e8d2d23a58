"""A layer of the decoder as translation runs it: row by row, with a memory of rows and sources."""

# N rows, N' with those of nobody, B slots of sentences, T rows of the sentence with the most, C columns,
# S source length, D d_model, H heads, K = D / H

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from nmt.model.functions import as_function, feed_forward, heads, queries, residual
from nmt.model.layers import DecoderLayer
from nmt.model.positions import Rotation
from nmt.model.rows import Rows, biased_weights


@dataclass(frozen=True)
class Here:
    """Where the new pieces of a step stand, and what they may look at."""

    rows: Rows
    rotation: Rotation | None  # (N', 1, 1, …), of their places in their hypotheses
    memory_places: Tensor  # (N 2 H,), flat over (2, B, H, C): where keys and values of heads go
    bias: Tensor  # (B H, T, C') of the columns that are seen
    src_bias: Tensor  # (B H, 1, S)


class DecodingLayer:
    """What a layer makes of new pieces, and what it remembers of those before and of the source."""

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
        self._set_own(empty.expand(2, *empty.shape))
        self._set_source(empty.mT, empty)

    def step(self, x: Tensor, here: Here) -> Tensor:
        """Rows (N', D) to (N', D)."""
        look_back, look_at_source, feed_forward = self._sublayers
        return feed_forward(look_at_source(look_back(x, here), here))

    def put(self, states: Tensor, slots: Tensor) -> None:
        """Let slots (B',) remember sources (B', S', D)."""
        keys, values = self._keys_values(states)  # (B', H, S', K)
        self.src_keys[slots, :, :, : keys.size(2)] = keys.mT
        self.src_values[slots, :, : keys.size(2)] = values

    def add_columns(self, more: int) -> None:
        """Room for more pieces of every sentence, or for less."""
        self._set_own(functional.pad(self.own, (0, 0, 0, more)))

    def fit(self, more_slots: int, src_length: int) -> None:
        """Room for more sentences, and for sources of this length."""
        more_src = src_length - self.src_values.size(2)
        more = (0, 0, 0, more_src, 0, 0, 0, more_slots)
        keys, values = (functional.pad(each, more) for each in (self.src_keys.mT, self.src_values))
        self._set_source(keys.mT, values)
        if more_slots:
            self._set_own(functional.pad(self.own, (0, 0, 0, 0, 0, 0, 0, more_slots)))

    def keep(self, held: Tensor) -> None:
        """Forget all slots but these."""
        self._set_own(self.own[:, held])
        self._set_source(self.src_keys[held], self.src_values[held])

    def see(self, num_columns: int) -> None:
        """Let the next steps look at so many columns; the others must have nothing that is looked for."""
        keys, values = self.own.flatten(1, 2)[:, :, :num_columns].unbind(0)
        self._own_parts = keys.mT, values  # (B H, K, C'), (B H, C', K)

    @staticmethod
    def _laid_out(keys: Tensor) -> Tensor:
        """Keys of sources (B, H, K, S) in the order in memory that products read fastest.

        On a CPU products take half the time where, for each number of a key, those of all pieces lie side by
        side; fused attention on a GPU wants each key in one piece.
        """
        return keys.contiguous() if keys.device.type == "cpu" else keys.mT.contiguous().mT

    def _set_own(self, own: Tensor) -> None:
        self.own = own  # (2, B, H, C, K), keys and values
        self._flat = own.view(-1, own.size(4))  # until `see` is told, nothing looks at it

    def _set_source(self, keys: Tensor, values: Tensor) -> None:
        self.src_keys, self.src_values = self._laid_out(keys), values  # (B, H, K, S), (B, H, S, K)
        self._src_parts = self.src_keys.flatten(0, 1), values.flatten(0, 1)  # (B H, K, S), (B H, S, K)

    def _look_back(self, normed: Tensor, here: Here) -> Tensor:
        """Self-attention of rows, which are written to memory first."""
        new = self._heads(normed, here.rotation)  # (N', 3, H, K)
        keys_values = new[: len(here.rows.ranks), 1:]  # (N, 2, H, K)
        self._flat.index_copy_(0, here.memory_places, keys_values.reshape(-1, new.size(3)))
        attended = here.rows.attend(here.rows.pad_queries(new), *self._own_parts, here.bias)
        return self._out(attended)

    def _look_at_source(self, normed: Tensor, here: Here) -> Tensor:
        queries = here.rows.pad_heads(self._queries(normed))
        keys, values = self._src_parts
        if self._is_watched:
            weights = biased_weights(queries, keys, here.src_bias)
            self.watched = here.rows.unpad(weights.view(*here.rows.shape[:2], *weights.shape[1:]).mean(1))
        attended = here.rows.attend(queries, keys, values, here.src_bias)
        return self._src_out(attended)
