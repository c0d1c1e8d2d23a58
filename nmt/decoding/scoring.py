"""Scores of translations that are already there: what the model would have had to say, token by token."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from nmt.checkpoint import Direction, TranslationModel
from nmt.corpus.context import Context, Document, before, cut_contexts
from nmt.corpus.words import Span, is_blank
from nmt.decoding.ensemble import log_mean
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.rules import Rules
from nmt.decoding.windows import full_windows
from nmt.model.forced import PiecePair, in_batches, longest_side, token_log_probs
from nmt.model.transformer import Transformer

LineAndTarget = tuple[str, str | Hypothesis]
Unscored = Literal["blank source", "too long", "out of memory"]


@dataclass(frozen=True)
class Scored:
    """A pair of lines and what the model thinks of the second as a translation of the first."""

    source: str
    target: str
    hypothesis: Hypothesis | None
    """The target with its scores, if there are any."""
    unscored: Unscored | None = None
    """Why there are none."""


@dataclass(frozen=True)
class _Encoded:
    """A pair in pieces, or why it has none."""

    source: str
    target: str
    pair: PiecePair | None = None
    spans: tuple[Span, ...] = ()
    unscored: Unscored | None = None


def score_pairs(
    models: Sequence[TranslationModel],
    pairs: Iterable[LineAndTarget],
    contexts: Iterable[Sequence[str]] | None = None,
    *,
    context_size: int,
    direction: Direction,
    rules: Rules,
    window: int,
    batch_tokens: int,
) -> Iterator[Scored]:
    """Score pairs in their order, `window` of them at a time; see `Translator.score`."""
    rows = _in_context(pairs, context_size) if contexts is None else zip(pairs, contexts, strict=True)
    compute = partial(_log_probs, [model.network for model in models])
    encode = models[0].src_tokenizer.encode_batch
    for some in full_windows(rows, window):  # which has what came before an error, too
        cut = cut_contexts((context for _, context in some), encode, size=context_size)
        encoded = [
            _encode(models, direction, *pair, context) for (pair, _), context in zip(some, cut, strict=True)
        ]
        found = in_batches([each.pair for each in encoded], compute, batch_tokens=batch_tokens)
        yield from (_scored(each, log_probs, rules) for each, log_probs in zip(encoded, found, strict=True))


def _in_context(pairs: Iterable[LineAndTarget], size: int) -> Iterator[tuple[LineAndTarget, Context]]:
    """Each pair with the sources before it."""
    document = Document(size)
    for pair in pairs:
        yield pair, document.context
        document.add(pair[0])


def _encode(
    models: Sequence[TranslationModel],
    direction: Direction,
    source: str,
    target: str | Hypothesis,
    context: Sequence[Sequence[int]],
) -> _Encoded:
    src = [] if is_blank(source) else models[0].src_tokenizer.encode(source)
    if isinstance(target, Hypothesis):
        text, tgt, spans = target.text, target.tokens, target.token_spans
    else:
        pieces = models[0].tgt_tokenizer.encode_with_spans("" if is_blank(target) else target)
        text, tgt, spans = target, pieces.ids, tuple(pieces.spans)
    if not src:
        return _Encoded(source, text, unscored="blank source" if tgt else None)
    room = min(model.config.data.max_length for model in models) - len(src)
    pair = PiecePair(src, tgt, before(context, room)).tagged(direction.tag_ids)
    if pair.length > 1 + min(longest_side(model.network) for model in models):
        return _Encoded(source, text, unscored="too long")
    return _Encoded(source, text, pair, spans)


def _log_probs(networks: Sequence[Transformer], pairs: list[PiecePair]) -> list[Tensor]:
    """Log P of every piece of the targets and of their ends."""
    each = [token_log_probs(network, pairs) for network in networks]
    return each[0] if len(each) == 1 else [log_mean(of_pair) for of_pair in zip(*each, strict=True)]


def _scored(encoded: _Encoded, log_probs: Tensor | None, rules: Rules) -> Scored:
    source, target = encoded.source, encoded.target
    if encoded.pair is None:  # a blank line is a certain translation of a blank line
        blank = None if encoded.unscored else Hypothesis(target, 0.0, 0.0, [])
        return Scored(source, target, blank, encoded.unscored)
    if log_probs is None:
        return Scored(source, target, None, "out of memory")
    log_prob = float(log_probs.sum(dtype=torch.float64))
    score = rules.score(log_prob, len(log_probs))
    tokens, each = encoded.pair.tgt, tuple(log_probs.tolist())
    return Scored(source, target, Hypothesis(target, score, log_prob, tokens, each, encoded.spans))
