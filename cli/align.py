"""`nmt align`: the links of existing pairs."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, tee
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nmt.config.schema import LinksFrom
from nmt.corpus.links import LinkFormat, Method, format_of_ending
from nmt.corpus.words import UnitMode
from nmt.errors import UsageError

from .console import is_terminal, out, say
from .lines import STDIN, counted, line_output, warn_of_unlinked
from .options import (
    UNITS,
    ContextOption,
    DeviceOption,
    FromOption,
    ModelOption,
    OutputOption,
    QuietOption,
    SureOption,
    ThreadsOption,
    ToOption,
    UnitsOption,
    least_sure,
)
from .pair_source import PairSource, SourcePair, open_pairs
from .requests import Documents, InputFormat, format_of
from .symmetrize import METHOD
from .tables import draw_legend, draw_table

if TYPE_CHECKING:
    from nmt.alignment import Alignment
    from nmt.alignment.merge import WordAlignment
    from nmt.alignment.origin import CombinedOrigin, Origin
    from nmt.checkpoint import Direction, TranslationModel
    from nmt.corpus.context import LinePair

Format = Literal["table", "pharaoh", "pharaoh-scores", "soft", "jsonl", "talp", "naacl"]


def align(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SRC",
            help="Source lines; without TGT, lines of `source ||| target`, or JSON objects with src and tgt.",
            show_default="stdin",
        ),
    ] = STDIN,
    target: Annotated[
        Path | None,
        typer.Argument(
            metavar="TGT", help="Their translations, line by line; - is stdin.", show_default=False
        ),
    ] = None,
    *,
    model_dir: ModelOption,
    to: ToOption = None,
    context: ContextOption = True,
    input_format: Annotated[
        InputFormat | None,
        typer.Option(
            "--input-format",
            help="What lines without TGT are.",
            show_default="jsonl for SRC.jsonl, else text",
        ),
    ] = None,
    output: OutputOption = None,
    output_format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="Tables; 0-0 1-2 (pharaoh); 0-0:0.98 (pharaoh-scores); all probabilities, as of Marian "
            "(soft); JSON lines with character offsets; as gold links, 0-0 1p2 (talp) or 1 1 1 S (naacl).",
            show_default="a table on a terminal; as FILE ends: .jsonl, .talp, .naacl, .soft; else pharaoh",
        ),
    ] = None,
    sure: SureOption = None,
    tokens: UnitsOption = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            metavar="P",
            min=0.0,
            max=1.0,
            help="Least probability of a link; 0: what suits where links come from.",
            show_default="the model's, usually 0",
        ),
    ] = None,
    links_from: FromOption = None,
    layer: Annotated[
        int | None,
        typer.Option(
            "--layer",
            metavar="N",
            min=1,
            help="Decoder layer whose attention is read, from 1.",
            show_default="the model's",
        ),
    ] = None,
    reverse_model: Annotated[
        Path | None,
        typer.Option(
            "--reverse-model", metavar="DIR", help="A model from target to source, to combine the links with."
        ),
    ] = None,
    method: Annotated[Method | None, METHOD] = None,
    strict: Annotated[
        bool, typer.Option("--strict", metavar="", help="Stop at the first line of JSON that is no pair.")
    ] = False,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Link the words of existing pairs: one line out for each line in, but in NAACL one for each link.

    Lines of `source ||| target` are those of fast_align. Of JSON objects the fields come out again around
    ours with --format jsonl.

    Example:
        nmt align -m demo-model source.de target.en -o links.jsonl
        echo "Der Hund ||| The dog" | nmt align -m demo-model
    """
    chosen = output_format or _default_format(output)
    units, least = tokens or UNITS, least_sure(sure, chosen)
    input_format = input_format or format_of(source)
    if method and not reverse_model:
        raise UsageError("--method combines the links of two models; give --reverse-model, or leave it out")
    if strict and (target or input_format != "jsonl"):
        raise UsageError("--strict is for JSON lines; a line of text that is no pair is always an error")
    if threshold is not None and chosen == "soft":
        raise UsageError("--format soft has all probabilities; leave out --threshold")
    pairs = open_pairs(source, target, input_format, strict=strict)
    if chosen == "table" and output:
        raise UsageError("--format table is for the screen; with -o choose another, such as jsonl")
    if chosen == "soft" and reverse_model:
        raise UsageError("--format soft shows the probabilities of one model; leave out --reverse-model")
    if to and reverse_model:
        raise UsageError(
            "--to is for a model of both directions, --reverse-model for two of one each; give one"
        )
    from nmt.checkpoint import load_model

    model = load_model(model_dir, device=device, threads=threads)
    if reverse_model and len(model.directions) == 1 and reverse_model.resolve() == model_dir.resolve():
        raise UsageError(
            f"--reverse-model {reverse_model}: is the model of --model, which translates in one direction "
            "only; expected one from target to source"
        )
    reverse = load_model(reverse_model, device=device, threads=threads) if reverse_model else None
    if context and model.config.data.context:
        pairs = pairs.with_context(strict=strict)
    settings = Settings(units, threshold, links_from, to, layer, method or "grow-diag", context)
    unlinked: Counter[str] = Counter()
    origin: Origin | CombinedOrigin | None = None
    number, start = 0, time.monotonic()
    with line_output(output, inputs=pairs.files) as write:
        for number, (pair, linked) in enumerate(_linked(model, reverse, pairs, settings), start=1):
            if pair.error:
                pairs.odd.refuse(number - 1, pair.error)
            origin = linked.origin
            if reason := linked.alignment.unlinked:
                unlinked[reason] += 1
            if chosen == "table":
                _print_table(linked, number)
                continue
            for line in _lines(linked, chosen, pair, units, number, least):
                write(line)
    if chosen == "table" and number and is_terminal():
        out.print(draw_legend(out))
    pairs.odd.explain()
    warn_of_unlinked(unlinked, "pair")
    if not quiet:
        whose = f"; links: {origin}" if origin else ""
        say(f"{counted(number, 'pair')} in {time.monotonic() - start:.1f} s{whose}")


