"""Links pairs of lines: the one function behind `nmt align` and translations, wherever links come from."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from nmt.alignment.alignment import Alignment, Part, Unlinked, together
from nmt.alignment.attention import attend_both_ways, reading_layer
from nmt.alignment.origin import Origin, source_of_links
from nmt.alignment.parts import Side, corresponding_parts
from nmt.alignment.text_aligner import CutLine, Lexicon, TextAligner
from nmt.checkpoint import Direction, TranslationModel, load_tensors, relink_command
from nmt.config.schema import LinksFrom
from nmt.corpus.context import Context, LinePair, before, cut_contexts
from nmt.errors import ModelError, UsageError
from nmt.hardware import hand_back_freed_memory
from nmt.model.align_head import look
from nmt.model.encoded import EncodedSources
from nmt.model.forced import PiecePair, in_batches, longest_side, pad
from nmt.tokenizer import Pieces

Probabilities = tuple[Tensor, Tensor | None]
"""Of links, asked from both sides: `forward` and `backward` of Alignment."""

CELLS_AT_ONCE = 2**22
"""Pairs of pieces whose probabilities are in memory together: 32 MiB."""

_NO_PIECES = Pieces([], [], [])


@dataclass(frozen=True)
class EncodedPair:
    """A pair of lines in pieces, of which there are none if it can not be linked."""

    source: str
    target: str
    src: Pieces = _NO_PIECES
    tgt: Pieces = _NO_PIECES
    unlinked: Unlinked | None = None
    context: Context = ()
    """Lines before the source."""
    before: Sequence[int] = ()
    """What of them stands before its pieces."""

    @property
    def ids(self) -> PiecePair | None:
        """The numbers of its pieces, if there are any."""
        return PiecePair(self.src.ids, self.tgt.ids, self.before) if self.src.ids else None


class Linker:
    """Links pairs of lines by a model; what that takes is loaded once."""

    def __init__(
        self,
        model: TranslationModel,
        *,
        links_from: LinksFrom = "auto",
        layer: int | None = None,
        direction: Direction | None = None,
    ) -> None:
        """Pairs are in a `direction` of the model, by default its first.

        Links are the same in both, but for their context, if there is any, which is read in the first only.
        `layer` is that of the attention, counted from 1, by default the model's own. Raises UsageError if the
        model has not what links are to come from, ModelError if that does not fit it.
        """
        self.origin = origin_of_links(model, links_from, layer=layer)
        self._model = model
        self._is_turned = direction is not None and direction != model.directions[0]
        self._aligner = load_text_aligner(model) if self.origin.source == "hmm" else None

    def link(
        self, windows: Iterable[Sequence[LinePair]], encoded: EncodedSources | None = None
    ) -> Iterator[Alignment]:
        """Link the pairs of window after window, each as soon as it is there; a blank line has no links.

        Of lines that are too long for the model the parts that correspond are linked, see
        `corresponding_parts`. Sources in `encoded` are not encoded again.
        """
        for window in windows:
            in_pieces = [
                encode_pair(self._model, *((pair[1], pair[0]) if self._is_turned else pair))
                for pair in window
            ]
            for some in _by_size(in_pieces):
                alignments = [
                    self._by_parts(pair, encoded)
                    if pair.unlinked == "too long"
                    else _alignment(pair, found, self.origin)
                    for pair, found in zip(some, self._find(some, encoded), strict=True)
                ]
                if self._is_turned:
                    alignments = [alignment.turned() for alignment in alignments]
                yield from together(alignments)
                if len(some) < len(in_pieces):  # they are long
                    hand_back_freed_memory()

    def _by_parts(self, pair: EncodedPair, encoded: EncodedSources | None) -> Alignment:
        """Links of a pair that is too long: between parts as long as those that the model was trained on."""
        model = self._model
        # half of what fits: by itself a part may fall into more pieces
        max_length = max(1, min(model.config.data.max_length, longest_side(model.network) // 2))
        spans = corresponding_parts(
            Side.of(pair.source, model.src_tokenizer, max_length),
            Side.of(pair.target, model.tgt_tokenizer, max_length),
            max_length,
        )
        in_pieces = [
            encode_pair(model, pair.source[slice(*src)], pair.target[slice(*tgt)], pair.context)
            for src, tgt in spans
        ]
        parts = [
            Part(_alignment(part, found, self.origin), src[0], tgt[0])
            for part, found, (src, tgt) in zip(in_pieces, self._find(in_pieces, encoded), spans, strict=True)
        ]
        return Alignment.of_parts(pair.source, pair.target, parts, self.origin)

    def _find(
        self, pairs: Sequence[EncodedPair], encoded: EncodedSources | None
    ) -> Sequence[Probabilities | None]:
        """Of the links of pairs; None for one that has no pieces or does not fit into memory."""
        if self._aligner:
            return _by_text(self._aligner, pairs)
        layer = self.origin.layer

        def by_head(batch: list[PiecePair]) -> list[Probabilities]:
            return link_by_head(self._model, batch, encoded)

        def by_attention(batch: list[PiecePair]) -> list[Probabilities]:
            found = attend_both_ways(self._model, batch, (layer,), encoded)
            return [by_layer[layer] for by_layer in found]

        return in_batches(
            [pair.ids for pair in pairs],
            by_head if self.origin.source == "head" else by_attention,
            batch_tokens=self._model.config.decoding.batch_tokens,
        )


def align_pairs(
    model: TranslationModel,
    pairs: Iterable[LinePair],
    *,
    links_from: LinksFrom = "auto",
    layer: int | None = None,
    direction: Direction | None = None,
) -> Iterator[Alignment]:
    """Link pairs of lines, in their order and in constant memory; see `Linker`."""
    linker = Linker(model, links_from=links_from, layer=layer, direction=direction)
    return linker.link(_in_windows(pairs, model.config.decoding.window))


def _by_size(pairs: Sequence[EncodedPair]) -> Iterator[list[EncodedPair]]:
    """The pairs in order, so many together as have CELLS_AT_ONCE pairs of pieces, or one."""
    some, cells = list[EncodedPair](), 0
    for pair in pairs:
        more = len(pair.src.ids) * len(pair.tgt.ids)
        if some and cells + more > CELLS_AT_ONCE:
            yield some
            some, cells = [], 0
        some.append(pair)
        cells += more
    if some:
        yield some


def _in_windows(pairs: Iterable[LinePair], size: int) -> Iterator[list[LinePair]]:
    stream = iter(pairs)
    return iter(lambda: list(islice(stream, size)), [])


def align_layers(
    model: TranslationModel, pairs: Iterable[LinePair], layers: Sequence[int]
) -> Iterator[dict[int, Alignment]]:
    """Like `align_pairs` by attention, in several layers: an alignment for each of them."""
    for window in _in_windows(pairs, model.config.decoding.window):
        encoded = [encode_pair(model, *pair) for pair in window]
        attention = in_batches(
            [pair.ids for pair in encoded],
            lambda batch: attend_both_ways(model, batch, layers),
            batch_tokens=model.config.decoding.batch_tokens,
        )
        by_layer = [
            together(
                [
                    _alignment(pair, found[layer] if found else None, _attention_origin(model, layer))
                    for pair, found in zip(encoded, attention, strict=True)
                ]
            )
            for layer in layers
        ]
        yield from (dict(zip(layers, alignments, strict=True)) for alignments in zip(*by_layer, strict=True))


def link_by_text(
    model: TranslationModel, pairs: Iterable[LinePair], aligner: TextAligner
) -> Iterator[Alignment]:
    """Links of pairs by HMM aligners that do not lie in the model's folder."""
    encoded = [encode_pair(model, *pair) for pair in pairs]
    origin = Origin("hmm", is_both_ways=True)
    links = zip(encoded, _by_text(aligner, encoded), strict=True)
    yield from together([_alignment(pair, found, origin) for pair, found in links])


