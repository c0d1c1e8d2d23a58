"""`nmt score`: translations against references, by sacreBLEU."""

import difflib
import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast, get_args

import typer
from rich.markup import escape
from rich.table import Table

from nmt.errors import UsageError
from nmt.files import decode_lines, open_for_reading

from .console import is_terminal, out, warn, write_line
from .lines import STDIN, counted, name_of, refuse_stdin_twice
from .options import JsonOption

if TYPE_CHECKING:
    from nmt.evaluation import Comparison, MetricName, Score, Scoring

SIGNIFICANT = 0.05

MetricOption = Annotated[
    str, typer.Option("--metric", metavar="LIST", help="Any of bleu, chrf, ter; comma between.")
]
TokenizeOption = Annotated[
    Literal["13a", "none", "char", "intl", "zh", "ja-mecab", "ko-mecab"],
    typer.Option("--tokenize", help="How BLEU cuts raw text into words; none: it is tokenised already."),
]
LowercaseOption = Annotated[bool, typer.Option("--lowercase", metavar="", help="Ignore case.")]


@dataclass(frozen=True)
class Text:
    """Lines and the name to call them by."""

    name: str
    lines: list[str]


def score(
    hypothesis: Annotated[Path, typer.Argument(metavar="HYP", help="The translation; - is stdin.")],
    references: Annotated[
        list[Path], typer.Argument(metavar="REF", help="Reference translations, line by line.")
    ],
    metric: MetricOption = "bleu,chrf",
    compare: Annotated[
        Path | None,
        typer.Option("--compare", metavar="HYP2", help="Another translation: is it better, or is it chance?"),
    ] = None,
    tokenize: TokenizeOption = "13a",
    lowercase: LowercaseOption = False,
    as_json: JsonOption = False,
) -> None:
    """Score a translation against references: BLEU, chrF and TER by sacreBLEU, with signatures.

    All files are raw text, as people write it. With --compare a paired bootstrap test tells how often chance
    alone would make such a difference.

    Example:
        nmt score translated.en reference.en --metric bleu,chrf,ter
    """
    from nmt import evaluation

    scoring = evaluation.Scoring(parse_metrics(metric), tokenize, lowercase)
    systems = [hypothesis] if compare is None else [hypothesis, compare]
    texts = read_texts([*systems, *references])
    warn_if_tokenized(texts, scoring)
    reference_lines = [text.lines for text in texts[len(systems) :]]
    if compare is None:
        scores = evaluation.score(texts[0].lines, reference_lines, scoring)
        facts = {"hypothesis": texts[0].name, "lines": len(texts[0].lines)}
        show_scores(scores, as_json=as_json, facts=facts)
    else:
        comparisons = evaluation.compare(texts[0].lines, texts[1].lines, reference_lines, scoring=scoring)
        _show_comparisons(comparisons, names=(texts[0].name, texts[1].name), as_json=as_json)


def parse_metrics(text: str) -> tuple["MetricName", ...]:
    """Names of metrics from a list with commas."""
    from nmt import evaluation

    known = get_args(evaluation.MetricName)
    names = tuple(name.strip().lower() for name in text.split(","))
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(known)}"
            raise UsageError(f"--metric: unknown metric {name!r}; {hint}")
    return cast("tuple[MetricName, ...]", names)


def read_texts(paths: Sequence[Path]) -> list[Text]:
    """Texts of equal length."""
    from nmt.evaluation import check_parallel

    refuse_stdin_twice(paths)
    texts = [_read_text(path) for path in paths]
    check_parallel([(text.name, text.lines) for text in texts])
    return texts


def warn_if_tokenized(texts: Iterable[Text], scoring: "Scoring") -> None:
    """Say which texts look tokenised, unless that is how they are to be scored."""
    from nmt.evaluation import looks_tokenized

    for text in texts:
        if scoring.tokenize != "none" and looks_tokenized(text.lines):
            warn(f"{text.name} looks tokenised; scores compare on raw text only (or with --tokenize none)")


def _read_text(path: Path) -> Text:
    name = name_of(path)
    replaced: list[int] = []
    with nullcontext(sys.stdin.buffer) if path == STDIN else open_for_reading(path) as stream:
        text = Text(name, list(decode_lines(stream, name, on_invalid="replace", on_mended=replaced.append)))
    if replaced:
        found = f"invalid UTF-8 on {counted(len(replaced), 'line')}, first on line {replaced[0]}"
        warn(f"{name}: {found}; what is invalid counts as U+FFFD")
    return text


def show_scores(scores: Sequence["Score"], *, as_json: bool, facts: dict[str, Any]) -> None:
    """Scores as a table for a person, as `BLEU 34.56 signature` in a pipe, or as JSON beside `facts`."""
    if as_json:
        write_line(json.dumps({**facts, "scores": [asdict(each) for each in scores]}, ensure_ascii=False))
    elif is_terminal():
        out.print(_table(("metric", "score", "details"), map(_score_row, scores)))
        _show_notes(f"{each.metric} {each.signature}" for each in scores)
    else:
        for each in scores:
            write_line(f"{each.metric} {each.value:.2f} {each.signature}")


def _score_row(each: "Score") -> list[str]:
    note = "lower is better" if each.metric == "TER" else ""
    return [each.metric, f"{each.value:.2f}", ", ".join(filter(None, (each.detail, note)))]


def _show_comparisons(comparisons: Sequence["Comparison"], *, names: tuple[str, str], as_json: bool) -> None:
    if as_json:
        results = [{**asdict(each), "difference": each.difference} for each in comparisons]
        facts = {"baseline": names[0], "system": names[1], "comparisons": results}
        write_line(json.dumps(facts, ensure_ascii=False))
    elif is_terminal():
        header = ("metric", *map(escape, names), "difference", "p", "reading")
        out.print(_table(header, map(_comparison_row, comparisons)))
        _show_notes(["± 95 % confidence; p: how often chance alone gives such a difference"])
        _show_notes(f"{each.metric} {each.signature}" for each in comparisons)
    else:
        write_line("\t".join(("metric", *names, "difference", "p", "signature")))
        for each in comparisons:
            values = f"{each.baseline.value:.2f}\t{each.system.value:.2f}\t{each.difference:+.2f}"
            write_line(f"{each.metric}\t{values}\t{each.p_value:.4f}\t{each.signature}")


def _comparison_row(each: "Comparison") -> list[str]:
    estimates = [f"{estimate.value:.2f} ± {estimate.margin:.2f}" for estimate in (each.baseline, each.system)]
    return [each.metric, *estimates, f"{each.difference:+.2f}", f"{each.p_value:.4f}", _reading(each)]


def _reading(each: "Comparison") -> str:
    if each.p_value >= SIGNIFICANT:
        return "may be chance"
    return "better" if each.is_better else "worse"


def _table(header: Sequence[str], rows: Iterable[list[str]]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for name in header:
        table.add_column(name, style="bold" if name == "score" else "", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _show_notes(lines: Iterable[str]) -> None:
    out.print("\n".join(lines), style="dim", markup=False, soft_wrap=True)
