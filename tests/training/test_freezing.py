"""What a configuration leaves open is decided by text, machine and budget."""

import re

import pytest
import torch

from nmt.checkpoint import load_model
from nmt.config.presets import learning_rate
from nmt.errors import Interrupted
from nmt.training import freezing, train
from nmt.training.data import prepare
from nmt.training.report import ChoiceReport, StartReport


@pytest.fixture
def sizes(monkeypatch) -> "Sizes":
    """A corpus that `base` suits, on a machine whose steps take what a test says."""
    found = Sizes()
    monkeypatch.setattr(freezing, "suiting_size", lambda _: "base")
    monkeypatch.setattr(freezing, "measure_step", found.measure)
    return found


class Sizes:
    """Seconds of a step by width, and the widths that were measured."""

    def __init__(self) -> None:
        self.seconds: dict[int, float] = {}
        self.measured: list[int] = []

    def measure(self, network, _batches, _training) -> float:
        width = network.tgt_embedding.weight.shape[1]
        self.measured.append(width)
        return self.seconds[width]


@pytest.mark.parametrize(
    ("seconds", "width", "reason"),
    [
        ([0.1, 0.3, 1.5], 512, ""),
        ([0.1, 0.3, 2.0], 256, r"as 33:20 have room for 5,6\d\d steps of it, but only 8[45]\d of base"),
        ([0.1, 2.0], 128, r"as 33:20 have room for 1[67],\d{3} steps of it, but only 8[45]\d of small"),
        ([2.0], 128, r"as 33:20 have room for 8[45]\d steps of it, but only \d+ of small"),
    ],
)
def test_a_budget_takes_the_largest_size_that_has_a_thousand_steps(
    seconds, width, reason, sizes, corpus
) -> None:
    sizes.seconds = dict(zip((128, 256, 512), seconds, strict=False))
    config = corpus.config("training.fit_budget=true", "training.budget=2000", "training.max_steps=100000")
    frozen = freezing.freeze(config, prepare(config), torch.device("cpu"), elapsed=0.0)
    assert frozen.config.model.d_model == frozen.network.tgt_embedding.weight.shape[1] == width
    assert frozen.config.training.learning_rate == learning_rate(width)
    assert not frozen.config.training.fit_budget
    assert sizes.measured == [128, 256, 512][: len(seconds)]  # none that can not fit
    assert re.fullmatch(reason, frozen.size_reason)


def test_other_devices_may_gain_more_by_a_larger_size(sizes, corpus, monkeypatch) -> None:
    monkeypatch.setattr(freezing, "LARGEST_GAINS", {})
    sizes.seconds = {128: 0.5, 256: 0.6, 512: 2.0}
    config = corpus.config("training.fit_budget=true", "training.budget=2000", "training.max_steps=100000")
    frozen = freezing.freeze(config, prepare(config), torch.device("cpu"), elapsed=0.0)
    assert frozen.config.model.d_model == 256
    assert sizes.measured == [128, 256, 512]


def test_the_size_is_told_kept_and_gone_on_with(sizes, corpus, tmp_path) -> None:
    sizes.seconds = {128: 0.1, 256: 1000}
    options = "training.fit_budget=true", "training.budget=2000", "training.max_steps=3"
    model_dir, told = tmp_path / "model", []
    with pytest.raises(Interrupted):
        train(corpus.config(*options), model_dir, on_report=told.append, stop_signal=lambda: 1)
    size, *_ = [each.text for each in told if isinstance(each, ChoiceReport)]
    assert re.search("tiny, 4[+]4 layers of width 128, as 33:20 have room for .* but only 1 of small; ", size)
    done = corpus.train(model_dir, *options)
    assert sizes.measured == [128, 256]
    (start,) = done.of(StartReport)
    assert start.step == 1
    assert start.config.model == load_model(model_dir, device="cpu", threads=1).config.model
    assert corpus.train(model_dir, *options).reports[-1].step == 3  # finished before
