"""`nmt plot` in the terminal and into a file."""

import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """The folder of a run of 20 steps."""
    same = {"report": "step", "learning_rate": 0.1, "tokens_per_second": 900}
    steps = [{**same, "step": i, "loss": 9 / i, "seconds": i} for i in range(1, 21)]
    evaluations = [
        {"report": "eval", "step": i, "loss": 1.0, "bleu": 2.0 * i, "seconds": i} for i in (10, 20)
    ]
    (tmp_path / "model" / "train").mkdir(parents=True)
    lines = "".join(f"{json.dumps(record)}\n" for record in [*steps, *evaluations])
    (tmp_path / "model" / "train" / "metrics.jsonl").write_text(lines)
    return tmp_path / "model"


@pytest.mark.parametrize(("columns", "beside"), [(80, 1), (140, 2)])
def test_curves_are_drawn_as_wide_as_the_terminal(
    run_nmt, run_dir, columns: int, beside: int, monkeypatch
) -> None:
    pytest.importorskip("plotext")
    monkeypatch.setattr("nmt.cli.plot.out", Console(width=columns))
    drawn = run_nmt("plot", run_dir)
    assert drawn.exit_status == 0
    assert max(map(len, drawn.lines)) <= columns
    for title in ("loss, nats per target token", "dev BLEU", "learning rate", "target tokens/s"):
        assert title in drawn.stdout
    assert sum("┌" in line for line in drawn.lines) == 4 // beside
    assert "\x1b" not in drawn.stdout


@pytest.mark.parametrize("colour", [True, False])
def test_what_the_curves_are_stands_below_them(run_nmt, run_dir, tmp_path, monkeypatch, colour) -> None:
    pytest.importorskip("plotext")
    system = "truecolor" if colour else None
    monkeypatch.setattr("nmt.cli.plot.out", Console(width=80, color_system=system, force_terminal=colour))
    shutil.copytree(run_dir, tmp_path / "other")
    drawn = run_nmt("plot", run_dir, tmp_path / "other")
    plain = Text.from_ansi(drawn.stdout).plain.strip().splitlines()
    legend = plain[-1]
    names = ("model, train", "model, dev", "other, train", "other, dev")
    assert [legend.index(name) for name in names] == sorted(legend.index(name) for name in names)
    markers = [part.split()[0] for part in legend.split("   ")]
    assert len(set(markers)) == (2 if colour else 4)
    assert "model" not in "".join(plain[:-1])
    assert not any("7.5" in line for line in plain if "┬" in line)


def test_a_picture_is_written_whole(run_nmt, run_dir, tmp_path) -> None:
    pytest.importorskip("matplotlib")
    done = run_nmt("plot", run_dir, "-o", tmp_path / "curves.SVG", "--by", "time")
    assert (done.exit_status, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "curves.SVG").read_bytes().startswith(b"<?xml")


def test_what_can_not_be_drawn_is_refused(run_nmt, run_dir, tmp_path) -> None:
    refused = run_nmt("plot", run_dir, "-o", tmp_path / "curves.gif")
    assert refused.exit_status == 2
    assert "expected a name that ends with .png, .svg, .pdf" in refused.stderr
    assert run_nmt("plot", tmp_path).exit_status == 2


def test_a_quantity_without_points_is_an_empty_panel(run_nmt, run_dir) -> None:
    pytest.importorskip("plotext")
    metrics = run_dir / "train" / "metrics.jsonl"
    metrics.write_text(metrics.read_text().splitlines(keepends=True)[-1])  # an evaluation before any report
    drawn = run_nmt("plot", run_dir)
    assert drawn.exit_status == 0
    assert "dev BLEU" in drawn.stdout
