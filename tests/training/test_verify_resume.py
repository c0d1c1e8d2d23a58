"""The demonstration that a killed training ends as a whole one can tell one from the other."""

from dataclasses import replace
from pathlib import Path

import pytest

from nmt.config import Config
from nmt.errors import Interrupted
from nmt.training import train
from nmt.training import verify_resume as module
from nmt.training.report import Report, StepReport
from nmt.training.state import TrainState
from nmt.training.verify_resume import verify_resume

SHAKY = ("model.dropout=0.2", "tokenizer.sampling_alpha=0.3", "training.micro_batch=80")


def test_a_run_that_is_killed_is_the_same(corpus, monkeypatch) -> None:
    monkeypatch.setattr(module, "KILLED_IN", module.KILLED_IN[1:2])  # each is a process that imports torch
    check = verify_resume(corpus.config(*SHAKY))
    assert check.is_same
    assert check.weights[0] == check.weights[1]
    assert (check.num_steps, check.killed_in) == (12, (8,))


def test_a_difference_is_seen(corpus, monkeypatch) -> None:
    """The second run is stopped, not killed, which is faster; it is made to go on from other moments."""
    load_newest = TrainState.load_newest

    def stop(config: Config, model_dir: Path, *, kill_in: int) -> None:
        last_step = 0

        def on_report(report: Report) -> None:
            nonlocal last_step
            last_step = report.step if isinstance(report, StepReport) else last_step

        with pytest.raises(Interrupted):
            train(config, model_dir, on_report=on_report, stop_signal=lambda: 2 * (last_step == kill_in))

    def forget(self: TrainState, train_dir: Path) -> list[str]:
        problems = load_newest(self, train_dir)
        self.optimizer.state.clear()
        return problems

    monkeypatch.setattr(module, "_train_in_a_process", stop)
    assert verify_resume(corpus.config(*SHAKY)).is_same
    monkeypatch.setattr(TrainState, "load_newest", forget)
    check = verify_resume(corpus.config(*SHAKY))
    assert not check.is_same_model
    assert not check.is_same
    assert not replace(check, is_same_model=True, is_same_curve=False).is_same
    assert module.KILLED_IN[-1] < module.NUM_STEPS
