"""Translates lines of text: pieces, batches, search, text again, in the order of the lines."""

import math
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from nmt.alignment.attention import Alignment, align_pairs
from nmt.checkpoint import TranslationModel
from nmt.config.schema import DecodingConfig
from nmt.corpus.words import Span
from nmt.decoding.engine import Engine, OnProgress
from nmt.decoding.requests import Request, RequestReader
from nmt.decoding.rules import Rules, Sentence
from nmt.decoding.search import Found
from nmt.decoding.splitting import split_line
from nmt.decoding.windows import full_windows
from nmt.errors import ConfigError, DataError
from nmt.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID

LINE_END_PIECES = ("<0x0A>", "<0x0D>")
"""Byte pieces that would end a line; never generated."""

EXTRA_LENGTH = 20
"""Pieces that a translation may have beyond its share of the source's length."""

_LINE_END = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff"


@dataclass(frozen=True)
class Hypothesis:
    """One translation of a line and what the model thinks of it."""

    text: str
    score: float
    """What hypotheses are ranked by: log_prob / length ** length_penalty, the end of the line counted, and a
    coverage penalty if there is one."""
    log_prob: float
    """Natural logarithm of the model's probability of the tokens and the end."""
    tokens: list[int]


@dataclass(frozen=True)
class Translation:
    """What became of a line."""

    source: str
    hypotheses: tuple[Hypothesis, ...]
    """The best first, at least one; of a blank line a blank one."""
    num_pieces: int = 0
    """Length of the source in pieces."""
    num_parts: int = 0
    """Parts that were translated one by one: 0 of a blank line, several of one that was too long or did not
    fit into memory."""
    alignment: Alignment | None = None
    """Of the source and the best hypothesis, if it was asked for."""

    @property
    def text(self) -> str:
        """The best hypothesis."""
        return self.hypotheses[0].text


class LineTooLongError(DataError):
    """A line has more pieces than the model was trained for, and that is to be an error."""

    def __init__(self, index: int, num_pieces: int, longest: int) -> None:
        super().__init__(f"line {index + 1}: {num_pieces:,} pieces, expected at most {longest:,}")
        self.index = index  # from 0, among the lines that were given
        self.num_pieces = num_pieces
        self.longest = longest