def encode_pair(model: TranslationModel, source: str, target: str, context: Context = ()) -> EncodedPair:
    """A pair in the model's first direction in pieces, with what is before it if the model was trained so."""
    if not source.strip() or not target.strip():
        return EncodedPair(source, target)
    src, tgt = model.src_tokenizer.encode_with_spans(source), model.tgt_tokenizer.encode_with_spans(target)
    longest = longest_side(model.network) - len(model.directions[0].tag_ids)
    if max(len(src.ids), len(tgt.ids)) > longest:
        return EncodedPair(source, target, unlinked="too long", context=context)
    if not (src.ids and tgt.ids):
        return EncodedPair(source, target)
    data, encode = model.config.data, model.src_tokenizer.encode_batch
    (lines,) = cut_contexts([context], encode, size=data.context)
    own = before(lines, min(data.max_length, longest) - len(src.ids))
    return EncodedPair(source, target, src, tgt, context=context, before=own)


def origin_of_links(model: TranslationModel, links_from: LinksFrom, *, layer: int | None = None) -> Origin:
    """Where the links of a model come from; `auto` is the align head, the HMM aligners or the attention.

    Raises UsageError if the model has not what is asked for.
    """
    source = source_of_links(
        links_from,
        has_head=model.align_head is not None,
        has_hmm=model.hmm_path is not None,
        num_pairs=model.manifest.get("alignment", {}).get("pairs"),
    )
    if source == "attention" or (layer and links_from == "auto"):
        return _attention_origin(model, reading_layer(model, layer))
    if layer:
        raise UsageError(f"--layer is for links from attention; found --from {source}")
    if source == "head":
        if model.align_head is None:
            raise UsageError(_lacks(model, "no align head"))
        return Origin("head", model.align_head.layer, threshold=model.align_head.threshold)
    if model.hmm_path is None:
        raise UsageError(_lacks(model, "no HMM aligners"))
    return Origin("hmm", is_both_ways=True)


