"""`kill -9` at random instants and at random operations on files: the same command always ends alike."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from nmt.checkpoint import newest

pytestmark = pytest.mark.slow

EVERYTHING = (
    "model.dropout=0.2",
    "training.consistency=rdrop",
    "tokenizer.sampling_alpha=0.3",
    "training.micro_batch=80",
    "training.max_steps=100",
    "training.report_steps=1",
    "training.patience=3",
    "training.metric=loss",
    "training.learning_rate=0.03",
    "training.schedule=cosine",
    "training.save_seconds=0.1",
)
"""All that a run remembers is in play, and it ends because its score gets no better."""
KILLS = 30  # of each kind
MOST_OPERATIONS = 400  # on files, before one that kills


@dataclass(frozen=True)
class Whole:
    """A run that nothing stopped, and the seconds that it took."""

    found: Any
    seconds: float


@pytest.fixture(scope="module")
def whole(corpus, killable, tmp_path_factory) -> Whole:
    """A run that nothing stopped."""
    model_dir = tmp_path_factory.mktemp("whole") / "model"
    killable(corpus.options(*EVERYTHING), model_dir, fault="op=any,n=1,kill=9")  # until it has imported torch
    started = time.perf_counter()
    assert killable(corpus.options(*EVERYTHING), model_dir) == 0
    return Whole(corpus.finished(model_dir, *EVERYTHING), time.perf_counter() - started)


def kill_often(train: Callable[[Path], int], check: Callable[[Path], None], folder: Path) -> None:
    """Train in one folder after the other, each to its end however often that takes, until it was often."""
    num_kills = 0
    for number in count():
        model_dir = folder / str(number)
        while (exit_status := train(model_dir)) == -9:
            num_kills += 1
        assert exit_status == 0
        check(model_dir)
        if num_kills >= KILLS:
            return


@pytest.fixture
def check(corpus, whole) -> Callable[[Path], None]:
    """Asserts that a run has left what the one that nothing stopped has, byte for byte, and no more."""

    def compare(model_dir: Path) -> None:
        found = corpus.finished(model_dir, *EVERYTHING)
        assert found.weights == whole.found.weights
        assert found.curve == whole.found.curve
        assert found.leftovers == []
        assert not newest(model_dir / "train", "best")
        assert found.manifest["dev"] == whole.found.manifest["dev"]
        assert found.manifest["files"] == whole.found.manifest["files"]  # with what links are made with

    return compare


def test_the_run_has_everything_in_play(whole) -> None:
    assert whole.found.metrics[-1]["stopped"] == "no better dev loss in 3 evaluations"
    assert whole.found.metrics[-1]["epochs"] > 2


def test_killed_at_random_instants(corpus, killable, whole, check, tmp_path) -> None:
    generator = random.Random(1)

    def train(model_dir: Path) -> int:
        seconds = generator.uniform(0.05, 0.6 * whole.seconds)
        return killable(corpus.options(*EVERYTHING), model_dir, kill_after=seconds)

    kill_often(train, check, tmp_path)


def test_killed_at_random_operations_on_files(corpus, killable, check, tmp_path) -> None:
    generator = random.Random(2)

    def train(model_dir: Path) -> int:
        fault = f"op=any,n={generator.randint(1, MOST_OPERATIONS)},kill=9"
        return killable(corpus.options(*EVERYTHING), model_dir, fault=fault)

    kill_often(train, check, tmp_path)
