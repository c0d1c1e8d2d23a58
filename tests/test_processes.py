"""Copies of a process: what they tell, what becomes of them, and of what they did not tell."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import pbkdf2_hmac
from pathlib import Path

import pytest
import torch

from nmt import processes
from nmt.errors import ResourceError
from nmt.processes import Tell, can_copy, in_copies

pytestmark = pytest.mark.skipif(not can_copy(), reason="processes are not copied here")


def is_there(process_id: int) -> bool:
    """Whether a process runs."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_every_item_is_worked_on_in_a_process_of_its_own_with_one_thread() -> None:
    def work(item: int, tell: Tell) -> None:
        for number in range(3):
            tell((item, number, os.getpid(), torch.get_num_threads()))

    threads = torch.get_num_threads()
    told = list(in_copies(work, [5, 6, 7]))
    assert sorted(each[:2] for each in told) == [(item, number) for item in (5, 6, 7) for number in range(3)]
    processes = {each[0]: each[2] for each in told}
    assert len({os.getpid(), *processes.values()}) == 4
    assert {each[3] for each in told} == {1}
    assert torch.get_num_threads() == threads
    assert not any(map(is_there, processes.values()))


@pytest.mark.parametrize("most", [20.0, 0.05])
def test_a_thread_that_is_about_to_end_is_waited_for(monkeypatch: pytest.MonkeyPatch, most: float) -> None:
    """It may hold a lock that would stay locked in the copies; one that goes on is not waited for long."""
    monkeypatch.setattr(processes, "MOST_WAIT", most)

    def compute() -> float:
        start = time.monotonic()
        pbkdf2_hmac("sha256", b"", b"", 1_000_000)  # without the lock of the interpreter
        return time.monotonic() - start

    seconds = compute()
    other = threading.Thread(target=compute)
    other.start()
    start = time.monotonic()
    [begun] = in_copies(lambda _, tell: tell(time.monotonic()), [None])
    other.join()
    assert (begun - start > seconds / 2) == (most > seconds)


def test_products_are_computed_after_threads_have_computed() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    x = torch.rand(300, 300)
    expected = x @ x  # with a pool of threads, which copies do not have
    told = list(in_copies(lambda item, tell: tell((item @ item).numpy()), [x, x]))
    torch.set_num_threads(before)
    assert all(torch.allclose(expected, torch.from_numpy(each)) for each in told)


def test_an_error_ends_all_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    fork, copies = os.fork, list[int]()

    def noted_fork() -> int:
        copies.append(fork())
        return copies[-1]

    monkeypatch.setattr(os, "fork", noted_fork)

    def work(item: str, tell: Tell) -> None:
        if item == "bad":
            raise ResourceError("out of memory")
        tell(os.getpid())
        time.sleep(60)

    heard: list[int] = []
    with pytest.raises(ResourceError, match="out of memory"):
        heard += in_copies(work, ["good", "bad"])
    assert len(copies) == 2
    for process_id in copies:
        with pytest.raises(ChildProcessError):
            os.waitpid(process_id, os.WNOHANG)


class OddError(Exception):
    """One that is not made of its arguments."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(f"{number} {text}")


def test_an_error_that_can_not_be_pickled_is_told_in_words() -> None:
    def work(_: int, _tell: Tell) -> None:
        raise OddError(3, "apples")

    with pytest.raises(RuntimeError, match=r"OddError\('3 apples'\)"):
        list(in_copies(work, [1]))


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_a_signal_while_a_copy_is_made_ends_that_too(monkeypatch: pytest.MonkeyPatch) -> None:
    fork, copies = os.fork, list[int]()

    def fork_and_interrupt() -> int:
        process_id = fork()
        if process_id:
            copies.append(process_id)
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        return process_id

    monkeypatch.setattr(os, "fork", fork_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(in_copies(lambda _, _tell: time.sleep(60), [1, 2]))
    assert len(copies) == 1
    assert not is_there(copies[0])


def test_whoever_stops_listening_ends_all_copies() -> None:
    def work(_: int, tell: Tell) -> None:
        tell(os.getpid())
        time.sleep(60)

    talk = in_copies(work, [1, 2])
    processes = [next(talk), next(talk)]
    assert all(map(is_there, processes))
    talk.close()  # type: ignore[attr-defined]
    assert not any(map(is_there, processes))


def test_what_a_killed_copy_has_not_told_is_missing() -> None:
    def work(item: int, tell: Tell) -> None:
        tell(item)
        if item == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        tell(10 * item)

    assert sorted(in_copies(work, [1, 2])) == [1, 2, 20]


def test_what_can_not_be_told_is_missing_where_no_process_can_be_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fork() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    assert list(in_copies(lambda item, tell: tell(item), [1, 2])) == []


def test_a_thread_that_waits_for_stdin_does_not_matter() -> None:
    """The lock of sys.stdin is held by it, and stays so in the copies."""
    code = """
import os, sys, threading, time
from nmt.processes import in_copies
reader = threading.Thread(target=sys.stdin.buffer.read, daemon=True)
reader.start()
time.sleep(0.2)
print(sorted(in_copies(lambda item, tell: tell(item), [1, 2])), flush=True)
os._exit(0)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as done:
        assert done.stdout
        assert done.stdout.read() == b"[1, 2]\n"
        assert done.wait(20) == 0


@pytest.fixture(params=[signal.SIGTERM, signal.SIGKILL])
def ending(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


def test_copies_end_with_the_process(ending: int) -> None:
    code = """
import os, time
from nmt.processes import in_copies
def work(item, tell):
    tell(os.getpid())
    time.sleep(60)
for each in in_copies(work, [1, 2]):
    print(each, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        copies = [int(parent.stdout.readline()) for _ in range(2)]
        assert all(map(is_there, copies))
        parent.send_signal(ending)
        wait_for(lambda: not any(map(is_there, copies)))


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """A shell that starts something in the background lets it ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_ctrl_c_ends_all_copies() -> None:
    def work(_: int, tell: Tell) -> None:
        tell(os.getpid())
        time.sleep(60)

    copies: list[int] = []
    threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        copies += in_copies(work, [1, 2])
    assert len(copies) == 2
    assert not any(map(is_there, copies))
