"""Ctrl-C and SIGTERM: the first lets a line be written, or a training be saved, the second ends at once."""

import os
import signal
import socket
import sys
import threading
import time
from types import TracebackType
from typing import Self

from .console import say

SIGNALS = (signal.SIGINT, signal.SIGTERM)
ECHO_SECONDS = 5.0
SHOW_CURSOR = b"\x1b[?25h\n"


class WholeLines:
    """While a line is being written the first signal waits, so that no line is cut and all are counted."""

    def __init__(self) -> None:
        self._is_writing = False
        self._waiting = 0  # the number of a signal

    def leave(self, number: int, _: object) -> None:
        """Handle a signal: unwind the program, at once or behind the line."""
        if self._is_writing and not self._waiting:
            self._waiting = number
        else:
            raise SystemExit(128 + number)

    def __enter__(self) -> None:
        self._is_writing = True

    def __exit__(self, *_: object) -> None:
        self._is_writing = False
        if number := self._waiting:
            self._waiting = 0
            raise SystemExit(128 + number)


whole_lines = WholeLines()


class SignalWatch:
    """Remembers the first signal once there is something to save; before that a signal ends the program.

    A thread of its own hears them, as the main one may be inside of a long computation. Of several
    processes that train together one speaks; the others leave when that does.
    """

    def __init__(
        self,
        *,
        speaks: bool = True,
        quiet: bool = False,
        before: str = "stopped before the first step; the same command begins again",
        stopping: str = "stopping after this step, and saving",
    ) -> None:
        self.quiet = quiet
        self.texts = before, stopping
        self.received = 0
        self.speaks = speaks
        self.has_begun = not speaks
        self._received_at = 0.0

    def begin(self) -> None:
        """From here on there is something to save."""
        self.has_begun = True

    def __enter__(self) -> Self:
        self._ear, self._mouth = socket.socketpair()
        self._mouth.setblocking(False)
        self._wakeup_before = signal.set_wakeup_fd(self._mouth.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
        threading.Thread(target=self._watch, args=(self._ear,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._mouth.close()  # which ends the thread

    def _watch(self, ear: socket.socket) -> None:
        """Act on the number of each signal as it arrives."""
        with ear:
            while number := int.from_bytes(ear.recv(1)):
                if number not in SIGNALS:
                    continue
                if self.received and self._is_echo():
                    continue
                if self.received:
                    _leave(number)
                if not self.has_begun:
                    say(self.texts[0])
                    _leave(number)
                if self.speaks and not self.quiet:
                    say(f"{self.texts[1]}; once more ends at once")
                self.received, self._received_at = number, time.monotonic()

    def _is_echo(self) -> bool:
        """Whether it is the first signal again, passed on by a launcher to processes that had it too."""
        is_launched = "TORCHELASTIC_RUN_ID" in os.environ
        return is_launched and time.monotonic() - self._received_at < ECHO_SECONDS


def _leave(number: int) -> None:
    """End the program here and now; only the cursor, which a live picture hides, is put right."""
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), SHOW_CURSOR)
    os._exit(128 + number)
