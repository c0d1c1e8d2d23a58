"""`nmt translate --score`: what a model thinks of translations that are already there."""

import time
from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmt.corpus.words import UnitMode, is_blank
from nmt.errors import DataError
from nmt.files import check_counts, read_lines

from .console import say, warn
from .line_source import LineSource
from .lines import STDIN, counted, line_output
from .translation_view import hypothesis_record

if TYPE_CHECKING:
    from nmt.decoding import Scored, Translator

ScoreOption = Annotated[
    Path | None,
    typer.Option(
        "--score",
        metavar="FILE",
        help="Translate nothing, but score the lines of FILE as translations of the input's: one score for "
        "each line, or JSON. With - input lines are SOURCE, a tab and TARGET.",
    ),
]


def score_lines(
    translator: "Translator",
    source: LineSource,
    *,
    targets: Path,
    output_path: Path | None,
    as_json: bool = False,
    words: UnitMode | None = None,
    quiet: bool = False,
) -> None:
    """Write a score for every line of the source and of `targets`, or a JSON record with those of `words`.

    `targets` is a file, or `-`: then each line of the source has both, with a tab between. A pair without a
    score gives an empty line, or a record that says why.
    """
    start, number, unscored = time.monotonic(), 0, Counter[str]()
    pairs = _tab_separated(source) if targets == STDIN else _beside(source, targets)
    with line_output(output_path, inputs=[] if targets == STDIN else [targets]) as write:
        for number, scored in enumerate(translator.score(pairs), start=1):
            write(_json(scored, number - 1, words) if as_json else _text(scored))
            if scored.unscored:
                unscored[scored.unscored] += 1
    for reason, count in unscored.items():
        warn(f"{reason}, without a score: {counted(count, 'line')}")
    if not quiet:
        say(f"{counted(number, 'line')} in {time.monotonic() - start:.1f} s")


def _tab_separated(source: LineSource) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(source.lines, start=1):
        cells = line.split("\t")
        if is_blank(line):
            yield "", ""
        elif len(cells) == 2:
            yield cells[0], cells[1]
        else:
            raise DataError(
                f"{source.name}:{number}: {counted(len(cells) - 1, 'tab')}, expected SOURCE, one tab and "
                "TARGET; give lines with tabs in them in two files: -i SRC --score TGT"
            )


def _beside(source: LineSource, targets: Path) -> Iterator[tuple[str, str]]:
    num_sources = num_targets = 0
    for src_line, tgt_line in zip_longest(source.lines, read_lines(targets)):
        num_sources += src_line is not None
        num_targets += tgt_line is not None
        if src_line is not None and tgt_line is not None:
            yield src_line, tgt_line
    check_counts([(source.name, num_sources), (str(targets), num_targets)])


def _text(scored: "Scored") -> str:
    return f"{scored.hypothesis.score:.6f}" if scored.hypothesis else ""


def _json(scored: "Scored", number: int, words: UnitMode | None) -> str:
    from nmt.alignment.formats import json_line

    record: dict[str, Any] = {"id": number, "src": scored.source}
    if scored.hypothesis:
        return json_line(record | hypothesis_record(scored.hypothesis, words))
    nothing = {"tgt": scored.target, "score": None, "log_prob": None, "unscored": scored.unscored}
    return json_line(record | nothing)
