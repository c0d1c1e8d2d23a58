"""What a configuration leaves open is decided by text, machine and budget."""

import json
import re

import pytest
import torch

from nmt.checkpoint import load_model
from nmt.config.presets import SIZES, learning_rate
from nmt.errors import ConfigError, Interrupted
from nmt.training import freezing, train
from nmt.training.data import prepare
from nmt.training.dry_run import dry_run
from nmt.training.report import ChoiceReport, StartReport

FIT = "training.fit_budget=true", "training.budget=2000", "training.max_steps=100000"
WIDTHS = 128, 256, 512


def of_size(name: str, *others: str) -> list[str]:
    """Overrides for a size, and others."""
    return [*(f"model.{key}={value}" for key, value in SIZES[name].items()), *others]


class Machine:
    """Seconds of a step by width, and the widths and batches that were measured."""

    def __init__(self) -> None:
        self.seconds: dict[int, float] = {}
        self.measured: list[int] = []
        self.batches: list[int] = []

    def measure(self, network, _batches, training) -> float:
        width = network.tgt_embedding.weight.shape[1]
        self.measured.append(width)
        self.batches.append(training.batch_tokens)
        return self.seconds[width]


@pytest.fixture
def machine(monkeypatch) -> Machine:
    """One whose steps take what a test says."""
    found = Machine()
    monkeypatch.setattr(freezing, "measure_step", found.measure)
    return found


@pytest.mark.parametrize(
    ("seconds", "width", "note"),
    [
        ([0.1, 0.3, 1.5], 512, ""),
        ([0.1, 0.3, 2.0], 256, r"about 8[45]\d steps of base would fit into the budget"),
        ([0.1, 2.0], 128, r"about 8[45]\d steps of small would fit into the budget"),
    ],
)
def test_a_budget_takes_the_largest_size_that_has_a_thousand_steps(
    seconds, width, note, machine, corpus
) -> None:
    machine.seconds = dict(zip(WIDTHS, seconds, strict=False))
    config = corpus.config(*of_size("base", *FIT))
    frozen = freezing.freeze(config, prepare(config), torch.device("cpu"), elapsed=0.0)
    assert frozen.config.model.d_model == frozen.network.tgt_embedding.weight.shape[1] == width
    assert not frozen.config.training.fit_budget
    assert machine.measured == list(WIDTHS[: len(seconds)])  # none that can not fit
    *told, step = frozen.notes
    assert re.fullmatch(note, " ".join(told))
    num_steps = 1700 / machine.seconds[width]
    assert 0.95 * num_steps < frozen.config.training.max_steps <= num_steps
    assert f"about {frozen.config.training.max_steps:,} fit" in step
    is_asked = width == 512
    assert frozen.config.training.batch_tokens == (160 if is_asked else 2048)
    assert frozen.config.training.learning_rate == (0.01 if is_asked else learning_rate(width))


@pytest.mark.parametrize(("seconds", "tokens"), [(0.8, 2048), (0.9, 1024), (2.0, 1024)])
def test_few_steps_of_the_smallest_size_are_small_ones(seconds, tokens, machine, corpus) -> None:
    """2,120, 1,890 or 850 of them."""
    machine.seconds = {128: seconds, 256: 1000}
    config = corpus.config(*of_size("small", *FIT, "training.batch_tokens=4096"))
    frozen = freezing.freeze(config, prepare(config), torch.device("cpu"), elapsed=0.0)
    training = frozen.config.training
    assert frozen.config.model.d_model == frozen.network.tgt_embedding.weight.shape[1] == 128
    assert training.batch_tokens == tokens
    assert training.micro_batch * training.threads >= tokens
    assert training.micro_batch <= tokens
    assert machine.batches == ([2048] if tokens == 2048 else [2048, 1024])
    notes = " ".join(frozen.notes)
    assert ("steps of 2,048 target tokens would fit into the budget" in notes) == (tokens == 1024)
    assert re.search(r"about \d+ steps of small would fit into the budget", notes) or seconds < 2


@pytest.mark.parametrize("others", [["training.batch_tokens=512"], ["training.budget=200000"]])
def test_batches_that_are_small_and_steps_that_are_many_stay(others, machine, corpus) -> None:
    machine.seconds = {128: 0.9}
    config = corpus.config(*of_size("tiny", *FIT, "training.batch_tokens=2048", *others))
    frozen = freezing.freeze(config, prepare(config), torch.device("cpu"), elapsed=0.0)
    assert frozen.config.training.batch_tokens == config.training.batch_tokens
    assert len(machine.batches) == 1


def test_a_device_may_be_allowed_to_gain_more_by_a_larger_size(machine, corpus, monkeypatch) -> None:
    monkeypatch.setattr(freezing, "LARGEST_GAINS", {"cpu": 16})
    machine.seconds = {128: 0.5, 256: 0.6, 512: 2.0}
    config = corpus.config(*of_size("base", *FIT))
    frozen = freezing.freeze(config, prepare(config), torch.device("cpu"), elapsed=0.0)
    assert frozen.config.model.d_model == 256
    assert machine.measured == [128, 256, 512]


@pytest.mark.parametrize("limit", ["training.max_steps=10", "training.max_epochs=1"])
def test_steps_that_nobody_asked_for_need_no_room(limit, machine, corpus) -> None:
    machine.seconds = {128: 0.1, 256: 20}  # 85 steps
    config = corpus.config(*of_size("small", *FIT, limit))
    frozen = freezing.freeze(config, prepare(config), torch.device("cpu"), elapsed=0.0)
    assert frozen.config.model.d_model == 256


