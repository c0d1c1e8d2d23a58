"""`nmt translate --alternatives`: what could come next after the beginning of a translation."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from .console import is_terminal, out
from .line_source import LineSource
from .lines import line_output

if TYPE_CHECKING:
    from nmt.decoding import Alternative, Translator


def show_alternatives(
    translator: "Translator", source: LineSource, *, prefix: str, count: int, output_path: Path | None
) -> None:
    """Show a table for every line of the source on a terminal, elsewhere write a JSON record of it."""
    from nmt.alignment.formats import json_line
    from nmt.corpus.context import in_context

    on_terminal = output_path is None and is_terminal()
    with line_output(output_path) as write:
        for number, line in enumerate(in_context(source.lines, translator.context_size)):
            found = translator.alternatives(line.text, prefix, count=count, context=line.context)
            if on_terminal:
                out.print(_table(found))
            else:
                record = {"id": number, "src": line.text, "prefix": prefix}
                write(json_line(record | {"alternatives": [_record(each) for each in found]}))


def _table(found: "tuple[Alternative, ...]") -> Table:
    table = Table("p", "next", "translation", box=None, pad_edge=False)
    for each in found:
        table.add_row(f"{each.probability:.3f}", each.word or each.piece, each.translation.text)
    return table


def _record(each: "Alternative") -> dict[str, object]:
    return {
        "word": each.word,
        "piece": each.piece,
        "probability": round(each.probability, 6),
        "tgt": each.translation.text,
        "score": round(each.translation.score, 6),
    }
