"""Word alignments as tables for the terminal, and the legend of their signs, as rich renderables."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from rich.console import Group
from rich.constrain import Constrain
from rich.text import Text

from nmt.alignment.drawing.grid import HEAT, HEAT_BOTH, SHADE_LIMITS, fits, grid
from nmt.alignment.drawing.interlinear import interlinear
from nmt.alignment.drawing.marks import LIKELY, NOT_KNOWN, SURE, Reference
from nmt.alignment.drawing.printable import printable
from nmt.alignment.drawing.sheet import Signs, bands, looks, place, ready_sheet
from nmt.alignment.merge import WordAlignment
from nmt.corpus.links import Link

Layout = Literal["interlinear", "grid"]
WITHOUT = "link, p not known"


@dataclass(frozen=True)
class Names:
    """The two whose links are compared, as the legend names them."""

    ours: str
    theirs: str
    is_gold: bool


def alignment_table(
    alignment: WordAlignment,
    *,
    width: int,
    colour: bool,
    layout: Layout = "interlinear",
    caption: str = "",
    ascii_only: bool = False,
    reference: Reference | None = None,
    highlight: str = "",
    unknown: Collection[Link] = (),
) -> Group:
    """The alignment in lines of at most `width` columns.

    `interlinear` sets under each target word the source words it is linked to; `grid` has a row for each
    target word and a column for each source word, and becomes interlinear where it is too wide. With a
    `reference` the table shows where the links differ from it; `highlight` is a word to point out with its
    links, and `unknown` are links of which it is not known how probable they are.
    """
    sheet = ready_sheet(
        alignment,
        colour=colour,
        ascii_only=ascii_only,
        reference=reference,
        highlight=highlight,
        unknown=unknown,
    )
    is_grid = layout == "grid" and fits(sheet, width)
    heading = Text(printable(caption, ascii_only=ascii_only), sheet.style("caption"))
    if not is_grid:
        sentence = Text(printable(alignment.source, ascii_only=ascii_only), sheet.style("sentence"))
        heading = Text("  ").join(part for part in (heading, sentence) if part)
    lines = list(grid(sheet, width) if is_grid else interlinear(sheet, width))
    for line in lines:
        line.no_wrap, line.overflow = True, "ignore"
    return Group(*([Constrain(heading, width)] if heading else []), *lines)


def fits_grid(alignment: WordAlignment, *, width: int, ascii_only: bool = False) -> bool:
    """Whether a grid of the alignment is no wider than `width`."""
    sheet = ready_sheet(alignment, colour=False, ascii_only=ascii_only, reference=None, highlight="")
    return fits(sheet, width)


def legend(
    *,
    width: int,
    colour: bool,
    layouts: Collection[Layout] = frozenset({"interlinear"}),
    ascii_only: bool = False,
    names: Names | None = None,
    is_known: Collection[bool] = frozenset({True}),
) -> Group:
    """What the signs of the tables mean, to be shown once for all of them.

    `is_known` tells whether there are links whose probability is known, and such whose it is not.
    """
    signs, styles = looks(colour=colour, ascii_only=ascii_only)
    items = [(signs.null, "null", "no link")]
    if "interlinear" in layouts:
        items += _rules(signs, is_known, ">=" if ascii_only else "≥")
        items += [
            (signs.subscript + signs.digits[3], "position", "third source word"),
            (signs.jumps[0], "jump", "from further left"),
            (signs.jumps[1], "jump", "from further right"),
        ]
    if "grid" in layouts:
        limits = ("0", *map(str, SHADE_LIMITS))
        heat = HEAT_BOTH if names else HEAT
        if True in is_known:
            items += [
                (shade * 2, f"{hue} on {hue}" if colour else "", f"p from {limit}")
                for shade, hue, limit in zip(signs.shades, heat, limits, strict=True)
            ]
        if False in is_known:
            items.append((signs.square * 2, "both" if names else "link", WITHOUT))
    items += _compared(signs, layouts, names) if names else []
    cells = [
        [Text.assemble((sign, styles.get(style, style)), (f" {text}", "dim"))] for sign, style, text in items
    ]
    return Group(*(place((column, cell[0]) for column, cell in band) for band in bands(cells, width)))


def _rules(signs: Signs, is_known: Collection[bool], at_least: str) -> list[tuple[str, str, str]]:
    meanings = {
        2: f"p {at_least} {SURE}",
        1: f"p {at_least} {LIKELY}",
        0: f"p < {LIKELY}",
        NOT_KNOWN: WITHOUT,
    }
    return [
        (signs.rules[level] * 2, "link", meaning)
        for level, meaning in meanings.items()
        if (level != NOT_KNOWN) in is_known
    ]


def _compared(signs: Signs, layouts: Collection[Layout], names: Names) -> list[tuple[str, str, str]]:
    ours, theirs = names.ours, names.theirs
    items = [
        (signs.rules[2] * 2, "both", "in both"),
        (signs.verdicts["extra"], "extra", f"only in {ours}"),
        (signs.verdicts["missing"], "missing", f"only in {theirs}"),
    ]
    if names.is_gold:
        items.append((signs.verdicts["allowed"], "allowed", f"possible in {theirs}"))
    if names.is_gold and "grid" in layouts:
        items.append((signs.verdicts["possible"] * 2, "possible", f"possible, only in {theirs}"))
    return items if "interlinear" in layouts else items[1:]
