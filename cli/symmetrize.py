"""`nmt symmetrize`: the links of both directions made one."""

from pathlib import Path
from typing import Annotated

import typer

from nmt.corpus.links import Method, format_pharaoh

from .lines import aligned_lines, line_output, name_of
from .options import OutputOption

MethodOption = Annotated[
    Method,
    typer.Option(
        "--method",
        help="Which links of both directions to keep: grow-diag is that of Moses (either word still free), "
        "grow-diag-strict asks that both are.",
    ),
]


def symmetrize(
    forward: Annotated[Path, typer.Argument(metavar="FWD", help="Links of one direction; - is stdin.")],
    reverse: Annotated[Path, typer.Argument(metavar="REV", help="Links of the other, source first as well.")],
    method: MethodOption = "grow-diag",
    is_reversed: Annotated[
        bool, typer.Option("--reverse", metavar="", help="REV has the target first: turn its links around.")
    ] = False,
    output: OutputOption = None,
) -> None:
    """Combine the links of both directions; both files in Pharaoh or JSON lines, the result in Pharaoh.

    Example:
        nmt symmetrize forward.links reverse.links -o both.links
    """
    from nmt.alignment.formats import parse_link_line
    from nmt.alignment.symmetrize import symmetrize as combine

    pairs = aligned_lines([forward, reverse])
    with line_output(output, inputs=[forward, reverse]) as write:
        for number, (one, other) in enumerate(pairs, start=1):
            links = parse_link_line(one, where=f"{name_of(forward)}:{number}").links
            turned = parse_link_line(other, where=f"{name_of(reverse)}:{number}").links
            if is_reversed:
                turned = {(target, source) for source, target in turned}
            write(format_pharaoh(combine(links, turned, method)))
