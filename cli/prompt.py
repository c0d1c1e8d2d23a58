"""The prompt of `nmt translate`: a greeting, and a history of what was typed, kept from run to run."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.config import Config
from nmt.errors import NmtError
from nmt.files import make_dir, read_lines, write_text

from .line_source import mended, one_line

if TYPE_CHECKING:
    from nmt.checkpoint import Direction

MOST_KEPT = 1000  # lines of the history


def greeting(model: Path, config: Config, direction: "Direction") -> str:
    """Which model answers, from which language into which if it is known, and how to leave."""
    from nmt.training.card import known_languages

    known = (direction.src_lang, direction.tgt_lang) if direction.tag_ids else known_languages(config)
    languages = " to ".join(known)
    name = f"{model}, {languages}" if languages else str(model)
    new = "; a blank one begins another document" if config.data.context else ""
    return f"{name}: each line is translated as it is entered{new}; Ctrl-D ends"


def ask() -> str:
    """A line that is typed, with U+FFFD for bytes that are not UTF-8; EOFError at Ctrl-D."""
    return mended(one_line(input("> ")))


@contextmanager
def history() -> Iterator[Callable[[str], None]]:
    """Lines of runs before are there again for the arrow keys; those it is called with join them at the end.

    Where the file can not be read or written there is none of that, without a word.
    """
    try:
        import readline  # here, as some of its versions greet a terminal with control characters
    except ImportError:  # Windows, whose prompts have a history of their own
        yield lambda _: None
        return
    readline.clear_history()
    for line in _read():
        with suppress(ValueError):  # not of the characters of this terminal
            readline.add_history(line)
    typed: list[str] = []
    try:
        yield typed.append
    finally:
        _keep(typed[-MOST_KEPT:])


def history_path() -> Path:
    """Where the history lies: in the folder that XDG names for the state of programs."""
    folder = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not folder.is_absolute():
        folder = Path("~/.local/state").expanduser()
    return folder / "nmt" / "history"


def _read() -> list[str]:
    with suppress(NmtError, OSError, RuntimeError):  # RuntimeError: nobody knows a home
        return list(read_lines(history_path(), on_invalid="replace"))[-MOST_KEPT:]
    return []


def _keep(typed: list[str]) -> None:
    """Add to what the file has by now, as another prompt may have ended meanwhile."""
    typed = [line for line in typed if line.strip()]
    if not typed:
        return
    with suppress(NmtError, OSError, RuntimeError):
        path = history_path()
        make_dir(path.parent, mode=0o700)  # what was typed is nobody else's business
        write_text(path, "".join(f"{line}\n" for line in [*_read(), *typed][-MOST_KEPT:]))