@dataclass(frozen=True)
class Settings:
    """How links are made."""

    tokens: UnitMode
    threshold: float | None
    links_from: LinksFrom | None
    to: str | None
    layer: int | None
    method: Method
    context: bool


@dataclass(frozen=True)
class Linked:
    """A pair with the links of its pieces and of its words, and where these come from."""

    alignment: "Alignment"
    words: "WordAlignment"
    origin: "Origin | CombinedOrigin"


def _default_format(output: Path | None) -> Format:
    if output is not None:
        return format_of_ending(output)
    return "table" if is_terminal() else "pharaoh"


def _linked(
    model: "TranslationModel",
    reverse: "TranslationModel | None",
    source: PairSource,
    settings: Settings,
) -> Iterator[tuple[SourcePair, Linked]]:
    """Each pair with its links, which reach the reader of stdout as soon as those that arrived have them."""
    from nmt.decoding.windows import arrived_windows, full_windows

    cut = arrived_windows if source.is_waited_for else full_windows
    windows, others = tee(_flushing(cut(source.pairs, model.config.decoding.window)))
    yield from zip(
        chain.from_iterable(windows), _linked_windows(model, reverse, others, settings), strict=True
    )


def _flushing(windows: Iterator[list[SourcePair]]) -> Iterator[list[SourcePair]]:
    """The windows; when the next one is asked for, what became of the one before has been written."""
    for window in windows:
        yield window
        sys.stdout.flush()


def _linked_windows(
    model: "TranslationModel",
    reverse: "TranslationModel | None",
    windows: Iterator[list[SourcePair]],
    settings: Settings,
) -> Iterator[Linked]:
    from nmt.alignment import CombinedOrigin
    from nmt.alignment.symmetrize import symmetrize_alignments

    there = model.direction(settings.to)
    if reverse is None:
        yield from _links_of(
            model, there, _in_context(windows, model, settings), settings, layer=settings.layer
        )
        return
    back = next((each for each in reverse.directions if each.tgt_lang == there.src_lang), reverse.direction())
    windows, others = tee(windows)
    turned = (
        [replace(pair, source=pair.target, target=pair.source, context=None) for pair in window]
        for window in others
    )
    both = zip(
        _links_of(model, there, _in_context(windows, model, settings), settings, layer=settings.layer),
        _links_of(reverse, back, _in_context(turned, reverse, settings), settings),
        strict=True,
    )
    for linked, other in both:
        combined = symmetrize_alignments(linked.words, other.words, settings.method)
        origin = CombinedOrigin(linked.alignment.origin, other.alignment.origin, settings.method)
        yield Linked(linked.alignment, combined, origin)


def _in_context(
    windows: Iterator[list[SourcePair]], model: "TranslationModel", settings: Settings
) -> Iterator[list["LinePair"]]:
    """The sides of pairs, and the sources before each as far as a model was trained with them."""
    documents = Documents(model.config.data.context if settings.context else 0)
    for window in windows:
        yield [(pair.source, pair.target, documents.context(pair.request)) for pair in window]


def _links_of(
    model: "TranslationModel",
    direction: "Direction",
    windows: Iterator[list["LinePair"]],
    settings: Settings,
    *,
    layer: int | None = None,
) -> Iterator[Linked]:
    """Links of one model, from where and as likely as its own configuration says unless that is asked for."""
    from nmt.alignment import Linker

    stored = model.config.alignment
    links_from = settings.links_from or ("attention" if settings.layer else stored.source)
    threshold = stored.threshold if settings.threshold is None else settings.threshold
    linker = Linker(model, links_from=links_from, layer=layer, direction=direction)
    for alignment in linker.link(windows):
        yield Linked(alignment, alignment.words(settings.tokens, threshold), alignment.origin)


def _lines(
    linked: Linked, chosen: LinkFormat, pair: SourcePair, tokens: UnitMode, number: int, sure: float
) -> list[str]:
    from nmt.alignment.formats import alignment_record, format_soft, json_line, link_lines

    if chosen == "jsonl":
        if pair.is_gap:
            return [""]
        if pair.error:
            return [json_line(pair.fields | {"error": pair.error})]
        return [json_line(pair.fields | alignment_record(linked.words, linked.origin))]
    if chosen == "soft":
        return [format_soft(linked.alignment.matrix(tokens))]
    return link_lines(linked.words.links, chosen, number=number, sure=sure)


def _print_table(linked: Linked, number: int) -> None:
    out.print(draw_table(out, linked.words, caption=f"{number}, {linked.origin}"), "")
