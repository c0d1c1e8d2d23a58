"""Pairs are cut at random, but the same way by whoever does it."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nmt.config import TokenizerConfig
from nmt.corpus.cleaning import CleanPairs
from nmt.corpus.sampling import Cutter, Sampler, SamplingWorkers
from nmt.corpus.store import StoreWriter
from nmt.errors import ResourceError
from nmt.tokenizer import Tokenizer, train_tokenizer

LINES = [f"der Apfelbaum Nummer {number} blüht im Garten" for number in range(40)]
PAIRS = [(line, " ".join(reversed(line.split()))) for line in LINES]
BATCHES = [[0, 1], [39, 7, 3], [5], [11, 12, 13]] * 5
WAIT = 60

PROGRAM = """
import multiprocessing, sys
from pathlib import Path
from nmt.corpus.sampling import Cutter, SamplingWorkers

if __name__ == "__main__":
    folder, tokenizer = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()
    workers = SamplingWorkers(Cutter(folder, tokenizer, tokenizer, 0.2, 60), num_workers=1)
    rows = workers.cut(([0] for _ in range(1000)), seed=1, epoch=1)
    next(rows)
    print(multiprocessing.active_children()[0].pid, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def cutter(tmp_path_factory: pytest.TempPathFactory) -> Cutter:
    """Of forty stored pairs."""
    folder = tmp_path_factory.mktemp("store")
    tokenizer = train_tokenizer(LINES, TokenizerConfig(), vocab_size=310, exact=False, threads=1)
    writer = StoreWriter(folder, vocab_sizes=(310, 310), with_lines=True)
    list(writer.write([CleanPairs(list(range(40)), PAIRS, [([4], [4])] * 40, Counter())]))
    writer.finish({}, {})
    return Cutter(folder, tokenizer.data, tokenizer.data, alpha=0.2, max_length=60)


def test_a_pair_that_comes_again_in_an_epoch_is_cut_otherwise(cutter) -> None:
    numbers = [0, *range(40, 400, 40)]  # the first pair, and the same up to the tenth time
    rows = Sampler(cutter).cut(numbers, seed=1, epoch=1)
    tokenizer = Tokenizer.from_bytes(cutter.src_tokenizer)
    assert {tokenizer.decode(src) for src, _ in rows} == {PAIRS[0][0]}
    assert len({tuple(src) for src, _ in rows}) > 1


@contextmanager
def workers_of(cutter: Cutter, num_workers: int) -> Iterator[SamplingWorkers]:
    workers = SamplingWorkers(cutter, num_workers=num_workers)
    try:
        yield workers
    finally:
        workers.close()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_cut_is_a_function_of_seed_epoch_and_number(cutter: Cutter) -> None:
    sampler = Sampler(cutter)
    first, second = sampler.cut([7, 3], seed=1, epoch=2)
    assert Sampler(cutter).cut([3], seed=1, epoch=2) == [second]
    assert sampler.cut([7, 7], seed=1, epoch=2) == [first, first]
    others = [sampler.cut(range(40), seed=seed, epoch=epoch) for seed, epoch in ((1, 2), (1, 3), (2, 2))]
    assert all(others[i] != others[j] for i in range(3) for j in range(i))


def test_a_cut_is_of_the_line(cutter: Cutter) -> None:
    tokenizer = Tokenizer.from_bytes(cutter.src_tokenizer)
    rows = Sampler(cutter).cut(range(40), seed=1, epoch=1)
    assert [(tokenizer.decode(src), tokenizer.decode(tgt)) for src, tgt in rows] == PAIRS
    assert sum(len(src) for src, _ in rows) > sum(map(len, tokenizer.encode_batch(LINES)))


@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_cut_as_this_process_does_in_the_order_asked_for(cutter: Cutter, num_workers: int) -> None:
    with workers_of(cutter, 0) as alone, workers_of(cutter, num_workers) as workers:
        for epoch in (1, 2):
            expected = list(alone.cut(BATCHES, seed=1, epoch=epoch))
            assert list(workers.cut(BATCHES, seed=1, epoch=epoch)) == expected
        assert next(workers.cut(BATCHES[1:], seed=1, epoch=2)) == expected[1]  # and no further
    assert not multiprocessing.active_children()


def test_a_worker_that_dies_is_an_error_and_not_a_wait_for_ever(cutter: Cutter) -> None:
    with workers_of(cutter, 1) as workers:
        rows = workers.cut(BATCHES * 50, seed=1, epoch=1)
        next(rows)
        (worker,) = multiprocessing.active_children()
        worker.kill()
        with pytest.raises(ResourceError, match="a process that cuts text into pieces has died, as when"):
            list(rows)


def test_ctrl_c_and_the_signal_to_end_do_not_stop_a_worker_at_once(cutter: Cutter) -> None:
    """A terminal sends them to all processes; the one that trains decides when it has saved."""
    with workers_of(cutter, 1) as workers:
        rows = workers.cut(BATCHES, seed=1, epoch=1)
        next(rows)
        (worker,) = multiprocessing.active_children()
        assert worker.pid is not None
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            os.kill(worker.pid, signal_number)
        assert len(list(rows)) == len(BATCHES) - 1


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks Linux for the state of a process")
def test_a_worker_ends_when_the_process_that_trains_is_killed(cutter: Cutter, tmp_path: Path) -> None:
    program, tokenizer = tmp_path / "program.py", tmp_path / "tokenizer.model"
    program.write_text(PROGRAM)
    tokenizer.write_bytes(cutter.src_tokenizer)
    command = [sys.executable, str(program), str(cutter.folder), str(tokenizer)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as trainer:
        assert trainer.stdout is not None
        worker = int(trainer.stdout.readline())
        assert is_alive(worker)
        trainer.kill()
    deadline = time.monotonic() + WAIT
    while is_alive(worker):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_worker_does_without_torch() -> None:
    """It takes seconds to import and hundreds of megabytes to hold."""
    program = "import sys, nmt.corpus.sampling; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
