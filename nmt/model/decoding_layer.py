"""A layer of the decoder as translation runs it: row by row, beside what cohorts of sentences remember."""

# N rows, N' with those of nobody, S source length of the longest, D d_model, H heads, K = D / H

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from nmt.model.cohort import Cohort
from nmt.model.functions import as_function, feed_forward, queries, queries_keys_values, residual
from nmt.model.layers import DecoderLayer
from nmt.model.positions import Rotation
from nmt.model.rows import Heads, biased_weights


@dataclass(frozen=True)
class Here:
    """Where the new pieces of a step stand, and what they may look at."""

    heads: Heads
    rotation: Rotation | None  # (N', 1, 1, …), of their places in their hypotheses
    cohorts: Sequence[Cohort]


class DecodingLayer:
    """What a layer makes of new pieces."""

    def __init__(self, module: DecoderLayer, number: int, *, is_watched: bool) -> None:
        """The layer of this number, from 0; if watched, it keeps where it looked in a step."""
        attention, cross_attention = module.attention, module.cross_attention
        self.watched: Tensor | None = None  # (N, S) float32, heads averaged
        self._is_watched = is_watched
        self._number = number
        self._project, self._out = queries_keys_values(attention), as_function(attention.out_proj)
        self._queries, self._src_out = queries(cross_attention), as_function(cross_attention.out_proj)
        self._sublayers = (
            residual(module.attention_residual, self._look_back),
            residual(module.cross_residual, self._look_at_source),
            residual(module.feed_forward_residual, feed_forward(module.feed_forward)),
        )

    def step(self, x: Tensor, here: Here) -> Tensor:
        """Rows (N', D) to (N', D)."""
        look_back, look_at_source, feed_forward = self._sublayers
        return feed_forward(look_at_source(look_back(x, here), here))

    def _look_back(self, normed: Tensor, here: Here) -> Tensor:
        """Self-attention of rows, which are written to memory first."""
        new = self._project(normed, here.rotation)  # (N', 3, H, K)
        seen = []
        for cohort, rows in zip(here.cohorts, here.heads.divide(new), strict=True):
            memory = cohort.memories[self._number]
            memory.write(rows[:, 1:].reshape(-1, rows.size(3)), cohort.memory_places)
            seen.append((*memory.of_pieces, cohort.bias))
        return self._out(here.heads.attend(here.heads.pad_third(new), seen))

    def _look_at_source(self, normed: Tensor, here: Here) -> Tensor:
        queries = here.heads.pad(self._queries(normed))
        seen = [(*cohort.memories[self._number].of_sources, cohort.src_bias) for cohort in here.cohorts]
        if self._is_watched:
            weights = [
                biased_weights(each, keys, bias) for each, (keys, _, bias) in zip(queries, seen, strict=True)
            ]
            self.watched = here.heads.average(weights)
        return self._src_out(here.heads.attend(queries, seen))
