"""Phrases in a text that grows piece by piece: whether one has come, and which pieces would complete one."""

import codecs
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor

from nmt.corpus.words import is_in_word
from nmt.tokenizer import EOS_ID, REPLACEMENT, SPACE, Tokenizer

_Decoder = codecs.getincrementaldecoder("utf-8")


def as_phrase(text: str) -> str:
    """A text with one space for every white space in it and none around it."""
    return " ".join(text.split())


class PieceTexts:
    """What each piece of a vocabulary adds to a text."""

    def __init__(self, texts: Sequence[str], bytes_of: dict[int, int] | None = None) -> None:
        """Texts have their spaces; those of pieces that are a byte do not count."""
        self.bytes_of = bytes_of or {}
        self.texts = ["" if id in self.bytes_of else text for id, text in enumerate(texts)]
        begins = [bool(text) and is_in_word(text[0]) for text in self.texts]
        letters = {id for id, byte in self.bytes_of.items() if byte > 127 or is_in_word(chr(byte))}
        self.inside = frozenset({id for id, inside in enumerate(begins) if inside} | letters)
        """Pieces that make a word longer when they come behind it; the bytes of any character that is not
        ASCII are among them."""
        self.outside = frozenset(id for id, text in enumerate(self.texts) if text and not begins[id])
        """Pieces with a text that end the word before them, bytes aside."""
        entries = [(_squeezed(text), id) for id, text in enumerate(self.texts) if text]
        entries += [(text[1:], id) for text, id in entries if text[0] == " "]
        self._sorted = sorted(entries)
        self._joined = "\n".join(text for text, _ in self._sorted)
        self._starts = [0]
        for text, _ in self._sorted:
            self._starts.append(self._starts[-1] + len(text) + 1)

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "PieceTexts":
        """Those of a tokenizer."""
        ids = range(tokenizer.vocab_size)
        bytes_of = {
            id: byte for id in range(tokenizer.vocab_size) if (byte := tokenizer.byte(id)) is not None
        }
        texts = [tokenizer.piece(id).replace(SPACE, " ") for id in ids]
        return cls(["" if id <= EOS_ID else text for id, text in enumerate(texts)], bytes_of)

    def beginning_with(self, start: str) -> Iterator[int]:
        """Pieces whose text begins so, with or without a space before."""
        first = bisect_left(self._sorted, (start, -1))
        for index in range(first, len(self._sorted)):
            text, id = self._sorted[index]
            if not text.startswith(start):
                return
            yield id

    def containing(self, part: str) -> Iterator[int]:
        """Pieces with this in their text."""
        place = self._joined.find(part)
        while place >= 0:
            index = bisect_left(self._starts, place + 1) - 1
            yield self._sorted[index][1]
            place = self._joined.find(part, self._starts[index + 1])


@dataclass(frozen=True, slots=True)
class Reading:
    """How far a text has come in phrases."""

    nodes: tuple[int, ...] = ()
    """Beginnings of phrases that the text ends with."""
    in_word: bool = False
    """Whether the last character is one of a word."""
    after_space: bool = True
    rest: bytes = b""
    """The first bytes of a character."""


@dataclass(slots=True)
class _Node:
    """A beginning that some phrases have in common."""

    text: str
    children: dict[str, int] = field(default_factory=dict)
    is_phrase: bool = False


