"""`nmt train`: a model from parallel text; the same command again resumes."""

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.errors import UsageError
from nmt.files import InvalidUtf8

from .console import say, write_line
from .options import (
    BudgetOption,
    Device,
    DevSrcOption,
    DevTgtOption,
    JsonOption,
    PresetOption,
    QuietOption,
    SetOption,
    TrainingSeedOption,
)
from .training_session import run_relinking, run_training, show_dry_run, show_resume_check

if TYPE_CHECKING:
    from nmt.training.report import EndReport, LinksReport


def train(
    out_dir: Annotated[
        Path, typer.Option("--out", "-o", metavar="MODEL", help="Folder to make.", show_default=False)
    ],
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG.toml", help="Options; a flag wins over it.")
    ] = None,
    src: Annotated[
        list[str] | None, typer.Option("--src", metavar="FILE", help="Source text; may be given again.")
    ] = None,
    tgt: Annotated[
        list[str] | None, typer.Option("--tgt", metavar="FILE", help="Its translation, line by line.")
    ] = None,
    dev_src: DevSrcOption = None,
    dev_tgt: DevTgtOption = None,
    invalid_utf8: Annotated[
        InvalidUtf8 | None,
        typer.Option(
            help="A line that is not UTF-8 is an error; skip drops the pair, replace mends it.",
            show_default="error",
        ),
    ] = None,
    is_bidirectional: Annotated[
        bool, typer.Option("--bidirectional", metavar="", help="One model for both directions.")
    ] = False,
    preset: PresetOption = "auto",
    budget: BudgetOption = None,
    init_from: Annotated[
        str | None,
        typer.Option(
            "--init-from",
            metavar="MODEL",
            help="Begin with the weights and the tokenizer of a finished model.",
        ),
    ] = None,
    set_options: SetOption = None,
    override: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Resume although this option was another at the start."),
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", metavar="", help="Begin anew.")] = False,
    is_head_only: Annotated[
        bool,
        typer.Option(
            "--align-head-only",
            metavar="",
            help="Only learn anew what a finished MODEL makes links with; by default from its training text.",
        ),
    ] = False,
    is_dry: Annotated[
        bool, typer.Option("--dry-run", metavar="", help="Only measure: size, pace, memory, disk.")
    ] = False,
    is_verified: Annotated[
        bool,
        typer.Option(
            "--verify-resume",
            metavar="",
            help="Only show, on a sample, that a training that is killed ends as one that is not.",
        ),
    ] = False,
    device: Annotated[
        Device | None, typer.Option("--device", help="Where to train; auto: a GPU if there is one.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", metavar="N", min=0, help="CPU threads; 0: all cores.")
    ] = None,
    seed: TrainingSeedOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a translation model on parallel text.

    The same command again goes on where the last one was stopped, by Ctrl-C or by a power cut; on a finished
    model it says so. Every option that has no flag here is set with --set, as in --set model.dropout=0.2; all
    of them stand, with defaults, in the config.toml of every model, and in nmt/config/schema.py.

    Example:
        nmt train --src train.de --tgt train.en --out my-model --budget 20m
        nmt train --init-from my-model --src b.de --tgt b.en --out another
    """
    from nmt.config.toml import override as with_overrides
    from nmt.training.distributed import is_first, work_alone
    from nmt.training.options import nested, parse_duration, resolve

    flags = {
        "data.src": src,
        "data.tgt": tgt,
        "data.dev_src": dev_src,
        "data.dev_tgt": dev_tgt,
        "data.invalid_utf8": invalid_utf8,
        "data.bidirectional": is_bidirectional or None,
        "training.init_from": init_from,
        "training.budget": parse_duration(budget) if budget else None,
        "training.device": device,
        "training.threads": threads,
        "training.seed": seed,
    }
    if is_head_only:
        others = {
            "CONFIG.toml": config,
            "--preset": preset != "auto",
            "--override": override,
            "--restart": restart,
            "--dry-run": is_dry,
            "--verify-resume": is_verified,
        }
        _refuse([name for name, value in others.items() if value])
        if work_alone():
            found = run_relinking(with_overrides(nested(flags), set_options or []), out_dir, quiet=quiet)
            tell(found, out_dir, quiet=quiet, as_json=as_json)
        return
    changed = override or []
    options = resolve(config, nested(flags), preset_name=preset, overrides=[*(set_options or []), *changed])
    if is_dry and is_verified:
        raise UsageError("--dry-run and --verify-resume are two things; give one of them")
    if (is_dry or is_verified) and not work_alone():
        return
    allowed = [text.partition("=")[0].strip() for text in changed]
    if is_dry:
        show_dry_run(options, out_dir, as_json=as_json, restart=restart, allowed_changes=allowed)
        return
    if is_verified:
        show_resume_check(options, quiet=quiet, as_json=as_json)
        return
    end = run_training(options, out_dir, quiet=quiet, restart=restart, allowed_changes=allowed)
    if is_first():
        tell(end, out_dir, quiet=quiet, as_json=as_json)


def _refuse(others: list[str]) -> None:
    if others:
        raise UsageError(
            f"{', '.join(others)}: of no use to --align-head-only, which trains no model; leave it out"
        )


def tell(found: "EndReport | LinksReport", out_dir: Path, *, quiet: bool, as_json: bool) -> None:
    """What came out, as JSON, or else what to do with it."""
    if as_json:
        write_line(json.dumps(asdict(found) | {"model": str(out_dir)}))
    elif not quiet:
        say(f"now try: nmt translate --align -m {shlex.quote(str(out_dir))}", style="bold")
