"""The decoder's cross-attention to the source, read in one pass over pairs whose targets are known."""

# B pairs, S source pieces, T target pieces, H heads

from collections.abc import Collection, Sequence
from typing import Literal

import torch
from torch import Tensor

from nmt.checkpoint import TranslationModel
from nmt.errors import UsageError
from nmt.model import Transformer
from nmt.model.encoded import EncodedSources
from nmt.model.forced import PiecePair, read_pairs

Read = Literal["input", "output"]
"""Where a target piece looks from: the step that has it as input, or the one that outputs it."""


def reading_layer(model: TranslationModel, layer: int | None = None) -> int:
    """The decoder layer to read links from, counted from 1: the given, the stored, or the shaped."""
    num_layers = model.config.model.decoder_layers
    if layer and layer > num_layers:
        raise UsageError(f"--layer {layer}: the decoder has {num_layers} layers, counted from 1")
    return layer or model.config.alignment.layer or model.config.model.alignment_layer


def attend_both_ways(
    model: TranslationModel,
    pairs: Sequence[PiecePair],
    layers: Collection[int],
    encoded: EncodedSources | None = None,
) -> list[dict[int, tuple[Tensor, Tensor | None]]]:
    """Of each pair, in the model's first direction, and each layer two (T, S), see `Alignment`.

    The second is the attention of the model's other direction, without context; None if it has no other.
    """
    there, *back = model.directions
    tagged = [pair.tagged(there.tag_ids) for pair in pairs]
    forward = attend(model.network, tagged, layers, encoded=encoded)
    if not back:
        return [{layer: (rows, None) for layer, rows in of_pair.items()} for of_pair in forward]
    turned = [PiecePair(pair.tgt, pair.src, back[0].tag_ids) for pair in pairs]
    backward = attend(model.network, turned, layers)
    return [
        {layer: (one_way[layer], other_way[layer].mT) for layer in layers}
        for one_way, other_way in zip(forward, backward, strict=True)
    ]


@torch.no_grad()
def attend(
    network: Transformer,
    pairs: Sequence[PiecePair],
    layers: Collection[int],
    read: Read = "input",
    *,
    encoded: EncodedSources | None = None,
) -> list[dict[int, Tensor]]:
    """Cross-attention (T, S) of each pair and layer (from 1), heads averaged, rows summing to 1.

    A target piece looks from the position where it is the decoder's input (Shift-Att; Chen et al., 2020): row
    t of the decoder's input BOS y1 … yT outputs y(t+1); row t + 1 has seen it. EOS and what stands before a
    source are left out.
    """
    forced = read_pairs(network, pairs, encoded)
    indices = {layer: layer - 1 for layer in layers}
    decoded = network.decode(
        forced.tgt_tokens,
        forced.encoder_out,
        attention_layers=indices.values(),
        last_layer=max(indices.values()),
    )
    averaged = {
        layer: decoded.attention[i].mean(1).cpu() for layer, i in indices.items()
    }  # (B, T + 1, what is before + S + 1)
    first = 1 if read == "input" else 0
    return [
        {
            layer: _normalized(
                rows[b, first : first + len(pair.tgt), len(pair.before) : len(pair.before) + len(pair.src)]
            )
            for layer, rows in averaged.items()
        }
        for b, pair in enumerate(pairs)
    ]


def _normalized(rows: Tensor) -> Tensor:
    totals = rows.sum(-1, keepdim=True)  # what is left beside EOS and what stands before
    return torch.where(totals > 0, rows / totals, 1 / rows.size(-1))
