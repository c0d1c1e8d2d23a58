"""A translation of a line, and what the model thinks of it, of its pieces and of its words."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nmt.alignment.merge import piece_shares
from nmt.corpus.words import Span, UnitMode, word_spans


@dataclass(frozen=True)
class WordScore:
    """A word of a text and its log P."""

    span: Span
    log_prob: float
    """Natural logarithm of the model's probability of the word, given the source and what stands before."""


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
    token_log_probs: tuple[float, ...] = ()
    """Of every token and of the end, together log_prob; nothing of a blank line. Where a line was translated
    in parts the end of a part counts with what comes next."""
    token_spans: tuple[Span, ...] = ()
    """The characters of the text that each token stands for."""
    utility: float | None = None
    """Mean chrF against the other samples of the line, if they are ordered by it."""

    def word_scores(self, mode: UnitMode = "punct") -> list[WordScore]:
        """Log P of every word of the text: together, and with that of the end, log_prob."""
        log_probs: Sequence[float] = self.token_log_probs[: len(self.tokens)]
        words: Sequence[Span] = self.token_spans
        if mode != "piece":
            words = word_spans(self.text, mode)
            log_probs = word_log_probs(log_probs, self.token_spans, words=words)
        return [WordScore(*each) for each in zip(words, log_probs, strict=True)]


def word_log_probs(
    log_probs: Sequence[float], pieces: Sequence[Span], *, words: Sequence[Span]
) -> list[float]:
    """Log P of words: of their pieces together.

    A piece that spans several words is shared out among them by characters, as in alignments; one that is in
    no word, such as a lone space, counts for the next word, and after the last word for the last.
    """
    found = [0.0] * len(words)
    if not words:
        return found
    ends = [end for _, end in words]
    shares = piece_shares(pieces, words).tolist()
    for log_prob, (start, _), of_words in zip(log_probs, pieces, shares, strict=True):
        if not any(of_words):
            found[min(bisect_right(ends, start), len(words) - 1)] += log_prob
        for word, share in enumerate(of_words):
            found[word] += share * log_prob
    return found


def join_log_probs(parts: Iterable[Sequence[float]]) -> tuple[float, ...]:
    """Log P of the tokens of all parts and of the last end; of each part that of its own end comes last.

    An end in between counts with what comes next.
    """
    joined = [0.0]
    for first, *others in parts:
        joined[-1] += first
        joined += others
    return tuple(joined)
