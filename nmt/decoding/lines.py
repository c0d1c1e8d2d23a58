"""Lines as they are translated: whole, or if they are too long in parts, which are joined, or cut off."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from nmt.config import OnLong
from nmt.corpus.splitting import split_line
from nmt.corpus.words import Span, is_blank
from nmt.decoding.hypothesis import Hypothesis, join_log_probs
from nmt.decoding.rules import Rules
from nmt.decoding.search import Found
from nmt.tokenizer import Tokenizer

LINE_END_PIECES = ("<0x0A>", "<0x0D>")
"""Byte pieces that would end a line; never generated."""

_LINE_END = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")


@dataclass(frozen=True)
class LinePlan:
    """A line and its parts, as spans of characters and as pieces; none of one without pieces or refused."""

    line: str
    spans: list[Span]
    parts: list[list[int]]
    num_pieces: int

    @property
    def is_refused(self) -> bool:
        """Whether it is too long to be translated."""
        return self.num_pieces > 0 and not self.parts

    @property
    def translated(self) -> str:
        """The line as far as it is translated."""
        return self.line[: self.spans[-1][1]] if self.spans else ""


def plan_lines(
    lines: Sequence[str], tokenizer: Tokenizer, *, longest: int, on_long: OnLong
) -> list[LinePlan]:
    """What becomes of lines, of which one of more pieces than `longest` is too long."""
    encoded = tokenizer.encode_batch(["" if is_blank(line) else line for line in lines])
    cut = {"split": _split, "truncate": _cut_off, "error": _refused}[on_long]
    return [
        cut(line, ids, tokenizer, longest) if len(ids) > longest else _whole(line, ids)
        for line, ids in zip(lines, encoded, strict=True)
    ]


def join_parts(plan: LinePlan, found: Sequence[Found], tokenizer: Tokenizer, rules: Rules) -> Hypothesis:
    """The translations of the parts of a line with the white space between the parts, as one."""
    gaps = [plan.line[end:start] for (_, end), (start, _) in pairwise(plan.spans)]
    text, spans = "", list[Span]()
    for part, gap in zip(found, [*gaps, ""], strict=True):
        decoded, of_part = tokenizer.decode_with_spans(part.tokens)
        spans += [(len(text) + start, len(text) + end) for start, end in of_part]
        text += decoded + gap
    log_prob = sum(part.log_prob for part in found)
    penalty = sum(part.penalty for part in found)
    score = rules.score(log_prob, sum(len(part.tokens) + 1 for part in found)) + penalty
    return Hypothesis(
        without_line_ends(text),
        score=score,
        log_prob=log_prob,
        tokens=[id for part in found for id in part.tokens],
        token_log_probs=join_log_probs(part.token_log_probs for part in found),
        token_spans=tuple(spans),
    )


def without_line_ends(text: str) -> str:
    """The text with a space for every character that somebody could take for the end of a line."""
    return _LINE_END.sub(" ", text)


def _whole(line: str, ids: list[int]) -> LinePlan:
    return LinePlan(line, [(0, len(line))] if ids else [], [ids] if ids else [], len(ids))


def _refused(line: str, ids: list[int], _tokenizer: Tokenizer, _longest: int) -> LinePlan:
    return LinePlan(line, [], [], len(ids))


def _cut_off(line: str, ids: list[int], tokenizer: Tokenizer, longest: int) -> LinePlan:
    end = tokenizer.encode_with_spans(line).spans[longest - 1][1]
    return LinePlan(line, [(0, end)], [ids[:longest]], len(ids))


def _split(line: str, ids: list[int], tokenizer: Tokenizer, longest: int) -> LinePlan:
    spans = split_line(line, lambda text: tokenizer.encode_with_spans(text).spans, longest)
    parts = tokenizer.encode_batch([line[start:end] for start, end in spans])
    return LinePlan(line, spans, parts, len(ids))
