"""`nmt show`: look at alignments."""

from collections.abc import Iterable, Sequence
from heapq import nlargest
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.corpus.words import TokenMode
from nmt.errors import OutputError, UsageError
from nmt.files import atomic_file, write_bytes

from .console import out, say
from .lines import STDIN, check_output, counted
from .options import GoldBaseOption
from .pairs import PairFiles
from .pairs_view import print_contexts, print_plain, print_tables

if TYPE_CHECKING:
    from nmt.alignment.drawing.pair import Pair

PANEL_CHOICE, PANEL_VIEW, PANEL_FILES = "Which pairs and links", "How they are shown", "Files instead"


def show(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Source lines; - is stdin.")],
    target: Annotated[Path, typer.Argument(metavar="TGT", help="Their translations, line by line.")],
    links: Annotated[
        Path,
        typer.Argument(
            metavar="LINKS", help="Links: Pharaoh, JSON lines, talp, NAACL or soft (see nmt align)."
        ),
    ],
    other: Annotated[
        Path | None,
        typer.Option(
            "--diff",
            metavar="GOLD|OTHER",
            help="Compare with gold links (.talp: 0-3 is sure, 0p3 possible) or with those of another LINKS.",
        ),
    ] = None,
    gold_base: GoldBaseOption = "auto",
    tokens: Annotated[
        TokenMode,
        typer.Option("--tokens", help="What links count: words of raw text, or tokens between spaces."),
    ] = "punct",
    min_probability: Annotated[
        float,
        typer.Option(
            "--min-prob",
            metavar="P",
            min=0.0,
            max=1.0,
            help="Hide links less probable than P, of LINKS that tell probabilities.",
            rich_help_panel=PANEL_CHOICE,
        ),
    ] = 0.0,
    worst: Annotated[
        int | None,
        typer.Option(
            "--worst",
            metavar="N",
            min=1,
            help="Only the N most suspicious pairs, worst first.",
            rich_help_panel=PANEL_CHOICE,
        ),
    ] = None,
    word: Annotated[
        str | None,
        typer.Option(
            "--word",
            metavar="W",
            help="What W, a word or 'several words', is linked to, counted, and where it stands; with --grid "
            "or --diff in tables.",
            rich_help_panel=PANEL_CHOICE,
        ),
    ] = None,
    number: Annotated[
        int | None,
        typer.Option(
            "--pair", metavar="N", min=1, help="Only the pair of line N.", rich_help_panel=PANEL_CHOICE
        ),
    ] = None,
    is_grid: Annotated[
        bool,
        typer.Option(
            "--grid",
            metavar="",
            help="A grid for each pair that fits the width; the others stay words below words.",
            rich_help_panel=PANEL_VIEW,
        ),
    ] = False,
    is_plain: Annotated[
        bool | None,
        typer.Option(
            "--plain/--no-plain",
            help="Plain lines; the default where stdout is no terminal, but with --grid.",
            rich_help_panel=PANEL_VIEW,
            show_default=False,
        ),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="A page for the browser, in one file: search, sort, lines and grid, no network.",
            rich_help_panel=PANEL_FILES,
        ),
    ] = None,
    svg: Annotated[
        Path | None,
        typer.Option(
            "--svg",
            metavar="FILE",
            help="A vector picture of the first pair shown.",
            rich_help_panel=PANEL_FILES,
        ),
    ] = None,
    png: Annotated[
        Path | None,
        typer.Option(
            "--png",
            metavar="FILE",
            help="The same in pixels; needs the extra plot.",
            rich_help_panel=PANEL_FILES,
        ),
    ] = None,
) -> None:
    """Look at alignments: below each target word its source words, numbered as they stand in the source.

    Most suspicious are the pairs of the highest alignment error rate where there is gold, of the most
    different links where there is another file, else of the highest doubt: what the best link of a word lacks
    to probability 1, as the mean over the words of both sides.

    Plain lines are made for less, grep and awk: fields between tabs, first the number of the pair, then a
    kind. source and target are followed by the sentence, info by what is known of the pair; link, or where
    links are compared both, both-possible, only-here, only-there and only-there-possible, by target word,
    source word and probability, if it is known; unlinked by a word, with ∅ for the other side. With --word
    lines of count come first: side, word, what it is linked to, how often, mean probability; then in-source
    and in-target: what stands before the word, the word, what stands behind it, and its links.

    Example:
        nmt show test.de test.en test.links --diff test.talp --worst 10
        nmt show test.de test.en test.links --word Haus
        nmt show test.de test.en test.links --min-prob 0.3 --html test.html
        nmt show test.de test.en test.links --pair 7 --svg pair7.svg
        nmt show test.de test.en test.links --diff other.links --plain
    """
    files = PairFiles(source, target, links, other, tokens, min_probability, gold_base)
    inputs = [source, target, links, *([other] if other else [])]
    outputs = [path for path in (page, svg, png) if path]
    if is_grid and is_plain:
        raise UsageError("--grid draws and --plain does not; give one of them")
    if outputs and (is_grid or is_plain is not None):
        raise UsageError(
            "--grid and --plain are for the terminal, not for --html, --svg and --png; leave them out"
        )
    if word is not None and not word.strip():
        raise UsageError(f"--word {word!r}: is no word; give one, or leave it out")
    _check_outputs(outputs, inputs)
    if gold_base != "auto" and not files.is_gold:
        raise UsageError("--gold-base is for gold links; give some with --diff, or leave it out")
    pairs: Iterable[Pair] = files.read()
    if number:
        pairs = [pair for pair in pairs if pair.number == number]
        if not pairs:
            raise UsageError(f"--pair {number}: {source} has fewer lines")
    if word:
        from nmt.alignment.drawing.concordance import occurrences

        pairs = [pair for pair in pairs if any(occurrences(pair, word))]
        if not pairs:
            say(f"no pair holds {word!r}")
    found = pairs
    if worst:
        pairs = nlargest(worst, pairs, key=lambda pair: pair.suspicion)
    is_plain = not (out.is_terminal or is_grid) if is_plain is None else is_plain
    if outputs:
        _write_files(pairs, files, page=page, svg=svg, png=png)
    elif word and not is_grid and not other:
        print_contexts(found, pairs, word, is_plain=is_plain)
    elif is_plain:
        print_plain(pairs, shows_suspicion=bool(worst or other))
    else:
        print_tables(
            pairs,
            layout="grid" if is_grid else "interlinear",
            names=files.names(),
            highlight=word or "",
            shows_suspicion=bool(worst or other),
        )


