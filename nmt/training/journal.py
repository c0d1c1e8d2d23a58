"""The journal of a run: where its time goes, and its reports, told to the caller and kept in `train/`."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from nmt.files import append_text
from nmt.training.distributed import Ranks
from nmt.training.report import NoteReport, Report, StepReport, as_line
from nmt.training.run import LOG, METRICS
from nmt.training.state import Progress

OnReport = Callable[[Report], None]
Account = Literal["setup_seconds", "train_seconds", "other_seconds"]


class Journal:
    """Books the time that passes and keeps what is reported; of several ranks the first one alone reports."""

    def __init__(self, train_dir: Path, on_report: OnReport, *, ranks: Ranks, started: float) -> None:
        self.train_dir = train_dir
        self.on_report = on_report
        self.ranks = ranks
        self.booked = self._first(started)  # the moment up to which time was booked

    def book(self, progress: Progress, account: Account) -> None:
        """Book the time since the last booking, by the clock of the first rank: all decide alike by it."""
        now = self._first(time.perf_counter())
        spent, self.booked = now - self.booked, now
        setattr(progress, account, getattr(progress, account) + spent)
        if account == "train_seconds":
            progress.window_seconds += spent

    def _first(self, moment: float) -> float:
        """What the first rank gives, in all of them: each has a clock of its own."""
        return self.ranks.sum(moment if self.ranks.is_first else 0.0)

    def tell(self, report: Report) -> None:
        """Tell the caller."""
        if self.ranks.is_first:
            self.on_report(report)

    def report(self, report: Report) -> None:
        """Write it into `train/`, and tell the caller."""
        self.record(report)
        self.tell(report)

    def note(self, text: str) -> None:
        """Report something the user should know, in a sentence."""
        self.report(NoteReport(text))

    def report_steps(self, progress: Progress, *, learning_rate: float) -> None:
        """Report the steps since the last report; if all of them were skipped there is nothing to tell."""
        if progress.window_tokens:
            pace = (progress.train_seconds + progress.other_seconds) / progress.step
            self.report(
                StepReport(
                    step=progress.step,
                    max_steps=progress.max_steps,
                    epoch=progress.epoch,
                    loss=progress.window_nll / progress.window_tokens,
                    consistency=progress.window_divergence / progress.window_tokens,
                    learning_rate=learning_rate,
                    tokens_per_second=progress.window_tokens / progress.window_seconds,
                    seconds=progress.seconds,
                    seconds_left=pace * (progress.max_steps - progress.step),
                )
            )
        progress.window_nll = progress.window_divergence = progress.window_seconds = 0.0
        progress.window_tokens = 0

    def record(self, report: Report) -> None:
        """Write it into `train/`: numbers to metrics.jsonl, a line to log.txt."""
        if not self.ranks.is_first:
            return
        append_text(self.train_dir / LOG, as_line(report) + "\n")
        record = {"report": type(report).__name__.removesuffix("Report").lower()}
        record |= {key: value for key, value in vars(report).items() if key not in ("config", "sample")}
        line = json.dumps(record, ensure_ascii=False, allow_nan=False)
        append_text(self.train_dir / METRICS, line + "\n")
