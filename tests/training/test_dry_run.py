"""A training that was only looked at tells what the training itself then finds."""

import pytest

from nmt.errors import ConfigError
from nmt.tokenizer import Tokenizer
from nmt.training.dry_run import dry_run
from nmt.training.report import StartReport


def test_it_tells_what_the_training_finds(corpus, tmp_path) -> None:
    done = corpus.train(tmp_path / "model", "training.max_epochs=2")
    found = dry_run(done.config)
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


def test_a_budget_limits_the_steps_and_may_be_refused(corpus) -> None:
    config = corpus.config("training.budget=30", "training.max_steps=100000")
    assert dry_run(config).max_steps < 100_000
    with pytest.raises(ConfigError, match="expected at least 50"):
        dry_run(corpus.config("training.budget=0.01", "training.max_steps=100000"))
