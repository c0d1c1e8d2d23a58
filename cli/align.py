"""`nmt align`: the links of existing pairs."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nmt.corpus.links import Method, format_pharaoh
from nmt.corpus.words import UnitMode
from nmt.errors import UsageError

from .console import is_terminal, out, say
from .lines import aligned_lines, counted, line_output, warn_of_unlinked
from .options import DeviceOption, ModelOption, OutputOption, QuietOption, ThreadsOption, UnitsOption
from .symmetrize import MethodOption
from .tables import draw_legend, draw_table

if TYPE_CHECKING:
    from nmt.alignment.attention import Alignment
    from nmt.alignment.formats import Origin
    from nmt.alignment.merge import WordAlignment
    from nmt.checkpoint import TranslationModel

Format = Literal["table", "pharaoh", "jsonl", "soft"]


def align(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Source lines; - is stdin.")],
    target: Annotated[Path, typer.Argument(metavar="TGT", help="Their translations, line by line.")],
    model_dir: ModelOption,
    output: OutputOption = None,
    output_format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="Tables, 0-0 1-2 (Pharaoh), JSON lines with character offsets, or all probabilities. "
            "By default a table on a terminal, JSON lines in a FILE.jsonl, else Pharaoh.",
            show_default=False,
        ),
    ] = None,
    tokens: UnitsOption = "punct",
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            metavar="P",
            min=0.0,
            max=1.0,
            help="Also link every source word with this share of a target word's attention, not only the one "
            "that fits best; 0: only that.",
            show_default="the model's, usually 0",
        ),
    ] = None,
    layer: Annotated[
        int | None,
        typer.Option(
            "--layer", metavar="N", min=1, help="Decoder layer to read, from 1.", show_default="the model's"
        ),
    ] = None,
    reverse_model: Annotated[
        Path | None,
        typer.Option(
            "--reverse-model", metavar="DIR", help="A model from target to source, to combine the links with."
        ),
    ] = None,
    method: MethodOption = "grow-diag",
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Link the words of existing pairs, by the cross-attention of a model: one line out for each line in.

    Example:
        nmt align -m demo-model source.de target.en -o links.pharaoh
    """
    pairs = ((src_line, tgt_line) for src_line, tgt_line in aligned_lines([source, target]))
    chosen = output_format or _default_format(output)
    if chosen == "table" and output:
        raise UsageError("--format table is for the screen; with -o choose pharaoh, jsonl or soft")
    if chosen == "soft" and reverse_model:
        raise UsageError("--format soft shows the probabilities of one model; leave out --reverse-model")
    from nmt.checkpoint import load_model

    model = load_model(model_dir, device=device, threads=threads)
    reverse = load_model(reverse_model, device=device, threads=threads) if reverse_model else None
    settings = Settings(tokens, threshold, layer, method)
    unlinked: Counter[str] = Counter()
    has_tables, number, start = False, 0, time.monotonic()
    with line_output(output, inputs=[source, target]) as write:
        for number, linked in enumerate(_linked(model, reverse, pairs, settings), start=1):
            if reason := linked.alignment.unlinked:
                unlinked[reason] += 1
            if chosen == "table":
                _print_table(linked, number)
                has_tables = True
            else:
                write(_line(linked, chosen, tokens))
    if has_tables and is_terminal():
        out.print(draw_legend(out))
    warn_of_unlinked(unlinked, "pair")
    if not quiet:
        say(f"{counted(number, 'pair')} in {time.monotonic() - start:.1f} s")


@dataclass(frozen=True)
class Settings:
    """How links are made of attention."""

    tokens: UnitMode
    threshold: float | None
    layer: int | None
    method: Method


@dataclass(frozen=True)
class Linked:
    """A pair with its attention and links, and where these come from."""

    alignment: "Alignment"
    words: "WordAlignment"
    origin: "Origin"


def _default_format(output: Path | None) -> Format:
    if output is not None:
        return "jsonl" if output.suffix in (".json", ".jsonl") else "pharaoh"
    return "table" if is_terminal() else "pharaoh"


def _linked(
    model: "TranslationModel",
    reverse: "TranslationModel | None",
    pairs: Iterator[tuple[str, str]],
    settings: Settings,
) -> Iterator[Linked]:
    from nmt.alignment.attention import align_pairs, reading_layer
    from nmt.alignment.formats import Origin
    from nmt.alignment.symmetrize import symmetrize_alignments

    def words(alignment: "Alignment") -> "WordAlignment":
        return alignment.words(settings.tokens, threshold)

    threshold = model.config.alignment.threshold if settings.threshold is None else settings.threshold
    layer = reading_layer(model, settings.layer)
    if reverse is None:
        for alignment in align_pairs(model, pairs, layer=layer):
            yield Linked(alignment, words(alignment), Origin(layer))
        return
    forward_pairs, other_pairs = tee(pairs)
    turned_pairs = ((target, source) for source, target in other_pairs)
    origin = Origin(layer, reading_layer(reverse), settings.method)
    both = zip(
        align_pairs(model, forward_pairs, layer=layer), align_pairs(reverse, turned_pairs), strict=True
    )
    for alignment, turned in both:
        combined = symmetrize_alignments(words(alignment), words(turned), settings.method)
        yield Linked(alignment, combined, origin)


def _line(linked: Linked, chosen: Format, tokens: UnitMode) -> str:
    from nmt.alignment.formats import format_record, format_soft

    if chosen == "jsonl":
        return format_record(linked.words, linked.origin)
    if chosen == "soft":
        return format_soft(linked.alignment.matrix(tokens))
    return format_pharaoh(set(linked.words.links))


def _print_table(linked: Linked, number: int) -> None:
    out.print(draw_table(out, linked.words, caption=f"{number}, {linked.origin}"), "")
