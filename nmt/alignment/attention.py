"""Forced alignment: one pass through the model, reading the decoder's cross-attention to the source."""

# B pairs, S source pieces, T target pieces, H heads

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import torch
from torch import Tensor

from nmt.alignment.merge import WordAlignment, keep_final_mark, matrix_links, word_matrix
from nmt.checkpoint import Direction, TranslationModel
from nmt.corpus.words import Span, UnitMode, word_spans
from nmt.errors import UsageError
from nmt.model import Transformer
from nmt.model.forced import PiecePair, in_batches, longest_side, read_pairs
from nmt.tokenizer import Pieces

Read = Literal["input", "output"]
"""Where a target piece looks from: the step that has it as input, or the one that outputs it."""

Unlinked = Literal["too long", "out of memory"]


@dataclass(frozen=True)
class Alignment:
    """Attention from the pieces of a target line to those of its source; words are a view of it."""

    source: str
    target: str
    src_spans: tuple[Span, ...]
    tgt_spans: tuple[Span, ...]
    attention: Tensor  # (T, S) float32; rows sum to 1
    unlinked: Unlinked | None = None
    """Why there are no links, although there is text on both sides."""

    def words(self, mode: UnitMode = "punct", threshold: float = 0.0) -> WordAlignment:
        """Each target word linked to the source word that fits it best, and to all of `threshold` or more."""
        matrix, src_words, tgt_words = self.matrix(mode), self.src_words(mode), self.tgt_words(mode)
        if len(src_words) > 1 and tgt_words and self._is_final_mark(src_words[-1]):
            matrix = keep_final_mark(matrix, for_last=_is_mark(self.target, tgt_words[-1]))
        links = matrix_links(matrix, threshold=threshold)
        return WordAlignment(self.source, self.target, src_words, tgt_words, links)

    def _is_final_mark(self, word: Span) -> bool:
        """Whether the last word of the source is a mark, and not cut off before it."""
        is_cut = not self.src_spans or self.src_spans[-1][1] <= word[0]
        return not is_cut and _is_mark(self.source, word)

    def matrix(self, mode: UnitMode = "punct") -> Tensor:
        """Attention over words, (target words, source words) in float64."""
        if mode == "piece":
            return self.attention.double()
        src_words, tgt_words = self.src_words(mode), self.tgt_words(mode)
        return word_matrix(
            self.attention, self.src_spans, self.tgt_spans, src_words=src_words, tgt_words=tgt_words
        )

    def src_words(self, mode: UnitMode = "punct") -> tuple[Span, ...]:
        """Spans of the source words."""
        return self.src_spans if mode == "piece" else tuple(word_spans(self.source, mode))

    def tgt_words(self, mode: UnitMode = "punct") -> tuple[Span, ...]:
        """Spans of the target words."""
        return self.tgt_spans if mode == "piece" else tuple(word_spans(self.target, mode))


def _is_mark(line: str, word: Span) -> bool:
    """Whether a word has no letter and no digit."""
    return not any(character.isalnum() for character in line[slice(*word)])


def align_pairs(
    model: TranslationModel,
    pairs: Iterable[tuple[str, str]],
    *,
    batch_tokens: int | None = None,
    read: Read = "input",
    layer: int | None = None,
    direction: Direction | None = None,
) -> Iterator[Alignment]:
    """Align pairs of lines, in their order and in constant memory; a blank line has no links.

    A target piece is linked from the position where it is the decoder's input (Shift-Att; Chen et al., 2020),
    in `layer`, counted from 1, or else the model's own. Heads are averaged, EOS is left out, and so is a tag.
    The pairs are in a `direction` of the model, by default its first.
    """
    number = reading_layer(model, layer)
    for by_layer in align_layers(
        model, pairs, (number,), batch_tokens=batch_tokens, read=read, direction=direction
    ):
        yield by_layer[number]


def reading_layer(model: TranslationModel, layer: int | None = None) -> int:
    """The decoder layer to read links from, counted from 1: the given, the stored, or the shaped."""
    num_layers = model.config.model.decoder_layers
    if layer and layer > num_layers:
        raise UsageError(f"--layer {layer}: the decoder has {num_layers} layers, counted from 1")
    return layer or model.config.alignment.layer or model.config.model.alignment_layer


