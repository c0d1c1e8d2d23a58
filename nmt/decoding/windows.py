"""Lines in windows that are worked on together: full ones from a file, whatever has arrived from a pipe."""

import threading
from collections.abc import Iterable, Iterator, Sized
from typing import Generic, TypeVar

Line = TypeVar("Line", bound=Sized)
"""A line, or what was made of one, with a length in characters."""

MOST_CHARACTERS = 1 << 22
"""A window is full with so many, however few lines they are: its pieces take many times their memory."""


def full_windows(lines: Iterable[Line], size: int) -> Iterator[list[Line]]:
    """Windows of `size` lines, or fewer where they are very long; the last one has what is left.

    If reading fails, it has what was read before.
    """
    window: list[Line] = []
    num_characters = 0
    try:
        for line in lines:
            window.append(line)
            num_characters += len(line)
            if len(window) == size or num_characters >= MOST_CHARACTERS:
                yield window
                window, num_characters = [], 0
    except Exception:
        if window:
            yield window
        raise
    if window:
        yield window


def arrived_windows(lines: Iterable[Line], size: int) -> Iterator[list[Line]]:
    """Windows of one to `size` lines: what a thread of its own has read until the window is asked for.

    So somebody who writes one line and waits is answered at once, and who writes many gets large windows.
    No more than another window is read ahead.
    """
    arrived = _Arrived[Line](size)
    # A daemon: a thread that waits for a line that never comes must not keep the program from ending.
    threading.Thread(target=arrived.read, args=(lines,), daemon=True).start()
    try:
        while window := arrived.take():
            yield window
    finally:
        arrived.close()


class _Arrived(Generic[Line]):
    """Lines that were read and not taken yet: a thread adds them while there is room, another takes all."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._changed = threading.Condition()
        self._lines: list[Line] = []
        self._num_characters = 0
        self._is_over = False
        self._error: BaseException | None = None

    def read(self, lines: Iterable[Line]) -> None:
        """Add line after line, until there are no more or nobody wants them."""
        error = None
        try:
            for line in lines:
                if not self._add(line):
                    return
        except BaseException as raised:  # raised again where the lines are used
            error = raised
        self.close(error)

    def take(self) -> list[Line]:
        """What is there, at least one line; none at the end, if that is not an error."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._is_over)
            window, self._lines, self._num_characters = self._lines, [], 0
            self._changed.notify_all()
        if not window and self._error is not None:
            raise self._error
        return window

    def close(self, error: BaseException | None = None) -> None:
        """Have no more lines added."""
        with self._changed:
            self._is_over, self._error = True, error
            self._changed.notify_all()

    def _add(self, line: Line) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._is_over or self._has_room())
            if self._is_over:
                return False
            self._lines.append(line)
            self._num_characters += len(line)
            self._changed.notify_all()
            return True

    def _has_room(self) -> bool:
        return len(self._lines) < self._size and self._num_characters < MOST_CHARACTERS
