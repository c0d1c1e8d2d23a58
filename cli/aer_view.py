"""What `nmt aer` found out, as a table, as plain lines and as JSON."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from rich.table import Table
from rich.text import Text

from nmt.corpus.links import Link

from .console import out, write_line

if TYPE_CHECKING:
    from nmt.alignment.scoring import LengthScore, LinkCounts, PairedDifference
    from nmt.alignment.wrong_links import WrongPair, WrongSentence

Form = Literal["table", "plain", "json"]


@dataclass(frozen=True)
class Result:
    """What is printed."""

    counts: "LinkCounts"
    interval: tuple[float, float]
    origin: str
    signature: str
    words: Sequence[tuple[list[str], list[str]]]
    """Of every sentence, source and target, if they are known."""
    errors: "list[WrongPair]"
    worst: "list[WrongSentence]"
    lengths: "list[LengthScore]"
    compared: "PairedDifference | None"

    def pairs(self, number: int, links: Iterable[Link]) -> list[tuple[str, str]]:
        """The words of links of a sentence, which is counted from 1."""
        from nmt.alignment.wrong_links import word_at

        src_words, tgt_words = self.words[number - 1]
        return [(word_at(src_words, i), word_at(tgt_words, j)) for i, j in links]


def print_result(result: Result, form: Form) -> None:
    """Print a result on stdout."""
    {"json": _print_json, "table": _print_table, "plain": _print_plain}[form](result)


def _rates(counts: "LinkCounts") -> dict[str, float]:
    rates = {"aer": counts.aer, "precision": counts.precision, "recall": counts.recall, "f1": counts.f1}
    return {name: round(rate, 6) for name, rate in rates.items()}


def _print_json(result: Result) -> None:
    counts, compared = result.counts, result.compared
    facts: dict[str, Any] = {
        **_rates(counts),
        "aer_interval": [round(bound, 6) for bound in result.interval],
        "links": counts.predicted,
        "sure": counts.sure,
        "possible": counts.possible,
        "origin": result.origin,
        "signature": result.signature,
        "errors": [asdict(pair) for pair in result.errors],
    }
    if compared:
        facts["compared"] = {name: round(value, 6) for name, value in asdict(compared).items()}
    if result.lengths:
        facts["by_length"] = [
            {
                "shortest": one.shortest,
                "longest": one.longest,
                "pairs": one.num_sentences,
                **_rates(one.counts),
                "links": one.counts.predicted,
            }
            for one in result.lengths
        ]
    if result.worst:
        facts["worst"] = [
            {
                "number": one.number,
                "aer": round(one.aer, 6),
                "wrong": result.pairs(one.number, one.wrong),
                "missing": result.pairs(one.number, one.missing),
            }
            for one in result.worst
        ]
    write_line(json.dumps(facts, ensure_ascii=False))


def _rows(result: Result) -> list[tuple[str, str]]:
    counts = result.counts
    low, high = result.interval
    rows = [
        ("AER", f"{counts.aer:.4f} [{low:.4f}, {high:.4f}]"),
        ("precision", f"{counts.precision:.4f}"),
        ("recall", f"{counts.recall:.4f}"),
        ("F1", f"{counts.f1:.4f}"),
        ("links", f"{counts.predicted}"),
        ("sure", f"{counts.sure}"),
        ("possible", f"{counts.possible}"),
    ]
    if one := result.compared:
        rows.append(("AER of OTHER", f"{one.other:.4f}"))
        rows.append(("difference", f"{one.difference:+.4f} [{one.low:+.4f}, {one.high:+.4f}]"))
        rows.append(("p value", f"{one.p_value:.4f}"))
    return rows


def _length_row(score: "LengthScore") -> list[str]:
    words = f"{score.shortest}+" if score.longest is None else f"{score.shortest}-{score.longest}"
    counts = score.counts
    rates = [f"{rate:.4f}" for rate in _rates(counts).values()]
    return [words, str(score.num_sentences), *rates, str(counts.predicted)]


def _wrong_rows(result: Result) -> list[list[str]]:
    """Number, error rate, kind, source and target of every wrong or missing link of the worst sentences."""
    return [
        [str(one.number), f"{one.aer:.4f}", kind, *pair]
        for one in result.worst
        for kind, links in (("wrong", one.wrong), ("missing", one.missing))
        for pair in result.pairs(one.number, links)
    ]


def _tables(result: Result) -> list[tuple[list[str], list[list[str]]]]:
    """Further tables that were asked for: names of columns, and rows."""
    errors = [[pair.kind, str(pair.count), pair.source, pair.target] for pair in result.errors]
    names = ["words", "pairs", "AER", "precision", "recall", "F1", "links"]
    return [
        (names, [_length_row(one) for one in result.lengths]),
        (["sentence", "AER", "kind", "source", "target"], _wrong_rows(result)),
        (["error", "count", "source", "target"], errors),
    ]


def _print_plain(result: Result) -> None:
    for name, value in (*_rows(result), ("origin", result.origin), ("signature", result.signature)):
        write_line(f"{name}\t{value}")
    for names, rows in _tables(result):
        for row in [names, *rows] if rows else []:
            write_line("\t".join(row))


def _print_table(result: Result) -> None:
    table = Table.grid(padding=(0, 2))
    for name, value in _rows(result):
        table.add_row(name, value, style="bold" if name == "AER" else "")
    out.print(table)
    for names, rows in _tables(result):
        if rows:
            further = Table(*names, box=None, header_style="dim", pad_edge=False)
            for row in rows:
                further.add_row(*map(Text, row))
            out.print("", further)
    out.print(f"\n{result.origin}\n{result.signature}", style="dim", markup=False, soft_wrap=True)
