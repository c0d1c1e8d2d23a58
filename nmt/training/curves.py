"""The curves of runs, as `metrics.jsonl` tells them: loss, development score, learning rate and pace."""

import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nmt.errors import DataError, UsageError
from nmt.files import open_for_reading
from nmt.training.run import METRICS

Axis = Literal["step", "time"]
PictureFormat = Literal["png", "svg", "pdf"]
Part = Literal["train", "dev", ""]
"""What a curve tells of, where a panel has more than one for a run."""

AXES: dict[Axis, str] = {"step": "step", "time": "hours"}
SECONDS_PER_HOUR = 3600
MOST_TICKS = 6
INCHES = (11.0, 7.5)


@dataclass(frozen=True)
class Curve:
    """Points in the order they were measured."""

    run: int  # from 0: which of the runs that are compared
    part: Part
    label: str
    x: list[float]
    y: list[float]


@dataclass(frozen=True)
class Panel:
    """Curves of one quantity."""

    title: str
    curves: list[Curve]


def read_panels(model_dirs: Sequence[Path], *, axis: Axis = "step") -> list[Panel]:
    """Loss, development BLEU, learning rate and tokens/s of these runs, finished or not.

    Raises UsageError if a folder is no run, DataError if its metrics are damaged or still empty.
    """
    runs = {_name(path, model_dirs): _some_metrics(path) for path in model_dirs}
    wanted: list[tuple[str, list[tuple[str, str, Part]]]] = [
        ("loss, nats per target token", [("step", "loss", "train"), ("eval", "loss", "dev")]),
        ("dev BLEU", [("eval", "bleu", "")]),
        ("learning rate", [("step", "learning_rate", "")]),
        ("target tokens/s", [("step", "tokens_per_second", "")]),
    ]
    return [
        Panel(
            title,
            [
                Curve(
                    number, part, ", ".join(filter(None, (name, part))), *_points(records, report, key, axis)
                )
                for number, (name, records) in enumerate(runs.items())
                for report, key, part in parts
            ],
        )
        for title, parts in wanted
    ]


def picture(panels: Sequence[Panel], form: PictureFormat, *, axis: Axis = "step") -> bytes:
    """The panels as a picture file, each run in a colour of its own; UsageError without matplotlib."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError as error:
        raise UsageError("a picture needs matplotlib: pip install 'nmt[plot]'") from error
    figure = Figure(figsize=INCHES, layout="constrained")
    for axes, panel in zip(figure.subplots(2, 2).flat, panels, strict=True):
        for curve in panel.curves:
            axes.plot(
                curve.x,
                curve.y,
                label=curve.label,
                linewidth=1.2,
                color=f"C{curve.run}",  # matplotlib goes through ten of them
                linestyle="--" if curve.part == "dev" else "-",
                marker="o" if len(curve.x) == 1 else None,
                markersize=4,
            )
        axes.set_title(panel.title, loc="left", fontsize=10)
        axes.set_xlabel(AXES[axis])
        axes.xaxis.set_major_locator(MaxNLocator(integer=axis == "step"))
        axes.grid(alpha=0.3)
        if len(panel.curves) > 1:
            axes.legend(fontsize=8)
    data = io.BytesIO()
    figure.savefig(data, format=form, dpi=150, metadata={"Date": None} if form == "svg" else None)
    return data.getvalue()


def _name(path: Path, others: Sequence[Path]) -> str:
    """The name of the folder, or its path where two have the same name; none if there is only one."""
    if len(others) == 1:
        return ""
    names = [other.resolve().name for other in others]
    return path.resolve().name if names.count(path.resolve().name) == 1 else str(path)


def read_metrics(model_dir: Path) -> list[Mapping[str, Any]]:
    """What the metrics of a run tell of steps and evaluations, in the order in which it was reported.

    Raises UsageError if the folder is no run, DataError if the metrics are damaged.
    """
    path = model_dir / "train" / METRICS
    if not path.exists():
        raise UsageError(f"{model_dir}: has no train/{METRICS}; expected a folder that nmt train writes")
    with open_for_reading(path) as stream:
        lines = stream.read().split(b"\n")[:-1]  # a last line without its end is being written
    try:
        records = [json.loads(line) for line in lines]
        kept = [record for record in records if record["report"] in ("step", "eval")]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged ({error}); expected a JSON object in every line") from error
    return kept


def _some_metrics(model_dir: Path) -> list[Mapping[str, Any]]:
    records = read_metrics(model_dir)
    if not records:
        raise DataError(f"{model_dir / 'train' / METRICS}: tells of no step yet; try again later")
    return records


def whole_ticks(low: float, high: float) -> list[int]:
    """About five round whole numbers between two numbers, none if there is none."""
    step = 1
    while (high - low) / step > MOST_TICKS:
        step = step * 5 // 2 if str(step).startswith("2") else step * 2  # 1, 2, 5, 10, 20, 50, …
    return list(range(math.ceil(low / step) * step, math.floor(high) + 1, step))


def _points(
    records: Iterable[Mapping[str, Any]], report: str, key: str, axis: Axis
) -> tuple[list[float], list[float]]:
    kept = [record for record in records if record["report"] == report]
    return [_place(record, axis) for record in kept], [float(record[key]) for record in kept]


def _place(record: Mapping[str, Any], axis: Axis) -> float:
    return float(record["seconds"]) / SECONDS_PER_HOUR if axis == "time" else float(record["step"])
