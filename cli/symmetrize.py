"""`nmt symmetrize`: the links of both directions made one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nmt.corpus.links import LinkFormat, Method, format_of_ending
from nmt.errors import UsageError

from .lines import line_output
from .link_rows import LinkRows
from .options import OutputOption, SureOption, least_sure

if TYPE_CHECKING:
    from nmt.alignment.formats import LinkLine

METHOD = typer.Option(
    "--method",
    metavar="RULE",
    help="Which links of both directions to keep: intersection, union, grow, grow-diag or grow-diag-strict; "
    "the last three also with -final or -final-and. grow-diag adds to the intersection those neighbours of "
    "which either word is still free, as Moses and atools do, grow-diag-strict those of which both are; "
    "grow looks at no corners; -final and -final-and then add the others with one or two free words.",
    show_default="grow-diag",
)


def symmetrize(
    forward: Annotated[Path, typer.Argument(metavar="FWD", help="Links of one direction; - is stdin.")],
    reverse: Annotated[Path, typer.Argument(metavar="REV", help="Links of the other, source first as well.")],
    method: Annotated[Method, METHOD] = "grow-diag",
    is_reversed: Annotated[
        bool, typer.Option("--reverse", metavar="", help="REV has the target first: turn its links around.")
    ] = False,
    output: OutputOption = None,
    chosen: Annotated[
        Literal["pharaoh", "pharaoh-scores", "jsonl", "talp", "naacl"] | None,
        typer.Option(
            "--format",
            help="How links are written.",
            show_default="as FILE ends; else pharaoh, with scores where both have them",
        ),
    ] = None,
    sure: SureOption = None,
) -> None:
    """Combine the links of both directions, in any format; probabilities become their mean.

    A link that one direction has not has the probability 0 there. So links of both are the more probable.
    Gold links that are sure in neither direction stay possible.

    Example:
        nmt symmetrize fwd.links rev.links --method grow-diag-final-and
    """
    wanted: LinkFormat | None = chosen
    if wanted is None and output and format_of_ending(output) != "pharaoh":
        wanted = format_of_ending(output)
    if wanted == "soft":
        raise UsageError(f"{output}: .soft is for all probabilities of one model; expected .talp or the like")
    least = least_sure(sure, wanted)
    rows = LinkRows([forward, reverse])
    with line_output(output, inputs=[forward, reverse]) as write:
        for number, row in enumerate(rows, start=1):
            one, other = row.links
            for line in _lines(one, other.turned() if is_reversed else other, method, wanted, number, least):
                write(line)


def _lines(
    forward: "LinkLine",
    reverse: "LinkLine",
    method: Method,
    chosen: LinkFormat | None,
    number: int,
    sure: float,
) -> list[str]:
    """What is written of the links of one sentence in both directions."""
    from nmt.alignment.formats import json_line, link_lines, words_record
    from nmt.alignment.symmetrize import symmetrize_lines

    both = symmetrize_lines(forward, reverse, method)
    if chosen == "jsonl":
        if both.alignment is None and not both.links:
            return [""]
        if both.alignment is None:
            raise UsageError("--format jsonl needs words; expected FWD or REV as JSON lines")
        record = words_record(both.alignment) | {"from": "symmetrize", "method": method}
        return [json_line(record)]
    chosen = chosen or ("pharaoh-scores" if both.has_probabilities else "pharaoh")
    return link_lines(both.probabilities, chosen, number=number, sure=sure, possible=both.possible)
