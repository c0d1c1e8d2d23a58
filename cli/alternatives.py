"""`nmt translate --alternatives`: what could come next after the beginning of a translation."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from nmt.errors import DataError

from .console import is_terminal, out
from .line_source import LineSource
from .lines import line_output
from .requests import Documents, Request, without_outcomes
from .translating import Asked

if TYPE_CHECKING:
    from nmt.decoding import Alternative, Translator


def show_alternatives(
    translator: "Translator", source: LineSource, asked: Asked, *, count: int, output_path: Path | None
) -> None:
    """Show a table for every line of the source on a terminal, elsewhere write a JSON record of it.

    Raises DataError that names a line for which they can not be told, unless the source goes on.
    """
    from nmt.alignment.formats import json_line

    on_terminal = output_path is None and is_terminal()
    documents = Documents(translator.context_size)
    with line_output(output_path) as write:
        for request in map(asked.of, source.requests(has_context=translator.context_size > 0)):
            found, error = _find(translator, request, documents.context(request), count)
            if error and not source.goes_on:
                raise DataError(f"{source.name}:{request.number + 1}: {error}")
            if error:
                source.odd.refuse(request.number, error)
            if on_terminal and found:
                out.print(_table(found))
            elif on_terminal:
                out.print(error, markup=False)
            elif request.is_gap:
                write("")
            else:
                write(json_line(_record(request, found, error)))
            sys.stdout.flush()
    source.odd.explain()


def _find(
    translator: "Translator", request: Request, context: tuple[str, ...], count: int
) -> "tuple[tuple[Alternative, ...], str]":
    """The alternatives of a line, or why there are none."""
    from nmt.decoding import RequestError

    if request.error:
        return (), request.error
    wanted = {"forbid": request.forbid, "require": request.require}
    try:
        return translator.alternatives(
            request.text, request.prefix, count=count, context=context, **wanted
        ), ""
    except RequestError as error:
        return (), error.reason


def _table(found: "tuple[Alternative, ...]") -> Table:
    table = Table("p", "next", "translation", box=None, pad_edge=False)
    for each in found:
        table.add_row(f"{each.probability:.3f}", each.word or each.piece, each.translation.text)
    return table


def _record(request: Request, found: "tuple[Alternative, ...]", error: str) -> dict[str, Any]:
    """The fields that came with the line, in their order, with what was found."""
    record = {**request.fields, "id": request.fields.get("id", request.number)}
    if error:
        return record | {"error": error}
    told = {"src": request.text, "prefix": request.prefix}
    return without_outcomes(record) | told | {"alternatives": [_alternative(each) for each in found]}


def _alternative(each: "Alternative") -> dict[str, object]:
    return {
        "word": each.word,
        "piece": each.piece,
        "probability": round(each.probability, 6),
        "tgt": each.translation.text,
        "score": round(each.translation.score, 6),
    }
