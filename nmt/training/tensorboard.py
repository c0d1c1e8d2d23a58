"""Event files for TensorBoard, with the numbers of `metrics.jsonl`."""

import io
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from nmt.errors import UsageError
from nmt.files import append_bytes, make_dir, remove_file, write_bytes
from nmt.training.curves import read_metrics
from nmt.training.report import EvalReport, Report, StartReport, StepReport
from nmt.training.run import EVENTS

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event

TAGS = {
    "step": {
        "loss": "train/loss",
        "consistency": "train/consistency",
        "learning_rate": "train/learning_rate",
        "tokens_per_second": "train/tokens_per_second",
    },
    "eval": {"loss": "dev/loss", "bleu": "dev/bleu"},
}
"""What is shown of which report, and under which name."""

FIRST = "brain.Event:2"  # the version of the format, which stands at the beginning of a file


def with_events(on_report: Callable[[Report], None], model_dir: Path) -> Callable[[Report], None]:
    """The same observer of a run, which now also writes event files into `train/tensorboard/`.

    Raises UsageError if TensorBoard is not installed.
    """
    events = EventFile(model_dir)

    def observe(report: Report) -> None:
        events.write(report)
        on_report(report)

    return observe


class EventFile:
    """An event file, begun anew at every start with all that the metrics tell: nothing stands there twice."""

    def __init__(self, model_dir: Path) -> None:
        try:
            from tensorboard.compat.proto import event_pb2
        except ImportError as error:
            raise UsageError(
                "training.tensorboard needs one more package: pip install 'nmt[tensorboard]'"
            ) from error
        self._proto: ModuleType = event_pb2
        self._model_dir = model_dir

    def write(self, report: Report) -> None:
        """Add a report of steps or of an evaluation; at the start of a run begin the file."""
        match report:
            case StartReport():
                self._begin(read_metrics(self._model_dir))
            case StepReport() | EvalReport():
                kind = "step" if isinstance(report, StepReport) else "eval"
                append_bytes(self._path, _recorded([self._event({"report": kind, **vars(report)})]))

    def _begin(self, records: list[Mapping[str, Any]]) -> None:
        """Write a new file with all that was reported before, and remove those of earlier starts."""
        now = time.time()
        self._began = now - (records[-1]["seconds"] if records else 0.0)  # if there had been no stop
        folder = self._model_dir / "train" / EVENTS
        make_dir(folder)
        before = list(folder.iterdir())
        # by its name TensorBoard knows it for the newest, by the first event that it is to forget the others
        self._path = folder / f"events.out.tfevents.{time.time_ns()}"
        forget = self._proto.SessionLog(status=self._proto.SessionLog.START)
        heads = [
            self._proto.Event(wall_time=now, file_version=FIRST),
            self._proto.Event(wall_time=now, step=0, session_log=forget),
        ]
        write_bytes(self._path, _recorded([*heads, *map(self._event, records)]))
        for path in before:
            remove_file(path)

    def _event(self, record: Mapping[str, Any]) -> "Event":
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [
            Summary.Value(tag=tag, simple_value=record.get(key, 0.0))
            for key, tag in TAGS[record["report"]].items()
        ]
        return cast(
            "Event",
            self._proto.Event(
                wall_time=self._began + record["seconds"],
                step=record["step"],
                summary=Summary(value=values),
            ),
        )


def _recorded(events: "Iterable[Event]") -> bytes:
    """Events as they stand in a file, with their lengths and checksums."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    stream = io.BytesIO()
    writer = RecordWriter(stream)
    for event in events:
        writer.write(event.SerializeToString())
    return stream.getvalue()
