"""Options of `nmt translate` that say how to search, and what every translation must be like."""

from pathlib import Path
from typing import Annotated, Literal

import typer

ModelsOption = Annotated[
    list[Path],
    typer.Option(
        "--model", "-m", metavar="DIR", help="Model folder; several translate together.", show_default=False
    ),
]
PrecisionOption = Annotated[
    Literal["auto", "float32", "bfloat16", "int8"] | None,
    typer.Option(
        "--precision",
        help="Arithmetic; for many lines on a CPU int8 is the fastest.",
        show_default="bfloat16 on GPUs that have it, else float32",
    ),
]
SampleOption = Annotated[
    int | None,
    typer.Option("--sample", min=1, metavar="N", help="Draw N translations of a line instead of searching."),
]
TemperatureOption = Annotated[
    float | None,
    typer.Option("--temperature", metavar="T", help="Of --sample: below 1 likelier.", show_default="1"),
]
SampleSeedOption = Annotated[
    int | None,
    typer.Option("--seed", min=0, metavar="N", help="Of --sample.", show_default="the model's, usually 1"),
]
MbrOption = Annotated[
    bool,
    typer.Option("--mbr", metavar="", help="The sample most like all others is best, by chrF; 32 samples."),
]
PrefixOption = Annotated[
    str, typer.Option("--prefix", metavar="TEXT", help="What every translation begins with.")
]
RequireOption = Annotated[
    list[str] | None,
    typer.Option("--require", metavar="TEXT", help="Words that every translation has; may be repeated."),
]
ForbidOption = Annotated[
    list[str] | None,
    typer.Option("--forbid", metavar="TEXT", help="Words that no translation has; may be repeated."),
]
AlternativesOption = Annotated[
    int,
    typer.Option(
        "--alternatives",
        min=0,
        metavar="N",
        help="The N likeliest next words after --prefix, each with the best translation that has it.",
    ),
]
WordScoresOption = Annotated[
    bool,
    typer.Option("--word-scores", metavar="", help="In JSON lines: start, end and log-probability of words."),
]
