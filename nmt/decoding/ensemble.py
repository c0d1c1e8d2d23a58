"""Several models as one: every token has the mean of the probabilities they give it."""

# M models, N rows, V vocabulary

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from nmt.checkpoint import TranslationModel
from nmt.decoding.search import Decoder
from nmt.decoding.shortlist import ShortlistedDecoder
from nmt.errors import ConfigError


class EnsembleDecoder:
    """Decoders of one vocabulary that go through the same hypotheses, as one decoder."""

    def __init__(self, decoders: Sequence[Decoder]) -> None:
        self.decoders = decoders

    @property
    def watched(self) -> Tensor | None:
        """Where the first of them looked at the source in the last step, (N, S), if it keeps that."""
        watched: Tensor | None = getattr(self.decoders[0], "watched", None)
        return watched

    def admit(self, sources: Sequence[list[int]]) -> None:
        """Let all of them take sources in."""
        for decoder in self.decoders:
            decoder.admit(sources)

    def allow(self, own: Sequence[Tensor]) -> None:
        """Let all of them have the same few tokens."""
        for decoder in self.decoders:
            cast(ShortlistedDecoder, decoder).allow(own)

    def tokens(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Which tokens these columns are of, in all of them."""
        return cast(ShortlistedDecoder, self.decoders[0]).tokens(rows, columns)

    def step(self, parents: Tensor, tokens: Tensor) -> Tensor:
        """Log of the mean probability (N, V) of what comes after `tokens` (N,) in the rows `parents` (N,)."""
        each = [decoder.step(parents, tokens).log_softmax(-1) for decoder in self.decoders]
        return log_mean(each)


def log_mean(log_probs: Sequence[Tensor]) -> Tensor:
    """Log of the mean of the probabilities that M models give to the same things, element by element."""
    return torch.stack(list(log_probs)).logsumexp(0) - math.log(len(log_probs))


def check_ensemble(models: Sequence[TranslationModel]) -> None:
    """ConfigError, naming both, if two models differ in the pieces of text, their directions or context."""
    first, *others = models
    for other in others:
        if other.tokenizer_hash != first.tokenizer_hash:
            raise ConfigError(
                f"{name_of(first)} and {name_of(other)} have different tokenizers; expected the same in an "
                "ensemble; train one with --set tokenizer.model=FILE, the tokenizer.model of the other"
            )
        if [each.tag_ids for each in other.directions] != [each.tag_ids for each in first.directions]:
            ways = (" and ".join(map(str, model.directions)) for model in (first, other))
            raise ConfigError(
                f"{name_of(first)} and {name_of(other)} were trained for other directions: "
                f"{' as against '.join(ways)}; expected the same in an ensemble"
            )
        if other.config.data.context != first.config.data.context:
            sizes = (model.config.data.context for model in (first, other))
            raise ConfigError(
                f"{name_of(first)} and {name_of(other)} were trained with other contexts: "
                f"{' as against '.join(map(str, sizes))} sentences; expected the same in an ensemble"
            )


def name_of(model: TranslationModel) -> str:
    """What to call a model in a message."""
    return str(model.path or "a model that was not saved")
