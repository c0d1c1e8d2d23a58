"""Lines as they are translated: whole, or if they are too long in parts or cut off."""

from collections.abc import Sequence
from dataclasses import dataclass

from nmt.config import OnLong
from nmt.corpus.splitting import split_line
from nmt.corpus.words import Span, is_blank
from nmt.decoding.translation import LineTooLongError
from nmt.tokenizer import Tokenizer


@dataclass(frozen=True)
class LinePlan:
    """A line and its parts, as spans of characters and as pieces; a line without pieces has none."""

    line: str
    spans: list[Span]
    parts: list[list[int]]
    num_pieces: int

    @property
    def translated(self) -> str:
        """The line as far as it is translated."""
        return self.line[: self.spans[-1][1]] if self.spans else ""


def plan_lines(
    lines: Sequence[str], tokenizer: Tokenizer, *, longest: int, on_long: OnLong
) -> list[LinePlan]:
    """What becomes of lines, of which one of more pieces than `longest` is too long.

    Raises LineTooLongError if that is to be an error.
    """
    encoded = tokenizer.encode_batch(["" if is_blank(line) else line for line in lines])
    if on_long == "error":
        for index, ids in enumerate(encoded):
            if len(ids) > longest:
                raise LineTooLongError(index, len(ids), longest)
    cut = _cut_off if on_long == "truncate" else _split
    return [
        cut(line, ids, tokenizer, longest) if len(ids) > longest else _whole(line, ids)
        for line, ids in zip(lines, encoded, strict=True)
    ]


def _whole(line: str, ids: list[int]) -> LinePlan:
    return LinePlan(line, [(0, len(line))] if ids else [], [ids] if ids else [], len(ids))


def _cut_off(line: str, ids: list[int], tokenizer: Tokenizer, longest: int) -> LinePlan:
    end = tokenizer.encode_with_spans(line).spans[longest - 1][1]
    return LinePlan(line, [(0, end)], [ids[:longest]], len(ids))


def _split(line: str, ids: list[int], tokenizer: Tokenizer, longest: int) -> LinePlan:
    spans = split_line(line, lambda text: tokenizer.encode_with_spans(text).spans, longest)
    parts = tokenizer.encode_batch([line[start:end] for start, end in spans])
    return LinePlan(line, spans, parts, len(ids))
