"""The two streams of the program: results on stdout, everything else on stderr."""

import sys

from rich.console import Console

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def write_line(line: str, *, flush: bool = False) -> None:
    """Write one line of plain text to stdout, as UTF-8 whatever the locale."""
    sys.stdout.buffer.write(line.encode() + b"\n")
    if flush:
        sys.stdout.buffer.flush()


def say(message: str, *, style: str = "") -> None:
    """Tell the user something on stderr, in one line, as it is."""
    err.print(message, style=style, markup=False, soft_wrap=True)


def warn(message: str) -> None:
    """Warn the user on stderr, in one line."""
    say(f"warning: {message}", style="yellow")


def is_terminal() -> bool:
    """Whether a person is looking at stdout."""
    return sys.stdout.isatty()


def is_interactive() -> bool:
    """Whether a person is typing into stdin."""
    return sys.stdin.isatty()
