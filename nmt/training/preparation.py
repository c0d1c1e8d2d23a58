"""Makes the stored corpus of a run out of its text: surveyed, held out, cleaned and cut into pieces."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmt.checkpoint import SRC_TOKENIZER, TGT_TOKENIZER, TOKENIZER
from nmt.config.presets import vocab_size
from nmt.config.schema import Config, DataConfig
from nmt.corpus.cleaning import (
    LENGTH_REASONS,
    CleanPairs,
    Fingerprints,
    Selection,
    clean_pairs,
    cut_before,
    num_documents,
    num_overlapping,
    select_pairs,
    survey,
)
from nmt.corpus.encoded import Encode, EncodedCorpus, directed, encode_pairs
from nmt.corpus.heldout import hold_out
from nmt.corpus.reading import NO_CONTEXTS, Contexts, Pair, ParallelText
from nmt.corpus.store import StoreWriter
from nmt.errors import DataError, ModelError
from nmt.files import write_bytes
from nmt.hardware import num_usable_cores
from nmt.tokenizer import MAX_LINES, Tokenizer, train_tokenizer
from nmt.training.report import DataReport, DevOrigin


@dataclass(frozen=True)
class Tokenizers:
    """Those of both sides, which may be the same one."""

    src: Tokenizer
    tgt: Tokenizer
    is_joint: bool

    @classmethod
    def load(cls, folder: Path, *, is_joint: bool) -> "Tokenizers":
        """Those that `save` wrote."""
        if is_joint:
            joint = Tokenizer.load(folder / TOKENIZER)
            return cls(joint, joint, is_joint=True)
        src, tgt = (Tokenizer.load(folder / name) for name in (SRC_TOKENIZER, TGT_TOKENIZER))
        return cls(src, tgt, is_joint=False)

    @property
    def files(self) -> dict[str, bytes]:
        """What is in their files, by name."""
        if self.is_joint:
            return {TOKENIZER: self.src.data}
        return {SRC_TOKENIZER: self.src.data, TGT_TOKENIZER: self.tgt.data}

    def save(self, folder: Path) -> None:
        """Write them into a folder."""
        for name, data in self.files.items():
            write_bytes(folder / name, data)

    def encoders(self, threads: int) -> tuple[Encode, Encode]:
        """How each side is cut."""
        src, tgt = (partial(each.encode_batch, threads=threads) for each in (self.src, self.tgt))
        return src, tgt

    @property
    def vocab_sizes(self) -> tuple[int, int]:
        """Source and target."""
        return self.src.vocab_size, self.tgt.vocab_size

    def tags(self, data: DataConfig) -> tuple[int, ...]:
        """Ids of the tags that say target language and source language; none if there is one direction.

        Raises ModelError if the tokenizer was trained without them.
        """
        if not data.bidirectional:
            return ()
        src, tgt = data.languages
        known = self.tgt.tags
        if not {src, tgt} <= known.keys():
            raise ModelError(
                f"the tokenizer has {_named(known)}, expected those of {src} and {tgt}; leave out "
                f"tokenizer.model, or train one with: nmt tokenizer train --tag {src} --tag {tgt}"
            )
        return known[tgt], known[src]

    @property
    def hashes(self) -> list[str]:
        """Source and target."""
        return [self.src.hash, self.tgt.hash]


def make_corpus(
    folder: Path, config: Config, tokenizers: Tokenizers | None, made_of: Mapping[str, Any]
) -> None:
    """Write the stored corpus of a run into a new folder; tokenizers are trained unless some are given.

    Raises DataError if counts differ, if text is not UTF-8, or if no pair is left.
    """
    data = config.data
    text, prints = survey(*paths(data), on_invalid=data.invalid_utf8, contexts=data.contexts)
    dev = _given_dev(data, prints) if data.dev_src else _held_out_dev(config, text, prints)
    selection = select_pairs(prints, remove_duplicates=data.remove_duplicates, held_out=dev.held_out)
    documents = num_documents(prints, text.file_pairs) if data.context else 0
    del prints
    _refuse_empty(selection.num_kept, selection.dropped)
    tokenizers = tokenizers or _make_tokenizers(config, text, selection)
    tokenizers.save(folder)
    tags = tokenizers.tags(data)
    encode = tokenizers.encoders(config.training.threads or num_usable_cores())
    with_lines = config.tokenizer.sampling_alpha > 0
    writer = StoreWriter(folder, vocab_sizes=tokenizers.vocab_sizes, with_lines=with_lines, tags=tags)
    written = _write(writer, clean_pairs(text, selection, data, *encode), config.training.dev_sentences)
    dropped = selection.dropped + written.dropped
    _refuse_empty(written.num_kept, dropped)
    if not dev.pairs:  # better than nothing to look at where there are too few to hold any out
        first = written.first_pairs
        dev = _Dev(first, written.first_contexts, "training", overlap=len(first))
    encode_dev(data, tokenizers, dev.pairs, dev.contexts)  # raises the error if it can not be used
    report = DataReport(
        num_pairs=len(text),
        num_kept=written.num_kept,
        num_dev=len(dev.pairs),
        num_dev_dropped=dev.num_dropped,
        num_mended=text.num_invalid if data.invalid_utf8 == "replace" else 0,
        dropped=dict(dropped),
        overlap=dev.overlap,
        dev_from=dev.origin,
        src_vocab_size=tokenizers.src.vocab_size,
        tgt_vocab_size=tokenizers.tgt.vocab_size,
        num_documents=documents,
    )
    facts = {
        "report": asdict(report),
        "dev_pairs": dev.pairs,
        "dev_contexts": dev.contexts,
        "held_out_lines": [] if dev.held_out is None else [number + 1 for number in dev.held_out.tolist()],
        "num_invalid": text.num_invalid,
        "file_pairs": text.file_pairs,
    }
    writer.finish({**made_of, "tokenizers": tokenizers.hashes}, facts)


def encode_dev(
    data: DataConfig, tokenizers: Tokenizers, pairs: Sequence[Pair], contexts: Sequence[Contexts]
) -> EncodedCorpus:
    """The development set in pieces, in all directions, without what would be too long to train on."""
    encode = tokenizers.encoders(1)
    encoded = list(encode_pairs(pairs, *encode))
    is_short = [max(map(len, pair)) <= data.max_length for pair in encoded]
    short = list(compress(encoded, is_short))
    if not short:
        raise DataError(
            f"no development pair of at most {data.max_length} pieces (data.max_length) on both sides"
        )
    cut = cut_before(short, list(compress(contexts, is_short)), encode, data)
    return EncodedCorpus.from_pairs(directed(short, tokenizers.tags(data), cut))


def paths(data: DataConfig) -> tuple[list[Path], list[Path]]:
    """The files of both sides of the training text."""
    return [Path(path) for path in data.src], [Path(path) for path in data.tgt]


@dataclass(frozen=True)
class _Written:
    """What passed on its way into the store."""

    num_kept: int
    dropped: Counter[str]
    first_pairs: list[Pair]
    first_contexts: list[Contexts]


def _write(writer: StoreWriter, chunks: Iterable[CleanPairs], num_first: int) -> _Written:
    """Store all pairs; keep the first so many."""
    num_kept, dropped = 0, Counter(dict.fromkeys(LENGTH_REASONS, 0))
    first_pairs, first_contexts = list[Pair](), list[Contexts]()
    for chunk in writer.write(chunks):
        num_kept += len(chunk.numbers)
        dropped.update(chunk.dropped)
        more = num_first - len(first_pairs)
        first_pairs += chunk.lines[:more]
        first_contexts += (chunk.contexts or [NO_CONTEXTS] * len(chunk.lines))[:more]
    return _Written(num_kept, +dropped, first_pairs, first_contexts)


@dataclass(frozen=True)
class _Dev:
    """A development set and where it comes from."""

    pairs: list[Pair]
    contexts: list[Contexts]
    origin: DevOrigin
    overlap: int = 0
    num_dropped: int = 0  # for want of text on a side
    held_out: Tensor | None = None  # numbers of training pairs


def _given_dev(data: DataConfig, prints: Fingerprints) -> _Dev:
    text, dev_prints = survey([Path(data.dev_src)], [Path(data.dev_tgt)], on_invalid=data.invalid_utf8)
    pairs, contexts = _with_contexts(text, dev_prints.is_usable, data)
    if not pairs:
        raise DataError(f"{data.dev_src}: no pair with text on both sides; expected a development set")
    overlap = num_overlapping(prints, dev_prints)
    return _Dev(pairs, contexts, "given", overlap=overlap, num_dropped=len(text) - len(pairs))


def _held_out_dev(config: Config, text: ParallelText, prints: Fingerprints) -> _Dev:
    """Pairs held out from the training text; none if nothing would be left of it."""
    held_out = hold_out(prints, seed=config.training.seed)
    if not select_pairs(prints, remove_duplicates=True, held_out=held_out).num_kept:
        held_out = held_out[:0]
    pairs, contexts = _with_contexts(text, flags(held_out, len(text)), config.data)
    return _Dev(pairs, contexts, "held out", held_out=held_out)


def _with_contexts(text: ParallelText, keep: Tensor, data: DataConfig) -> tuple[list[Pair], list[Contexts]]:
    found = list(text.select_in_context(keep, data.contexts))
    return [pair for pair, _ in found], [contexts for _, contexts in found]


def flags(numbers: Tensor, size: int) -> Tensor:
    """A bool for each of `size` pairs, true for those with these numbers."""
    flags = torch.zeros(size, dtype=torch.bool)
    flags[numbers] = True
    return flags


def _refuse_empty(num_kept: int, dropped: Counter[str]) -> None:
    if not num_kept:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in dropped.items())
        raise DataError(f"no training pairs left after filtering: {reasons}")


def _make_tokenizers(config: Config, text: ParallelText, selection: Selection) -> Tokenizers:
    """The one that was given, or newly trained ones."""
    if config.tokenizer.model:
        loaded = Tokenizer.load(Path(config.tokenizer.model))
        return Tokenizers(loaded, loaded, config.tokenizer.joint)
    is_joint, num_pairs = config.tokenizer.joint, selection.num_kept
    keep = _some(selection.keep, MAX_LINES // 2 if is_joint else MAX_LINES, seed=config.training.seed)
    if is_joint:
        joint = _train(config, (line for pair in text.select(keep) for line in pair), num_pairs)
        return Tokenizers(joint, joint, is_joint)
    return Tokenizers(
        _train(config, (src for src, _ in text.select(keep)), num_pairs),
        _train(config, (tgt for _, tgt in text.select(keep)), num_pairs),
        is_joint,
    )


def _named(tags: Collection[str]) -> str:
    return f"the tags of {', '.join(sorted(tags))}" if tags else "no tags of languages"


def _some(keep: Tensor, most: int, *, seed: int) -> Tensor:
    """At most so many of the pairs, each with the same chance."""
    numbers = keep.nonzero().squeeze(1)
    if len(numbers) <= most:
        return keep
    order = torch.randperm(len(numbers), generator=torch.Generator().manual_seed(seed))
    return flags(numbers[order[:most]], len(keep))


def _train(config: Config, lines: Iterator[str], num_pairs: int) -> Tokenizer:
    """A size that was asked for must fit the text; one chosen by the number of pairs gives way to it."""
    asked = config.tokenizer.vocab_size
    return train_tokenizer(
        lines,
        config.tokenizer,
        vocab_size=asked or vocab_size(num_pairs),
        exact=bool(asked),
        seed=config.training.seed,
        tags=config.data.languages if config.data.bidirectional else (),
    )
