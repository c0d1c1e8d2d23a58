"""`nmt average`: the mean of checkpoints of a run, or of finished models."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nmt.errors import UsageError

from .console import say, write_line
from .lines import refuse_model_folder
from .options import JsonOption, QuietOption


def average(
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL…", help="A run with its checkpoints, or finished models.")
    ],
    output_dir: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="The folder to make.", show_default=False)
    ],
    last: Annotated[
        int | None,
        typer.Option(
            "--last", metavar="N", min=2, help="So many of a run's last checkpoints.", show_default="all kept"
        ),
    ] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Average weights into a new model: of a run's last checkpoints, or of several finished models.

    A run keeps its last two checkpoints, or more with --set training.keep_checkpoints=10. Models have to be
    of the same sizes and tokenizer, and to have begun with the same weights, or their mean is of no use.

    Example:
        nmt average my-model --last 2 -o averaged
    """
    from nmt.checkpoint import relink_command
    from nmt.training.averaging import average_checkpoints, average_models

    refuse_model_folder(output_dir)
    if len(models) == 1:
        found = average_checkpoints(models[0], output_dir, last=last or 0)
    elif last is None:
        found = average_models(models, output_dir)
    else:
        raise UsageError("--last is for the checkpoints of one run; leave it out to average finished models")
    if as_json:
        write_line(json.dumps(asdict(found) | {"model": str(output_dir)}))
    elif not quiet:
        say(f"{output_dir}: the mean of {', '.join(found.of)}")
    if found.lost_head and not quiet:
        again = relink_command(output_dir)
        say(f"the align head was for the weights it learnt from, and is left out; make a new one: {again}")
