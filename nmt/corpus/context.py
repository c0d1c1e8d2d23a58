"""Context: the lines before a line in its document, and the pieces of them that stand before its own."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from nmt.corpus.words import is_blank
from nmt.files import NOT_UTF8
from nmt.tokenizer import SEPARATOR_ID

Context = tuple[str, ...]
"""The lines before a line in its document, the nearest last."""
LinePair = tuple[str, str] | tuple[str, str, Context]
"""Source and target, and what comes before the source, if there is anything."""


@dataclass(frozen=True)
class LineInContext:
    """A line and those before it."""

    text: str
    context: Context = ()

    def __len__(self) -> int:
        return len(self.text)


class Document:
    """The last lines of a document that is read line by line; a blank line ends it."""

    def __init__(self, size: int) -> None:
        """Of so many lines, those that are not UTF-8 counted."""
        self._lines: deque[str] = deque(maxlen=size)

    @property
    def context(self) -> Context:
        """What the next line has before it."""
        return tuple(line for line in self._lines if line != NOT_UTF8)

    def add(self, line: str) -> None:
        """Read a line."""
        if is_blank(line):
            self.end()
        else:
            self._lines.append(line)

    def end(self) -> None:
        """What follows is another document."""
        self._lines.clear()


def in_context(lines: Iterable[str], size: int) -> Iterator[LineInContext]:
    """Each line with up to `size` lines before it, which a blank line ends."""
    document = Document(size)
    for line in lines:
        yield LineInContext(line, document.context)
        document.add(line)


def cut_contexts(
    contexts: Iterable[Sequence[str]], encode: Callable[[Sequence[str]], list[list[int]]], *, size: int
) -> list[list[list[int]]]:
    """The last `size` lines of contexts in pieces; a line that is in several of them is cut once."""
    contexts = [context[max(0, len(context) - size) :] for context in contexts]
    lines = list(dict.fromkeys(line for line in chain.from_iterable(contexts) if not is_blank(line)))
    pieces = dict(zip(lines, encode(lines), strict=True)) if lines else {}
    return [[pieces.get(line, []) for line in context] for context in contexts]


def before(context: Sequence[Sequence[int]], room: int) -> list[int]:
    """What stands before the pieces of a source: those of its context, with a separator behind each line.

    Of more than there is `room` for, the last ones (extended sources of Tiedemann & Scherrer, 2017).
    """
    joined = [id for line in context if line for id in (*line, SEPARATOR_ID)]
    kept = joined[max(0, len(joined) - max(0, room)) :]
    return kept if kept[:1] != [SEPARATOR_ID] else kept[1:]
