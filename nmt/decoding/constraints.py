"""Lexical constraints: forbidden phrases masked, and a beam divided by how much of the required is there.

After Post & Vilar (2018): hypotheses compete with those that have met as many constraint tokens. Only rows
of sentences that demand something cost anything.
"""

# N rows, V vocabulary, B sentences, C candidates of a sentence

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from nmt.decoding.candidates import Candidates
from nmt.decoding.demands import SPARE_LENGTH, Standing
from nmt.decoding.rules import Rules, Sentence

Standings = dict[int, Standing]
"""Of every row whose sentence demands something."""


def begin(sentences: Sequence[Sentence], first_row: int) -> Standings:
    """The standings of new sentences, with a row for each."""
    return {first_row + i: each.demands.start for i, each in enumerate(sentences) if each.demands is not None}


def follow(standings: Standings, rows: Tensor, tokens: Tensor) -> Standings:
    """The standings of new rows, which continue `rows` (N,) with `tokens` (N,)."""
    if not standings:
        return standings
    pairs = enumerate(zip(rows.tolist(), tokens.tolist(), strict=True))
    return {new: standings[row].after(token) for new, (row, token) in pairs if row in standings}


def constrain(
    log_probs: Tensor,
    before: Tensor,
    standings: Standings,
    lengths: Tensor,
    owners: Tensor,
    sentences: Sequence[Sentence],
    rules: Rules,
) -> None:
    """Make minus infinity, in place, of what demands do not allow next in a row: log_probs is (N, V).

    `before`, (rows with a standing, V), is what it was before other rules: required tokens may come all the
    same. Of a sentence with fewer places than required tokens, a phrase that is begun goes on, and where a
    hypothesis would end too early another begins.
    """
    rows = torch.tensor(list(standings), device=log_probs.device)
    row_owners, row_lengths = owners[rows].tolist(), lengths[rows].tolist()
    would_end = (before.argmax(1) == rules.eos_id).tolist()
    for place, (row, standing) in enumerate(standings.items()):
        sentence = sentences[row_owners[place]]
        left = sentence.max_length - row_lengths[place]  # tokens that there is room for
        if row_lengths[place] < len(sentence.prefix):
            continue
        if not standing.may_end:
            log_probs[row, rules.eos_id] = -math.inf
        if left == 0:
            continue
        if len(standing.progress.met) < len(standing.demands.required):
            urge = _urge(standing, left, rules, would_end=would_end[place])
            is_behind_prefix = sentence.after_prefix and row_lengths[place] == len(sentence.prefix)
            _require(log_probs[row], log_probs[row] if is_behind_prefix else before[place], standing, urge)
        if forbidden := standing.demands.forbidden:
            banned = forbidden.banned(standing.reading, left == 1, standing.demands.goes_on)
            if len(banned):
                log_probs[row].index_fill_(0, banned.to(log_probs.device), -math.inf)


@dataclass(frozen=True)
class _Urge:
    """What a row must do about required phrases in this step."""

    most_left: int | None
    """Only what leaves no more of the required tokens than this, or else as few as can; None: anything."""
    keep: bool
    """Not take a complete phrase back."""


def _urge(standing: Standing, left: int, rules: Rules, *, would_end: bool) -> _Urge:
    """What a row with room for `left` tokens must do."""
    demands = standing.demands
    is_narrow = rules.sampling is not None or rules.width <= demands.num_tokens
    spare = SPARE_LENGTH * len(demands.required) if demands.forbidden else 0
    after_end, after_longer = standing.progress.num_left_after_others
    may_stay = demands.forbidden is None or demands.forbidden.may_end(standing.reading)
    keep = may_stay and (is_narrow or after_longer + spare > left - 1)
    if is_narrow and (standing.progress.is_within or (would_end and standing.progress.num_left)):
        return _Urge(0, keep)
    return _Urge(left - 1 if after_end + spare > left - 1 else None, keep)


def _require(log_probs: Tensor, before: Tensor, standing: Standing, urge: _Urge) -> None:
    """Let required tokens come in a row (V,), and nothing else if it must be they."""
    wanted = standing.wanted()
    is_forced = urge.most_left is not None
    for token in wanted if is_forced else standing.progress.going_on:
        log_probs[token] = before[token]
    if urge.most_left is not None and wanted:
        most = max(urge.most_left, min(wanted.values()))
        chosen = [token for token, num_left in wanted.items() if num_left <= most]
        allowed = log_probs[chosen]
        log_probs.fill_(-math.inf)
        log_probs[chosen] = allowed
    elif urge.keep:
        kept = {token: float(log_probs[token]) for token in wanted}
        for longer in standing.progress.longer:
            log_probs.index_fill_(0, _indices(longer).to(log_probs.device), -math.inf)
        for token, value in kept.items():
            log_probs[token] = value