@pytest.mark.parametrize("others", [["training.budget=0"], ["model.d_model=64"]])
def test_without_a_budget_or_a_size_of_a_name_nothing_is_fitted(others, machine, corpus) -> None:
    machine.seconds = {64: 20, 256: 20}
    config = corpus.config(*of_size("small", *FIT, *others))
    frozen = freezing.freeze(config, prepare(config), torch.device("cpu"), elapsed=0.0)
    assert frozen.config.model.d_model == config.model.d_model
    assert not frozen.config.training.fit_budget


@pytest.mark.parametrize(
    ("weight", "max_steps", "expected"),
    [
        (1, 100_000, freezing.MIN_EVAL_STEPS),
        (8, 100_000, freezing.MIN_EVAL_STEPS),
        (9, 100_000, 540),
        (80, 100_000, 4800),
        (90, 100_000, freezing.MAX_EVAL_STEPS),
        (1, 400, 400),
        (80, 1000, 1000),
    ],
)
def test_an_evaluation_comes_with_every_epoch_unless_that_is_short_or_long(
    weight, max_steps, expected, corpus
) -> None:
    """An epoch has 60 pairs that many times, and each is a batch."""
    steps = f"training.max_steps={max_steps}", "training.eval_steps=0"
    config = corpus.config(f"data.weights={weight}", "training.batch_tokens=1", *steps)
    prepared = prepare(config)
    assert prepared.num_batches(config.training) == 60 * weight
    frozen = freezing.freeze(config, prepared, torch.device("cpu"), elapsed=0.0)
    assert frozen.config.training.eval_steps == expected


def test_a_budget_has_room_for_ten_evaluations(machine, corpus) -> None:
    machine.seconds = {16: 1.0}
    config = corpus.config("training.budget=2000", "training.max_steps=100000", "training.eval_steps=0")
    training = freezing.freeze(config, prepare(config), torch.device("cpu"), elapsed=0.0).config.training
    assert 1600 < training.max_steps <= 1700
    assert training.eval_steps == training.max_steps // 10


def test_a_model_to_begin_with_has_its_size(corpus) -> None:
    with pytest.raises(ConfigError, match="fit_budget: the size is that of --init-from"):
        corpus.config("training.fit_budget=true", "training.init_from=model")


def test_the_size_is_told_kept_and_gone_on_with(machine, corpus, tmp_path) -> None:
    machine.seconds = {128: 0.1, 256: 1000}
    options = of_size("small", *FIT, "training.max_steps=3")
    model_dir, told = tmp_path / "model", []

    def sizes() -> list[str]:
        return [each.text for each in told if isinstance(each, ChoiceReport) and "size" in each.text]

    with pytest.raises(RuntimeError, match="pulled"):  # before anything is saved
        train(corpus.config(*options), model_dir, on_report=pull_the_plug)
    with pytest.raises(Interrupted):
        train(corpus.config(*options), model_dir, on_report=told.append, stop_signal=lambda: 1)
    (size,) = sizes()
    assert "tiny, 4+4 layers of width 128, as 33:20 are too short for small, which is meant" in size
    done = corpus.train(model_dir, *options)
    assert machine.measured == [128, 256]
    (start,) = done.of(StartReport)
    assert start.step == 1
    assert start.config.model == load_model(model_dir, device="cpu", threads=1).config.model
    assert corpus.train(model_dir, *options).reports[-1].step == 3  # finished before
    assert "training.fit_budget" not in json.loads((model_dir / "manifest.json").read_text())["requested"]


def pull_the_plug(report: object) -> None:
    """As soon as training starts."""
    if isinstance(report, StartReport):
        raise RuntimeError("pulled")


def test_a_run_goes_on_whoever_fitted_it(machine, corpus, tmp_path) -> None:
    """An older revision did not know the option; `--override` of others changes whether it is asked for."""
    machine.seconds = {128: 0.1, 256: 0.1}
    model_dir, plain = tmp_path / "model", of_size("small", "training.budget=2000", "training.max_steps=2")
    with pytest.raises(Interrupted):
        corpus.train(model_dir, *plain, stop_signal=lambda: 1)
    done = corpus.train(model_dir, *plain, "training.fit_budget=true")
    assert done.reports[-1].step == 2
    assert load_model(model_dir, device="cpu", threads=1).config.model.d_model == 256


def test_a_dry_run_tells_that_there_is_time_for_few_steps(machine, corpus, tmp_path) -> None:
    machine.seconds = {128: 0.9}
    config = corpus.config(
        *of_size("tiny", *FIT, "training.batch_tokens=2048", "training.learning_rate=5e-3")
    )
    schedule = dry_run(config, tmp_path / "model").choices[-1]
    assert "batches of 1,024 target tokens, as there is time for few steps; learning rate 0.005" in schedule


def test_a_dry_run_tells_the_size(machine, corpus, tmp_path) -> None:
    machine.seconds = {128: 0.1, 256: 1000}
    config = corpus.config(*of_size("small", *FIT))
    size, _, schedule = dry_run(config, tmp_path / "model").choices
    assert size.startswith("size: tiny, 4+4 layers of width 128, as 33:20 are too short for small")
    assert "batches of 2,048 target tokens; learning rate 0.005, as suits width 128" in schedule
