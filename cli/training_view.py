"""How training is watched: a live picture on a terminal, one plain line per report elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nmt.training.report import (
    DataReport,
    EndReport,
    EvalReport,
    NoteReport,
    Report,
    StartReport,
    StepReport,
    as_line,
    clock,
)

from .console import err, say

SHOWN_EVALUATIONS = 6


class OnReport(Protocol):
    """Takes a report and shows it."""

    def __call__(self, report: Report) -> None: ...


@contextmanager
def watch(*, quiet: bool) -> Iterator[OnReport]:
    """What shows the reports of a run as they come."""
    if quiet:
        yield lambda _: None
    elif err.is_terminal:
        picture = Picture()
        with Live(console=err, get_renderable=picture.draw, refresh_per_second=4) as live:
            picture.live = live
            yield picture
    else:
        yield lambda report: say(as_line(report))


class Picture:
    """The state of a run as a picture: where it stands, how good it is, what it translates."""

    live: Live

    def __init__(self) -> None:
        self.step: StepReport | None = None
        self.start: StartReport | None = None
        self.evaluations: list[EvalReport] = []
        self.best_step = 0

    def __call__(self, report: Report) -> None:
        match report:
            case DataReport() | NoteReport() | EndReport():
                self._print_above(as_line(report))
            case StartReport():
                self.start = report
                self._print_above(as_line(report))
            case StepReport():
                self.step = report
            case EvalReport():
                self.best_step = report.step if report.is_best else self.best_step
                self.evaluations.append(report)
        self.live.refresh()

    def draw(self) -> RenderableType:
        """The picture as it is now."""
        parts: list[RenderableType] = [self._bar()]
        if self.step is not None:
            parts.append(self._figures(self.step))
        if self.evaluations:
            parts += [Text(), self._scores(), Text(), *self._sample(self.evaluations[-1])]
        return Group(*parts)

    def _print_above(self, line: str) -> None:
        self.live.console.print(line, style="dim", markup=False, soft_wrap=True)

    def _bar(self) -> RenderableType:
        step, total = (self.step.step, self.step.max_steps) if self.step else (0, 1)
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(no_wrap=True)
        table.add_column(ratio=1)
        table.add_column(no_wrap=True)
        left = f"{clock(self.step.seconds_left)} left" if self.step else "getting ready …"
        bar = ProgressBar(total=total, completed=step, pulse=self.step is None)
        table.add_row(f"step {step:,}/{total:,}" if self.step else "", bar, left)
        return table

    def _figures(self, step: StepReport) -> RenderableType:
        figures = {
            "epoch": f"{step.epoch}",
            "loss": f"{step.loss:.3f}",
            "lr": f"{step.learning_rate:.2e}",
            "tokens/s": f"{step.tokens_per_second:,.0f}",
            "time": clock(step.seconds),
        }
        text = Text()
        for name, value in figures.items():
            text.append(f"{name} ", "dim").append(f"{value}   ", "bold")
        return text

    def _scores(self) -> RenderableType:
        """The newest looks at the development set, with a bar for each BLEU."""
        table = Table.grid(padding=(0, 2))
        for column in ("right", "right", "right", "left"):
            table.add_column(justify="left" if column == "left" else "right")
        table.add_row(*(Text(name, "dim") for name in ("step", "dev loss", "dev BLEU", "")))
        best = max(1e-9, *(each.bleu for each in self.evaluations))
        for each in self.evaluations[-SHOWN_EVALUATIONS:]:
            is_best = each.step == self.best_step
            bar = Text("▇" * round(24 * each.bleu / best) + (" best" if is_best else ""))
            style = "bold green" if is_best else ""
            table.add_row(f"{each.step:,}", f"{each.loss:.3f}", f"{each.bleu:.2f}", bar, style=style)
        return table

    def _sample(self, report: EvalReport) -> list[RenderableType]:
        """One development sentence with its links, and what it should be."""
        from nmt.alignment.render import alignment_table, printable

        colour = err.color_system is not None and not err.no_color
        reference = Text(f"reference: {printable(report.sample.reference)}", "dim")
        return [alignment_table(report.sample.alignment, width=err.width, colour=colour), reference]
