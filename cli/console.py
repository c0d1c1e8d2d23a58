"""The two streams of the program: results on stdout, everything else on stderr."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

from rich.console import Console

Level = Literal["info", "warning", "error"]

STYLES: dict[Level, str] = {"info": "", "warning": "yellow", "error": "red"}

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class Messages(logging.Handler):
    """How messages appear on stderr, those of the library's logger included."""

    as_json = False
    """One JSON object a line, with time, level and message, and no progress."""

    def emit(self, record: logging.LogRecord) -> None:
        """Show what the library warned of."""
        warn(record.getMessage())


messages = Messages(logging.WARNING)
logging.getLogger("nmt").addHandler(messages)


def write_line(line: str, *, flush: bool = False) -> None:
    """Write one line of plain text to stdout, as UTF-8 whatever the locale."""
    sys.stdout.buffer.write(line.encode(errors="backslashreplace") + b"\n")  # names of files may be bytes
    if flush:
        sys.stdout.buffer.flush()


def say(message: str, *, level: Level = "info", style: str = "") -> None:
    """Tell the user something on stderr, in one line, as it is."""
    if messages.as_json:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        record = {"time": now, "level": level, "message": message}
        err.file.write(f"{json.dumps(record, ensure_ascii=False)}\n")
        err.file.flush()
        return
    text = message if level == "info" else f"{level}: {message}"
    err.print(text, style=style or STYLES[level], markup=False, soft_wrap=True)


def warn(message: str) -> None:
    """Warn the user on stderr, in one line."""
    say(message, level="warning")


def is_watched() -> bool:
    """Whether a person is looking at stderr, so that progress may be drawn there."""
    return err.is_terminal and not messages.as_json


def is_terminal() -> bool:
    """Whether a person is looking at stdout."""
    return sys.stdout.isatty()


def is_interactive() -> bool:
    """Whether a person is typing into stdin."""
    return sys.stdin.isatty()
