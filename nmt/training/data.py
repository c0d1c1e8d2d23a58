"""From files to batches: read, held out, cleaned, tokenised, in the order of seed and epoch."""

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from nmt.alignment.layer import MODEL1_PAIRS
from nmt.checkpoint import SRC_TOKENIZER, TGT_TOKENIZER, TOKENIZER
from nmt.config.presets import vocab_size
from nmt.config.schema import Config, DataConfig, TrainingConfig
from nmt.corpus.batching import Batch, collate, plan_batches
from nmt.corpus.cleaning import (
    Fingerprints,
    Selection,
    clean_pairs,
    fingerprint,
    num_overlapping,
    select_pairs,
)
from nmt.corpus.encoded import EncodedCorpus, EncodedPair, encode_pairs
from nmt.corpus.heldout import hold_out
from nmt.corpus.reading import Pair, ParallelText, read_pairs
from nmt.errors import DataError
from nmt.files import sha256_file, write_bytes
from nmt.hardware import num_usable_cores
from nmt.tokenizer import Tokenizer, train_tokenizer
from nmt.training.report import DataReport, DevOrigin


@dataclass(frozen=True)
class TrainingData:
    """Everything a run learns from, ready for batches."""

    text: ParallelText
    selection: Selection
    corpus: EncodedCorpus
    dev_pairs: list[Pair]
    dev_corpus: EncodedCorpus
    src_tokenizer: Tokenizer
    tgt_tokenizer: Tokenizer
    is_joint: bool  # one tokenizer for both sides
    sampling_alpha: float
    max_length: int  # in pieces
    report: DataReport
    held_out_lines: list[int]  # line numbers from 1, counted through all files
    hash: str

    def train_batches(
        self, training: TrainingConfig, *, epoch: int, start: int, device: torch.device
    ) -> Iterator[tuple[Tensor, Batch]]:
        """Batches of an epoch (1, 2, …) from number `start` on, a function of seed and epoch.

        Each comes with the line numbers of its pairs (B,), from 1, counted through all files.
        """
        line_numbers = 1 + self.selection.keep.nonzero().squeeze(1)
        corpus = self._sampled(training.seed, epoch) if self.sampling_alpha else self.corpus
        for indices in _order(corpus, training, epoch)[start:]:
            yield line_numbers[indices], collate(corpus, indices).to(device)

    def plain_batches(self, training: TrainingConfig, device: torch.device) -> Iterator[Batch]:
        """Batches of an epoch without sampling, to measure with."""
        for indices in _order(self.corpus, training, epoch=1):
            yield collate(self.corpus, indices).to(device)

    def num_batches(self, training: TrainingConfig) -> int:
        """Batches of an epoch; a few more if it is sampled."""
        return len(_order(self.corpus, training, epoch=1))

    def dev_batches(self, device: torch.device, batch_tokens: int) -> Iterator[Batch]:
        """The development set once, without what is too long to train on."""
        corpus = self.dev_corpus
        order = plan_batches(
            corpus.src_lengths, corpus.tgt_lengths, batch_tokens=batch_tokens, seed=0, epoch=0
        )
        for indices in order:
            yield collate(corpus, indices).to(device)

    def sample_pairs(self) -> list[Pair]:
        """Up to 30,000 pairs of the training text as it was given, spread evenly over it."""
        numbers = self.selection.keep.nonzero().squeeze(1)
        stride = math.ceil(len(numbers) / MODEL1_PAIRS)
        return list(self.text.select(_flags(numbers[::stride], len(self.text))))

    def tokenizer_files(self) -> dict[str, bytes]:
        """The tokenizers by the names of their files."""
        if self.is_joint:
            return {TOKENIZER: self.src_tokenizer.data}
        return {SRC_TOKENIZER: self.src_tokenizer.data, TGT_TOKENIZER: self.tgt_tokenizer.data}

    def save_tokenizers(self, folder: Path) -> None:
        """Write the tokenizers, to be found again when the run is resumed."""
        for name, data in self.tokenizer_files().items():
            write_bytes(folder / name, data)

    def _sampled(self, seed: int, epoch: int) -> EncodedCorpus:
        """The corpus cut anew at random (subword regularisation; Kudo, 2018), the same for seed and epoch."""

        def sample(tokenizer: Tokenizer, side: str, lines: Sequence[str]) -> list[list[int]]:
            digest = hashlib.blake2b(f"{seed} {epoch} {side} {lines[0]}".encode(), digest_size=4).digest()
            rows = tokenizer.sample_batch(lines, alpha=self.sampling_alpha, seed=int.from_bytes(digest))
            return [
                ids if len(ids) <= self.max_length else tokenizer.encode(line)
                for ids, line in zip(rows, lines, strict=True)
            ]

        encode_src = partial(sample, self.src_tokenizer, "src")
        encode_tgt = partial(sample, self.tgt_tokenizer, "tgt")
        pairs = self.text.select(self.selection.keep)
        return EncodedCorpus.from_pairs(encode_pairs(pairs, encode_src, encode_tgt))