class RequestError(DataError):
    """What is asked of the translation of a line contradicts itself, or can not be had."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(f"line {index + 1}: {message}")
        self.index = index  # from 0, among the lines that were given


@dataclass(frozen=True)
class _Plan:
    """A line and its parts, as spans of characters and as pieces; a line without pieces has none."""

    line: str
    spans: list[Span]
    parts: list[list[int]]
    num_pieces: int

    @property
    def translated(self) -> str:
        """The line as far as it is translated."""
        return self.line[: self.spans[-1][1]] if self.spans else ""


class Translator:
    """A model with a way to search."""

    def __init__(
        self, model: TranslationModel, config: DecodingConfig, *, align: bool = False, nbest: int = 1
    ) -> None:
        if nbest > config.beam_size:
            raise ConfigError(
                f"{nbest} hypotheses do not fit into a beam of {config.beam_size}; give --beam {nbest}"
            )
        self.model = model
        self.config = config
        self.align = align
        self.engine = Engine(model, config)
        self.rules = Rules(
            bos_id=BOS_ID,
            eos_id=EOS_ID,
            banned=_banned_ids(model),
            beam_size=config.beam_size,
            length_penalty=config.length_penalty,
            nbest=nbest,
            prune=config.prune,
            no_repeat_ngram=config.no_repeat_ngram,
            coverage_penalty=config.coverage_penalty,
            device=model.device,
        )
        self._requests = RequestReader(model.tgt_tokenizer, banned=self.rules.banned, forbid=config.forbid)

    def stream(self, lines: Iterable[str]) -> Iterator[Translation]:
        """Translations in the order of the lines, of which no more than `config.window` are read ahead."""
        for window in full_windows(lines, self.config.window):
            yield from self.translate(window)

    def translate(
        self,
        lines: Sequence[str],
        *,
        prefixes: Sequence[str] | None = None,
        forbid: Sequence[Sequence[str]] | None = None,
        require: Sequence[Sequence[str]] | None = None,
        on_progress: OnProgress | None = None,
    ) -> list[Translation]:
        """Translations in the order of the lines; a blank line stays blank, `config.on_long` rules the long.

        Of each line: what its translation begins with, phrases that are not in it, and phrases that are; see
        `Request`. `on_progress` hears how many more sentences are done, from whichever thread finished them.
        Raises LineTooLongError if long lines are errors, and RequestError if what is asked of a line can not
        be written or contradicts itself, both before anything is translated; and RequestError if no
        translation of a line was found that is as asked.
        """
        given = [each for each in (prefixes, forbid, require) if each is not None]
        if any(len(each) != len(lines) for each in given):
            raise ValueError("prefixes, forbid and require go with the lines, one for each")
        requests = [
            Request(prefix, tuple(without), tuple(having))
            for prefix, without, having in zip(
                prefixes or [""] * len(lines),
                forbid or [()] * len(lines),
                require or [()] * len(lines),
                strict=True,
            )
        ]
        plans = self._plan(lines)
        sentences = [
            self._sentences(index, *each) for index, each in enumerate(zip(plans, requests, strict=True))
        ]
        found = iter(
            self.engine.find([one for each in sentences for one in each], self.rules, on_progress=on_progress)
        )
        translations = [
            self._translation(index, plan, [next(found) for _ in plan.parts])
            for index, plan in enumerate(plans)
        ]
        return self._aligned(plans, translations) if self.align else translations

    def _plan(self, lines: Sequence[str]) -> list[_Plan]:
        texts = ["" if is_blank(line) else line for line in lines]
        encoded = self.model.src_tokenizer.encode_batch(texts)
        longest = self.model.config.data.max_length
        if self.config.on_long == "error":
            for index, ids in enumerate(encoded):
                if len(ids) > longest:
                    raise LineTooLongError(index, len(ids), longest)
        return [self._plan_line(line, ids, longest) for line, ids in zip(lines, encoded, strict=True)]

    def _plan_line(self, line: str, ids: list[int], max_length: int) -> _Plan:
        if not ids:
            return _Plan(line, [], [], 0)
        if len(ids) <= max_length:
            return _Plan(line, [(0, len(line))], [ids], len(ids))
        tokenizer = self.model.src_tokenizer
        if self.config.on_long == "truncate":
            end = tokenizer.encode_with_spans(line).spans[max_length - 1][1]
            return _Plan(line, [(0, end)], [ids[:max_length]], len(ids))
        spans = split_line(line, lambda text: tokenizer.encode_with_spans(text).spans, max_length)
        parts = tokenizer.encode_batch([line[start:end] for start, end in spans])
        return _Plan(line, spans, parts, len(ids))

    def _sentences(self, index: int, plan: _Plan, request: Request) -> list[Sentence]:
        """The parts of a line with what is asked of its translation."""
        config = self.model.config.model
        longest = config.max_positions - 1 if config.positions == "learned" else sys.maxsize
        try:
            return self._requests.apply(
                request, [self._sentence(part) for part in plan.parts], longest=longest
            )
        except DataError as error:
            raise RequestError(index, str(error)) from None

    def _sentence(self, source: list[int]) -> Sentence:
        most, fewest = self._limit(len(source)), math.ceil(self.config.min_length_ratio * len(source))
        return Sentence(source, max_length=most, min_length=min(fewest, most))

    def _limit(self, num_pieces: int) -> int:
        """The most pieces that the translation of so many may have."""
        limit = int(self.config.max_length_ratio * num_pieces) + EXTRA_LENGTH
        config = self.model.config.model
        return min(limit, config.max_positions - 1) if config.positions == "learned" else limit

    def _translation(self, index: int, plan: _Plan, found: list[list[Found]]) -> Translation:
        if not found:
            return Translation(plan.line, (Hypothesis("", 0.0, 0.0, []),))
        num_hypotheses = min(map(len, found))
        if not num_hypotheses:
            raise RequestError(
                index, "no translation was found that has all that is required, nothing forbidden"
            )
        hypotheses = (
            self._hypothesis(plan, [part[rank] for part in found]) for rank in range(num_hypotheses)
        )
        num_parts = sum(part[0].num_parts for part in found)
        return Translation(plan.line, tuple(hypotheses), plan.num_pieces, num_parts)

    def _hypothesis(self, plan: _Plan, found: list[Found]) -> Hypothesis:
        """The translations of the parts with the white space between the parts, as one."""
        texts = [self.model.tgt_tokenizer.decode(part.tokens) for part in found]
        gaps = [plan.line[end:start] for (_, end), (start, _) in pairwise(plan.spans)]
        text = "".join(text + gap for text, gap in zip(texts, [*gaps, ""], strict=True))
        log_prob = sum(part.log_prob for part in found)
        penalty = sum(part.penalty for part in found)
        score = self.rules.score(log_prob, sum(len(part.tokens) + 1 for part in found)) + penalty
        return Hypothesis(
            without_line_ends(text), score, log_prob, [id for part in found for id in part.tokens]
        )

    def _aligned(self, plans: list[_Plan], translations: list[Translation]) -> list[Translation]:
        """With links to what was translated, which leaves out the end of a line that was cut off."""
        pairs = (
            (plan.translated, translation.text) for plan, translation in zip(plans, translations, strict=True)
        )
        alignments = align_pairs(self.model, pairs)
        return [
            replace(translation, alignment=replace(alignment, source=translation.source))
            for translation, alignment in zip(translations, alignments, strict=True)
        ]


def is_blank(line: str) -> bool:
    """Whether there is nothing in a line but white space, of whatever width."""
    return all(character.isspace() or character in _ZERO_WIDTH for character in line)


def without_line_ends(text: str) -> str:
    """The text with a space for every character that somebody could take for the end of a line."""
    return _LINE_END.sub(" ", text)


def _banned_ids(model: TranslationModel) -> tuple[int, ...]:
    tokenizer = model.tgt_tokenizer
    line_ends = (id for id in range(tokenizer.vocab_size) if tokenizer.piece(id) in LINE_END_PIECES)
    return (PAD_ID, UNK_ID, BOS_ID, *line_ends)
