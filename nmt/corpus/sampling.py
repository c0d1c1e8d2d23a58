"""Pairs cut at random by worker processes: a function of seed, epoch and number, whoever does it."""

import mmap
import multiprocessing
import random
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from os import _exit
from pathlib import Path
from types import FrameType

from nmt.corpus.context import before
from nmt.errors import ResourceError
from nmt.tokenizer import Tokenizer

# Workers import this module and what it imports; without torch that takes a tenth of a second, not several.

SIDES = ("src", "tgt")
IN_CONTEXT = "\n"
"""Stands between stored lines of a context and the line that has it: no line has one."""
GROUP = 32  # batches whose pairs are dealt out anew, by the lengths that they have got
AHEAD = 2 * GROUP  # batches that are cut or being cut before they are asked for
LAST_SECONDS = 3  # in which a worker that was told to end still works: time to stop for who was told the same
Rows = list[tuple[list[int], list[int]]]


@dataclass(frozen=True)
class Cutter:
    """What it takes to cut pairs: where their lines lie, tokenizers, and how random it is to be."""

    folder: Path  # as `nmt.corpus.store` writes it, with lines
    src_tokenizer: bytes
    tgt_tokenizer: bytes
    alpha: float
    max_length: int
    """In pieces; what would be longer is cut as without sampling."""
    tags: tuple[int, ...] = ()
    """With them the corpus has every pair in both directions, see `nmt.corpus.encoded.directed`."""


class Sampler:
    """Cuts pairs by subword regularisation (Kudo, 2018), in this process."""

    def __init__(self, cutter: Cutter) -> None:
        self._cutter = cutter
        self._lines = [_Lines(cutter.folder, side) for side in SIDES]
        self._num_rows = len(self._lines[0]) * max(1, len(cutter.tags))
        self._tokenizers = [Tokenizer.from_bytes(cutter.src_tokenizer)]
        is_joint = cutter.src_tokenizer == cutter.tgt_tokenizer
        self._tokenizers.append(
            self._tokenizers[0] if is_joint else Tokenizer.from_bytes(cutter.tgt_tokenizer)
        )

    def cut(self, numbers: Sequence[int], *, seed: int, epoch: int) -> Rows:
        """The pieces of the pairs with these numbers in the stored corpus, both sides.

        A pair that comes again in an epoch has another number, see `rows_of_epoch`, and is cut otherwise.
        """
        return [
            self._cut_pair(number % self._num_rows, random.Random(f"{seed} {epoch} {number}"))
            for number in numbers
        ]

    def _cut_pair(self, number: int, generator: random.Random) -> tuple[list[int], list[int]]:
        tags = self._cutter.tags
        line_number, direction = divmod(number, len(tags)) if tags else (number, 0)
        sides = zip(self._lines, self._tokenizers, strict=True)
        src, tgt = (
            [self._cut_line(line, tokenizer, generator) for line in lines[line_number]]
            for lines, tokenizer in sides
        )
        if direction:
            src, tgt = tgt, src
        *context, own = src
        room = self._cutter.max_length - len(own)
        return [*tags[direction : direction + 1], *before(context, room), *own], tgt[-1]

    def _cut_line(self, line: str, tokenizer: Tokenizer, generator: random.Random) -> list[int]:
        ids = tokenizer.sample(line, alpha=self._cutter.alpha, generator=generator)
        return ids if len(ids) <= self._cutter.max_length else tokenizer.encode(line)


class SamplingWorkers:
    """Processes that cut pairs before they are asked for; with none of them, it is done when it is."""

    def __init__(self, cutter: Cutter, *, num_workers: int) -> None:
        self._cutter = cutter
        self._num_workers = num_workers
        self._pool: ProcessPoolExecutor | None = None
        self._sampler = None if num_workers else Sampler(cutter)

    def cut(self, batches: Iterable[Sequence[int]], *, seed: int, epoch: int) -> Iterator[Rows]:
        """The pieces of the pairs of each batch, in order; ResourceError if a worker dies."""
        if self._sampler is not None:
            for numbers in batches:
                yield self._sampler.cut(numbers, seed=seed, epoch=epoch)
            return
        pending: deque[Future[Rows]] = deque()
        try:
            for numbers in batches:
                pending.append(self._submit(numbers, seed, epoch))
                if len(pending) > AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool as error:
            raise ResourceError(
                "a process that cuts text into pieces has died, as when memory runs out; "
                "the same command goes on from the last checkpoint"
            ) from error
        finally:
            for future in pending:
                future.cancel()

    def close(self) -> None:
        """End the processes; they are started again if they are needed."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _submit(self, numbers: Sequence[int], seed: int, epoch: int) -> Future[Rows]:
        if self._pool is not None:
            return self._pool.submit(_work, numbers, seed, epoch)
        # not a fork, which would copy the locks that torch's threads hold, but not the threads
        context: BaseContext = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(self._num_workers, context, _begin_work, (self._cutter,))
        with _deaf_to_ctrl_c():
            return self._pool.submit(_work, numbers, seed, epoch)  # starts all of them


class _Lines:
    """The lines of one side, each behind its context, mapped into memory."""

    def __init__(self, folder: Path, side: str) -> None:
        self._text = _mapped(folder / f"{side}.lines")
        self._offsets = memoryview(_mapped(folder / f"{side}.line_offsets")).cast("q")

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, number: int) -> list[str]:
        text = self._text[self._offsets[number] : self._offsets[number + 1]].decode()
        return text.split(IN_CONTEXT)


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


# In a worker

_sampler: Sampler


def _work(numbers: Sequence[int], seed: int, epoch: int) -> Rows:
    return _sampler.cut(numbers, seed=seed, epoch=epoch)


def _begin_work(cutter: Cutter) -> None:
    global _sampler
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGTERM, _end_soon)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _sampler = Sampler(cutter)


def _end_soon(_signal: int, _frame: FrameType | None) -> None:
    signal.alarm(LAST_SECONDS)


def _end_with_parent() -> None:
    """Else a worker would wait for ever if the process that trains is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "not a worker"
    parent.join()
    _exit(1)


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes that are started now never hear Ctrl-C; this one hears it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
