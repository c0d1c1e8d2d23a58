"""The network as translation runs it: sources without padding, and targets piece by piece, as a tree."""

# B sentences, N hypotheses of all of them, N' with those of nobody, P places in hypotheses, S source length,
# D d_model, H heads, K = D / H, V vocabulary

import math
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from nmt.model.cohort import Cohort, added_cells
from nmt.model.decoding_layer import DecodingLayer, Here
from nmt.model.functions import as_function, feed_forward, queries_keys_values, residual
from nmt.model.layers import DecoderLayer, EncoderLayer
from nmt.model.packed_linear import PackedLinear, num_computed
from nmt.model.positions import Rotation
from nmt.model.rows import Heads, Rows, as_bias, as_type, together
from nmt.model.short_output import OwnOutputs, ShortOutput
from nmt.model.transformer import Transformer
from nmt.tokenizer import EOS_ID, PAD_ID

MORE_PLACES = 16  # than the longest hypothesis has, at least
MOST_COHORTS = 4  # on a CPU; on a GPU one, since each takes operations of its own


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
        self._new_sources: list[list[int]] = []
        self._new_own: list[Tensor] = []
        self._most_cohorts = MOST_COHORTS if weight.device.type == "cpu" else 1
        self._decoder_layers = [cast(DecoderLayer, layer) for layer in network.decoder]
        self._layers = [
            DecodingLayer(layer, number, is_watched=number == watched_layer)
            for number, layer in enumerate(self._decoder_layers)
        ]
        self._is_packed = isinstance(self._decoder_layers[0].feed_forward.in_proj, PackedLinear)
        self._final_norm, self._out = as_function(network.decoder_norm), as_function(network.out_proj)
        self._output = output
        # of all places in hypotheses that there were so far:
        self._num_places = 0
        self._embedded_places: Tensor | None = None  # (P, D), unless places are rotations
        self._rotation: Rotation | None = None
        # of every row:
        self._places = torch.zeros(0, dtype=torch.int64, device=weight.device)  # (N,), of its next piece
        self._cohorts: list[Cohort] = []  # in the order of rows
        self._heads = Heads([])
        # where logits are of few tokens:
        self._own_rows = self._places  # (N,), which row of `_tokens` has the tokens of a hypothesis
        self._tokens = self._places[None]  # (B, V), the token that each column of a sentence is of

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
        assert self._output is not None, "without an output layer for few tokens a column is a token"
        return self._tokens[self._own_rows[rows], columns]

    def step(self, parents: Tensor, tokens: Tensor) -> Tensor:
        """Logits (N, V) float32 of the piece after `tokens` (N,), each of which continues row `parents[i]`.

        Rows are those of the last step and of the sentences admitted since. A sentence that no row
        belongs to any more is forgotten.
        """
        self._follow(parents)
        places = self._heads.fill(self._places)
        rotation = self._rotation.of(places) if self._rotation else None
        here = Here(self._heads, rotation, self._cohorts)
        embedded = functional.embedding(self._heads.fill(tokens), self.network.tgt_embedding.weight)
        x = embedded * self._scale  # (N', D)
        if self._embedded_places is not None:
            x += self._embedded_places.index_select(0, places)
        for layer in self._layers:
            x = layer.step(x, here)
        self._places = self._places + 1
        return self._logits(self._final_norm(x))[: len(tokens)]

    def _logits(self, states: Tensor) -> Tensor:
        if self._output is None:
            return as_type(self._out(states), torch.float32)
        parts = zip(self._cohorts, self._heads.divide(states), strict=True)
        own = together([cohort.own_logits(part) for cohort, part in parts], filler=-math.inf)  # (N, O)
        return torch.cat([self._output.logits(states)[: len(own)], own], dim=1)

    def _follow(self, parents: Tensor) -> None:
        """Let the rows be continuations of others, and the cohorts be those that they belong to."""
        sources, self._new_sources = self._new_sources, []
        old = parents[: len(parents) - len(sources)]
        self._places = functional.pad(self._places.index_select(0, old), (0, len(sources)))
        pairs = zip(self._cohorts, self._divided(old), strict=True)
        self._cohorts = [cohort for cohort, own in pairs if cohort.follow(own)]
        if sources:
            self._cohorts.append(self._new_cohort(sources))
        while len(self._cohorts) > self._most_cohorts:
            self._join_two()
        for cohort in self._cohorts:
            cohort.begin_step()
        if self._heads.parts != (parts := [cohort.rows for cohort in self._cohorts]):
            num_rows = num_computed(len(parents)) if self._is_packed else 0
            self._heads = Heads(parts, num_computed=num_rows)
            if self._output:
                self._list_tokens(self._output)
        longest = max(cohort.longest for cohort in self._cohorts)
        if longest > self._num_places:
            self._grow_places(2 * longest + MORE_PLACES)

    def _divided(self, rows: Tensor) -> list[Tensor]:
        """Rows (N,) of the last step, in their order, as those of each cohort, from 0."""
        if len(self._cohorts) <= 1:
            return [rows] * len(self._cohorts)
        starts = list(accumulate((cohort.num_rows for cohort in self._cohorts), initial=0))
        before = (rows[:, None] < rows.new_tensor(starts)).sum(0).tolist()
        places = pairwise(before)
        return [rows[first:last] - start for (first, last), start in zip(places, starts, strict=False)]

    def _new_cohort(self, sources: Sequence[list[int]]) -> Cohort:
        states, lengths = encode(self.network, sources)  # (B', S', D)
        if self.on_encoded:
            self.on_encoded(sources, states)
        own = OwnOutputs(self._output, self._new_own, states.dtype) if self._output else None
        self._new_own = []
        return Cohort(self._decoder_layers, states, lengths, own)

    def _join_two(self) -> None:
        """Make one cohort of the two neighbours that need the least more memory for it."""
        first = min(range(len(self._cohorts) - 1), key=lambda i: added_cells(*self._cohorts[i : i + 2]))
        self._cohorts[first].absorb(self._cohorts.pop(first + 1))

    def _list_tokens(self, output: ShortOutput) -> None:
        """Of every column of logits tell the token."""
        own = [cohort.own_tokens for cohort in self._cohorts]
        starts = accumulate(map(len, own), initial=0)
        slots = [cohort.slots + start for cohort, start in zip(self._cohorts, starts, strict=False)]
        self._own_rows, tokens = torch.cat(slots), together(own, filler=PAD_ID)
        self._tokens = torch.cat([output.tokens.expand(len(tokens), -1), tokens], dim=1)

    def _grow_places(self, size: int) -> None:
        places, weight = torch.arange(size, device=self._places.device), self.network.tgt_embedding.weight
        self._num_places = size
        self._rotation = self._decoder_layers[0].attention.rotation(places[:, None, None])
        if self._rotation is None:
            self._embedded_places = self.network.tgt_positions(weight.new_zeros(size, weight.size(1)), places)


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
    longest = max(map(len, sources)) + 1
    rows = Rows.of(groups, len(lengths), most=longest, num_heads=network.config.num_heads)
    heads = Heads([rows])
    rotation = cast(EncoderLayer, network.encoder[0]).attention.rotation(rows.ranks[:, None, None])
    is_real = torch.arange(longest, device=weight.device) < lengths[:, None, None]  # (B, 1, S)
    bias = as_bias(is_real, weight.dtype).repeat_interleave(network.config.num_heads, dim=0)  # (B H, 1, S)
    x = network.src_embedding(tokens) * math.sqrt(network.config.d_model)
    x = network.src_positions(x, rows.ranks)  # (N, D), N pieces of all sources
    for layer in network.encoder:
        x = _encoding(cast(EncoderLayer, layer))(x, heads, rotation, bias)
    states = x.new_zeros(len(lengths) * longest, x.size(1))
    states.index_copy_(0, rows.places, network.encoder_norm(x))
    return states.view(len(lengths), longest, -1), lengths


def _encoding(module: EncoderLayer) -> Callable[..., Tensor]:
    """What a layer of the encoder makes of rows (N, D)."""
    project, out = queries_keys_values(module.attention), as_function(module.attention.out_proj)

    def look_around(normed: Tensor, heads: Heads, rotation: Rotation | None, bias: Tensor) -> Tensor:
        new = project(normed, rotation)  # (N, 3, H, K)
        queries, (keys,), (values,) = (heads.pad_third(new, third) for third in range(3))
        return out(heads.attend(queries, [(keys.mT, values, bias)]))

    attention = residual(module.attention_residual, look_around)
    forward = residual(module.feed_forward_residual, feed_forward(module.feed_forward))
    return lambda x, *around: forward(attention(x, *around))
