"""Curves tell what metrics.jsonl tells, and a picture shows them."""

import json
from pathlib import Path

import pytest

from nmt.errors import DataError, UsageError
from nmt.training.curves import Panel, picture, read_panels, whole_ticks
from nmt.training.report import EvalReport

RECORDS = [
    {"report": "data", "num_pairs": 9},
    {"report": "step", "step": 5, "loss": 4.0, "learning_rate": 0.1, "tokens_per_second": 900, "seconds": 36},
    {
        "report": "step",
        "step": 10,
        "loss": 3.0,
        "learning_rate": 0.2,
        "tokens_per_second": 800,
        "seconds": 72,
    },
    {"report": "eval", "step": 10, "loss": 3.5, "bleu": 12.5, "seconds": 90},
]


def write_run(folder: Path, *, end: bytes = b"") -> Path:
    (folder / "train").mkdir(parents=True)
    lines = "".join(f"{json.dumps(record)}\n" for record in RECORDS)
    (folder / "train" / "metrics.jsonl").write_bytes(lines.encode() + end)
    return folder


def points(panel: Panel) -> list[tuple[str, list[tuple[float, float]]]]:
    return [(curve.label, list(zip(curve.x, curve.y, strict=True))) for curve in panel.curves]


def test_every_quantity_has_its_curve_and_a_line_that_is_being_written_waits(tmp_path) -> None:
    run = write_run(tmp_path / "one", end=b'{"report": "step", "lo')
    loss, bleu, rate, pace = read_panels([run])
    assert points(loss) == [("train", [(5, 4.0), (10, 3.0)]), ("dev", [(10, 3.5)])]
    assert points(bleu) == [("", [(10, 12.5)])]
    assert points(rate) == [("", [(5, 0.1), (10, 0.2)])]
    assert points(pace) == [("", [(5, 900.0), (10, 800.0)])]
    by_time = read_panels([run], axis="time")
    assert points(by_time[0]) == [("train", [(0.01, 4.0), (0.02, 3.0)]), ("dev", [(0.025, 3.5)])]


def test_several_runs_go_by_their_names_and_by_their_paths_where_these_are_equal(tmp_path) -> None:
    runs = [write_run(tmp_path / name) for name in ("a/model", "b/model", "other")]
    labels = [label for label, _ in points(read_panels(runs)[1])]
    assert labels == [str(runs[0]), str(runs[1]), "other"]
    assert [label for label, _ in points(read_panels(runs[1:])[0])][:2] == ["model, train", "model, dev"]


def test_a_real_run_can_be_read(corpus, tmp_path) -> None:
    done = corpus.train(tmp_path / "model")
    loss, bleu, *_ = read_panels([done.model_dir])
    assert points(loss)[0][1] == [(r["step"], r["loss"]) for r in done.metrics if r["report"] == "step"]
    assert points(bleu)[0][1] == [(report.step, report.bleu) for report in done.of(EvalReport)]


def test_a_run_has_one_colour_and_a_single_point_is_seen(tmp_path, monkeypatch) -> None:
    figure = pytest.importorskip("matplotlib.figure")
    figures = []
    save = figure.Figure.savefig

    def keep(self, *args, **options) -> None:
        figures.append(self)
        save(self, *args, **options)

    monkeypatch.setattr(figure.Figure, "savefig", keep)
    picture(read_panels([write_run(tmp_path / "one"), write_run(tmp_path / "two")]), "svg")
    loss, bleu, rate, _ = figures[0].axes
    assert [line.get_color() for line in loss.lines] == ["C0", "C0", "C1", "C1"]
    assert [line.get_color() for line in bleu.lines] == [line.get_color() for line in rate.lines]
    assert {line.get_marker() for line in bleu.lines} == {"o"}
    assert {line.get_marker() for line in rate.lines} == {"None"}
    assert all(float(tick).is_integer() for tick in rate.get_xticks())


def test_ticks_are_round_whole_numbers() -> None:
    assert whole_ticks(5, 75) == [20, 40, 60]
    assert whole_ticks(1, 3) == [1, 2, 3]
    assert whole_ticks(50, 12_345) == [5000, 10_000]
    assert whole_ticks(100, 100) == [100]


@pytest.mark.parametrize(("form", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_picture_is_a_file_of_its_kind(form, start: bytes, tmp_path) -> None:
    pytest.importorskip("matplotlib")
    data = picture(read_panels([write_run(tmp_path / "one"), write_run(tmp_path / "two")]), form)
    assert data.startswith(start)


def test_what_is_no_run_is_refused(tmp_path) -> None:
    with pytest.raises(
        UsageError, match=r"has no train/metrics.jsonl; expected a folder that nmt train writes"
    ):
        read_panels([tmp_path])
    (tmp_path / "train").mkdir()
    metrics = tmp_path / "train" / "metrics.jsonl"
    metrics.write_text(json.dumps(RECORDS[0]) + "\n")
    with pytest.raises(DataError, match="tells of no step yet"):
        read_panels([tmp_path])
    metrics.write_text("[1]\n")
    with pytest.raises(DataError, match=r"metrics.jsonl: damaged .* expected a JSON object in every line"):
        read_panels([tmp_path])
