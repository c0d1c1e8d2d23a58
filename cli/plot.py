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
    from nmt.training.curves import Axis, Panel

ROWS, WIDE = 14, 110
COLOURS = ("cyan", "orange", "green", "magenta", "red", "blue")


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
    else:
        write_bytes(output, picture(panels, cast(PictureFormat, form), axis=axis))


def _drawn(panels: "Sequence[Panel]", axis: "Axis") -> str:
    """The panels in characters, two beside each other where the terminal is wide."""
    from nmt.training.curves import AXES

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
        for curve, colour in zip(drawable, COLOURS * len(drawable), strict=False):
            place.plot(
                curve.x,
                curve.y,
                label=curve.label or None,
                marker="braille",
                color=colour if has_colour else None,
            )
        place.xlabel(AXES[axis])
    drawn: str = plotext.build()
    return drawn
