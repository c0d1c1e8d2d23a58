"""Options that several commands share, each with one spelling."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from nmt.config.presets import PresetName
from nmt.config.schema import LinksFrom
from nmt.corpus.links import LIKELY, LinkFormat
from nmt.corpus.words import UnitMode
from nmt.errors import UsageError

Device = Literal["auto", "cpu", "cuda", "mps"]
UNITS: UnitMode = "punct"
"""What is linked where nothing else is asked for."""

ModelOption = Annotated[
    Path, typer.Option("--model", "-m", metavar="DIR", help="Model folder.", show_default=False)
]
ToOption = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="LANG",
        help="Language to translate into, of a model for both directions.",
        show_default="the target language of its training",
    ),
]
ContextOption = Annotated[
    bool,
    typer.Option(
        "--context/--no-context",
        help="Give a model that was trained so the lines before each, up to a blank one; or each line alone.",
    ),
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
SHORTLIST = 40  # translations of every source piece; the table in recipes/benchmarks
ShortlistOption = Annotated[
    bool,
    typer.Option(
        "--shortlist",
        metavar="",
        help="Only pieces that the model's HMM aligners link to the source, and common ones; faster on CPUs.",
    ),
]
UnitsOption = Annotated[
    UnitMode | None,
    typer.Option(
        "--tokens",
        help="What is linked: words of raw text, tokens between spaces, or the model's pieces.",
        show_default=UNITS,
    ),
]
FromOption = Annotated[
    LinksFrom | None,
    typer.Option(
        "--from",
        help="Where links come from: the cross-attention, the align head on its states, or the HMM aligners; "
        "auto: of the head if it learnt from 6,000 pairs or more, else of the aligners.",
        show_default="the model's, usually auto",
    ),
]
SureOption = Annotated[
    float | None,
    typer.Option(
        "--sure",
        metavar="P",
        min=0.0,
        max=1.0,
        help="In talp and NAACL links of this probability or more are sure, others only possible.",
        show_default=f"{LIKELY}",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set an option of the config, as section.key=value."),
]

DevSrcOption = Annotated[
    str | None,
    typer.Option("--dev-src", metavar="FILE", help="Development text; without it some pairs are held out."),
]
DevTgtOption = Annotated[str | None, typer.Option("--dev-tgt", metavar="FILE", help="Its translation.")]
PresetOption = Annotated[
    PresetName, typer.Option("--preset", help="Size of the model; auto: by the number of pairs and --budget.")
]
BudgetOption = Annotated[
    str | None,
    typer.Option(
        "--budget", metavar="TIME", help="Plan the training to be done in 20m, 1h30m, or 90 seconds."
    ),
]
TrainingSeedOption = Annotated[
    int | None, typer.Option("--seed", metavar="N", min=0, help="Seed of everything random.")
]

GoldBaseOption = Annotated[
    Literal["auto", "0", "1"], typer.Option("--gold-base", help="Number of the first word in GOLD.")
]


def least_sure(sure: float | None, chosen: LinkFormat | Literal["table"] | None) -> float:
    """The least probability of a sure link; UsageError if it is given, but the format does not tell."""
    if sure is not None and chosen not in ("talp", "naacl"):
        raise UsageError("--sure is for talp and NAACL, which have sure and possible links; leave it out")
    return LIKELY if sure is None else sure
