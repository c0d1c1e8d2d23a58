"""A training that was only looked at tells what the training itself then finds."""

from types import SimpleNamespace

import pytest

from nmt.errors import ConfigError, OutputError, StorageError
from nmt.tokenizer import Tokenizer
from nmt.training import freezing, run
from nmt.training.dry_run import dry_run
from nmt.training.lock import locked
from nmt.training.report import StartReport


def test_it_tells_what_the_training_finds(corpus, tmp_path) -> None:
    done = corpus.train(tmp_path / "model", "training.max_epochs=2")
    found = dry_run(done.config, tmp_path / "other")
    assert not (tmp_path / "other").exists()
    (start,) = done.of(StartReport)
    assert found.num_parameters == start.num_parameters
    assert found.precision == start.config.training.precision
    assert found.device == start.device
    tokenizer = Tokenizer.load(done.model_dir / "tokenizer.model")
    num_tokens = sum(len(tokenizer.encode(line)) + 1 for line in corpus.lines("train.tgt"))
    assert found.tokens_per_epoch == num_tokens
    assert found.steps_per_epoch * 2 == found.max_steps == done.reports[-1].step
    assert found.seconds == pytest.approx(
        found.max_steps / found.steps_per_epoch * num_tokens / found.tokens_per_second, rel=0.3
    )
    assert 100e6 < found.memory_bytes < 20e9
    checkpoint = sum(path.stat().st_size for path in (done.model_dir / "train").glob("step-*/*"))
    assert found.disk_bytes > checkpoint


def test_a_budget_limits_the_steps_and_may_be_refused(corpus, tmp_path) -> None:
    config = corpus.config("training.budget=30", "training.max_steps=100000")
    assert dry_run(config, tmp_path / "model").max_steps < 100_000
    with pytest.raises(ConfigError, match="expected at least 50"):
        dry_run(corpus.config("training.budget=0.01", "training.max_steps=100000"), tmp_path / "model")


def test_the_step_is_measured_once(corpus, tmp_path, monkeypatch) -> None:
    measured = []

    def measure(_network, _batches, training) -> float:
        measured.append(training.precision)
        return {"float32": 0.5, "bfloat16": 0.25}[training.precision]

    monkeypatch.setattr(freezing, "measure_step", measure)
    monkeypatch.setattr(freezing, "cost_of_bfloat16", lambda: 1.0)
    found = dry_run(corpus.config("training.precision=auto"), tmp_path / "model")
    assert measured == ["float32", "bfloat16"]
    assert found.seconds == 0.25 * found.max_steps


def test_it_refuses_the_folder_that_training_would_refuse(corpus, tmp_path, monkeypatch) -> None:
    done = corpus.train(tmp_path / "model")
    dry_run(done.config, done.model_dir)
    with pytest.raises(OutputError, match="finished model of another configuration"):
        dry_run(corpus.config("training.max_steps=13"), done.model_dir)
    (done.model_dir / "manifest.json").unlink()
    with pytest.raises(ConfigError, match=r"is being trained with other options: training\.max_steps"):
        dry_run(corpus.config("training.max_steps=13"), done.model_dir)
    changed = corpus.config("training.max_steps=13")
    assert dry_run(changed, done.model_dir, allowed_changes=["training.max_steps"]).max_steps == 13
    assert dry_run(changed, done.model_dir, restart=True).max_steps == 13
    with locked(done.model_dir / "train"), pytest.raises(OutputError, match="is training there now"):
        dry_run(done.config, done.model_dir)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file, expected a folder"):
        dry_run(done.config, tmp_path / "file")
    monkeypatch.setattr(run.shutil, "disk_usage", lambda _: SimpleNamespace(free=10_000))
    with pytest.raises(StorageError, match="no space left on device"):
        dry_run(done.config, tmp_path / "other")
