"""`nmt aer`: predicted links against gold links."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table
from rich.text import Text

from nmt.corpus.links import GoldLinks, Link, Links, parse_talp
from nmt.corpus.words import words
from nmt.errors import DataError, UsageError

from .console import is_terminal, out, warn, write_line
from .lines import aligned_lines, name_of
from .options import JsonOption

if TYPE_CHECKING:
    from nmt.alignment.formats import LinkLine
    from nmt.alignment.scoring import LinkCounts, WrongPair

WordPair = tuple[list[str], list[str]]


@dataclass(frozen=True)
class Result:
    """What is printed."""

    counts: "LinkCounts"
    interval: tuple[float, float]
    errors: list["WrongPair"]
    origin: str
    signature: str


def aer(
    links_path: Annotated[Path, typer.Argument(metavar="LINKS", help="Pharaoh or JSON lines; - is stdin.")],
    gold_path: Annotated[
        Path, typer.Argument(metavar="GOLD", help="Gold links: 0-3 is sure, 0p3 possible (.talp).")
    ],
    src: Annotated[
        Path | None, typer.Option("--src", metavar="FILE", help="Source sentences, to name words.")
    ] = None,
    tgt: Annotated[
        Path | None, typer.Option("--tgt", metavar="FILE", help="Target sentences, to name words.")
    ] = None,
    tokens: Annotated[
        Literal["punct", "space"], typer.Option("--tokens", help="What a word is in --src and --tgt.")
    ] = "punct",
    is_reversed: Annotated[
        bool, typer.Option("--reverse", metavar="", help="LINKS has the target first: turn its links around.")
    ] = False,
    gold_base: Annotated[
        Literal["auto", "0", "1"], typer.Option("--gold-base", help="Number of the first word in GOLD.")
    ] = "auto",
    errors: Annotated[
        int, typer.Option("--errors", metavar="N", min=0, help="Show the N most frequent wrong pairs.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure links: alignment error rate, precision, recall and F1 over the corpus (Och & Ney, 2003).

    The interval holds 95 % of the error rates of as many sentences drawn at random from these.

    Example:
        nmt aer test.links test.talp
    """
    from nmt.alignment import scoring

    if (src is None) != (tgt is None):
        raise UsageError("--src and --tgt go together; give both or neither")
    texts = [path for path in (src, tgt) if path]
    rows = list(aligned_lines([links_path, gold_path, *texts]))
    if not rows:
        raise DataError(f"{name_of(links_path)} has 0 lines; there is nothing to measure")
    lines = _link_lines([row[0] for row in rows], name=name_of(links_path), is_reversed=is_reversed)
    pairs = [(words(row[2], tokens), words(row[3], tokens)) for row in rows] if texts else _words(lines)
    gold = _gold([row[1] for row in rows], pairs, name=name_of(gold_path), base=gold_base)
    predicted = [line.links for line in lines]
    if errors and not pairs:
        raise UsageError("--errors needs words: give --src and --tgt, or LINKS as JSON lines")
    if pairs:
        _check_inside(predicted, pairs, name=name_of(links_path))
    counts = scoring.score_links(predicted, gold.links)
    possible = sum(len(links.possible) for links in gold.links)
    result = Result(
        counts,
        scoring.bootstrap_interval(predicted, gold.links),
        scoring.frequent_wrong_pairs(predicted, gold.links, pairs or [], limit=errors) if errors else [],
        next((line.origin for line in lines if line.origin), f"links of {name_of(links_path)}"),
        f"pairs:{len(rows)}|sure:{counts.sure}|possible:{possible}|base:{gold.base}"
        f"|bootstrap:{scoring.BOOTSTRAP_SAMPLES}|seed:{scoring.BOOTSTRAP_SEED}",
    )
    (_print_json if as_json else _print_table if is_terminal() else _print_plain)(result)


def _link_lines(lines: Sequence[str], *, name: str, is_reversed: bool) -> list["LinkLine"]:
    from nmt.alignment.formats import parse_link_line

    parsed = [parse_link_line(line, where=f"{name}:{i}") for i, line in enumerate(lines, start=1)]
    return [line.turned() for line in parsed] if is_reversed else parsed