class Forbidden:
    """Phrases that a text must not contain, whatever pieces it is made of.

    A text contains a phrase where its characters stand in it, any white space for a space, and neither does a
    word go on before it that the phrase begins with, nor behind it one that it ends with: `dog` is in `The
    dog's.` and not in `Dog` or `dogma`. Letters, digits and marks make words; in scripts without spaces every
    character is one.
    """

    def __init__(self, phrases: Iterable[str], pieces: PieceTexts) -> None:
        self.phrases = tuple(as_phrase(phrase) for phrase in phrases)
        self._pieces = pieces
        self._nodes = [_Node("")]
        for phrase in self.phrases:
            self._add(phrase)
        self._whole = {id for phrase in self.phrases for id in pieces.containing(phrase)}
        self.banned = lru_cache(4096)(self._banned)
        """`banned(reading, last, goes_on)`: the pieces after which a phrase is in the text, as a tensor;
        if the piece is the `last` one, also those after which it must not end."""

    def _add(self, phrase: str) -> None:
        node = self._nodes[0]
        for size, character in enumerate(phrase, start=1):
            if character not in node.children:
                node.children[character] = len(self._nodes)
                self._nodes.append(_Node(phrase[:size]))
            node = self._nodes[node.children[character]]
        node.is_phrase = True

    def read(self, reading: Reading, text: str) -> Reading | None:
        """The reading of a text that grows by this; None if a phrase is in it then."""
        nodes, in_word, after_space = reading.nodes, reading.in_word, reading.after_space
        for character in text:
            is_space = character.isspace()
            if is_space and after_space:
                continue
            inside = is_in_word(character)
            if not inside and any(self._nodes[node].is_phrase for node in nodes):
                return None
            places = nodes if in_word and inside else (*nodes, 0)
            key = " " if is_space else character
            nodes = tuple(
                next for node in places if (next := self._nodes[node].children.get(key)) is not None
            )
            in_word, after_space = inside, is_space
            if not inside and any(self._nodes[node].is_phrase for node in nodes):
                return None
        return Reading(nodes, in_word, after_space)

    def after(self, reading: Reading, piece: int) -> Reading | None:
        """The reading with one piece more; None if a phrase is in the text then."""
        byte = self._pieces.bytes_of.get(piece)
        if byte is None:
            return self.read(reading, REPLACEMENT * len(reading.rest) + self._pieces.texts[piece])
        text, rest = _characters(reading.rest + bytes([byte]))
        found = self.read(reading, text)
        return found and Reading(found.nodes, found.in_word, found.after_space, rest)

    def may_end(self, reading: Reading, *, goes_on: bool = False) -> bool:
        """Whether the text has no phrase in it if it ends here.

        If another text `goes_on` behind it, of which nothing is known, no phrase may have begun.
        """
        ended = self.read(reading, REPLACEMENT * len(reading.rest))
        if not ended or any(self._nodes[node].is_phrase for node in ended.nodes):
            return False
        if not goes_on:
            return True
        spaced = self.read(ended, " ")
        return not (ended.nodes or spaced is None or spaced.nodes)

    def _banned(self, reading: Reading, last: bool, goes_on: bool = False) -> Tensor:
        candidates = set(self._whole)
        if reading.rest or (last and goes_on):  # other characters come before, or a beginning is too much
            candidates.update(id for id, text in enumerate(self._pieces.texts) if text)
        for node in reading.nodes:
            for rest in self._rests(node):
                candidates.update(self._pieces.beginning_with(rest) if rest else self._pieces.outside)
        candidates.update(self._pieces.bytes_of)

        def is_banned(piece: int) -> bool:
            found = self.after(reading, piece)
            return found is None or (last and not self.may_end(found, goes_on=goes_on))

        return torch.tensor(sorted(filter(is_banned, candidates)), dtype=torch.int64)

    def _rests(self, node: int) -> Iterator[str]:
        """What completes the phrases that begin like this."""
        begun = self._nodes[node].text
        return (phrase[len(begun) :] for phrase in self.phrases if phrase.startswith(begun))


def _characters(data: bytes) -> tuple[str, bytes]:
    """The characters of some bytes, U+FFFD for one that is no UTF-8, and the bytes of an unfinished one."""
    text = ""
    while data:
        decoder = _Decoder()
        try:
            return text + decoder.decode(data), bytes(decoder.getstate()[0])
        except UnicodeDecodeError:
            text, data = text + REPLACEMENT, data[1:]
    return text, b""


def _squeezed(text: str) -> str:
    """The text with one space for every run of white space, at its ends too."""
    start = " " if text[0].isspace() else ""
    end = " " if text[-1].isspace() and text.strip() else ""
    return start + " ".join(text.split()) + end
