"""Which tokens may come in a translation: those that a model's own aligners link to its source."""

# V source or target vocabulary, N tokens that a source token brings, R rows of a search, C their columns

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol, Self

import torch
from torch import Tensor

from nmt.alignment import Lexicon, load_lexicon
from nmt.checkpoint import Direction, TranslationModel
from nmt.decoding.rules import Sentence
from nmt.tokenizer import EOS_ID


@dataclass(frozen=True)
class Shortlist:
    """The target tokens that translations may have, sentence by sentence (Jean et al., 2015)."""

    vocab_size: int
    """Of the target."""
    shared: Tensor
    """Tokens (S,) that every translation may have, EOS first."""
    brought: Tensor
    """Tokens (V, N) that every source token brings, EOS where it has no more."""

    @classmethod
    def of(
        cls,
        model: TranslationModel,
        direction: Direction,
        *,
        size: int,
        num_common: int,
        banned: tuple[int, ...],
    ) -> Self:
        """The shortlist of a model, in which every source token brings its `size` likeliest translations.

        It brings itself too, if it is written alike in the target language. All share EOS and the
        `num_common` tokens that most often come from no source token. `banned` never come. Raises UsageError
        if the model has no aligners.
        """
        lexicon = load_lexicon(model, direction)
        src, tgt = model.src_tokenizer, model.tgt_tokenizer
        is_banned = torch.zeros(tgt.vocab_size, dtype=torch.bool)
        is_banned[list(banned)] = True
        ids = {tgt.piece(id): id for id in range(tgt.vocab_size)}
        alike = torch.tensor([ids.get(src.piece(id), EOS_ID) for id in range(src.vocab_size)])
        brought = torch.cat([likeliest(lexicon, size, num_src=src.vocab_size), alike[:, None]], dim=1)
        by_use = lexicon.from_nowhere.masked_fill(is_banned, -1)
        by_use[EOS_ID] = by_use.max() + 1
        num_allowed = int((by_use >= 0).sum())
        shared = by_use.argsort(descending=True, stable=True)[: min(num_common + 1, num_allowed)]
        return cls(tgt.vocab_size, shared, brought.masked_fill(is_banned[brought], EOS_ID))

    def own(self, sentence: Sentence) -> Tensor:
        """The tokens of a sentence that are not shared: what its source brings, and what is asked for."""
        required = sentence.demands.required if sentence.demands else ()
        asked = [*sentence.prefix, *chain.from_iterable(phrase.tokens for phrase in required)]
        may_come = torch.zeros(self.vocab_size, dtype=torch.bool)
        may_come[self.brought[sentence.source].flatten()] = True
        may_come[asked] = True
        may_come[self.shared] = False
        return may_come.nonzero().flatten()


def likeliest(lexicon: Lexicon, count: int, *, num_src: int) -> Tensor:
    """The `count` likeliest translations of every source token, (V, N), EOS where it has fewer."""
    order = lexicon.probs.argsort(descending=True, stable=True)
    order = order[lexicon.src[order].argsort(stable=True)]
    src = lexicon.src[order]
    ranks = torch.arange(len(src)) - torch.searchsorted(src, src)
    width = min(count, int(ranks.max()) + 1) if len(ranks) else 0
    found = torch.full((num_src, width), EOS_ID)
    is_chosen = ranks < width
    found[src[is_chosen], ranks[is_chosen]] = lexicon.tgt[order][is_chosen]
    return found


class ShortlistedDecoder(Protocol):
    """A decoder whose logits are of few tokens, in columns that mean others in every sentence; EOS first."""

    def allow(self, own: Sequence[Tensor]) -> None:
        """Tell which tokens, besides those that all share, each of the sentences admitted last may have."""

    def tokens(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Which tokens these columns of rows of the last logits are of, PAD_ID where there is none."""


def spread(log_probs: Tensor, decoder: ShortlistedDecoder, vocab_size: int) -> Tensor:
    """log P of all tokens, (R, V), minus infinity where a row has none, from that of its columns, (R, C)."""
    rows = torch.arange(len(log_probs), device=log_probs.device)[:, None]
    columns = torch.arange(log_probs.size(1), device=log_probs.device)
    everything = log_probs.new_full((len(log_probs), vocab_size), -math.inf)
    return everything.scatter_(1, decoder.tokens(rows, columns), log_probs)
