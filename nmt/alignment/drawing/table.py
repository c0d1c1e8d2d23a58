"""Word alignments as tables for the terminal, and the legend of their signs, as rich renderables."""

from typing import Literal

from rich.console import Group
from rich.constrain import Constrain
from rich.text import Text

from nmt.alignment.drawing.grid import HEAT, SHADE_LIMITS, grid
from nmt.alignment.drawing.interlinear import interlinear
from nmt.alignment.drawing.marks import LIKELY, SURE
from nmt.alignment.drawing.printable import printable
from nmt.alignment.drawing.sheet import bands, looks, place, ready_sheet
from nmt.alignment.merge import WordAlignment
from nmt.corpus.links import GoldLinks

Layout = Literal["interlinear", "grid"]


def alignment_table(
    alignment: WordAlignment,
    *,
    width: int,
    colour: bool,
    layout: Layout = "interlinear",
    caption: str = "",
    ascii_only: bool = False,
    gold: GoldLinks | None = None,
    highlight: str = "",
) -> Group:
    """The alignment in lines of at most `width` columns.

    `interlinear` sets under each target word the source words it is linked to; `grid` has a row for each
    target word and a column for each source word, and comes in parts where it is too wide for one. With
    `gold` the table shows where the links differ from it; `highlight` is a word to point out with its links.
    """
    sheet = ready_sheet(alignment, colour=colour, ascii_only=ascii_only, gold=gold, highlight=highlight)
    heading = Text(printable(caption, ascii_only=ascii_only), sheet.style("caption"))
    if layout == "interlinear":
        sentence = Text(printable(alignment.source, ascii_only=ascii_only), sheet.style("sentence"))
        heading = Text("  ").join(part for part in (heading, sentence) if part)
    lines = list(interlinear(sheet, width) if layout == "interlinear" else grid(sheet, width))
    for line in lines:
        line.no_wrap, line.overflow = True, "ignore"
    return Group(*([Constrain(heading, width)] if heading else []), *lines)


def legend(
    *,
    width: int,
    colour: bool,
    layout: Layout = "interlinear",
    ascii_only: bool = False,
    has_gold: bool = False,
) -> Group:
    """What the signs of the tables mean, to be shown once for all of them."""
    signs, styles = looks(colour=colour, ascii_only=ascii_only)
    items = [(signs.null, "null", "no link")]
    if layout == "interlinear":
        at_least = ">=" if ascii_only else "≥"
        items += [
            (signs.rules[2] * 2, "link", f"p {at_least} {SURE}"),
            (signs.rules[1] * 2, "link", f"p {at_least} {LIKELY}"),
            (signs.rules[0] * 2, "link", f"p < {LIKELY}"),
            (signs.subscript + signs.digits[3], "position", "third source word"),
            (signs.jumps[0], "jump", "from further left"),
            (signs.jumps[1], "jump", "from further right"),
        ]
    else:
        limits = ("0", *map(str, SHADE_LIMITS))
        items += [
            (shade * 2, heat if colour else "", f"p from {limit}")
            for shade, heat, limit in zip(signs.shades, HEAT, limits, strict=True)
        ]
    if has_gold:
        items += [
            (signs.verdicts["extra"], "extra", "not in gold"),
            (signs.verdicts["missing"], "missing", "only in gold"),
        ]
    if has_gold and layout == "grid":
        items += [(signs.verdicts["possible"], "possible", "possible in gold")]
    cells = [
        [Text.assemble((sign, styles.get(style, style)), (f" {text}", "dim"))] for sign, style, text in items
    ]
    return Group(*(place((column, cell[0]) for column, cell in band) for band in bands(cells, width)))