def _check_outputs(outputs: Sequence[Path], inputs: Sequence[Path]) -> None:
    for number, path in enumerate(outputs):
        if path == STDIN:
            raise UsageError("--html, --svg and --png do not go to stdout, found -; expected a file")
        if path.resolve() in [other.resolve() for other in outputs[:number]]:
            raise OutputError(f"{path}: is given for two of --html, --svg and --png; give each its own file")
        check_output(path, inputs=inputs)


def _write_files(
    pairs: "Iterable[Pair]", files: PairFiles, *, page: Path | None, svg: Path | None, png: Path | None
) -> None:
    pairs = iter(pairs)
    first = next(pairs, None)
    if first is None:
        raise UsageError("there is no pair to draw")
    if svg or png:
        from nmt.alignment.drawing.picture import png_picture, svg_picture

        if svg:
            write_bytes(svg, svg_picture(first).encode())
        if png:
            write_bytes(png, png_picture(first))
    if page:
        _write_page(chain([first], pairs), files, page)


def _write_page(pairs: "Iterable[Pair]", files: PairFiles, page: Path) -> None:
    from nmt.alignment.drawing.html import PageFacts, page_lines

    names = files.names()
    num_pairs = 0

    def counted_pairs() -> "Iterable[Pair]":
        nonlocal num_pairs
        for pair in pairs:
            num_pairs += 1
            yield pair

    facts = PageFacts(
        title=f"{files.source.name} – {files.target.name}",
        ours=files.links.name,
        theirs=names.theirs if names else "",
        is_gold=bool(names and names.is_gold),
    )
    with atomic_file(page) as stream:
        for part in page_lines(counted_pairs(), facts):
            stream.write(part.encode())
    say(f"{page}: {counted(num_pairs, 'pair')}")
