"""Which pairs of a corpus to train on: a reason and a count for each that is dropped."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import accumulate, compress, islice
from pathlib import Path

import torch
from torch import Tensor

from nmt.config.schema import DataConfig
from nmt.corpus.context import before, cut_contexts
from nmt.corpus.encoded import CHUNK_PAIRS, Encode, EncodedPair
from nmt.corpus.reading import Contexts, Pair, ParallelText, read_pairs
from nmt.files import NOT_UTF8, InvalidUtf8

BLANK = 0  # the number of a sentence with nothing in it
UNREADABLE = 1  # of a line that is not UTF-8
LENGTH_REASONS = ("empty side", "too long", "length ratio")
"""Why pairs are dropped that are in pieces already, in this order."""
ODD = 0x2545F4914F6CDD1D  # factor modulo 2 ** 64, of one number of several
RATIO_OFFSET = 5  # added to both lengths, so that short pairs are not judged by a word more or less


@dataclass(frozen=True)
class Fingerprints:
    """A number for each sentence of a corpus, the same for sentences that are equal up to white space."""

    src: Tensor  # (pairs,) int64
    tgt: Tensor
    contexts: Tensor | None = None  # likewise of what comes before each pair

    def __len__(self) -> int:
        return len(self.src)

    @property
    def pairs(self) -> Tensor:
        """One number for each pair."""
        return self.src * ODD + self.tgt

    @property
    def is_empty(self) -> Tensor:
        """Whether a side is blank, for each pair."""
        return (self.src == BLANK) | (self.tgt == BLANK)

    @property
    def is_unreadable(self) -> Tensor:
        """Whether a side is not UTF-8, for each pair."""
        return (self.src == UNREADABLE) | (self.tgt == UNREADABLE)

    @property
    def is_usable(self) -> Tensor:
        """Whether there is text on both sides, for each pair."""
        return ~(self.is_empty | self.is_unreadable)

    @property
    def is_repeated(self) -> Tensor:
        """Whether the same pair occurred before, in the same context, for each pair."""
        pairs = self.pairs if self.contexts is None else self.pairs * ODD + self.contexts
        ordered, numbers = torch.sort(pairs, stable=True)
        repeated = torch.zeros(len(self), dtype=torch.bool)
        repeated[numbers[1:]] = ordered[1:] == ordered[:-1]
        return repeated


@dataclass(frozen=True)
class Selection:
    """Which pairs are kept, and how many were dropped for which reason."""

    keep: Tensor  # (pairs,) bool
    dropped: Counter[str]

    def __post_init__(self) -> None:
        num_pairs, num_dropped = len(self.keep), self.dropped.total()
        assert self.num_kept + num_dropped == num_pairs, f"{self.num_kept} + {num_dropped} != {num_pairs}"

    @property
    def num_kept(self) -> int:
        """The number of pairs that are left."""
        return int(self.keep.sum())


@dataclass(frozen=True)
class CleanPairs:
    """Pairs to train on, of one stretch of the text, and how many others were dropped there, by reason."""

    numbers: list[int]  # in the text, from 0
    lines: list[Pair]
    pieces: list[EncodedPair]
    dropped: Counter[str]
    contexts: Sequence[Contexts] = ()
    """What comes before each, if pairs have context."""
    before: Sequence[EncodedPair] = ()
    """The same in pieces, as far as there is room for it."""


def survey(
    src_paths: Sequence[Path],
    tgt_paths: Sequence[Path],
    *,
    on_invalid: InvalidUtf8,
    contexts: tuple[int, int] = (0, 0),
) -> tuple[ParallelText, Fingerprints]:
    """Read a corpus once: count and check its lines, and keep a number of each sentence.

    `contexts` are how many lines of context there are of both sides. Raises DataError if counts differ, and
    then if a line is not UTF-8 and that is to be an error.
    """
    src, tgt = array("q"), array("q")
    text = read_pairs(
        src_paths,
        tgt_paths,
        on_invalid=on_invalid,
        on_src=lambda line: src.append(_sentence_number(line)),
        on_tgt=lambda line: tgt.append(_sentence_number(line)),
    )
    if on_invalid == "error" and text.num_invalid:
        for _ in text:  # raises the error that names the place
            pass
    prints = Fingerprints(*(torch.frombuffer(side, dtype=torch.int64) for side in (src, tgt)))
    return text, replace(prints, contexts=_context_numbers(prints, text.file_pairs, contexts))


def num_documents(prints: Fingerprints, file_pairs: Sequence[int]) -> int:
    """How many documents the lines of the source are, in files of so many pairs."""
    return len(torch.unique(_documents(prints.src, file_pairs)[prints.src != BLANK]))


def _context_numbers(
    prints: Fingerprints, file_pairs: Sequence[int], sizes: tuple[int, int]
) -> Tensor | None:
    """A number for the context of each pair, of so many lines of either side; None if there is none."""
    if not any(sizes):
        return None
    found = torch.zeros_like(prints.src)
    for side, size in zip((prints.src, prints.tgt), sizes, strict=True):
        documents = _documents(side, file_pairs)
        for distance in range(1, size + 1):
            is_context = documents[:-distance] == documents[distance:]
            found *= ODD
            found[distance:] += torch.where(is_context, side[:-distance], BLANK)
    return found


def _documents(side: Tensor, file_pairs: Sequence[int]) -> Tensor:
    """A number for the document of each sentence, by numbers of sentences: a blank one begins another."""
    begins = torch.cat([side, side.new_zeros(1)]) == BLANK  # one more, as files may be empty
    begins[list(accumulate(file_pairs, initial=0))] = True
    return begins[:-1].cumsum(0)


def fingerprint(pairs: Iterable[Pair]) -> Fingerprints:
    """Read a corpus once and keep a number of each sentence."""
    src, tgt = array("q"), array("q")
    for src_line, tgt_line in pairs:
        src.append(_sentence_number(src_line))
        tgt.append(_sentence_number(tgt_line))
    return Fingerprints(torch.tensor(src), torch.tensor(tgt))


def select_pairs(
    prints: Fingerprints, *, remove_duplicates: bool, held_out: Tensor | None = None
) -> Selection:
    """Drop what can be told before pieces are known: bad or empty sides, held-out sentences, duplicates.

    `held_out` holds the numbers of pairs; no sentence of theirs, of either side, stays in the selection.
    """
    rules = [("not UTF-8", prints.is_unreadable), ("empty side", prints.is_empty)]
    if held_out is not None:
        is_held_out = torch.zeros(len(prints), dtype=torch.bool)
        is_held_out[held_out] = True
        shares = torch.isin(prints.src, prints.src[held_out]) | torch.isin(prints.tgt, prints.tgt[held_out])
        rules += [("held out", is_held_out), ("sentence held out", shares)]
    if remove_duplicates:
        rules.append(("duplicate", prints.is_repeated))
    return Selection(*_apply(rules, torch.ones(len(prints), dtype=torch.bool)))


def clean_pairs(
    text: ParallelText, selection: Selection, config: DataConfig, encode_src: Encode, encode_tgt: Encode
) -> Iterator[CleanPairs]:
    """Encode the selected pairs and drop those too long or too unlike in length, both measured in pieces."""
    remaining = text.select_in_context(selection.keep, config.contexts)
    all_numbers = selection.keep.nonzero().squeeze(1)
    for start in range(0, len(all_numbers), CHUNK_PAIRS):
        numbers = all_numbers[start : start + CHUNK_PAIRS]
        pairs, around = zip(*islice(remaining, len(numbers)), strict=True)
        src_lines, tgt_lines = zip(*pairs, strict=True)
        pieces = list(zip(encode_src(src_lines), encode_tgt(tgt_lines), strict=True))
        is_good, dropped = _judge_lengths(pieces, config)
        kept = is_good.tolist()
        lines, pieces = list(compress(pairs, kept)), list(compress(pieces, kept))
        chunk = CleanPairs(numbers[is_good].tolist(), lines, pieces, dropped)
        if config.context:
            contexts = list(compress(around, kept))
            cut = cut_before(pieces, contexts, (encode_src, encode_tgt), config)
            chunk = replace(chunk, contexts=contexts, before=cut)
        yield chunk


def cut_before(
    pieces: Sequence[EncodedPair],
    contexts: Sequence[Contexts],
    encode: tuple[Encode, Encode],
    config: DataConfig,
) -> list[EncodedPair]:
    """What stands before the pieces of each pair, of either side, as far as `max_length` leaves room."""
    src, tgt = (
        cut_contexts((both[side] for both in contexts), encode[side], size=config.contexts[side])
        for side in (0, 1)
    )
    return [
        (
            before(src_context, config.max_length - len(src_ids)),
            before(tgt_context, config.max_length - len(tgt_ids)),
        )
        for src_context, tgt_context, (src_ids, tgt_ids) in zip(src, tgt, pieces, strict=True)
    ]


def _judge_lengths(pieces: list[EncodedPair], config: DataConfig) -> tuple[Tensor, Counter[str]]:
    """Which of the pairs have good lengths, and how many have not, by reason."""
    lengths = torch.tensor([(len(src_ids), len(tgt_ids)) for src_ids, tgt_ids in pieces])
    shorter, longer = lengths.min(1).values, lengths.max(1).values
    is_empty = shorter == 0  # normalisation may leave nothing
    is_long = longer > config.max_length
    is_unlike = longer + RATIO_OFFSET > config.max_ratio * (shorter + RATIO_OFFSET)
    rules = zip(LENGTH_REASONS, (is_empty, is_long, is_unlike), strict=True)
    return _apply(rules, torch.ones(len(pieces), dtype=torch.bool))


def num_overlapping(train: Fingerprints, dev: Fingerprints) -> int:
    """How many pairs of a development set are in the training text too, both sides equal."""
    return int(torch.isin(dev.pairs, train.pairs).sum())


def _apply(rules: Iterable[tuple[str, Tensor]], keep: Tensor) -> tuple[Tensor, Counter[str]]:
    """What is left of `keep` after each rule dropped its pairs, and how many each one dropped."""
    dropped: Counter[str] = Counter()
    for reason, is_bad in rules:
        dropped[reason] = int((keep & is_bad).sum())
        keep = keep & ~is_bad
    return keep, +dropped


def _sentence_number(line: str) -> int:
    if line == NOT_UTF8:
        return UNREADABLE
    text = " ".join(line.split())
    if not text:
        return BLANK
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), signed=True)
