"""TensorBoard reads from the event file what metrics.jsonl tells, whatever happened on the way."""

import struct
import sys
from pathlib import Path

import pytest

from nmt.errors import Interrupted, UsageError
from nmt.training.tensorboard import TAGS

ASKED = ("training.tensorboard=true", "training.report_steps=1", "model.dropout=0.2")


def shown(model_dir: Path) -> dict[str, list[tuple[int, float]]]:
    """The points of every curve as TensorBoard shows them."""
    module = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = module.EventAccumulator(str(model_dir / "train" / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    return {
        tag: [(point.step, point.value) for point in events.Scalars(tag)] for tag in events.Tags()["scalars"]
    }


def told(metrics: list[dict]) -> dict[str, list[tuple[int, float]]]:
    """The points of every curve in metrics.jsonl, with the precision of an event file."""
    return {
        tag: [
            (record["step"], struct.unpack("f", struct.pack("f", record[key]))[0])
            for record in metrics
            if record["report"] == kind
        ]
        for kind, tags in TAGS.items()
        for key, tag in tags.items()
    }


def test_it_shows_what_the_metrics_tell(corpus, tmp_path) -> None:
    done = corpus.train(tmp_path / "model", *ASKED)
    assert shown(done.model_dir) == told(done.metrics)
    assert len(shown(done.model_dir)["dev/bleu"]) == 3


def test_after_a_stop_it_goes_on_and_nothing_is_there_twice(corpus, killable, tmp_path) -> None:
    """Steps that were reported but not saved when it was killed are done and reported again."""
    model_dir = tmp_path / "model"
    with pytest.raises(Interrupted):
        corpus.train(model_dir, *ASKED, stop_signal=lambda: 2)
    for n in (40, 60):
        assert killable(corpus.options(*ASKED), model_dir, fault=f"op=any,n={n},kill=9") == -9
    resumed = corpus.train(model_dir, *ASKED)
    assert shown(model_dir) == told(resumed.metrics)
    assert [step for step, _ in shown(model_dir)["train/loss"]] == list(range(1, 13))
    assert len(list((model_dir / "train" / "tensorboard").iterdir())) == 1


def test_restarting_without_it_leaves_nothing_of_it(corpus, tmp_path) -> None:
    corpus.train(tmp_path / "model", *ASKED)
    corpus.train(tmp_path / "model", restart=True)
    assert not (tmp_path / "model" / "train" / "tensorboard").exists()


def test_without_the_package_it_says_how_to_get_it_before_anything_is_done(
    corpus, tmp_path, monkeypatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto", None)
    with pytest.raises(UsageError, match=r"needs one more package: pip install 'nmt\[tensorboard\]'$"):
        corpus.train(tmp_path / "model", *ASKED)
    assert not (tmp_path / "model").exists()
