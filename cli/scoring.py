"""`nmt translate --score`: what a model thinks of translations that are already there."""

import sys
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
from .pair_source import SourcePair, object_pairs, pairs_with_context
from .requests import Documents, without_outcomes
from .translation_view import hypothesis_record

if TYPE_CHECKING:
    from nmt.decoding import Scored, Translator

ScoreOption = Annotated[
    Path | None,
    typer.Option(
        "--score",
        metavar="FILE",
        help="Translate nothing, but score the lines of FILE as translations of the input's: one score for "
        "each line, or JSON. With - input lines have both: SOURCE, a tab and TARGET, or JSON with src, tgt.",
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

    `targets` is a file, or `-`: then each line of the source has both, with a tab between or in an object.
    A pair without a score gives an empty line, or a record that says why.
    """
    from nmt.decoding.windows import arrived_windows, full_windows

    start, number, unscored = time.monotonic(), 0, Counter[str]()
    pairs = _pairs(source, targets)
    if translator.context_size:
        pairs = pairs_with_context(pairs, source.name, strict=source.strict)
    documents = Documents(translator.context_size)
    windows = arrived_windows if source.is_waited_for else full_windows
    with line_output(output_path, inputs=[] if targets == STDIN else [targets]) as write:
        for window in windows(pairs, translator.config.window):
            contexts = [documents.context(pair.request) for pair in window]
            found = translator.score([(pair.source, pair.target) for pair in window], contexts)
            for pair, scored in zip(window, found, strict=True):
                write(_json(pair, scored, number, words) if as_json else _text(pair, scored))
                if scored.unscored:
                    unscored[scored.unscored] += 1
                if pair.error:
                    source.odd.refuse(number, pair.error)
                number += 1
            sys.stdout.flush()
    for reason, count in unscored.items():
        warn(f"{reason}, without a score: {counted(count, 'line')}")
    if not quiet:
        say(f"{counted(number, 'line')} in {time.monotonic() - start:.1f} s")


def _pairs(source: LineSource, targets: Path) -> Iterator[SourcePair]:
    if source.input_format == "jsonl":
        return object_pairs(source.lines, source.odd, strict=source.strict)
    return _tab_separated(source) if targets == STDIN else _beside(source, targets)


def _tab_separated(source: LineSource) -> Iterator[SourcePair]:
    for number, line in enumerate(source.lines, start=1):
        cells = line.split("\t")
        if is_blank(line):
            yield SourcePair("", "")
        elif len(cells) == 2:
            yield SourcePair(cells[0], cells[1])
        else:
            raise DataError(
                f"{source.name}:{number}: {counted(len(cells) - 1, 'tab')}, expected SOURCE, one tab and "
                "TARGET; give lines with tabs in them in two files: -i SRC --score TGT"
            )


def _beside(source: LineSource, targets: Path) -> Iterator[SourcePair]:
    num_sources = num_targets = 0
    for src_line, tgt_line in zip_longest(source.lines, read_lines(targets)):
        num_sources += src_line is not None
        num_targets += tgt_line is not None
        if src_line is not None and tgt_line is not None:
            yield SourcePair(src_line, tgt_line)
    check_counts([(source.name, num_sources), (str(targets), num_targets)])


def _text(pair: SourcePair, scored: "Scored") -> str:
    if scored.hypothesis is None or pair.is_gap or pair.error:
        return ""
    return f"{scored.hypothesis.score:.6f}"


def _json(pair: SourcePair, scored: "Scored", number: int, words: UnitMode | None) -> str:
    """The fields that came with the pair, in their order, with ours; only an `id` stays as it was."""
    from nmt.alignment.formats import json_line

    if pair.is_gap:
        return ""
    record: dict[str, Any] = {**pair.fields, "id": pair.fields.get("id", number)}
    if pair.error:
        return json_line(record | {"error": pair.error})
    record = without_outcomes(record) | {"src": scored.source}
    if scored.hypothesis:
        return json_line(record | hypothesis_record(scored.hypothesis, words))
    nothing = {"tgt": scored.target, "score": None, "log_prob": None, "unscored": scored.unscored}
    return json_line(record | nothing)
