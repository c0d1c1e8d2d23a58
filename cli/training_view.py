"""How training is watched: a live picture on a terminal, one plain line per report elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import itemgetter

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nmt.training.report import (
    DataReport,
    EndReport,
    EvalReport,
    LinkingReport,
    LinksReport,
    Report,
    StartReport,
    StepReport,
    as_line,
    clock,
)

from .console import err, is_watched, say

SHOWN_EVALUATIONS = 6
WIDEST_BAR = 24
WIDEST = 120


@contextmanager
def watch(*, quiet: bool) -> Iterator[Callable[[Report], None]]:
    """What shows the reports of a run as they come."""
    if quiet:
        yield lambda _: None
    elif is_watched():
        picture = Picture()
        with Live(console=err, get_renderable=picture.draw, refresh_per_second=1) as live:
            picture.live = live
            yield picture
    else:
        yield lambda report: say(as_line(report))


class Picture:
    """The state of a run as a picture: where it stands, how good it is, what it translates."""

    live: Live

    def __init__(self) -> None:
        self.doing = "reading the text …"
        self.linking = ""  # what is learnt of links, once all steps are done
        self.step: StepReport | None = None
        self.step_seen = 0.0  # by the clock that goes on between two reports
        self.evaluations: list[EvalReport] = []

    def __call__(self, report: Report) -> None:
        """Take a report into the picture, or print it above."""
        match report:
            case StepReport():
                self.step, self.step_seen = report, time.monotonic()
            case EvalReport():
                self.evaluations.append(report)
            case DataReport():
                self.doing = "getting ready …"
            case StartReport():
                self.doing = "the first steps …"
            case LinkingReport():
                self.linking = as_line(report)
            case EndReport() | LinksReport():
                self.doing = self.linking = ""
        if not isinstance(report, StepReport | EvalReport | LinkingReport):
            self.live.console.print(as_line(report), style="dim", markup=False, soft_wrap=True)
        self.live.refresh()

    def draw(self) -> RenderableType:
        """The picture as it is now."""
        parts: list[RenderableType] = []
        if self.step is not None:
            since = time.monotonic() - self.step_seen if self.doing else 0.0
            parts += [self._bar(self.step, since), self._figures(self.step, since)]
        elif self.doing and not self.linking:
            parts.append(Text(self.doing, "dim"))
        if self.linking:
            parts.append(Text(f"{self.linking} …", "dim"))
        if self.evaluations:
            parts += [Text(), self._scores(), Text(), *self._sample(self.evaluations[-1])]
        return Group(*parts)

    def _bar(self, step: StepReport, since: float) -> RenderableType:
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(no_wrap=True)
        table.add_column(ratio=1)
        table.add_column(no_wrap=True)
        bar = ProgressBar(total=step.max_steps, completed=step.step)
        left = clock(max(0.0, step.seconds_left - since))
        table.add_row(f"step {step.step:,}/{step.max_steps:,}", bar, f"{left} left")
        return table

    def _figures(self, step: StepReport, since: float) -> RenderableType:
        figures = {
            "epoch": f"{step.epoch}",
            "loss": f"{step.loss:.3f}",
            "consistency": f"{step.consistency:.3f}" if step.consistency else "",
            "lr": f"{step.learning_rate:.2e}",
            "tokens/s": f"{step.tokens_per_second:,.0f}",
            "time": clock(step.seconds + since),
        }
        text = Text()
        for name, value in filter(itemgetter(1), figures.items()):
            text.append(f"{name} ", "dim").append(f"{value}   ", "bold")
        return text

    def _scores(self) -> RenderableType:
        """The newest looks at the development set, with a bar for each BLEU."""
        table = Table.grid(padding=(0, 2))
        directions = self.evaluations[-1].bleu_by_direction
        names = ("step", "dev loss", *directions, "mean BLEU" if directions else "dev BLEU")
        for _ in names:
            table.add_column(justify="right", no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_row(*(Text(name, "dim") for name in (*names, "")))
        best_step = max((each.step for each in self.evaluations if each.is_best), default=0)
        highest = max(1e-9, *(each.bleu for each in self.evaluations))
        figures = 35 + (9 * len(directions) + 1 if directions else 0)
        widest = max(0, min(WIDEST_BAR, err.width - figures))  # what the figures and "best" leave
        for each in self.evaluations[-SHOWN_EVALUATIONS:]:
            is_best = each.step == best_step
            bar = "▇" * round(widest * each.bleu / highest) + (" best" if is_best else "")
            style = "bold green" if is_best else ""
            scores = (f"{value:.2f}" for value in (*each.bleu_by_direction.values(), each.bleu))
            table.add_row(f"{each.step:,}", f"{each.loss:.3f}", *scores, bar, style=style)
        return table

    def _sample(self, report: EvalReport) -> list[RenderableType]:
        """One development sentence with its links, and what it should be."""
        from nmt.alignment.drawing.printable import printable
        from nmt.alignment.drawing.table import alignment_table

        colour = err.color_system is not None and not err.no_color
        reference = Text(f"reference: {printable(report.sample.reference)}", "dim")
        return [
            alignment_table(report.sample.alignment, width=min(err.width, WIDEST), colour=colour),
            reference,
        ]
