"""Search for the best continuation: one loop over a decoder, whatever the model behind it.

The loop keeps some rows, the hypotheses of several sentences that go on. In every step the decoder tells
what may come next, rules forbid some of it, candidates are chosen, those that end are finished, and
sentences that are done make room for new ones. log P is the model's own: nothing forbidden changes it, but
with a shortlist it is of the tokens of the sentence's alone.
"""

# B sentences that are searched, N rows, W of the sentence with the most, C candidates of a sentence,
# T tokens so far, V vocabulary

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, cast

import torch
from torch import Tensor
from torch.nn import functional

from nmt.decoding.candidates import Candidates, best_candidates, sampled_candidates
from nmt.decoding.constraints import Standings, begin, constrain, divide, follow
from nmt.decoding.rules import Rules, Sentence, forbid
from nmt.decoding.shortlist import Shortlist, ShortlistedDecoder, spread

LEAST_COVERAGE = 1e-6  # of a source token that nothing looks at, as its logarithm has to be finite


class Decoder(Protocol):
    """What goes through hypotheses a token at a time; `IncrementalDecoder` is one."""

    def admit(self, sources: Sequence[list[int]]) -> None:
        """Take sources in: behind the rows of the last step there is one row for each of them."""

    def step(self, parents: Tensor, tokens: Tensor) -> Tensor:
        """Logits (N, V) of what comes after `tokens` (N,), which continue the rows `parents` (N,)."""


class WatchedDecoder(Decoder, Protocol):
    """One that tells where it looks, for a coverage penalty."""

    watched: Tensor | None
    """Attention to the source in the last step, (N, S), of the tokens that were put in."""


@dataclass(frozen=True)
class Found:
    """A finished hypothesis: its tokens without BOS and EOS, log P with EOS, and its score."""

    tokens: list[int]
    log_prob: float
    score: float
    token_log_probs: tuple[float, ...] = field(default=(), compare=False)
    """Of every token and of EOS."""
    num_parts: int = 1
    """In which the source was searched."""
    penalty: float = 0.0
    """For what was not covered of the source; a part of the score."""


@dataclass(frozen=True)
class Room:
    """How much is searched at once."""

    rows: int
    """Hypotheses; there can be a few more where pruned sentences find more to go on with again."""
    src_tokens: int
    """Tokens of all sources together; one sentence is searched however long it is."""


def search(
    decoder: Decoder,
    sentences: Iterable[Sentence],
    rules: Rules,
    room: Room,
    shortlist: Shortlist | None = None,
) -> Iterator[tuple[int, list[Found]]]:
    """The number of a sentence, from 0, and its `nbest` best hypotheses, best first, once they are found.

    With a `shortlist` the decoder is one whose logits are of few tokens.
    """
    waiting = deque(enumerate(sentences))
    beams = _Beams(decoder, rules, shortlist)
    while True:
        if waiting and _has_room(beams, room):
            beams.admit(_next_sentences(waiting, beams, room))
        if not beams.num_rows:
            return
        yield from beams.step()


def _has_room(beams: "_Beams", room: Room) -> bool:
    """Whether a quarter is free: reading some sources at once is faster than one by one."""
    return 4 * beams.num_rows <= 3 * room.rows and 4 * beams.num_src_tokens <= 3 * room.src_tokens


def _next_sentences(
    waiting: deque[tuple[int, Sentence]], beams: "_Beams", room: Room
) -> list[tuple[int, Sentence]]:
    """As many of those that wait as there is room for; at least one if nothing is searched."""
    rows, src_tokens = beams.num_rows, beams.num_src_tokens
    found: list[tuple[int, Sentence]] = []
    while waiting:
        rows, src_tokens = rows + beams.width, src_tokens + len(waiting[0][1].src_tokens) + 1
        if (rows > room.rows or src_tokens > room.src_tokens) and (found or beams.num_rows):
            break
        found.append(waiting.popleft())
    return found


@dataclass
class _Progress:
    """A sentence that is being searched."""

    number: int
    sentence: Sentence
    found: list[Found] = field(default_factory=list)
    length: int = 0
    """Of each of its hypotheses."""


