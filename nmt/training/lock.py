"""One trainer at a time in a model folder."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nmt.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows: no such lock, and nothing that speaks against going on without
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(train_dir: Path) -> Iterator[None]:
    """Hold the folder's lock; the system lets go of it when the process ends, however it ends.

    Raises OutputError naming the process that holds it.
    """
    with (train_dir / "lock").open("a+", encoding="utf-8") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                raise OutputError(f"{train_dir.parent}: locked by {file.read().strip()}") from None
        file.seek(0)
        file.truncate()
        file.write(f"pid {os.getpid()} on host {socket.gethostname()}\n")
        file.flush()
        yield
