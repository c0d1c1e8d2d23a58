"""A training run as a person watches it: shown as it goes, saved and ended by Ctrl-C; or only tried out."""

import json
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from .console import is_terminal, out, say, write_line

if TYPE_CHECKING:
    from nmt.config.presets import Options
    from nmt.config.schema import Config
    from nmt.training.report import EndReport, LinksReport, Report


def run_training(
    config: "Config",
    out_dir: Path,
    *,
    quiet: bool,
    restart: bool = False,
    allowed_changes: Collection[str] = (),
) -> "EndReport":
    """Train with the reports on stderr; the first Ctrl-C or SIGTERM saves, the second ends at once."""
    from nmt.training import train
    from nmt.training.distributed import is_first
    from nmt.training.report import StartReport

    from .signals import SignalWatch
    from .training_view import watch

    quiet = quiet or not is_first()
    with SignalWatch(speaks=is_first(), quiet=quiet) as signals, watch(quiet=quiet) as show:

        def on_report(report: "Report") -> None:
            if isinstance(report, StartReport):
                signals.begin()
            show(report)

        return train(
            config,
            out_dir,
            on_report=on_report,
            stop_signal=lambda: signals.received,
            restart=restart,
            allowed_changes=allowed_changes,
        )


def run_relinking(options: "Options", model_dir: Path, *, quiet: bool) -> "LinksReport":
    """Learn links for a finished model with the reports on stderr; Ctrl-C or SIGTERM leaves it as it was."""
    from nmt.training.relink import relink
    from nmt.training.report import LinkingReport

    from .signals import SignalWatch
    from .training_view import watch

    signals = SignalWatch(
        quiet=quiet, before=f"{model_dir}: as it was; nothing was written", stopping="stopping"
    )
    with signals, watch(quiet=quiet) as show:

        def on_report(report: "Report") -> None:
            if isinstance(report, LinkingReport):
                signals.begin()
            show(report)

        return relink(model_dir, options, on_report=on_report, stop_signal=lambda: signals.received)


def show_dry_run(
    config: "Config",
    out_dir: Path,
    *,
    as_json: bool,
    restart: bool = False,
    allowed_changes: Collection[str] = (),
) -> None:
    """Show what a training would be like."""
    from nmt.training.dry_run import dry_run
    from nmt.training.report import clock

    found = dry_run(config, out_dir, restart=restart, allowed_changes=allowed_changes)
    if as_json:
        write_line(json.dumps(asdict(found), ensure_ascii=False))
        return
    data, epochs = found.data, found.max_steps / found.steps_per_epoch
    rows = {
        "text": f"{data.num_kept:,} of {data.num_pairs:,} pairs, {data.num_dev:,} for development",
        "model": f"{found.num_parameters:,} parameters, {data.tgt_vocab_size:,} pieces",
        **dict(choice.split(": ", 1) for choice in found.choices),
        "epoch": f"{found.tokens_per_epoch:,} target tokens in {found.steps_per_epoch:,} steps",
        "pace": f"{found.tokens_per_second:,.0f} tokens/s, {found.device}, {found.precision}",
        "plan": f"at most {found.max_steps:,} steps, {epochs:,.1f} epochs, "
        f"{clock(found.seconds)} without evaluations",
        "links": f"learnt at the end from {found.link_pairs:,} pairs, about {clock(found.link_seconds)}",
        "memory": f"about {found.memory_bytes / 1e9:.1f} GB",
        "disk": f"{found.disk_bytes / 1e6:,.0f} MB for checkpoints and model",
    }
    if not is_terminal():
        for name, value in rows.items():
            write_line(f"{name}: {value}")
        return
    table = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        table.add_row(name, value)
    out.print(table)


def show_resume_check(config: "Config", *, quiet: bool, as_json: bool) -> None:
    """Show that a training that is killed ends as one that is not; an internal error if it does not."""
    from nmt.training.report import NoteReport
    from nmt.training.verify_resume import verify_resume

    def on_report(report: "Report") -> None:
        if isinstance(report, NoteReport) and not quiet:
            say(report.text)

    check = verify_resume(config, on_report=on_report)
    if as_json:
        write_line(json.dumps(asdict(check) | {"is_same": check.is_same}))
    else:
        killed = ", ".join(map(str, check.killed_in))
        for name, weights in zip(("without a stop", f"killed in steps {killed}"), check.weights, strict=True):
            write_line(f"{weights}  {check.num_steps} steps {name}")
    if not check.is_same:
        raise RuntimeError("a training that was killed ended as another one than one that was not")
    if not quiet:
        say("the same weights, losses and scores to the last bit")
