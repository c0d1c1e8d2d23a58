"""What a search may generate, how wide it looks, and how it ranks."""

# N rows, T tokens so far, V vocabulary

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sentence:
    """A source to search translations of, and what holds for it alone."""

    source: list[int]
    """Without EOS."""
    max_length: int
    """The most tokens of a translation, EOS not counted."""
    min_length: int = 0
    """The fewest."""
    prefix: tuple[int, ...] = ()
    """Tokens that every translation begins with."""
    seed: int = 0
    """Of what is drawn, if translations are sampled."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn instead of searched for."""

    temperature: float = 1.0
    """Logits are divided by it."""
    top_k: int = 0
    """Only the so many likeliest tokens; 0: all."""
    top_p: float = 1.0
    """Only the likeliest tokens that reach this probability together (Holtzman et al., 2020)."""
    min_p: float = 0.0
    """Only tokens of at least this share of the likeliest one's probability (Nguyen et al., 2024)."""


@dataclass(frozen=True)
class Rules:
    """What holds for all sentences of a search."""

    bos_id: int
    eos_id: int
    banned: tuple[int, ...] = ()
    """Tokens that are never generated."""
    beam_size: int = 1
    length_penalty: float = 1.0
    nbest: int = 1
    prune: float = 0.0
    """Hypotheses less likely than the best of their sentence by more than this, in nats, are given up; 0:
    none. Of no effect if several are asked for."""
    sampling: Sampling | None = None
    """Draw `nbest` hypotheses instead of searching for them."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def width(self) -> int:
        """The most rows of a sentence."""
        return self.nbest if self.sampling else self.beam_size

    def score(self, log_prob: float, length: int) -> float:
        """What hypotheses are ranked by: log P / length ** length_penalty, both with the end token."""
        return log_prob / math.pow(length, self.length_penalty)


def forbid(
    log_probs: Tensor,
    history: Tensor,  # noqa: ARG001
    lengths: Tensor,
    owners: Tensor,
    sentences: Sequence[Sentence],
    rules: Rules,
) -> None:
    """Make minus infinity, in place, of what must not come next in a row: log_probs is (N, V)."""
    if rules.banned:
        log_probs[:, list(rules.banned)] = -math.inf

    def of_rows(facts: list[int]) -> Tensor:
        return torch.tensor(facts, device=lengths.device)[owners]

    if any(each.min_length for each in sentences):
        too_short = lengths < of_rows([min(each.min_length, each.max_length) for each in sentences])
        log_probs[too_short, rules.eos_id] = -math.inf
    at_limit = lengths >= of_rows([each.max_length for each in sentences])
    _allow_only(log_probs, at_limit.nonzero().flatten(), rules.eos_id)
    if any(each.prefix for each in sentences):
        for row, (owner, length) in enumerate(zip(owners.tolist(), lengths.tolist(), strict=True)):
            if length < len(prefix := sentences[owner].prefix):
                _allow_only(log_probs, torch.tensor([row], device=lengths.device), prefix[length])


def _allow_only(log_probs: Tensor, rows: Tensor, token: int) -> None:
    if len(rows):
        allowed = log_probs[rows, token]
        log_probs[rows] = -math.inf
        log_probs[rows, token] = allowed