def _lacks(model: TranslationModel, what: str) -> str:
    command = relink_command(model.path or Path("MODEL"))
    return f"{model.path or 'the model'}: has {what}; give --from attention, or train it on text: {command}"


def _attention_origin(model: TranslationModel, layer: int) -> Origin:
    return Origin("attention", layer, is_both_ways=len(model.directions) > 1)


def load_text_aligner(model: TranslationModel) -> TextAligner:
    """The HMM aligners of a model; ModelError if they do not fit."""
    assert model.hmm_path is not None, "or links can not come from there"
    state = load_tensors(model.hmm_path)
    try:
        aligner = TextAligner.from_state(state)
        vocab_size = aligner.first_of_target + model.tgt_tokenizer.vocab_size
        fits = (aligner.of_pieces.vocab_size, aligner.of_words.vocab_size) == (
            vocab_size,
            len(aligner.words) + 2,
        )
    except (KeyError, ValueError, TypeError, RuntimeError):
        fits = False
    if not fits:
        raise ModelError(
            f"{model.hmm_path}: not HMM aligners of this version and model; train them again: "
            f"{relink_command(model.hmm_path.parent)}"
        )
    return aligner


def load_lexicon(model: TranslationModel, direction: Direction) -> Lexicon:
    """How pieces are translated in a direction of a model; UsageError if it has not learnt links."""
    if model.hmm_path is None:
        command = relink_command(model.path or Path("MODEL"))
        raise UsageError(
            f"{model.path or 'the model'}: has no HMM aligners, which a shortlist is made with; leave out "
            f"--shortlist, or train them on text: {command}"
        )
    return load_text_aligner(model).lexicon(is_turned=direction != model.directions[0])


@torch.inference_mode()
def link_by_head(
    model: TranslationModel, pairs: Sequence[PiecePair], encoded: EncodedSources | None = None
) -> list[Probabilities]:
    """Links of pairs in the model's first direction by its align head."""
    head = model.align_head
    assert head is not None, "asked for before"
    src, tgt = (
        pad(side, model.device) for side in ([pair.src for pair in pairs], [pair.tgt for pair in pairs])
    )
    tagged = [pair.tagged(model.directions[0].tag_ids) for pair in pairs]
    _, found = head(look(model.network, tagged, layer=head.layer, encoded=encoded), src, tgt)
    forward, backward = (each.cpu() for each in found.probs())
    return [
        (  # copies, so that nothing holds the memory of the batch
            forward[b, : len(pair.tgt), : len(pair.src)].clone(),
            backward[b, : len(pair.tgt), : len(pair.src)].clone(),
        )
        for b, pair in enumerate(pairs)
    ]


def _by_text(aligner: TextAligner, pairs: Sequence[EncodedPair]) -> list[Probabilities | None]:
    found: list[Probabilities | None] = [None] * len(pairs)
    places = [place for place, pair in enumerate(pairs) if pair.ids]
    for place, links in zip(places, aligner.posteriors([cut_pair(pairs[i]) for i in places]), strict=True):
        found[place] = links
    return found


def cut_pair(pair: EncodedPair) -> tuple[CutLine, CutLine]:
    """The pair as the text aligner takes it."""
    return (
        replace(CutLine.of(pair.source, pair.src.ids, pair.src.spans), before=pair.before),
        CutLine.of(pair.target, pair.tgt.ids, pair.tgt.spans),
    )


def _alignment(pair: EncodedPair, found: Probabilities | None, origin: Origin) -> Alignment:
    if found is None:
        unlinked: Unlinked | None = "out of memory" if pair.ids else pair.unlinked
        nothing = torch.zeros(0, 0)
        return Alignment(pair.source, pair.target, (), (), nothing, nothing, origin, unlinked)
    spans = tuple(pair.src.spans), tuple(pair.tgt.spans)
    return Alignment(pair.source, pair.target, *spans, *found, origin)
