"""Training learns; it is stopped and goes on to the bit; it survives, and it refuses."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from nmt.checkpoint import load_model, load_tensors, newest
from nmt.decoding import Translator
from nmt.errors import ConfigError, DataError, DivergedError, Interrupted, ModelError, OutputError, StorageError
from nmt.files import planned_fault
from nmt.training import gradient, loop, plan, run
from nmt.training.lock import locked
from nmt.training.loss import batch_loss
from nmt.training.report import DataReport, EndReport, EvalReport, NoteReport, StartReport, StepReport, as_line

SHAKY = (
    "model.dropout=0.2",
    "tokenizer.sampling_alpha=0.3",
    "training.accumulation=2",
    "training.schedule=cosine",
    "training.metric=loss",
    "training.save_seconds=0",
)
"""Everything random or remembered at once; an epoch has about five batches, every step is saved."""


@pytest.fixture(scope="session")
def whole(corpus, tmp_path_factory):
    """A run that nothing stopped."""
    return corpus.train(tmp_path_factory.mktemp("whole") / "model", *SHAKY)


@pytest.fixture(scope="session")
def half(corpus, tmp_path_factory) -> Path:
    """The folder of a run that was stopped after step 6 of 12; copy it before you go on."""
    model_dir = tmp_path_factory.mktemp("half") / "model"
    with pytest.raises(Interrupted, match="saved step 6; the same command goes on from there"):
        corpus.train(model_dir, *SHAKY, stop_signal=stop_at(7))  # one question was asked at an evaluation
    return model_dir


@pytest.fixture
def half_done(half, tmp_path) -> Path:
    """A copy of it."""
    return shutil.copytree(half, tmp_path / "model")


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`fault("op=write,n=3,errno=ENOSPC")` lets an operation fail from now on."""

    def plan_it(text: str) -> None:
        planned_fault.cache_clear()
        monkeypatch.setenv("NMT_FAULT", text)

    return plan_it


def stop_at(question: int) -> Callable[[], int]:
    """A signal that is there from the n-th time on that it is asked for: after steps and parts of evaluations."""
    asked = iter(range(1, 1_000_000))
    return lambda: 2 if next(asked) >= question else 0


def assert_same(found, whole) -> None:
    """The same model and the same reports, byte for byte, and nothing left behind."""
    assert found.weights == whole.weights
    assert found.curve == whole.curve
    assert found.leftovers == []
    assert not newest(found.model_dir / "train", "best")
    assert without_times(found.manifest) == without_times(whole.manifest)


def without_times(manifest: dict) -> dict:
    training = {key: value for key, value in manifest["training"].items() if "second" not in key}
    return {**manifest, "training": training, "manifest_sha256": ""}


def damage(checkpoint: Path) -> None:
    path = checkpoint / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-7] + b"damaged")


# It learns


@pytest.fixture(scope="session")
def learnt(make_corpus_once, tmp_path_factory):
    """A model that has learnt to say sentences backwards."""
    return make_corpus_once.train(
        tmp_path_factory.mktemp("learnt") / "model",
        "model.d_model=32",
        "model.d_ff=64",
        "model.dropout=0.0",
        "training.batch_tokens=512",
        "training.max_steps=500",
        "training.eval_steps=250",
        "training.report_steps=50",
        "training.warmup_steps=30",
        "training.schedule=cosine",
    )


def test_it_learns_to_say_sentences_backwards(learnt) -> None:
    end = learnt.reports[-1]
    assert end.bleu > 95
    translator = Translator(load_model(learnt.model_dir, device="cpu", threads=1), learnt.config.decoding)
    assert translator.translate(["ba ke lo mu ti"])[0].text == "ti mu lo ke ba"
