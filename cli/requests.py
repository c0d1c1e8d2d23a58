"""What is asked for, line by line: a text to translate, alone or in a JSON object with fields of its own."""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from nmt.errors import DataError

InputFormat = Literal["text", "jsonl"]

TEXT_FIELDS = ("src", "text")
"""The first of them that an object has is translated."""
OUTCOMES = ("error", "unscored")
"""Fields that say why there is nothing; they say nothing of a text that they came with."""
MOST_NESTED = 100
"""Values inside of values; more could be read, but not be written again."""

_ESCAPES = re.compile(
    r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


@dataclass(frozen=True)
class Request:
    """A text to translate, and the fields that came with it."""

    number: int
    """Of its line, from 0."""
    text: str
    fields: dict[str, Any] = field(default_factory=dict)
    """Those of its JSON object, in their order; none of plain text."""
    prefix: str = ""
    """What its translation begins with."""
    require: tuple[str, ...] = ()
    """Phrases that its translation has."""
    forbid: tuple[str, ...] = ()
    """Phrases that its translation has not."""
    context: tuple[str, ...] | None = None
    """The lines before it, if that are to be others than the texts of the requests before."""
    error: str = ""
    """Why there is nothing to translate on a line of JSON, if that is so."""
    is_gap: bool = False
    """A blank line among JSON objects, which stays one."""

    def __len__(self) -> int:
        return len(self.text)


def format_of(path: Path | None) -> InputFormat:
    """The format that the ending of a file's name tells, also before that of a compressed one."""
    return "jsonl" if path and ".jsonl" in path.suffixes[-2:] else "text"


def plain_requests(lines: Iterable[str]) -> Iterator[Request]:
    """Every line a text, as they arrive."""
    return (Request(number, line) for number, line in enumerate(lines))


def json_requests(
    lines: Iterable[str],
    *,
    name: str,
    strict: bool,
    on_mended: Callable[[int], None],
    needed: str = "a text in src",
    has_context: bool = False,
) -> Iterator[Request]:
    """Every line a JSON object with a text in one of `TEXT_FIELDS`, or blank.

    Of any other line the request says what is wrong with it. `on_mended` hears the number, from 1, of each
    that escapes half a character. With `strict` both are a DataError that names the line. If objects may
    bring context (`has_context`), it is read as by `with_context`.
    """
    for number, line in enumerate(lines):
        whole = _with_whole_characters(line)
        if whole != line:
            if strict:
                raise DataError(f"{name}:{number + 1}: has a \\u escape of half a character")
            on_mended(number + 1)
        request = _parse(whole, number, needed)
        if has_context:
            request = with_context(request)
        if request.error and strict:
            raise DataError(f"{name}:{number + 1}: {request.error}")
        yield request


def _parse(line: str, number: int, needed: str) -> Request:
    if not line.strip():
        return Request(number, "", is_gap=True)
    try:
        fields = json.loads(line, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        return Request(number, "", error=f"not JSON ({error}); expected an object with {needed}")
    if not isinstance(fields, dict):
        return Request(number, "", error=f"not a JSON object; expected one with {needed}")
    if line.count("{") + line.count("[") > MOST_NESTED and _is_deeper(fields, MOST_NESTED):
        return Request(number, "", error=f"more than {MOST_NESTED} values inside of one another")
    key = next((key for key in TEXT_FIELDS if key in fields), None)
    if key is None:
        return Request(number, "", fields, error="has neither src nor text; expected a text in src")
    if not isinstance(fields[key], str):
        return Request(number, "", fields, error=f"{key} is not a text; expected one")
    asked = {name: fields[name] for name in ("prefix", "require", "forbid") if fields.get(name) is not None}
    prefix = asked.get("prefix", "")
    if not isinstance(prefix, str):
        return Request(number, "", fields, error="prefix is not a text; expected one")
    for name in ("require", "forbid"):
        if not _is_list_of_texts(asked.get(name, [])):
            return Request(number, "", fields, error=f"{name} is not a list of texts; expected one")
    require, forbid = (tuple(asked.get(name, ())) for name in ("require", "forbid"))
    return Request(number, fields[key], fields, prefix=prefix, require=require, forbid=forbid)


def without_outcomes(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an object without those in which an earlier run said that it failed."""
    return {name: value for name, value in fields.items() if name not in OUTCOMES}


def with_context(request: Request) -> Request:
    """A request with the context that its field of this name brings, a text or a list of them, if any."""
    context = request.fields.get("context")
    if context is None or request.error:
        return request
    lines = [context] if isinstance(context, str) else context
    if not _is_list_of_texts(lines):
        return Request(
            request.number, "", request.fields, error="context is neither a text nor a list of texts"
        )
    return replace(request, context=tuple(lines))


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number} is not a number of JSON, or too large")
    return value


def _is_deeper(value: Any, most: int) -> bool:
    """Whether there are more lists and objects inside of one another than this."""
    if not isinstance(value, dict | list):
        return False
    inside = value.values() if isinstance(value, dict) else value
    return most == 0 or any(_is_deeper(each, most - 1) for each in inside)


def _with_whole_characters(line: str) -> str:
    """JSON with U+FFFD for every escaped half of a surrogate pair: no UTF-8 could be made of it."""
    return _ESCAPES.sub(lambda found: "\\ufffd" if found["half"] else found[0], line)


class Documents:
    """Tells of requests, in their order, what comes before each in its document."""

    def __init__(self, size: int) -> None:
        """`size` are the lines that are looked back at."""
        from nmt.corpus.context import Document

        self._document = Document(size)
        self._size = size
        self._doc: Any = None

    def context(self, request: Request) -> tuple[str, ...]:
        """The texts before a request, or those it brings; a blank one or another `doc` begins a document."""
        if request.error:
            return ()
        doc = request.fields.get("doc", self._doc)
        if doc != self._doc:
            self._document.end()
        before, self._doc = self._document.context, doc
        self._document.add(request.text)
        return before if request.context is None or not self._size else request.context
