"""Cuts a line that is too long for the model into parts: at sentence ends, else punctuation, else spaces."""

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise

from nmt.corpus.words import Span, word_spans

BOUNDARIES = (
    re.compile(r"[.!?…‽।؟]+[\"'”’»)\]]*(?=\s)|[。！？｡]+[」』”’）]*"),  # a sentence ends
    re.compile(r"[,;:–—)\]]+(?=\s)|[、，；：]"),
    re.compile(r"\S(?=\s)"),
)
"""Where a line may be cut, right behind the match; the first kind that there is wins, however far back."""

CHARACTERS_A_PIECE = 8
"""As much of a line is looked at, for each piece that a part may have: the cost is linear in the line."""

_SPACE = re.compile(r"\s*")


def split_line(line: str, spans_of: Callable[[str], Sequence[Span]], max_length: int) -> list[Span]:
    """Spans of the parts of a line; only white space stands between them and around them.

    `spans_of` cuts a text into pieces. A part has at most `max_length` of them, or is a single character.
    """
    parts = []
    start, end = _skip_space(line, 0), len(line.rstrip())
    while start < end:
        window = line[start : min(end, start + CHARACTERS_A_PIECE * max_length)]
        part_end = start + _part_end(window, spans_of, max_length, is_last=start + len(window) == end)
        parts.append((start, part_end))
        start = _skip_space(line, part_end)
    return parts


def split_sentences(line: str, spans_of: Callable[[str], Sequence[Span]], max_length: int) -> list[Span]:
    """Spans of the sentences of a line; one of more than `max_length` pieces is split like a line.

    But a word is never cut: one of more pieces is a part of its own.
    """
    ends = [match.end() for match in BOUNDARIES[0].finditer(line)]
    parts = [
        (start + part_start, start + part_end)
        for start, end in pairwise(sorted({0, *ends, len(line)}))
        for part_start, part_end in split_line(line[start:end], spans_of, max_length)
    ]
    cuts = _around_words({cut for part in parts for cut in part}, word_spans(line))
    return [_stripped(line, part) for part in pairwise(cuts) if line[slice(*part)].strip()]


def _around_words(cuts: set[int], words: Sequence[Span]) -> list[int]:
    """Where to cut instead so that a word stays whole: before it and behind it."""
    starts, moved = [start for start, _ in words], set[int]()
    for cut in cuts:
        start, end = words[bisect_left(starts, cut) - 1] if starts and starts[0] < cut else (cut, cut)
        moved |= {start, end} if cut < end else {cut}
    return sorted(moved)


def _stripped(line: str, span: Span) -> Span:
    text = line[slice(*span)]
    return span[0] + len(text) - len(text.lstrip()), span[0] + len(text.rstrip())


def _part_end(text: str, spans_of: Callable[[str], Sequence[Span]], max_length: int, *, is_last: bool) -> int:
    """Where the part that begins the text ends."""
    end = len(text) if is_last else _last_boundary(text, len(text))
    spans = spans_of(text[:end])
    while len(spans) > max_length and end > 1:
        end = _last_boundary(text, max(1, min(end - 1, spans[max_length][0])))
        spans = spans_of(text[:end])  # by itself a part may fall into other pieces than before
    return end


def _last_boundary(text: str, limit: int) -> int:
    """The last place to cut, of the best kind that there is, no further than the limit; else the limit."""
    for boundary in BOUNDARIES:
        ends = [match.end() for match in boundary.finditer(text) if match.end() <= limit]
        if ends:
            return ends[-1]
    return limit


def _skip_space(line: str, start: int) -> int:
    space = _SPACE.match(line, start)
    assert space is not None, "an empty match is one"
    return space.end()
