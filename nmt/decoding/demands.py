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
        return Standing(self)


@dataclass(frozen=True)
class Standing:
    """How far a hypothesis has come."""

    demands: Demands
    met: frozenset[int] = frozenset()
    """Phrases that it has."""
    begun: frozenset[tuple[int, int]] = frozenset()
    """Other phrases and how many tokens of each it ends with; with all, the next token decides."""
    reading: Reading = field(default_factory=Reading)

    def after(self, token: int) -> "Standing":
        """Where it stands with a token more."""
        demands, met, begun = self.demands, set(self.met), set[tuple[int, int]]()
        for number, place in self._places():
            phrase = demands.required[number]
            if place == len(phrase.tokens):
                if token not in phrase.longer:
                    met.add(number)
            elif token == phrase.tokens[place]:
                begun.add((number, place + 1))
                if place + 1 == len(phrase.tokens) and not phrase.longer:
                    met.add(number)
        reading = self.reading
        if demands.forbidden:
            reading = demands.forbidden.after(reading, token) or Reading()
        return Standing(demands, frozenset(met), frozenset(b for b in begun if b[0] not in met), reading)

    @property
    def num_left(self) -> int:
        """Tokens that are left of the required phrases."""
        lengths = {number: len(self.demands.required[number].tokens) for number in self._unmet()}
        for number, place in self.begun:
            rest = len(self.demands.required[number].tokens) - place
            lengths[number] = min(lengths[number], rest)
        return sum(lengths.values())

    @property
    def is_within(self) -> bool:
        """Whether it ends within a required phrase."""
        return any(place < len(self.demands.required[number].tokens) for number, place in self.begun)

    @property
    def may_end(self) -> bool:
        """Whether it has all that is required, and nothing forbidden, if it ends here."""
        forbidden = self.demands.forbidden
        ends_well = forbidden is None or forbidden.may_end(self.reading, goes_on=self.demands.goes_on)
        return ends_well and self.num_left == 0

    def going_on(self) -> set[int]:
        """Tokens that go on with a required phrase that is begun."""
        begun = ((self.demands.required[number].tokens, place) for number, place in self.begun)
        return {tokens[place] for tokens, place in begun if place < len(tokens)}

    def wanted(self) -> dict[int, int]:
        """Tokens that begin a required phrase or go on with one, and `num_left` after each."""
        tokens = {
            phrase.tokens[place]
            for number, place in self._places()
            if place < len((phrase := self.demands.required[number]).tokens)
        }
        return {token: self.after(token).num_left for token in sorted(tokens)}

    def num_left_after_others(self) -> tuple[int, int]:
        """`num_left` after a token that is not wanted: one that lets words end, and one that does not."""
        lengths = {number: len(self.demands.required[number].tokens) for number in self._unmet()}
        complete = {number for number, place in self.begun if place == lengths[number]}
        return sum(lengths[number] for number in lengths if number not in complete), sum(lengths.values())

    def longer(self) -> set[frozenset[int]]:
        """Tokens that would take complete phrases back, by making their last words longer."""
        begun = ((self.demands.required[number], place) for number, place in self.begun)
        return {phrase.longer for phrase, place in begun if place == len(phrase.tokens)}

    def _unmet(self) -> Iterator[int]:
        return (number for number in range(len(self.demands.required)) if number not in self.met)

    def _places(self) -> Iterator[tuple[int, int]]:
        """Phrases that are not met, and how many tokens the next may come behind, 0 for a new beginning."""
        yield from sorted(self.begun)
        yield from ((number, 0) for number in self._unmet())
