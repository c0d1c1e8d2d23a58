"""From the stored corpus of a run to batches, in the order of seed and epoch."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from nmt.checkpoint import publish
from nmt.config.schema import Config, DataConfig, TrainingConfig
from nmt.corpus.batching import Batch, collate, deal_batches, mix_seeds, plan_batches
from nmt.corpus.context import LinePair
from nmt.corpus.encoded import EncodedCorpus
from nmt.corpus.reading import Contexts, Pair, ParallelText, Stamp, read_pairs, spread
from nmt.corpus.sampling import GROUP, Cutter, SamplingWorkers
from nmt.corpus.store import StoredCorpus, open_store
from nmt.corpus.weighting import rows_of_epoch
from nmt.errors import NmtError
from nmt.files import remove_dir, sha256_file
from nmt.tokenizer import Tokenizer
from nmt.training.preparation import Tokenizers, encode_dev, flags, make_corpus, paths
from nmt.training.report import DataReport

SAMPLE_PAIRS = 200_000
FEWEST_SHARED = 10_000  # pairs; for fewer, starting workers takes longer than they save
MEMORY_BATCHES = 8  # about, that take what memory an epoch takes
MOST_WORKERS = 8  # on a GPU, each of which cuts some 10,000 pairs a second


@dataclass(frozen=True)
class TrainingData:
    """Everything a run learns from, ready for batches."""

    text: ParallelText
    numbers: Tensor
    """Of the pairs to train on in the text, from 0 (pairs,) int64."""
    corpus: EncodedCorpus
    dev_pairs: list[Pair]
    dev_contexts: list[Contexts]
    dev_corpus: EncodedCorpus
    tokenizers: Tokenizers
    sampling: SamplingWorkers | None
    report: DataReport
    held_out_lines: list[int]  # line numbers from 1, counted through all files
    hash: str
    tags: tuple[int, ...] = ()
    """What sources begin with, see `directed`, if every pair is there in both directions."""
    ends: tuple[int, ...] = ()
    """Where the rows of each pair of files end in the corpus."""
    contexts: tuple[int, int] = (0, 0)
    """How many lines of context there are of both sides."""
    _plans: dict[tuple[int, int, int], list[Tensor]] = field(default_factory=dict)  # the last one

    @property
    def src_tokenizer(self) -> Tokenizer:
        """The tokenizer of the source side."""
        return self.tokenizers.src

    @property
    def tgt_tokenizer(self) -> Tokenizer:
        """The tokenizer of the target side."""
        return self.tokenizers.tgt

    def train_batches(
        self, training: TrainingConfig, *, epoch: int, start: int, device: torch.device
    ) -> Iterator[tuple[Tensor, Batch]]:
        """Batches of an epoch (1, 2, …) from number `start` on, a function of seed and epoch.

        Each comes with the line numbers of its pairs (B,), from 1, counted through all files. Of sampled
        pieces there are as many batches as of plain ones, so that they are some percent larger than
        `training.batch_tokens`. Raises ResourceError if a worker dies.
        """
        order = self._order(training, epoch)
        batches = (
            self._sampled(order, start, training.seed, epoch)
            if self.sampling
            else zip(order[start:], self._plain(order[start:]), strict=True)
        )
        for indices, batch in batches:
            yield 1 + self.numbers[self._rows(indices)], batch.to(device)

    def plain_batches(self, training: TrainingConfig, device: torch.device) -> Iterator[Batch]:
        """Batches of an epoch without sampling, to measure with."""
        for batch in self._plain(self._order(training, epoch=1)):
            yield batch.to(device)

    def batches_of_all_kinds(self, training: TrainingConfig) -> list[Batch]:
        """Some of an epoch without sampling, from that of the longest sentences to that of the shortest.

        The longest take most memory for attention; that of others fits badly into what they leave behind.
        """
        order = self._order(training, epoch=1)
        order = sorted(order, key=lambda indices: -int(self.corpus.tgt_lengths[self._rows(indices)].max()))
        stride = max(1, (len(order) - 1) // (MEMORY_BATCHES - 1))
        return list(self._plain(order[::stride]))

    def num_batches(self, training: TrainingConfig) -> int:
        """Batches of an epoch, about; in another order they may be some more or fewer."""
        return len(self._order(training, epoch=1))

    def num_epoch_tokens(self, training: TrainingConfig) -> int:
        """Target tokens of an epoch, EOS included, about."""
        rows = self._rows(torch.cat(self._order(training, epoch=1)))
        return int(self.corpus.tgt_lengths[rows].sum()) + len(rows)

    def dev_batches(self, device: torch.device, batch_tokens: int) -> Iterator[Batch]:
        """The development set once, without what is too long to train on."""
        corpus = self.dev_corpus
        order = plan_batches(
            corpus.src_lengths, corpus.tgt_lengths, batch_tokens=batch_tokens, seed=0, epoch=0
        )
        for indices in order:
            yield self._collate(corpus, indices).to(device)

    def sample_pairs(self, most: int = SAMPLE_PAIRS) -> list[LinePair]:
        """At most so many pairs of the training text as it was given, spread evenly over it."""
        numbers = spread(self.numbers[:: max(1, len(self.tags))], most)
        found = self.text.select_in_context(flags(numbers, len(self.text)), self.contexts)
        return [(*pair, contexts[0]) if any(self.contexts) else pair for pair, contexts in found]

    def close(self) -> None:
        """End the processes that cut text, if there are any."""
        if self.sampling:
            self.sampling.close()

    def _plain(self, order: list[Tensor]) -> Iterator[Batch]:
        return (self._collate(self.corpus, self._rows(indices)) for indices in order)

    def _rows(self, indices: Tensor) -> Tensor:
        """Rows of the corpus with these numbers in an epoch; see `rows_of_epoch`."""
        return indices % len(self.corpus)

    def _collate(self, corpus: EncodedCorpus, indices: Tensor) -> Batch:
        return collate(corpus, indices, num_tags=1 if self.tags else 0)

    def _sampled(
        self, order: list[Tensor], start: int, seed: int, epoch: int
    ) -> Iterator[tuple[Tensor, Batch]]:
        """Pairs cut anew at random (subword regularisation; Kudo, 2018), with their numbers, from a batch on.

        Those of some batches together are put with others of like lengths, as they have other lengths now.
        """
        assert self.sampling is not None
        first = start - start % GROUP
        cut = self.sampling.cut((indices.tolist() for indices in order[first:]), seed=seed, epoch=epoch)
        for begin in range(first, len(order), GROUP):
            indices = torch.cat(group := order[begin : begin + GROUP])
            corpus = EncodedCorpus.from_pairs(chain.from_iterable(islice(cut, len(group))))
            batches = deal_batches(
                corpus.src_lengths,
                corpus.tgt_lengths,
                num_batches=len(group),
                seed=mix_seeds(seed, epoch, begin),
            )
            for pairs in batches[max(0, start - begin) :]:
                yield indices[pairs], self._collate(corpus, pairs)

    def _order(self, training: TrainingConfig, epoch: int) -> list[Tensor]:
        """The batches of an epoch; planned once, as that takes seconds for millions of pairs."""
        key = (training.batch_tokens, training.seed, epoch)
        if key not in self._plans:
            self._plans.clear()
            self._plans[key] = self._plan(training.batch_tokens, training.seed, epoch)
        return self._plans[key]

    def _plan(self, batch_tokens: int, seed: int, epoch: int) -> list[Tensor]:
        corpus, weights = self.corpus, self.report.weights
        plan = partial(plan_batches, batch_tokens=batch_tokens, seed=seed, epoch=epoch)
        if not weights:
            return plan(corpus.src_lengths, corpus.tgt_lengths)
        rows_of_pair = max(1, len(self.tags))
        indices = rows_of_epoch(self.ends, weights, rows_of_pair=rows_of_pair, seed=seed, epoch=epoch)
        rows = self._rows(indices)
        return [indices[batch] for batch in plan(corpus.src_lengths[rows], corpus.tgt_lengths[rows])]


def prepare(
    config: Config,
    *,
    store_dir: Path | None = None,
    is_shared: bool = False,
    tokenizer_dir: Path | None = None,
    hash: str = "",
) -> TrainingData:
    """What a run learns from, out of its stored corpus, which is made first unless it is there.

    Without `store_dir` it lies in a temporary folder, and so it does if the one there `is_shared`, as it is
    another process that made it, and can not be used. `tokenizer_dir` holds tokenizers to use; `hash` is
    the `data_hash` of the text if it is known already. Raises DataError if the text can not be used.
    """
    hash = hash or data_hash(config)
    given = Tokenizers.load(tokenizer_dir, is_joint=config.tokenizer.joint) if tokenizer_dir else None
    if is_shared and store_dir is not None and _open(config, store_dir, given, hash) is None:
        store_dir = None
    if store_dir is not None:
        num_workers = _num_sampling_workers(config)
        return _open_or_make(config, store_dir, given, hash, num_workers=num_workers)
    with TemporaryDirectory(prefix="nmt-corpus-", ignore_cleanup_errors=True) as name:
        # what is mapped by this process stays readable when the file has gone; workers would come too late
        return _open_or_make(config, Path(name) / "corpus", given, hash, num_workers=0)


def read_paths(data: DataConfig) -> ParallelText:
    """The training text; DataError if the files of a pair differ in their number of lines."""
    src_paths, tgt_paths = paths(data)
    return read_pairs(src_paths, tgt_paths, on_invalid=data.invalid_utf8)


def data_hash(config: Config) -> str:
    """SHA-256 over the content of every file of text, and of the tokenizer if one was given."""
    data = config.data
    paths = [*data.src, *data.tgt, data.dev_src, data.dev_tgt, config.tokenizer.model]
    digests = [sha256_file(Path(path)) if path else "" for path in paths]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _open_or_make(
    config: Config, folder: Path, given: Tokenizers | None, hash: str, *, num_workers: int
) -> TrainingData:
    stored = _open_or_make_store(config, folder, given, hash)
    tokenizers = given or Tokenizers.load(folder, is_joint=config.tokenizer.joint)
    ends = torch.searchsorted(stored.numbers, torch.tensor(stored.facts["file_pairs"]).cumsum(0))
    corpora = ends.diff(prepend=ends.new_zeros(1)) // max(1, len(tokenizers.tags(config.data)))
    facts = stored.facts["report"] | {"corpora": tuple(corpora.tolist()), "weights": config.data.weights}
    report = DataReport(**facts)
    alpha = config.tokenizer.sampling_alpha
    tags, longest = tokenizers.tags(config.data), config.data.max_length
    cutter = Cutter(folder, tokenizers.src.data, tokenizers.tgt.data, alpha, longest, tags)
    if len(stored.numbers) < FEWEST_SHARED:
        num_workers = 0
    dev_pairs = [(src, tgt) for src, tgt in stored.facts["dev_pairs"]]
    dev_contexts = [(tuple(src), tuple(tgt)) for src, tgt in stored.facts["dev_contexts"]]
    src_paths, tgt_paths = (tuple(each) for each in paths(config.data))
    on_invalid, num_invalid = config.data.invalid_utf8, stored.facts["num_invalid"]
    stamps = tuple(map(Stamp.of, (*src_paths, *tgt_paths)))
    return TrainingData(
        text=ParallelText(src_paths, tgt_paths, report.num_pairs, on_invalid, num_invalid, stamps=stamps),
        numbers=stored.numbers,
        corpus=stored.corpus,
        dev_pairs=dev_pairs,
        dev_contexts=dev_contexts,
        dev_corpus=encode_dev(config.data, tokenizers, dev_pairs, dev_contexts),
        tokenizers=tokenizers,
        sampling=SamplingWorkers(cutter, num_workers=num_workers) if alpha else None,
        report=report,
        held_out_lines=stored.facts["held_out_lines"],
        hash=hash,
        tags=tags,
        ends=tuple(ends.tolist()),
        contexts=config.data.contexts,
    )


def _open_or_make_store(config: Config, folder: Path, given: Tokenizers | None, hash: str) -> StoredCorpus:
    """The stored corpus in a folder; what is there and damaged, or made of something else, is replaced."""
    stored = _open(config, folder, given, hash)
    if stored is not None:
        return stored
    if folder.exists():
        remove_dir(folder)
    try:
        publish(folder, lambda new_dir: make_corpus(new_dir, config, given, _made_of(config, hash)))
    except BaseException:
        with suppress(NmtError, OSError):
            remove_dir(folder.with_name(folder.name + ".tmp"))
        raise
    stored = _open(config, folder, given, hash)
    assert stored is not None, f"{folder}: not readable though it was just written"
    return stored


def _open(config: Config, folder: Path, given: Tokenizers | None, hash: str) -> StoredCorpus | None:
    """The stored corpus in a folder, if it is whole and made of what is asked for."""
    wanted = _made_of(config, hash)
    if given:
        del wanted["tokenizer"]  # how they were made is of no interest then
        wanted["tokenizers"] = given.hashes
    stored = open_store(folder, wanted)
    if stored is None or stored.has_lines or not config.tokenizer.sampling_alpha:
        return stored
    return None


def _made_of(config: Config, hash: str) -> dict[str, Any]:
    """All that a stored corpus depends on."""
    data, tokenizer = asdict(config.data), asdict(config.tokenizer)
    for name in ("src", "tgt", "dev_src", "dev_tgt"):
        del data[name]  # their content is in the hash
    del data["weights"]  # of no interest until there are batches
    languages = config.data.languages if config.data.bidirectional else ("", "")
    data["src_lang"], data["tgt_lang"] = languages
    for name in ("model", "sampling_alpha"):
        del tokenizer[name]
    return {
        "hash": hash,
        "data": data,
        "tokenizer": tokenizer,
        "seed": config.training.seed,
        "dev_sentences": config.training.dev_sentences,
    }


def _num_sampling_workers(config: Config) -> int:
    """One is enough for what CPUs train in a second; a GPU is given those cores that it leaves idle."""
    if config.training.device == "cpu" or not torch.cuda.is_available():
        return 1
    return max(1, min(MOST_WORKERS, torch.get_num_threads() - 1))  # its share, if there are several ranks
