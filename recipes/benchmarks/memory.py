"""Memory of a process together with the copies of it that work for it (Linux)."""

import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

SECONDS = 1.0  # between two looks, each of which takes some 20 ms of a core for a gigabyte


class PeakMemory:
    """Looks at a process and all that it has started while the block runs.

    A page that several of them share counts once. What comes and goes between two looks is only seen where
    it is of the process itself, whose own peak the kernel keeps.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._most = 0
        self._is_over = threading.Event()
        self._watch = threading.Thread(target=self._look_again, daemon=True)

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._watch.join()

    def look(self) -> tuple[int, int]:
        """Bytes now, and the most so far; 0 where there is no such process."""
        now = sum(map(shared_bytes, family(self._pid)))
        own = in_kilobytes(Path(f"/proc/{self._pid}/status"), "VmHWM")
        self._most = max(self._most, now, own)
        return now, self._most

    def _look_again(self) -> None:
        while not self._is_over.wait(SECONDS):
            self.look()

    @property
    def most(self) -> int:
        """The most bytes that were seen."""
        return self._most


def family(pid: int) -> Iterator[int]:
    """A process and all that descend from it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it may just have ended
            for child in task.read_text(encoding="ascii").split():
                yield from family(int(child))


def shared_bytes(pid: int) -> int:
    """Resident memory of a process, in which a page that n processes share counts as an nth of one."""
    return in_kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss")


def in_kilobytes(path: Path, name: str) -> int:
    """Bytes that a file of the kernel tells under a name; 0 if it tells none, or has gone."""
    with suppress(OSError):
        if found := re.search(rf"^{name}:\s+(\d+) kB", path.read_text(encoding="ascii"), re.MULTILINE):
            return 1024 * int(found[1])
    return 0