def prepare(config: Config, *, tokenizer_dir: Path | None = None) -> TrainingData:
    """Read, check and encode the training text; tokenizers are trained unless there are some to use.

    Raises DataError if counts differ, if text is not UTF-8, or if no pair is left.
    """
    text = read_paths(config.data)
    prints = fingerprint(text)
    dev = _given_dev(config, prints) if config.data.dev_src else _held_out_dev(config, text, prints)
    selection = select_pairs(prints, remove_duplicates=config.data.remove_duplicates, held_out=dev.held_out)
    _refuse_empty(selection)

    src_tokenizer, tgt_tokenizer = _tokenizers(config, text, selection, tokenizer_dir)
    threads = config.training.threads or num_usable_cores()
    encode_src = partial(src_tokenizer.encode_batch, threads=threads)
    encode_tgt = partial(tgt_tokenizer.encode_batch, threads=threads)
    clean = clean_pairs(text, selection, config.data, encode_src, encode_tgt)
    _refuse_empty(clean.selection)
    if not dev.pairs:
        dev = _training_as_dev(text, clean.selection, config.training.dev_sentences)
    report = DataReport(
        num_pairs=len(text),
        num_kept=clean.selection.num_kept,
        num_dev=len(dev.pairs),
        num_dev_dropped=dev.num_dropped,
        num_mended=text.num_invalid if config.data.invalid_utf8 == "replace" else 0,
        dropped=dict(clean.selection.dropped),
        overlap=dev.overlap,
        dev_from=dev.origin,
        src_vocab_size=src_tokenizer.vocab_size,
        tgt_vocab_size=tgt_tokenizer.vocab_size,
    )
    return TrainingData(
        text=text,
        selection=clean.selection,
        corpus=clean.corpus,
        dev_pairs=dev.pairs,
        dev_corpus=_dev_corpus(config.data, encode_pairs(dev.pairs, encode_src, encode_tgt)),
        src_tokenizer=src_tokenizer,
        tgt_tokenizer=tgt_tokenizer,
        is_joint=config.tokenizer.joint,
        sampling_alpha=config.tokenizer.sampling_alpha,
        max_length=config.data.max_length,
        report=report,
        held_out_lines=[] if dev.held_out is None else [number + 1 for number in dev.held_out.tolist()],
        hash=data_hash(config),
    )


def read_paths(data: DataConfig) -> ParallelText:
    """The training text; DataError if the files of a pair differ in their number of lines."""
    src_paths, tgt_paths = ([Path(path) for path in paths] for paths in (data.src, data.tgt))
    return read_pairs(src_paths, tgt_paths, on_invalid=data.invalid_utf8)


def data_hash(config: Config) -> str:
    """SHA-256 over the content of every file of text, and of the tokenizer if one was given."""
    data = config.data
    paths = [*data.src, *data.tgt, data.dev_src, data.dev_tgt, config.tokenizer.model]
    digests = [sha256_file(Path(path)) if path else "" for path in paths]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


@dataclass(frozen=True)
class _Dev:
    """A development set and where it comes from."""

    pairs: list[Pair]
    origin: DevOrigin
    overlap: int = 0
    num_dropped: int = 0  # for want of text on a side
    held_out: Tensor | None = None  # numbers of training pairs