@lru_cache(64)
def _indices(tokens: frozenset[int]) -> Tensor:
    return torch.tensor(sorted(tokens), dtype=torch.int64)


@dataclass(frozen=True)
class _Option:
    """A hypothesis with a token more."""

    value: float
    row: int
    token: int
    num_left: int


def divide(
    candidates: Candidates,
    log_probs: Tensor,
    so_far: Tensor,
    standings: Standings,
    owners: Tensor,
    rules: Rules,
) -> Candidates:
    """The candidates, where a sentence with required phrases has those that its banks choose.

    Besides the likeliest there are all continuations of a row with a required token.
    """
    own_rows = _rows_that_require(standings, owners)
    if not own_rows:
        return candidates
    wanted = [
        (row, token) for rows in own_rows.values() for row in rows for token in standings[row].progress.wanted
    ]
    found = zip(candidates.values.tolist(), candidates.rows.tolist(), candidates.tokens.tolist(), strict=True)
    entries = {
        owner: {(row, token): value for value, row, token in zip(*lists, strict=True) if value > -math.inf}
        for owner, lists in enumerate(found)
        if owner in own_rows
    }
    if wanted:
        rows, tokens = (torch.tensor(x, device=log_probs.device) for x in zip(*wanted, strict=True))
        sums = (so_far[rows] + log_probs[rows, tokens]).tolist()
        for (row, token), value, owner in zip(wanted, sums, owners[rows].tolist(), strict=True):
            if value > -math.inf:
                entries[owner][row, token] = value
    width = 2 * rules.width
    values, rows, tokens = (
        _widened(x, width) for x in (candidates.values, candidates.rows, candidates.tokens)
    )
    for owner, entry in entries.items():
        options = [_option(value, *place, standings, rules) for place, value in entry.items()]
        chosen = _choose(options, rules, standings[own_rows[owner][0]].demands.num_tokens)
        values[owner], rows[owner] = -math.inf, own_rows[owner][0]
        for column, name in ((values, "value"), (rows, "row"), (tokens, "token")):
            facts = [getattr(option, name) for option in chosen]
            column[owner, : len(facts)] = torch.tensor(facts, dtype=column.dtype, device=column.device)
    return Candidates(values, rows, tokens)


def bank_choice(num_left: Sequence[int], width: int, total: int) -> list[int]:
    """Which of some options, best first, a beam of `width` keeps, given how much each has left of `total`.

    Options with as much left are a bank; where there are fewer places than banks, neighbours share one. Every
    bank has as many places as any other, and what it does not fill the best of all take.
    """
    num_banks = min(width, total + 1)
    room = [width // num_banks] * num_banks
    kept = []
    for index, left in enumerate(num_left):
        bank = left * num_banks // (total + 1)
        if room[bank]:
            room[bank] -= 1
            kept.append(index)
    taken = set(kept)
    others = [index for index in range(len(num_left)) if index not in taken]
    return sorted(kept + others[: width - len(kept)])


def _rows_that_require(standings: Standings, owners: Tensor) -> dict[int, list[int]]:
    """Of every sentence with required phrases, its rows."""
    found: dict[int, list[int]] = {}
    for row, owner in zip(standings, owners[list(standings)].tolist(), strict=True):
        if standings[row].demands.required:
            found.setdefault(owner, []).append(row)
    return found


def _option(value: float, row: int, token: int, standings: Standings, rules: Rules) -> _Option:
    num_left = 0 if token == rules.eos_id else standings[row].progress.after(token).num_left
    return _Option(value, row, token, num_left)


def _choose(options: list[_Option], rules: Rules, total: int) -> list[_Option]:
    """Those that end and are among the best that have everything; and those that go on, best first."""
    options = sorted(options, key=lambda one: (-one.value, one.row, one.token))
    complete = [one for one in options if not one.num_left][: rules.width]
    going_on = [one for one in options if one.token != rules.eos_id]
    kept = bank_choice([one.num_left for one in going_on], rules.width, total)
    return [one for one in complete if one.token == rules.eos_id] + [going_on[index] for index in kept]


def _widened(x: Tensor, width: int) -> Tensor:
    """A copy of (B, C) with `width` columns at least."""
    missing = max(0, width - x.size(1))
    nothing = -math.inf if x.is_floating_point() else 0
    return torch.cat([x, x.new_full((len(x), missing), nothing)], dim=1)
