"""Options that several commands share, each with one spelling."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from nmt.corpus.words import UnitMode

Device = Literal["auto", "cpu", "cuda", "mps"]

ModelOption = Annotated[
    Path, typer.Option("--model", "-m", metavar="DIR", help="Model folder.", show_default=False)
]
DeviceOption = Annotated[
    Device, typer.Option("--device", help="Where to compute; auto takes a GPU if there is one.")
]
ThreadsOption = Annotated[
    int, typer.Option("--threads", metavar="N", min=0, help="CPU threads; 0 takes all cores.")
]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of everything random.")]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", metavar="", help="No progress and no remarks on stderr.")
]
JsonOption = Annotated[bool, typer.Option("--json", metavar="", help="Results as JSON.")]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Write here, not to stdout; the file appears once it is whole."
    ),
]
BeamOption = Annotated[
    int | None,
    typer.Option(
        "--beam", min=1, metavar="N", help="Beam size; 1 is greedy.", show_default="the model's, usually 5"
    ),
]
UnitsOption = Annotated[
    UnitMode,
    typer.Option(
        "--tokens", help="What is linked: words of raw text, tokens between spaces, or the model's pieces."
    ),
]
SureOption = Annotated[
    float,
    typer.Option(
        "--sure",
        metavar="P",
        min=0.0,
        max=1.0,
        help="In talp and NAACL links of this probability or more are sure, others only possible.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set any option of the config, as section.key=value."),
]
