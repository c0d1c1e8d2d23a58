"""`nmt plot`: curves of runs, in the terminal or as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast, get_args

import typer
from rich.text import Text

from nmt.errors import UsageError
from nmt.files import write_bytes

from .console import out
from .lines import check_output

if TYPE_CHECKING:
    from nmt.training.curves import Axis, Curve, Panel

ROWS, WIDE = 14, 110
COLOURS = ("cyan", "orange", "green", "magenta", "red", "blue")  # of runs, as plotext calls them
_RICH_COLOURS = {"orange": "yellow"}  # what rich calls what plotext shows
DEV_MARKER, MARKERS, DOTS = "x", ("x", "o", "+", "*", "#"), "⠒⠒⠒"


def plot(
    model_dirs: Annotated[
        list[Path], typer.Argument(metavar="RUN", help="Folder that nmt train writes; several are compared.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write a picture: .png, .svg or .pdf."),
    ] = None,
    axis: Annotated[Literal["step", "time"], typer.Option("--by", help="What the curves run over.")] = "step",
) -> None:
    """Draw loss, development BLEU, learning rate and pace of runs, finished or still going on.

    Example:
        nmt plot my-model -o my-model.svg
    """
    from nmt.training.curves import PictureFormat, picture, read_panels

    if output is not None:
        known, form = get_args(PictureFormat), output.suffix.removeprefix(".").lower()
        if form not in known:
            raise UsageError(f"-o {output}: expected a name that ends with .{', .'.join(known)}")
        check_output(output, inputs=[])
    panels = read_panels(model_dirs, axis=axis)
    if output is None:
        out.print(Text.from_ansi(_drawn(panels, axis)), soft_wrap=True)
        out.print(_legend(panels[0].curves))
    else:
        write_bytes(output, picture(panels, cast(PictureFormat, form), axis=axis))


def _drawn(panels: "Sequence[Panel]", axis: "Axis") -> str:
    """The panels in characters, two beside each other where the terminal is wide."""
    from nmt.training.curves import AXES, whole_ticks

    try:
        import plotext
    except ImportError as error:
        raise UsageError("nmt plot needs plotext: pip install 'nmt[plot]'") from error
    has_colour = out.color_system is not None and not out.no_color
    columns = 2 if out.width >= WIDE else 1
    plotext.main().clear_figure()
    plotext.limit_size(False, False)  # the console knows the size better
    plotext.plot_size(out.width, ROWS * len(panels) // columns)
    plotext.subplots(len(panels) // columns, columns)
    for number, panel in enumerate(panels):
        place = plotext.subplot(number // columns + 1, number % columns + 1)
        place.theme("clear")
        place.plot_size(out.width // columns, ROWS)
        place.title(panel.title)
        drawable = [curve for curve in panel.curves if curve.x]
        for curve in drawable:
            place.plot(
                curve.x,
                curve.y,
                marker=_marker(curve, has_colour=has_colour),
                color=_colour(curve) if has_colour else None,
            )
        place.xlabel(AXES[axis])
        if drawable and axis == "step":
            steps = [x for curve in drawable for x in curve.x]
            place.xticks(whole_ticks(min(steps), max(steps)))
    drawn: str = plotext.build()
    return drawn


def _marker(curve: "Curve", *, has_colour: bool) -> str:
    """Fine dots, and a letter for development scores; without colours every curve has one of its own."""
    if has_colour:
        return DEV_MARKER if curve.part == "dev" else "braille"
    number = 2 * curve.run + (curve.part == "dev")
    return ("braille", *MARKERS)[number % (1 + len(MARKERS))]


def _colour(curve: "Curve") -> str:
    return COLOURS[curve.run % len(COLOURS)]


def _legend(curves: "Sequence[Curve]") -> Text:
    """What each curve is, below the panels, where it covers none of them."""
    has_colour = out.color_system is not None and not out.no_color
    legend = Text()
    for curve in curves:
        marker = _marker(curve, has_colour=has_colour)
        style = _RICH_COLOURS.get(_colour(curve), _colour(curve)) if has_colour else ""
        legend.append(DOTS if marker == "braille" else 3 * marker, style).append(f" {curve.label}   ")
    return legend