def _given_dev(config: Config, prints: Fingerprints) -> _Dev:
    dev_src, dev_tgt = Path(config.data.dev_src), Path(config.data.dev_tgt)
    text = read_pairs([dev_src], [dev_tgt], on_invalid=config.data.invalid_utf8)
    dev_prints = fingerprint(text)
    pairs = list(text.select(dev_prints.is_usable))
    if not pairs:
        raise DataError(f"{config.data.dev_src}: no pair with text on both sides; expected a development set")
    overlap = num_overlapping(prints, dev_prints)
    return _Dev(pairs, "given", overlap=overlap, num_dropped=len(text) - len(pairs))


def _held_out_dev(config: Config, text: ParallelText, prints: Fingerprints) -> _Dev:
    """Pairs held out from the training text; none if nothing would be left of it."""
    held_out = hold_out(prints, seed=config.training.seed)
    if not select_pairs(prints, remove_duplicates=True, held_out=held_out).num_kept:
        held_out = held_out[:0]
    return _Dev(list(text.select(_flags(held_out, len(text)))), "held out", held_out=held_out)


def _training_as_dev(text: ParallelText, selection: Selection, most: int) -> _Dev:
    """The first pairs to train on: better than nothing to look at where there are too few to hold any out."""
    pairs = list(islice(text.select(selection.keep), most))
    return _Dev(pairs, "training", overlap=len(pairs))


def _dev_corpus(config: DataConfig, pairs: Iterable[EncodedPair]) -> EncodedCorpus:
    """The development set in pieces, without what would be too long to train on."""
    corpus = EncodedCorpus.from_pairs(pairs)
    is_short = torch.maximum(corpus.src_lengths, corpus.tgt_lengths) <= config.max_length
    if not is_short.any():
        raise DataError(
            f"no development pair of at most {config.max_length} pieces (data.max_length) on both sides"
        )
    return corpus.select(is_short)


def _order(corpus: EncodedCorpus, training: TrainingConfig, epoch: int) -> list[Tensor]:
    return plan_batches(
        corpus.src_lengths,
        corpus.tgt_lengths,
        batch_tokens=training.batch_tokens,
        seed=training.seed,
        epoch=epoch,
    )


def _flags(numbers: Tensor, size: int) -> Tensor:
    flags = torch.zeros(size, dtype=torch.bool)
    flags[numbers] = True
    return flags


def _refuse_empty(selection: Selection) -> None:
    if not selection.num_kept:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in selection.dropped.items())
        raise DataError(f"no training pairs left after filtering: {reasons}")


def _tokenizers(
    config: Config, text: ParallelText, selection: Selection, folder: Path | None
) -> tuple[Tokenizer, Tokenizer]:
    """Source and target tokenizer: those of the run, the one that was given, or newly trained ones."""
    tokenizer = config.tokenizer
    if folder is not None and tokenizer.joint:
        loaded = Tokenizer.load(folder / TOKENIZER)
        return loaded, loaded
    if folder is not None:
        return Tokenizer.load(folder / SRC_TOKENIZER), Tokenizer.load(folder / TGT_TOKENIZER)
    if tokenizer.model:
        loaded = Tokenizer.load(Path(tokenizer.model))
        return loaded, loaded
    kept, num_pairs = text.select(selection.keep), selection.num_kept
    if tokenizer.joint:
        joint = _train(config, (line for pair in kept for line in pair), num_pairs)
        return joint, joint
    return (
        _train(config, (src for src, _ in kept), num_pairs),
        _train(config, (tgt for _, tgt in text.select(selection.keep)), num_pairs),
    )


def _train(config: Config, lines: Iterator[str], num_pairs: int) -> Tokenizer:
    """A size that was asked for must fit the text; one chosen by the number of pairs gives way to it."""
    asked = config.tokenizer.vocab_size
    return train_tokenizer(
        lines,
        config.tokenizer,
        vocab_size=asked or vocab_size(num_pairs),
        exact=bool(asked),
        seed=config.training.seed,
    )
