"""Memory is that of a process and its copies, and what they share counts once."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "recipes" / "benchmarks"
SHARED, OWN = 40_000_000, 20_000_000  # bytes
pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux")

PROGRAM = f"""
import os, sys
shared = b"x" * {SHARED}
num_copies = int(sys.argv[1])
pipe = os.pipe()
for _ in range(num_copies):
    if not os.fork():
        own = b"y" * {OWN}
        os.write(pipe[1], b"!")
        sys.stdin.read()
        os._exit(0)
for _ in range(num_copies):
    os.read(pipe[0], 1)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("memory")


@contextmanager
def copied(num_copies: int) -> Iterator[subprocess.Popen[str]]:
    """A process with so much memory, and so many copies of it with some of their own."""
    pipe, command = subprocess.PIPE, [sys.executable, "-c", PROGRAM, str(num_copies)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.communicate()


def test_what_copies_share_counts_once_and_what_each_has_of_its_own_every_time(memory: ModuleType) -> None:
    sizes = {}
    for num_copies in (0, 3):
        with copied(num_copies) as process, memory.PeakMemory(process.pid) as watch:
            sizes[num_copies], most = watch.look()
        assert most >= sizes[num_copies] >= SHARED
    more = sizes[3] - sizes[0]
    assert 3 * OWN <= more < 3 * OWN + SHARED


def test_the_peak_stays_when_the_process_has_gone(memory: ModuleType) -> None:
    with copied(1) as process, memory.PeakMemory(process.pid) as watch:
        _, most = watch.look()
        process.communicate()
        assert watch.look() == (0, most)
    assert watch.most == most >= SHARED + OWN
