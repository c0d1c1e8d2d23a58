"""Alignment tables as a console can show them: its width, its colours, its characters."""

from typing import TYPE_CHECKING

from rich.console import Console, Group

from nmt.corpus.links import GoldLinks

if TYPE_CHECKING:
    from nmt.alignment.drawing.table import Layout
    from nmt.alignment.merge import WordAlignment


def draw_table(
    console: Console,
    alignment: "WordAlignment",
    *,
    layout: "Layout" = "interlinear",
    caption: str = "",
    gold: GoldLinks | None = None,
    highlight: str = "",
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
        gold=gold,
        highlight=highlight,
    )


def draw_legend(console: Console, *, layout: "Layout" = "interlinear", has_gold: bool = False) -> Group:
    """What the signs of the tables mean."""
    from nmt.alignment.drawing.table import legend

    return legend(
        width=console.width,
        colour=_has_colour(console),
        ascii_only=_is_ascii(console),
        layout=layout,
        has_gold=has_gold,
    )


def visible(console: Console, text: str) -> str:
    """The text with everything made visible that could move the cursor or colour the line."""
    from nmt.alignment.drawing.printable import printable

    return printable(text, ascii_only=_is_ascii(console))


def _has_colour(console: Console) -> bool:
    return console.color_system is not None and not console.no_color


def _is_ascii(console: Console) -> bool:
    return not console.encoding.startswith("utf")
