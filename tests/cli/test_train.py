"""`nmt train` as a person runs it: what it says, how it ends, and what it leaves."""

import json
import os
import pty
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

TINY = """
[model]
encoder_layers = 1
decoder_layers = 1
d_model = 16
d_ff = 32
num_heads = 2

[training]
threads = 1
precision = "float32"
batch_tokens = 256
max_steps = 6
eval_steps = 3
report_steps = 2
warmup_steps = 2
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a corpus of 60 pairs and a tiny configuration in it."""
    generator = random.Random(1)
    lines = [" ".join(generator.choices("ba ke lo mu ti sa".split(), k=5)) for _ in range(60)]
    (tmp_path / "a.de").write_text("".join(f"{line}\n" for line in lines))
    (tmp_path / "a.en").write_text("".join(f"{line.upper()}\n" for line in lines))
    (tmp_path / "tiny.toml").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


COMMAND = ("train", "tiny.toml", "--src", "a.de", "--tgt", "a.en", "--out", "model")


def test_it_says_what_it_does_line_by_line_and_what_to_try_next(run_nmt, folder) -> None:
    done = run_nmt(*COMMAND)
    assert (done.exit_status, done.stdout) == (0, "")
    lines = done.stderr.splitlines()
    starts = [
        "data: 59 of 60 pairs to train on, 1 held out for development",
        "training begins: 11,",
        "step 2/6  epoch 1  loss ",
        "step 3  dev loss ",
        "step 4/6  epoch 1  loss ",
        "step 6/6  epoch 2  loss ",
        "step 6  dev loss ",
        "done: all planned steps were done; best at step ",
        "now try: nmt translate --align -m model",
    ]
    assert len(lines) == len(starts)
    for line, start in zip(lines, starts, strict=True):
        assert line.startswith(start)
    again = run_nmt(*COMMAND)
    assert again.exit_status == 0
    assert again.stderr.startswith("done: finished before at step 6, nothing to do; best at step ")
    assert len(again.stderr.splitlines()) == 2
    assert (folder / "model" / "manifest.json").exists()


def test_json_is_one_object_on_stdout(run_nmt, folder) -> None:
    done = run_nmt(*COMMAND, "--quiet", "--json", "--set", "training.max_steps=2")
    assert (done.exit_status, done.stderr) == (0, "")
    facts = json.loads(done.stdout)
    assert (facts["model"], facts["step"], facts["stopped"]) == ("model", 2, "all planned steps were done")
