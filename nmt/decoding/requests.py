"""What is asked of the translation of a line, as text, made into what a search understands."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from nmt.corpus.words import is_in_word
from nmt.decoding.demands import SPARE_LENGTH, Demands, Required
from nmt.decoding.phrases import Forbidden, PieceTexts, Reading, as_phrase
from nmt.decoding.rules import Sentence
from nmt.errors import DataError
from nmt.tokenizer import Tokenizer

EXTRA_LENGTH = 20
"""Pieces that a translation may have beyond its share of the source's length, or beyond a prefix."""


@dataclass(frozen=True)
class Request:
    """What is asked of the translation of a line."""

    prefix: str = ""
    """It begins with this; white space at the end of it means that the last word is whole."""
    forbid: tuple[str, ...] = ()
    """None of these is in it; see `Forbidden` for what that means."""
    require: tuple[str, ...] = ()
    """All of these are in it, as words of their own, one next to another if need be."""


class RequestReader:
    """Makes requests into demands, in the pieces of a tokenizer of the target language."""

    def __init__(self, tokenizer: Tokenizer, *, banned: Iterable[int], forbid: Sequence[str] = ()) -> None:
        """`banned` are pieces that are never generated, `forbid` what no translation may have."""
        self._tokenizer = tokenizer
        self._banned = frozenset(banned)
        self._forbid = tuple(forbid)
        self._forbidden = lru_cache(64)(self._make_forbidden)

    def apply(self, request: Request, sentences: Sequence[Sentence], *, longest: int) -> list[Sentence]:
        """The sentences of a line with what is asked of it: its first begins with the prefix, and required
        phrases are shared out to all, in their order.

        Every translation has room for what it must have, but never more than `longest` pieces. Raises
        DataError if the demands contradict each other or can not be written in the pieces of the model.
        """
        forbid = (*self._forbid, *request.forbid)
        if not (sentences and (request.prefix or request.require or forbid)):
            return list(sentences)
        forbidden = self._forbidden(forbid) if forbid else None
        prefix = self._prefix(request.prefix, forbidden) if request.prefix else ()
        required = [self._required(phrase, forbidden) for phrase in request.require]
        shares: list[list[Required]] = [[] for _ in sentences]
        for number, phrase in enumerate(required):
            shares[number * len(sentences) // len(required)].append(phrase)
        after_prefix = self._spaced if prefix and request.prefix[-1].isspace() else ()
        found = []
        for number, (sentence, share) in enumerate(zip(sentences, shares, strict=True)):
            goes_on = number < len(sentences) - 1
            demands = Demands(tuple(share), forbidden, goes_on) if share or forbidden else None
            begins = (prefix, after_prefix) if number == 0 else ((), ())
            own = replace(sentence, prefix=begins[0], after_prefix=begins[1], demands=demands)
            found.append(_with_room(own, longest))
        return found

    @cached_property
    def _pieces(self) -> PieceTexts:
        return PieceTexts.of(self._tokenizer)

    @cached_property
    def _spaced(self) -> tuple[int, ...]:
        """Pieces that begin with a space and have more."""
        texts = enumerate(self._pieces.texts)
        return tuple(id for id, text in texts if text.startswith(" ") and text.strip())

    def _make_forbidden(self, phrases: tuple[str, ...]) -> Forbidden:
        if not all(map(as_phrase, phrases)):
            raise DataError("a forbidden phrase is blank; expected a text")
        return Forbidden(phrases, self._pieces)

    def _prefix(self, text: str, forbidden: Forbidden | None) -> tuple[int, ...]:
        tokens = self._spelt(text, "prefix")
        reading: Reading | None = Reading()
        for token in tokens if forbidden else ():
            reading = forbidden.after(reading, token) if forbidden and reading else None
        if forbidden and reading and text[-1].isspace():
            reading = forbidden.read(reading, " ")
        if reading is None:
            raise DataError(f"the prefix {text!r} has a forbidden phrase in it; change one of them")
        return tokens

    def _required(self, text: str, forbidden: Forbidden | None) -> Required:
        phrase = as_phrase(text)
        if not phrase:
            raise DataError("a required phrase is blank; expected a text")
        tokens = self._spelt(phrase, "required phrase")
        if forbidden:
            reading = forbidden.read(Reading(), phrase)
            if reading is None or not forbidden.may_end(reading):
                raise DataError(
                    f"the required phrase {phrase!r} has a forbidden one in it; change one of them"
                )
        return Required(tokens, self._pieces.inside if is_in_word(phrase[-1]) else frozenset())

    def _spelt(self, text: str, what: str) -> tuple[int, ...]:
        tokens = self._tokenizer.encode(text)
        if not self._banned.isdisjoint(tokens):
            raise DataError(f"the {what} {text!r} has characters that the model can not write; change it")
        return tuple(tokens)


def _with_room(sentence: Sentence, longest: int) -> Sentence:
    """The sentence with enough room for what its translation must have."""
    required = sentence.demands.required if sentence.demands else ()
    needed = len(sentence.prefix) + sum(len(phrase.tokens) + SPARE_LENGTH for phrase in required)
    needed += bool(sentence.after_prefix)
    if needed > longest:
        raise DataError(f"prefix and required phrases take {needed:,} pieces, expected at most {longest:,}")
    wanted = min(needed + EXTRA_LENGTH * bool(sentence.prefix), longest)
    return replace(sentence, max_length=max(sentence.max_length, wanted))
