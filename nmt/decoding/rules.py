"""What a search may generate, how wide it looks, and how it ranks."""

# N rows, T tokens so far, V vocabulary

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from nmt.decoding.demands import Demands


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
    after_prefix: tuple[int, ...] = ()
    """Of which one follows the prefix; none: whatever does."""
    seed: int = 0
    """Of what is drawn, if translations are sampled."""
    before: Sequence[int] = ()
    """What the network is given before the source: the tag of a language, and its context."""
    demands: Demands | None = None
    """Phrases that every translation has, or has not."""

    @property
    def src_tokens(self) -> list[int]:
        """What the network is given, without EOS."""
        return [*self.before, *self.source]


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
    no_repeat_ngram: int = 0
    """No run of so many tokens comes twice in a hypothesis, but for what a prefix or required phrases bring;
    0: whatever repeats."""
    coverage_penalty: float = 0.0
    """Weight of the coverage of the source in the score of a finished hypothesis (Wu et al., 2016)."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @cached_property
    def banned_ids(self) -> Tensor:
        """The same as `banned`, as indices."""
        return torch.tensor(self.banned, dtype=torch.int64, device=self.device)

    @property
    def width(self) -> int:
        """The most rows of a sentence."""
        return self.nbest if self.sampling else self.beam_size

    def score(self, log_prob: float, length: int) -> float:
        """What hypotheses are ranked by: log P / length ** length_penalty, both with the end token."""
        return log_prob / math.pow(length, self.length_penalty)


def forbid(
    log_probs: Tensor,
    history: Tensor,
    lengths: Tensor,
    owners: Tensor,
    sentences: Sequence[Sentence],
    rules: Rules,
) -> None:
    """Make minus infinity, in place, of what must not come next in a row: log_probs is (N, V).

    The history of a row is the last of its `lengths` (N,) tokens of (N, T). A prefix comes before all other
    rules.
    """
    forced = _forced(log_probs, lengths, owners, sentences)
    if rules.no_repeat_ngram:
        _forbid_repeats(log_probs, history, lengths, rules.no_repeat_ngram)
    if rules.banned:
        log_probs.index_fill_(1, rules.banned_ids, -math.inf)

    def of_rows(facts: list[int]) -> Tensor:
        return torch.tensor(facts, device=lengths.device)[owners]

    if any(each.min_length for each in sentences):
        too_short = lengths < of_rows([min(each.min_length, each.max_length) for each in sentences])
        log_probs[too_short, rules.eos_id] = -math.inf
    if int(lengths.max()) >= min(each.max_length for each in sentences):
        at_limit = lengths >= of_rows([each.max_length for each in sentences])
        _allow_only(log_probs, at_limit.nonzero().flatten(), rules.eos_id)
    _force_prefixes(log_probs, forced)
    if any(each.after_prefix for each in sentences):
        _force_next(log_probs, lengths, owners, sentences)


def _allow_only(log_probs: Tensor, rows: Tensor, token: int) -> None:
    if len(rows):
        allowed = log_probs[rows, token]
        log_probs[rows] = -math.inf
        log_probs[rows, token] = allowed


def _force_next(log_probs: Tensor, lengths: Tensor, owners: Tensor, sentences: Sequence[Sentence]) -> None:
    """Allow only what may come directly behind a prefix in rows that end with theirs."""
    ends = [len(each.prefix) if each.after_prefix else -1 for each in sentences]
    for row in (lengths == torch.tensor(ends, device=lengths.device)[owners]).nonzero().flatten().tolist():
        allowed = list(sentences[int(owners[row])].after_prefix)
        kept = log_probs[row, allowed]
        log_probs[row] = -math.inf
        log_probs[row, allowed] = kept


def _forbid_repeats(log_probs: Tensor, history: Tensor, lengths: Tensor, n: int) -> None:
    """Forbid what would make the last n - 1 tokens of a row, and it, n tokens that are in the row already."""
    if history.size(1) < n:
        return
    windows = history.unfold(1, n, 1)  # (N, T - n + 1, n)
    newest = history[:, history.size(1) - n + 1 :]  # (N, n - 1)
    left = torch.arange(history.size(1), n - 1, -1, device=history.device)  # tokens from the first of each
    is_repeated = (windows[:, :, :-1] == newest[:, None]).all(-1) & (left <= lengths[:, None])
    rows, starts = is_repeated.nonzero(as_tuple=True)
    log_probs[rows, windows[rows, starts, -1]] = -math.inf


@dataclass(frozen=True)
class _Forced:
    """Tokens that prefixes demand next, of rows (F,) that are still in theirs."""

    rows: Tensor
    tokens: Tensor
    log_probs: Tensor


def _forced(
    log_probs: Tensor, lengths: Tensor, owners: Tensor, sentences: Sequence[Sentence]
) -> _Forced | None:
    """What prefixes demand, which rules may forbid after this."""
    if not any(each.prefix for each in sentences):
        return None
    longest = max(len(each.prefix) for each in sentences)
    if int(lengths.min()) > longest:
        return None
    table = [[*each.prefix, *[-1] * (longest + 1 - len(each.prefix))] for each in sentences]
    prefixes = torch.tensor(table, device=lengths.device)  # (B, longest + 1), -1 behind the end
    tokens = prefixes[owners, lengths.clamp(max=longest)]
    rows = (tokens >= 0).nonzero().flatten()
    return _Forced(rows, tokens[rows], log_probs[rows, tokens[rows]])


def _force_prefixes(log_probs: Tensor, forced: _Forced | None) -> None:
    if forced is not None and len(forced.rows):
        log_probs[forced.rows] = -math.inf
        log_probs[forced.rows, forced.tokens] = forced.log_probs
