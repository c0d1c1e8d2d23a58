"""Lines in windows that are translated together: full ones from a file, whatever has arrived from a pipe."""

import queue
import threading
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def full_windows(lines: Iterable[T], size: int) -> Iterator[list[T]]:
    """Windows of `size` lines; the last one has what is left."""
    stream = iter(lines)
    while window := list(islice(stream, size)):
        yield window


def arrived_windows(lines: Iterable[T], size: int) -> Iterator[list[T]]:
    """Windows of one to `size` lines: what a thread of its own has read until the window is asked for.

    So somebody who writes one line and waits is answered at once, and who writes many gets large windows.
    At most `size` lines are read ahead.
    """
    arrived: queue.Queue[T | _End] = queue.Queue(maxsize=size)
    closed = threading.Event()
    # A daemon: a thread that waits for a line that never comes must not keep the program from ending.
    threading.Thread(target=_read, args=(lines, arrived, closed), daemon=True).start()
    try:
        while True:
            window, end = _next_window(arrived, size)
            if window:
                yield window
            if end is not None:
                if end.error is not None:
                    raise end.error
                return
    finally:
        closed.set()


class _End:
    """No more lines come, because of an error if there is one."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def _read(lines: Iterable[T], arrived: "queue.Queue[T | _End]", closed: threading.Event) -> None:
    end = _End()
    try:
        for line in lines:
            if not _put(line, arrived, closed):
                return
    except BaseException as error:  # raised again where the lines are used
        end = _End(error)
    _put(end, arrived, closed)


def _put(item: "T | _End", arrived: "queue.Queue[T | _End]", closed: threading.Event) -> bool:
    """Hand an item over as soon as there is room; false if nobody wants it any more."""
    while not closed.is_set():
        try:
            arrived.put(item, timeout=0.5)
            return True
        except queue.Full:
            continue
    return False


def _next_window(arrived: "queue.Queue[T | _End]", size: int) -> tuple[list[T], _End | None]:
    """The lines that are there, at least one, and the end if it is."""
    window: list[T] = []
    item = arrived.get()
    while True:
        if isinstance(item, _End):
            return window, item
        window.append(item)
        if len(window) == size:
            return window, None
        try:
            item = arrived.get_nowait()
        except queue.Empty:
            return window, None
