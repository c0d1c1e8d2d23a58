"""Copies of this process that compute side by side: threads of one wait for each other between operations."""

import ctypes
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import torch

Item = TypeVar("Item")
Tell = Callable[[Any], None]
"""Takes something that can be pickled."""

ENDINGS = (signal.SIGINT, signal.SIGTERM)
MOST_WAIT = 1.0  # seconds, for other threads
RUNNING = ("R", "D")  # states of threads, see proc(5)


def can_copy() -> bool:
    """Whether a process can be copied here: on other systems than Linux not all libraries bear it."""
    return sys.platform == "linux"


def in_copies(work: Callable[[Item, Tell], None], items: Sequence[Item]) -> Iterator[Any]:
    """What `work(item, tell)` tells of every item, each in a copy of this process with one thread.

    An error in a copy is raised here and ends the others, and so does closing the iterator. Nothing is raised
    where the system kills a copy, or has no room for another: what is not told then is missing. Copies see
    memory as it is now, and share it. No other thread may compute meanwhile: a lock that it holds would stay
    locked in the copies. One that is about to end is waited for.
    """
    copies: dict[Connection, int] = {}  # process ids by where they are heard
    _wait_for_other_threads()
    try:
        with suppress(OSError):
            for item in items:
                _start(work, item, copies)
        while copies:
            for ear in wait(list(copies)):
                assert isinstance(ear, Connection)
                try:
                    told = ear.recv()
                except (EOFError, OSError):  # done, or killed in the middle of a word
                    _bury(ear, copies.pop(ear))
                    continue
                if isinstance(told, _Failed):
                    raise told.error
                yield told
    finally:
        for ear, process_id in copies.items():
            os.kill(process_id, signal.SIGKILL)
            _bury(ear, process_id)


def _wait_for_other_threads() -> None:
    """Wait until all threads but this one sleep or are gone, for `MOST_WAIT` at most.

    A thread that was waited for in Python still gives back what libraries keep for it, under their locks.
    """
    until = time.monotonic() + MOST_WAIT
    while _is_another_running() and time.monotonic() < until:
        time.sleep(0.001)


def _is_another_running() -> bool:
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it is gone
            state = (thread / "stat").read_text().rpartition(")")[2].split()[0]
            if state in RUNNING and int(thread.name) != threading.get_native_id():
                return True
    return False


class _Failed:
    """The error that ended a copy."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _start(work: Callable[[Item, Tell], None], item: Item, copies: dict[Connection, int]) -> None:
    """Set a copy to work, and put it among the others."""
    ear, mouth = Pipe(duplex=False)
    with mouth:
        parent = os.getpid()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)  # until the copy has none of our handlers
        try:
            process_id = os.fork()
            if not process_id:
                _run(work, item, mouth, parent)
            copies[ear] = process_id
        except OSError:
            ear.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _bury(ear: Connection, process_id: int) -> None:
    ear.close()
    with suppress(ChildProcessError):  # where the program lets the system do it
        os.waitpid(process_id, 0)


def _run(work: Callable[[Item, Tell], None], item: Item, mouth: Connection, parent: int) -> NoReturn:
    """Be a copy, and end without what belongs to the end of a program, which is the parent's."""
    try:
        for number in ENDINGS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
        _end_with(parent)
        torch.set_num_threads(1)  # the pool of threads is not copied
        work(item, mouth.send)
    except BaseException as error:
        with suppress(BrokenPipeError):
            mouth.send(_Failed(_told(error)))
    finally:
        os._exit(0)


def _told(error: BaseException) -> BaseException:
    """An error as it can be told: itself, unless what it is made of can not be pickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(repr(error))
    return error


def _end_with(parent: int) -> None:
    """Have this process killed when its parent ends, however that ends."""
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG in prctl.h
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != parent:  # it was too late
        os._exit(1)
