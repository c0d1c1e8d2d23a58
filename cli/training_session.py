"""A training run as a person watches it: shown as it goes, saved and ended by Ctrl-C."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nmt.config.schema import Config
    from nmt.training.report import EndReport, Report


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
    from nmt.training.report import StartReport

    from .signals import SignalWatch
    from .training_view import watch

    with SignalWatch() as signals, watch(quiet=quiet) as show:

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