def _words(lines: Sequence["LinkLine"]) -> list[WordPair] | None:
    """The words that JSON records hold; None if there is a line that is none."""
    pairs = []
    for line in lines:
        if line.alignment is None:
            return None
        one = line.alignment
        pairs.append(
            (
                [one.source[start:end] for start, end in one.src_words],
                [one.target[start:end] for start, end in one.tgt_words],
            )
        )
    return pairs


@dataclass(frozen=True)
class Gold:
    """Gold links and the number that their first word has in the file."""

    links: list[GoldLinks]
    base: Literal[0, 1]


def _gold(lines: Sequence[str], pairs: Sequence[WordPair] | None, *, name: str, base: str) -> Gold:
    from nmt.alignment.scoring import detect_gold_base

    lengths = [(len(src_words), len(tgt_words)) for src_words, tgt_words in pairs] if pairs else None
    found = detect_gold_base(lines, lengths, name=name) if base == "auto" else (1 if base == "1" else 0)
    links = [parse_talp(line, where=f"{name}:{i}", base=found) for i, line in enumerate(lines, start=1)]
    if pairs:
        num_outside = sum(
            _first_outside(one.possible, pair) is not None for one, pair in zip(links, pairs, strict=True)
        )
        if num_outside:
            warn(f"{name}: on {num_outside} lines a gold link points past the last word")
    return Gold(links, found)


def _check_inside(predicted: Sequence[Links], pairs: Sequence[WordPair], *, name: str) -> None:
    for number, (links, pair) in enumerate(zip(predicted, pairs, strict=True), start=1):
        link = _first_outside(links, pair)
        if link:
            raise DataError(
                f"{name}:{number}: link {link[0]}-{link[1]} points past the last of {len(pair[0])} source or "
                f"{len(pair[1])} target words; {_advice(predicted, pairs)}"
            )


def _advice(predicted: Sequence[Links], pairs: Sequence[WordPair]) -> str:
    exchanged = [(tgt_words, src_words) for src_words, tgt_words in pairs]
    if all(_first_outside(links, pair) is None for links, pair in zip(predicted, exchanged, strict=True)):
        return "all links fit once the sides are exchanged: exchange --src and --tgt, or give --reverse"
    return "is another --tokens meant, or are these other sentences?"


def _first_outside(links: Links | frozenset[Link], pair: WordPair) -> Link | None:
    outside = [(i, j) for i, j in links if i >= len(pair[0]) or j >= len(pair[1])]
    return min(outside, default=None)


def _print_json(result: Result) -> None:
    counts = result.counts
    rates = {"aer": counts.aer, "precision": counts.precision, "recall": counts.recall, "f1": counts.f1}
    facts: dict[str, Any] = {
        **{name: round(rate, 6) for name, rate in rates.items()},
        "aer_interval": [round(bound, 6) for bound in result.interval],
        "links": counts.predicted,
        "origin": result.origin,
        "signature": result.signature,
        "errors": [asdict(pair) for pair in result.errors],
    }
    write_line(json.dumps(facts, ensure_ascii=False))


def _rows(result: Result) -> list[tuple[str, str]]:
    counts = result.counts
    low, high = result.interval
    return [
        ("AER", f"{counts.aer:.4f} [{low:.4f}, {high:.4f}]"),
        ("precision", f"{counts.precision:.4f}"),
        ("recall", f"{counts.recall:.4f}"),
        ("F1", f"{counts.f1:.4f}"),
        ("links", f"{counts.predicted}"),
    ]


def _print_plain(result: Result) -> None:
    for name, value in (*_rows(result), ("origin", result.origin), ("signature", result.signature)):
        write_line(f"{name}\t{value}")
    if result.errors:
        write_line("error\tcount\tsource\ttarget")
    for pair in result.errors:
        write_line(f"{pair.kind}\t{pair.count}\t{pair.source}\t{pair.target}")


def _print_table(result: Result) -> None:
    table = Table.grid(padding=(0, 2))
    for name, value in _rows(result):
        table.add_row(name, value, style="bold" if name == "AER" else "")
    out.print(table)
    if result.errors:
        wrong = Table("count", "source", "target", "", box=None, header_style="dim", pad_edge=False)
        for pair in result.errors:
            wrong.add_row(str(pair.count), Text(pair.source), Text(pair.target), pair.kind)
        out.print("", wrong, "")
    out.print(f"{result.origin}\n{result.signature}", style="dim", markup=False, soft_wrap=True)