def align_layers(
    model: TranslationModel,
    pairs: Iterable[tuple[str, str]],
    layers: Collection[int],
    *,
    batch_tokens: int | None = None,
    read: Read = "input",
    direction: Direction | None = None,
) -> Iterator[dict[int, Alignment]]:
    """Like `align_pairs`, for several layers in one pass: an alignment for each of them."""
    stream = iter(pairs)
    limit = batch_tokens or model.config.decoding.batch_tokens
    tags = (direction or model.direction()).tag_ids

    def look(batch: list[PiecePair]) -> list[dict[int, Tensor]]:
        sources, targets = [pair.src for pair in batch], [pair.tgt for pair in batch]
        return attend(model.network, sources, targets, layers, read, tags=tags)

    while window := list(islice(stream, model.config.decoding.window)):
        encoded = [_encode(model, source, target, num_tags=len(tags)) for source, target in window]
        attention = in_batches([each.pair for each in encoded], look, batch_tokens=limit)
        for (source, target), pieces, found in zip(window, encoded, attention, strict=True):
            if found is not None:
                spans = tuple(pieces.src.spans), tuple(pieces.tgt.spans)
                yield {layer: Alignment(source, target, *spans, found[layer]) for layer in layers}
            else:
                unlinked = "out of memory" if pieces.pair else pieces.unlinked
                yield dict.fromkeys(layers, Alignment(source, target, (), (), torch.zeros(0, 0), unlinked))


_NO_PIECES = Pieces([], [], [])


@dataclass(frozen=True)
class _Encoded:
    """A pair in pieces, of which there are none if it can not be aligned."""

    src: Pieces = _NO_PIECES
    tgt: Pieces = _NO_PIECES
    unlinked: Unlinked | None = None

    @property
    def pair(self) -> PiecePair | None:
        """The numbers of its pieces, if there are any."""
        return PiecePair(self.src.ids, self.tgt.ids) if self.src.ids else None


def _encode(model: TranslationModel, source: str, target: str, *, num_tags: int) -> _Encoded:
    if not source.strip() or not target.strip():
        return _Encoded()
    src, tgt = model.src_tokenizer.encode_with_spans(source), model.tgt_tokenizer.encode_with_spans(target)
    if max(num_tags + len(src.ids), len(tgt.ids)) > longest_side(model.network):
        return _Encoded(unlinked="too long")
    return _Encoded(src, tgt) if src.ids and tgt.ids else _Encoded()


@torch.no_grad()
def attend(
    network: Transformer,
    src_ids: list[list[int]],
    tgt_ids: list[list[int]],
    layers: Collection[int],
    read: Read = "input",
    *,
    tags: tuple[int, ...] = (),
) -> list[dict[int, Tensor]]:
    """Cross-attention (T, S) of each pair and layer (from 1), heads averaged, rows summing to 1 without EOS.

    `tags` are put before all sources, and left out of the rows too.
    Row t of the decoder's input BOS y1 … yT outputs y(t+1); row t + 1 has seen it.
    """
    pairs = [PiecePair(src, tgt, tags) for src, tgt in zip(src_ids, tgt_ids, strict=True)]
    forced = read_pairs(network, pairs)
    indices = {layer: layer - 1 for layer in layers}
    decoded = network.decode(
        forced.tgt_tokens,
        forced.encoder_out,
        attention_layers=indices.values(),
        last_layer=max(indices.values()),
    )
    averaged = {
        layer: decoded.attention[i].mean(1).cpu() for layer, i in indices.items()
    }  # (B, T + 1, tags + S + 1)
    num_tags = len(tags)
    first = 1 if read == "input" else 0
    return [
        {
            layer: _normalized(rows[b, first : first + len(tgt), num_tags : num_tags + len(src)])
            for layer, rows in averaged.items()
        }
        for b, (src, tgt) in enumerate(zip(src_ids, tgt_ids, strict=True))
    ]


def _normalized(rows: Tensor) -> Tensor:
    totals = rows.sum(-1, keepdim=True)  # what is left beside EOS and tags
    return torch.where(totals > 0, rows / totals, 1 / rows.size(-1))
