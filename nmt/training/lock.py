"""One trainer at a time in a model folder."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nmt.errors import OutputError
from nmt.files import make_dir

try:
    import fcntl
except ImportError:  # Windows: no such lock, and nothing that speaks against going on without
    fcntl = None  # type: ignore[assignment]

LOCK = "lock"


@contextmanager
def locked(train_dir: Path) -> Iterator[None]:
    """Make the folder if need be, and hold its lock; the system lets go of it however the process ends.

    A folder that was made for it and holds nothing else in the end, as nothing was trained, is removed again.
    Raises OutputError naming the process that holds it, or if the folder can not be written to.
    """
    missing = [folder for folder in (train_dir, *train_dir.parents) if not folder.exists()]
    make_dir(train_dir)
    try:
        file = (train_dir / LOCK).open("a+", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{train_dir / LOCK}: cannot be created: {error.strerror}") from error
    with file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise OutputError(f"{train_dir.parent}: locked by {file.read().strip()}") from None
            except OSError as error:
                raise OutputError(
                    f"{train_dir / LOCK}: this disk knows no locks: {error.strerror}"
                ) from error
        file.seek(0)
        file.truncate()
        file.write(f"pid {os.getpid()} on host {socket.gethostname()}\n")
        file.flush()
        try:
            yield
        finally:
            if [path.name for path in train_dir.iterdir()] == [LOCK]:
                _remove(train_dir, missing)


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


def _remove(train_dir: Path, made: list[Path]) -> None:
    """Remove the lock and the folders that were made for it, as far as nothing has come into them."""
    with suppress(OSError):
        (train_dir / LOCK).unlink()
        for folder in made:
            folder.rmdir()
