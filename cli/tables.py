"""Alignment tables as a console can show them: its width, its colours, its characters."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from rich.console import Console, Group

if TYPE_CHECKING:
    from nmt.alignment.drawing.concordance import Occurrence
    from nmt.alignment.drawing.marks import Reference
    from nmt.alignment.drawing.table import Layout, Names
    from nmt.alignment.merge import WordAlignment
    from nmt.corpus.links import Link


def draw_table(
    console: Console,
    alignment: "WordAlignment",
    *,
    layout: "Layout" = "interlinear",
    caption: str = "",
    reference: "Reference | None" = None,
    highlight: str = "",
    unknown: "Collection[Link]" = (),
) -> Group:
    """An alignment as a table."""
    from nmt.alignment.drawing.table import alignment_table

    return alignment_table(
        alignment,
        width=console.width,
        colour=_has_colour(console),
        ascii_only=_is_ascii(console),
        layout=layout,
        caption=caption,
        reference=reference,
        highlight=highlight,
        unknown=unknown,
    )


def fitting_layout(console: Console, alignment: "WordAlignment", layout: "Layout") -> "Layout":
    """The layout wanted, or interlinear where a grid is too wide."""
    from nmt.alignment.drawing.table import fits_grid

    is_grid = layout == "grid" and fits_grid(alignment, width=console.width, ascii_only=_is_ascii(console))
    return "grid" if is_grid else "interlinear"


def draw_legend(
    console: Console,
    *,
    layouts: "Collection[Layout]" = frozenset({"interlinear"}),
    names: "Names | None" = None,
    is_known: "Collection[bool]" = frozenset({True}),
) -> Group:
    """What the signs of the tables mean."""
    from nmt.alignment.drawing.table import legend

    return legend(
        width=console.width,
        colour=_has_colour(console),
        ascii_only=_is_ascii(console),
        layouts=layouts,
        names=names,
        is_known=is_known,
    )


def draw_context(console: Console, found: "Occurrence") -> Group:
    """A word in its context, over what it is linked to."""
    from nmt.alignment.drawing.kwic import keyword_in_context

    return keyword_in_context(
        found, width=console.width, colour=_has_colour(console), ascii_only=_is_ascii(console)
    )


def visible(console: Console, text: str) -> str:
    """The text with everything made visible that could move the cursor or colour the line."""
    from nmt.alignment.drawing.printable import printable

    return printable(text, ascii_only=_is_ascii(console))


def _has_colour(console: Console) -> bool:
    return console.color_system is not None and not console.no_color


def _is_ascii(console: Console) -> bool:
    return not console.encoding.startswith("utf")
