"""Phrases that a translation must have or must not have, and how far a hypothesis has come with them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from nmt.decoding.phrases import Forbidden, Reading

SPARE_LENGTH = 4
"""Tokens that there is room for beside each required phrase, as something may have to stand between two."""


@dataclass(frozen=True)
class Required:
    """A phrase that must come, as the tokens that spell it, one after the other."""

    tokens: tuple[int, ...]
    longer: frozenset[int] = frozenset()
    """Tokens that would make its last word another one if they came directly behind it."""


@dataclass(frozen=True, eq=False)
class Progress:
    """How far a hypothesis has come with required phrases; each kind is there once and knows the next."""

    required: tuple[Required, ...]
    met: frozenset[int] = frozenset()
    """Phrases that it has."""
    begun: frozenset[tuple[int, int]] = frozenset()
    """Other phrases and how many tokens of each it ends with; with all, the next token decides."""
    _known: "dict[object, Progress]" = field(default_factory=dict, repr=False)
    _next: "dict[int, Progress]" = field(default_factory=dict, repr=False)

    def after(self, token: int) -> "Progress":
        """How far it has come with a token more."""
        if token not in self._next:
            self._next[token] = self._after(token)
        return self._next[token]

    @cached_property
    def num_left(self) -> int:
        """Tokens that are left of the required phrases; of several that are begun, one goes on."""
        lengths = self._unmet_lengths()
        complete = {number for number, place in self.begun if place == lengths[number]}
        most = max((place for number, place in self.begun if number not in complete), default=0)
        return sum(lengths[number] for number in lengths if number not in complete) - most

    @cached_property
    def is_within(self) -> bool:
        """Whether it ends within a phrase."""
        return bool(self.going_on)

    @cached_property
    def going_on(self) -> frozenset[int]:
        """Tokens that go on with a phrase that is begun."""
        return frozenset(token for token, place in self._wanted() if place)

    @cached_property
    def wanted(self) -> dict[int, int]:
        """Tokens that begin a phrase or go on with one, and `num_left` after each."""
        return {token: self.after(token).num_left for token in sorted({token for token, _ in self._wanted()})}

    @cached_property
    def num_left_after_others(self) -> tuple[int, int]:
        """`num_left` after a token that is not wanted: one that lets words end, and one that does not."""
        lengths = self._unmet_lengths()
        complete = {number for number, place in self.begun if place == lengths[number]}
        return sum(lengths[number] for number in lengths if number not in complete), sum(lengths.values())

    @cached_property
    def longer(self) -> frozenset[frozenset[int]]:
        """Tokens that would take complete phrases back, by making their last words longer."""
        phrases = ((self.required[number], place) for number, place in self.begun)
        return frozenset(phrase.longer for phrase, place in phrases if place == len(phrase.tokens))

    def rests(self, token: int) -> Iterator[tuple[int, ...]]:
        """What is left of phrases that come next with this token, itself included."""
        for number, place in self._places():
            rest = self.required[number].tokens[place:]
            if rest[:1] == (token,):
                yield rest

    def _after(self, token: int) -> "Progress":
        met, begun = set(self.met), set[tuple[int, int]]()
        for number, place in self._places():
            phrase = self.required[number]
            if place == len(phrase.tokens):
                if token not in phrase.longer:
                    met.add(number)
            elif token == phrase.tokens[place]:
                begun.add((number, place + 1))
                if place + 1 == len(phrase.tokens) and not phrase.longer:
                    met.add(number)
        key = frozenset(met), frozenset(each for each in begun if each[0] not in met)
        if key not in self._known:
            self._known[key] = Progress(self.required, *key, self._known)
        return self._known[key]

    def _unmet_lengths(self) -> dict[int, int]:
        phrases = enumerate(self.required)
        return {number: len(phrase.tokens) for number, phrase in phrases if number not in self.met}

    def _places(self) -> Iterator[tuple[int, int]]:
        """Phrases that are not met, and how many tokens the next may come behind, 0 for a new beginning."""
        yield from sorted(self.begun)
        yield from ((number, 0) for number in self._unmet_lengths())

    def _wanted(self) -> Iterator[tuple[int, int]]:
        """Tokens that begin a phrase or go on with one, and where in it they are."""
        for number, place in self._places():
            if place < len((phrase := self.required[number]).tokens):
                yield phrase.tokens[place], place


@dataclass(frozen=True, eq=False)
class Demands:
    """The required and forbidden phrases of a sentence."""

    required: tuple[Required, ...] = ()
    forbidden: Forbidden | None = None
    goes_on: bool = False
    """Whether another text follows in the same line, with which a forbidden phrase must not arise."""

    @cached_property
    def num_tokens(self) -> int:
        """Of all required phrases."""
        return sum(len(phrase.tokens) for phrase in self.required)

    @property
    def start(self) -> "Standing":
        """Where a hypothesis without tokens stands."""
        return Standing(self, Progress(self.required))


@dataclass(frozen=True)
class Standing:
    """How far a hypothesis has come, in both."""

    demands: Demands
    progress: Progress
    reading: Reading = field(default_factory=Reading)

    def after(self, token: int) -> "Standing":
        """Where it stands with a token more."""
        forbidden, reading = self.demands.forbidden, self.reading
        if forbidden:
            reading = forbidden.after(reading, token) or Reading()
        return Standing(self.demands, self.progress.after(token), reading)

    @property
    def may_end(self) -> bool:
        """Whether it has all that is required, and nothing forbidden, if it ends here."""
        forbidden = self.demands.forbidden
        ends_well = forbidden is None or forbidden.may_end(self.reading, goes_on=self.demands.goes_on)
        return ends_well and self.progress.num_left == 0

    def wanted(self) -> dict[int, int]:
        """Tokens that begin a required phrase or go on with one that can be ended here, so that nothing
        forbidden arises, and `num_left` after each."""
        wanted, forbidden = self.progress.wanted, self.demands.forbidden
        if forbidden is None:
            return wanted
        return {token: num_left for token, num_left in wanted.items() if self._can_end(token, forbidden)}

    def _can_end(self, token: int, forbidden: Forbidden) -> bool:
        for rest in self.progress.rests(token):
            reading: Reading | None = self.reading
            for piece in rest:
                reading = reading and forbidden.after(reading, piece)
            if reading and forbidden.may_end(reading):
                return True
        return False
