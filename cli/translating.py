"""Translates lines that have a name and numbers, and tells of those that had to be cut."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from nmt.config import Config, from_dict, override, parse_override
from nmt.errors import DataError, UsageError

from .console import err, warn
from .lines import counted
from .requests import Documents, Request

if TYPE_CHECKING:
    from nmt.decoding import Translation, Translator

MOST_TOLD = 10  # lines that are named one by one


def with_decoding(config: Config, flags: Mapping[str, object], overrides: Sequence[str]) -> Config:
    """The options of a model with those of decoding that were given, by flags or as `section.key=value`.

    Raises UsageError if others are to be changed.
    """
    for key, _ in map(parse_override, overrides):
        if not key.startswith(("decoding.", "alignment.")):
            raise UsageError(f"--set {key}: the model is trained; only decoding.* and alignment.* can be set")
    given = [f"decoding.{key}={value}" for key, value in flags.items() if value is not None]
    return from_dict(override(asdict(config), [*overrides, *given]))


@dataclass(frozen=True)
class Asked:
    """What every translation has to be like, whatever a line asks for besides."""

    prefix: str = ""
    require: tuple[str, ...] = ()

    def of(self, request: Request) -> Request:
        """What a line asks for, with this."""
        return replace(
            request, prefix=request.prefix or self.prefix, require=(*self.require, *request.require)
        )


class LineTranslator:
    """Translates the lines of a source, window by window, and counts them."""

    def __init__(
        self,
        translator: "Translator",
        name: str,
        asked: Asked | None = None,
        *,
        goes_on: bool = False,
    ) -> None:
        """If it `goes_on`, a line that asks for what can not be had is none that ends the work."""
        self.translator = translator
        self.goes_on = goes_on
        self.name = name
        self.asked = asked or Asked()
        self.window = translator.config.window
        self.has_context = translator.context_size > 0
        self.num_lines = 0
        self._documents = Documents(translator.context_size)
        self._longest = translator.longest
        self._num_cut = 0

    def translate(
        self, requests: Sequence[Request], on_progress: Callable[[int], None] | None = None
    ) -> "Iterator[tuple[Request, Translation]]":
        """Translate the next lines, and say why where what is asked can not be had, in a request's `error`.

        Unless that is to be gone on from, DataError names such a line once those before it are dealt with.
        """
        requests, refused = [self.asked.of(request) for request in requests], dict[int, str]()
        translations = self.translator.translate(
            [request.text for request in requests],
            [self._documents.context(request) for request in requests],
            prefixes=[request.prefix for request in requests],
            require=[request.require for request in requests],
            forbid=[request.forbid for request in requests],
            on_progress=on_progress,
            on_refused=refused.__setitem__,
        )
        for index, (request, translation) in enumerate(zip(requests, translations, strict=True)):
            if index in refused and not self.goes_on:
                raise DataError(f"{self.name}:{self.num_lines + 1}: {refused[index]}")
            self.num_lines += 1
            if translation.num_parts > 1 or translation.num_pieces > self._longest:
                self._num_cut += 1
                if self._num_cut <= MOST_TOLD:
                    self._tell(translation)
            yield (replace(request, error=refused[index]) if index in refused else request), translation

    def explain(self) -> None:
        """Tell how many lines were cut, if not all of them were named."""
        if self._num_cut > MOST_TOLD:
            warn(f"{self.name}: {self._num_cut:,} lines in all had to be cut")

    def _tell(self, translation: "Translation") -> None:
        found, parts = translation.num_pieces, translation.num_parts
        reason = f"{found:,} pieces > max {self._longest}" if found > self._longest else "out of memory"
        done = f"split into {parts} parts" if parts > 1 else "cut off there"
        warn(f"{self.name}: line {self.num_lines}: {reason}, {done}")


@contextmanager
def progress(*, shown: bool) -> Iterator[Callable[[int], None] | None]:
    """A line on stderr that counts sentences, if somebody looks at it."""
    if not shown:
        yield None
        return
    start, num_done, lock = time.monotonic(), 0, threading.Lock()

    def add(num_sentences: int) -> None:
        nonlocal num_done
        with lock:
            num_done += num_sentences
        status.update(speed(num_done, time.monotonic() - start, "sentence"))

    with err.status("translating") as status:
        yield add


def speed(number: int, seconds: float, unit: str = "line") -> str:
    """A number of things that were done, and how many in a second."""
    return f"{counted(number, unit)} in {seconds:.1f} s, {number / max(seconds, 1e-9):,.1f} {unit}s/s"
