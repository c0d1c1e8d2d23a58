"""One process at a time in a folder that it fills."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from nmt.errors import OutputError
from nmt.files import make_dir

try:
    import fcntl
except ImportError:  # Windows: no such lock, and nothing that speaks against going on without
    fcntl = None  # type: ignore[assignment]

LOCK = "lock"
PAUSES = (0.01, 0.03, 0.1)  # seconds, before the lock is tried again


@contextmanager
def locked(train_dir: Path) -> Iterator[None]:
    """Make the folder if need be, and hold its lock; the system lets go of it however the process ends.

    A folder that was made for it and holds nothing else in the end, as nothing was trained, is removed again.
    Raises OutputError naming the process that holds it, or if the folder can not be written to.
    """
    missing = [folder for folder in (train_dir, *train_dir.parents) if not folder.exists()]
    file = _open(train_dir)
    while not _hold(file, train_dir):  # who held it until now has removed it
        file.close()
        file = _open(train_dir)
    with file:
        file.seek(0)
        file.truncate()
        file.write(f"pid {os.getpid()} on host {socket.gethostname()}\n")
        file.flush()
        try:
            yield
        finally:
            _remove_if_empty(train_dir, missing)


def _open(train_dir: Path) -> TextIO:
    make_dir(train_dir)
    try:
        return (train_dir / LOCK).open("a+", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{train_dir / LOCK}: cannot be created: {error.strerror}") from error


def _hold(file: TextIO, train_dir: Path) -> bool:
    """Lock the file; false if it is no longer the one that lies in the folder."""
    if fcntl is None:
        return True  # type: ignore[unreachable]
    try:
        _take(file)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip()
        file.close()
        place = train_dir.parent if train_dir.name == "train" else train_dir
        raise OutputError(
            f"{place}: locked by {holder}, which works there; wait for it, or give another folder"
        ) from None
    except OSError as error:
        file.close()
        raise OutputError(f"{train_dir / LOCK}: this disk knows no locks: {error.strerror}") from error
    try:
        return os.path.samestat(os.fstat(file.fileno()), (train_dir / LOCK).stat())
    except FileNotFoundError:
        return False


def _take(file: TextIO) -> None:
    """Take the lock; BlockingIOError if another has it for longer than it takes `is_locked` to look."""
    for pause in PAUSES:
        with suppress(BlockingIOError):
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(pause)
    return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_locked(train_dir: Path) -> bool:
    """Whether a process is training there now; false where the system knows no locks."""
    if fcntl is None or not (train_dir / LOCK).exists():
        return False
    with (train_dir / LOCK).open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _remove_if_empty(train_dir: Path, made: list[Path]) -> None:
    """Remove the lock if it is alone, and the folders that were made for it if nothing has come into them."""
    with suppress(OSError):
        if [path.name for path in train_dir.iterdir()] != [LOCK]:
            return
        (train_dir / LOCK).unlink()
        for folder in made:
            folder.rmdir()
