"""Ctrl-C and SIGTERM while training: the first asks it to save and stop, the second ends at once."""

import os
import signal
from types import FrameType, TracebackType
from typing import Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class SignalWatch:
    """Remembers the first signal once there is something to save; before that a signal ends the program."""

    def __init__(self) -> None:
        self.received = 0
        self.has_begun = False

    def begin(self) -> None:
        """From here on there is something to save."""
        self.has_begun = True

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _: FrameType | None) -> None:
        if self.received or not self.has_begun:
            os._exit(128 + number)
        self.received = number