class _Beams:
    """The rows that go on, in the order of their sentences."""

    def __init__(self, decoder: Decoder, rules: Rules, shortlist: Shortlist | None) -> None:
        self._decoder = decoder
        self._rules = rules
        self._shortlist = shortlist
        self._column_rules = replace(rules, eos_id=0, banned=())  # where columns are those of a shortlist
        self._live: list[_Progress] = []
        device = rules.device
        self._parents = torch.zeros(0, dtype=torch.int64, device=device)  # (N,) of all that follow
        self._tokens = self._parents  # the newest of each row
        self._owners = self._parents  # index into the sentences that are searched
        self._log_probs = torch.zeros(0, device=device)
        self._history = torch.zeros(0, 0, dtype=torch.int64, device=device)  # (N, T), the newest last
        self._token_log_probs = torch.zeros(0, 0, device=device)  # (N, T), likewise
        self._lengths = self._parents  # tokens of each row, BOS not counted
        self._ranks = self._parents  # of each row among the candidates of its sentence that it was one of
        self._num_before = 0  # rows of the last step
        self._standings: Standings = {}  # of rows whose sentence demands something
        self._coverage = torch.zeros(0, 0, device=device)  # (N, S), attention in all steps

    @property
    def num_rows(self) -> int:
        """Hypotheses that go on."""
        return len(self._tokens)

    @property
    def num_src_tokens(self) -> int:
        """Tokens of all sources that are searched."""
        return sum(len(each.sentence.src_tokens) + 1 for each in self._live)

    @property
    def width(self) -> int:
        """The most rows of a sentence."""
        return self._rules.width

    def admit(self, sentences: list[tuple[int, Sentence]]) -> None:
        """Begin to search sentences, each with its number."""
        if not sentences:
            return
        self._decoder.admit([sentence.src_tokens for _, sentence in sentences])
        if self._shortlist:
            own = [self._shortlist.own(sentence) for _, sentence in sentences]
            self._short_decoder.allow(own)
        first = len(self._live)
        self._live += [_Progress(*each) for each in sentences]
        self._standings |= begin([sentence for _, sentence in sentences], self.num_rows)
        new = torch.arange(len(sentences), device=self._parents.device)
        self._parents = torch.cat([self._parents, self._num_before + new])
        self._tokens = torch.cat([self._tokens, torch.full_like(new, self._rules.bos_id)])
        self._owners = torch.cat([self._owners, first + new])
        self._log_probs = torch.cat([self._log_probs, self._log_probs.new_zeros(len(new))])
        self._lengths = torch.cat([self._lengths, torch.zeros_like(new)])
        self._ranks = torch.cat([self._ranks, torch.zeros_like(new)])
        for name in ("_history", "_token_log_probs", "_coverage"):
            old: Tensor = getattr(self, name)
            setattr(self, name, torch.cat([old, old.new_zeros(len(new), old.size(1))]))

    def step(self) -> list[tuple[int, list[Found]]]:
        """Make every hypothesis longer by a token; what was found for sentences that are done by that."""
        logits = self._decoder.step(self._parents, self._tokens)  # (N, V), or fewer columns
        self._num_before = len(logits)
        if self._rules.coverage_penalty:
            self._cover()
        candidates = self._candidates(logits.log_softmax(-1))
        ends = candidates.tokens == self._rules.eos_id  # (B, C)
        self._finish(candidates, ends)
        going_on = self._going_on(candidates, ends)
        is_live = going_on.any(1).tolist()
        done = [each for each, some in zip(self._live, is_live, strict=True) if not some]
        self._live = [each for each, some in zip(self._live, is_live, strict=True) if some]
        self._go_on(candidates, going_on, has_changed=bool(done))
        return [(each.number, _best(each.found, self._rules)) for each in done]

    def _candidates(self, log_probs: Tensor) -> Candidates:
        """What may come next, from log P of it, (N, V) or of the columns of a shortlist."""
        sentences, rules = [each.sentence for each in self._live], self._rules
        if self._shortlist and self._names_tokens(sentences):
            log_probs = spread(log_probs, self._short_decoder, self._shortlist.vocab_size)
        elif self._shortlist:
            rules = self._column_rules
        before = log_probs[list(self._standings)] if self._standings else log_probs
        forbid(log_probs, self._history, self._lengths, self._owners, sentences, rules)
        if self._standings:
            place = (self._standings, self._lengths, self._owners, sentences, rules)
            constrain(log_probs, before, *place)
        rows = (log_probs, self._log_probs, self._lengths, self._owners, sentences, rules)
        if rules.sampling:
            return sampled_candidates(*rows, ranks=self._ranks)
        found = best_candidates(*rows)
        if self._standings:
            return divide(found, log_probs, self._log_probs, self._standings, self._owners, rules)
        if rules is self._column_rules:
            return replace(found, tokens=self._short_decoder.tokens(found.rows, found.tokens))
        return found

    @property
    def _short_decoder(self) -> ShortlistedDecoder:
        return cast(ShortlistedDecoder, self._decoder)

    def _names_tokens(self, sentences: list[Sentence]) -> bool:
        """Whether tokens are asked for, forbidden or drawn by what they are."""
        rules = self._rules
        is_asked = any(sentence.prefix or sentence.demands for sentence in sentences)
        return is_asked or rules.no_repeat_ngram > 0 or rules.sampling is not None

    def _finish(self, candidates: Candidates, ends: Tensor) -> None:
        """Keep what ends among the `width` best of a sentence."""
        ended = (ends & (candidates.values > -math.inf))[:, : self._rules.width].nonzero()  # (E, 2)
        if not len(ended):
            return
        owners, columns = ended.unbind(1)
        rows, log_probs = candidates.rows[owners, columns], candidates.values[owners, columns]
        last = log_probs - self._log_probs[rows]
        facts = owners, rows, log_probs, last, self._history[rows], self._token_log_probs[rows]
        for index, row, log_prob, newest, tokens, each in zip(*(x.tolist() for x in facts), strict=True):
            progress, penalty = self._live[index], self._penalty(row, index)
            start = len(tokens) - progress.length
            score = self._rules.score(log_prob, progress.length + 1) + penalty
            token_log_probs = (*each[start:], newest)
            progress.found.append(Found(tokens[start:], log_prob, score, token_log_probs, penalty=penalty))

    def _cover(self) -> None:
        """Add up what the newest token of each row looks at; BOS is not part of the translation."""
        watched = cast(WatchedDecoder, self._decoder).watched
        assert watched is not None
        more = watched.size(1) - self._coverage.size(1)  # beyond the longest source there is nothing
        began = (self._lengths > 0)[:, None]
        self._coverage = functional.pad(self._coverage, (0, more)) + watched * began

    def _penalty(self, row: int, index: int) -> float:
        """What the score of a row that ends loses for source tokens that got little attention."""
        if not self._rules.coverage_penalty:
            return 0.0
        sentence = self._live[index].sentence
        covered = self._coverage[row, len(sentence.before) : len(sentence.src_tokens)]
        return self._rules.coverage_penalty * float(covered.clamp(LEAST_COVERAGE, 1.0).log().sum())

    def _going_on(self, candidates: Candidates, ends: Tensor) -> Tensor:
        """Which candidates are kept, (B, C): the `width` best that do not end, of sentences not done."""
        rules, values = self._rules, candidates.values.masked_fill(ends, -math.inf)
        going_on = values > -math.inf
        if values.size(1) > rules.width:
            going_on &= going_on.cumsum(1) <= rules.width
        if rules.prune and rules.nbest == 1:
            likely = values >= candidates.values.amax(1, keepdim=True) - rules.prune
            if self._standings:  # what brings a required phrase may be unlikely
                for index, each in enumerate(self._live):
                    likely[index] |= bool(each.sentence.demands and each.sentence.demands.required)
            going_on &= likely
        best = values.amax(1).tolist()
        done = [i for i, log_prob in enumerate(best) if self._is_done(self._live[i], log_prob)]
        if done:
            going_on[done] = False
        return going_on

    def _is_done(self, progress: _Progress, log_prob: float) -> bool:
        """Whether nothing better can come of a best hypothesis, with a token more, of this log P."""
        rules, found = self._rules, progress.found
        if len(found) >= rules.width:
            return True
        if len(found) < rules.nbest or rules.sampling or log_prob == -math.inf:
            return log_prob == -math.inf
        # log P only falls from here, its score is monotone in the length, and a penalty only takes away: the
        # bound stands at one end
        shortest, longest = progress.length + 2, progress.sentence.max_length + 1
        bound = max(rules.score(log_prob, shortest), rules.score(log_prob, longest))
        return bound <= sorted((one.score for one in found), reverse=True)[rules.nbest - 1]

    def _go_on(self, candidates: Candidates, going_on: Tensor, *, has_changed: bool) -> None:
        """Make the candidates that are kept the rows of the next step, of fewer sentences if that changed."""
        places = going_on.flatten().nonzero().flatten()  # (N,), in the order of sentences
        rows, tokens = candidates.rows.take(places), candidates.tokens.take(places)
        values = candidates.values.take(places)
        self._owners, self._ranks = places // going_on.size(1), places % going_on.size(1)
        if has_changed:
            self._owners = (going_on.any(1).cumsum(0) - 1)[self._owners]
        last = values - self._log_probs.take(rows)
        for each in self._live:
            each.length += 1
        longest = max((each.length for each in self._live), default=0)
        self._history = _appended(self._history.index_select(0, rows), tokens, longest)
        self._token_log_probs = _appended(self._token_log_probs.index_select(0, rows), last, longest)
        self._parents, self._tokens, self._log_probs = rows, tokens, values
        self._lengths = self._lengths.take(rows) + 1
        self._standings = follow(self._standings, rows, tokens)
        if self._rules.coverage_penalty:
            self._coverage = self._coverage[rows]


def _appended(memory: Tensor, new: Tensor, longest: int) -> Tensor:
    """The last `longest` numbers of rows (N, T) with another (N,) behind each."""
    together = torch.cat([memory, new[:, None]], dim=1)
    return together[:, together.size(1) - longest :]


def _best(found: list[Found], rules: Rules) -> list[Found]:
    return sorted(found, key=lambda one: -one.score)[: rules.nbest]
