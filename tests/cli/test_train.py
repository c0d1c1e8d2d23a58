"""`nmt train` as a person runs it: what it says, how it ends, and what it leaves."""

import fcntl
import json
import os
import pty
import random
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

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
        "size: ",
        "regularisation: dropout 0.1, as suits up to 3 passes over 59 pairs; ",
        "schedule: ",
        "training begins: 10,",
        "step 2/6  epoch 1  loss ",
        "step 3  dev loss ",
        "step 4/6  epoch 2  loss ",
        "step 6/6  epoch 3  loss ",
        "step 6  dev loss ",
        "links: HMM aligners, from 59 pairs",
        "links: the decoder layer whose attention agrees best with them",
        *(f"links: align head, epoch {number} of 4" for number in range(1, 5)),
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


def test_links_alone_are_learnt_anew_for_a_finished_model(run_nmt, folder) -> None:
    assert run_nmt(*COMMAND, "--set", "alignment.head=false").exit_status == 0
    assert "from hmm" in next(line for line in run_nmt("info", "model").lines if line.startswith("alignment"))
    weights = (folder / "model" / "model.safetensors").read_bytes()
    only = ("train", "--align-head-only", "--out", "model", "--threads", "1")
    done = run_nmt(*only, "--src", "a.de", "--tgt", "a.en")
    assert (done.exit_status, done.stdout) == (0, "")
    lines = done.stderr.splitlines()
    assert lines[0] == "note: 60 of 60 pairs to learn links from"
    assert lines[1] == "links: HMM aligners, from 60 pairs"
    assert lines[-2].startswith("done: links from HMM aligners, learnt from 60 pairs in 0:")
    assert lines[-1] == "now try: nmt translate --align -m model"
    assert (folder / "model" / "model.safetensors").read_bytes() == weights
    told = next(line for line in run_nmt("info", "model").lines if line.startswith("alignment"))
    assert "layer 1, from hmm, pairs 60" in told
    assert "text (a.de, a.en), head parameters " in told
    assert "HMM aligners " in told
    again = run_nmt(*COMMAND, "--set", "alignment.head=false")  # which is how it was trained
    assert again.stderr.startswith("done: finished before at step 6, nothing to do; ")
    for option in (("--preset", "tiny"), ("--restart",), ("--dry-run",), ("tiny.toml",)):
        refused = run_nmt(*only, *option)
        assert (refused.exit_status, len(refused.stderr.splitlines())) == (2, 1)
        assert ": of no use to --align-head-only" in refused.stderr
    assert "training.budget: of no use" in run_nmt(*only, "--budget", "1h").stderr.replace("is of", "of")


@pytest.mark.usefixtures("folder")
def test_json_is_one_object_on_stdout(run_nmt) -> None:
    done = run_nmt(*COMMAND, "--quiet", "--json", "--set", "training.max_steps=2")
    assert (done.exit_status, done.stderr) == (0, "")
    facts = json.loads(done.stdout)
    assert (facts["model"], facts["step"], facts["stopped"]) == ("model", 2, "all planned steps were done")


def test_a_dry_run_measures_and_writes_nothing(run_nmt, folder) -> None:
    done = run_nmt(*COMMAND, "--dry-run")
    assert done.exit_status == 0
    names = [line.partition(": ")[0] for line in done.lines]
    chosen = ["size", "regularisation", "schedule"]
    assert names == ["text", "model", *chosen, "epoch", "pace", "plan", "links", "memory", "disk"]
    assert not (folder / "model").exists()
    facts = json.loads(run_nmt(*COMMAND, "--dry-run", "--json").stdout)
    assert f"model: {facts['num_parameters']:,} parameters" in done.lines[1]
    assert facts["max_steps"] == 6


def test_that_a_killed_training_goes_on_to_the_bit_is_shown_on_a_sample(run_nmt, folder, monkeypatch) -> None:
    monkeypatch.setattr("nmt.training.verify_resume._train_in_a_process", lambda *_, **__: None)
    done = run_nmt(*COMMAND, "--verify-resume")
    assert done.exit_status == 0
    whole, killed = done.lines
    assert whole.split("  ")[0] == killed.split("  ")[0]
    assert killed.endswith("12 steps killed in steps 3, 8, 11")
    assert done.stderr.endswith("the same weights, losses and scores to the last bit\n")
    assert not (folder / "model").exists()


# What it refuses


def write(name: str, text: bytes) -> None:
    Path(name).write_bytes(text)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.en", b"BA\n" * 59, "error: a.de has 60 lines, a.en has 59"),
        ("a.en", b"\n" * 60, "error: no training pairs left after filtering: empty side 60"),
        ("a.de", b"ba\nke \xff\n" + b"lo\n" * 58, "error: a.de:2: byte 0xFF at column 4 is not UTF-8"),
        ("a.de", b"\xff\xfeb\0a\0\n\0" + b"lo\n" * 59, "error: a.de: not UTF-8 text (looks like UTF-16"),
    ],
)
def test_text_that_can_not_be_used_leaves_no_folder(name, text, message, run_nmt, folder) -> None:
    write(name, text)
    done = run_nmt(*COMMAND)
    assert (done.exit_status, done.stdout) == (65, "")
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
    assert not (folder / "model").exists()


def test_empty_files_are_refused(run_nmt, folder) -> None:
    write("a.de", b"")
    write("a.en", b"")
    done = run_nmt(*COMMAND)
    assert (done.exit_status, done.stderr) == (65, "error: a.de, a.en: no lines; expected parallel text\n")
    assert not (folder / "model").exists()


@pytest.mark.parametrize(
    ("args", "exit_status", "message"),
    [
        (["--src", "b.de", "--tgt", "b.en"], 2, "error: b.de: no such file"),
        (["--set", "training.max_step=9"], 2, "unknown key 'max_step'; did you mean 'max_steps'?"),
        (["--set", "model.d_model=wide"], 2, "error: model.d_model: found 'wide', expected an integer"),
        (["--set", "model.dropout=1"], 2, "error: model.dropout is 1.0; expected 0 to below 1"),
        (["--budget", "soon"], 2, "error: 'soon' is not a time; expected something like 90s, 20m or 1h30m"),
        (["--tgt", "a.en"], 2, "1 source files and 2 target files"),
        (["--dev-src", "a.de"], 2, "dev_src and dev_tgt go together"),
        (["--dev-src", "empty", "--dev-tgt", "empty"], 65, "error: empty, empty: no lines; expected"),
        (["--dev-src", "blank", "--dev-tgt", "blank"], 65, "error: blank: no pair with text on both sides"),
        (["--dev-src", "a.de", "--dev-tgt", "blank"], 65, "error: a.de has 60 lines, blank has 2"),
        (["--set", "tokenizer.vocab_size=9000"], 65, "error: a vocabulary of 9,000 pieces is too large"),
        (["--set", "tokenizer.vocab_size=20"], 65, "error: a vocabulary of 20 pieces is too small"),
        (["--out", "a.de"], 73, "a.de: is a file, expected a folder for the model"),
        (["--out", "a.de/model"], 73, "a.de: is a file, expected a folder for the model"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_told_in_one_line(args, exit_status, message, run_nmt, folder) -> None:
    write("empty", b"")
    write("blank", b"\n\n")
    done = run_nmt(*COMMAND, *args)
    assert (done.exit_status, done.stdout) == (exit_status, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (folder / "model").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model]\nd_modle = 16", "error: tiny.toml: model: unknown key 'd_modle'; did you mean 'd_model'?"),
        ("[modle]\nd_model = 16", "error: tiny.toml: unknown section 'modle'; did you mean 'model'?"),
        ("[model\n", "error: tiny.toml: not valid TOML: "),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_mistake_in_the_configuration_is_told_with_a_suggestion(text, message, run_nmt) -> None:
    write("tiny.toml", text.encode())
    done = run_nmt(*COMMAND)
    assert done.exit_status == 2
    assert done.stderr.startswith(message)


@pytest.mark.usefixtures("folder")
def test_without_text_it_says_how_to_give_some(run_nmt) -> None:
    done = run_nmt("train", "--out", "model")
    assert (done.exit_status, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("error: no training text; give --src FILE --tgt FILE")


def test_a_single_pair_is_enough(run_nmt, folder) -> None:
    write("a.de", b"ba ke\n")
    write("a.en", b"KE BA\n")
    done = run_nmt(*COMMAND)
    assert done.exit_status == 0
    assert "too few to hold any out" in done.stderr
    assert run_nmt("translate", "-m", "model", "--threads", "1", "ba ke").exit_status == 0
    assert (folder / "model" / "README.md").exists()


@pytest.mark.usefixtures("folder")
def test_an_option_is_changed_by_override_only_and_another_run_is_not_overwritten(run_nmt) -> None:
    assert run_nmt(*COMMAND).exit_status == 0
    changed = run_nmt(*COMMAND, "--set", "training.max_steps=7")
    assert changed.exit_status == 73
    assert "finished model of another configuration (training.max_steps: 6 → 7)" in changed.stderr
    Path("model/manifest.json").unlink()  # as if it were not finished
    changed = run_nmt(*COMMAND, "--set", "training.max_steps=7")
    assert changed.exit_status == 2
    assert "being trained with other options: training.max_steps: 6 → 7; give them as they" in changed.stderr
    allowed = run_nmt(*COMMAND, "--override", "training.max_steps=7")
    assert allowed.exit_status == 0
    assert "goes on from step 6" in allowed.stderr
    anew = run_nmt(*COMMAND, "--restart", "--set", "training.max_steps=2")
    assert anew.exit_status == 0
    assert "training begins" in anew.stderr


@pytest.mark.usefixtures("folder")
def test_a_refusal_names_the_flags_that_were_others(run_nmt) -> None:
    write("tiny.toml", TINY.partition("[training]")[1].encode() + TINY.partition("[training]")[2].encode())
    once = (
        "--set",
        "training.max_steps=1",
        "--set",
        "training.eval_steps=1",
        "--set",
        "training.dev_sentences=1",
    )
    command = (*COMMAND, *once, "--set", "decoding.max_length_ratio=0.1")
    assert run_nmt(*command, "--preset", "tiny").exit_status == 0
    other = run_nmt(*command, "--preset", "small", "--seed", "2")
    assert other.exit_status == 73
    assert "--preset: tiny → small; " in other.stderr
    assert "training.seed: 1 → 2 (--seed)" in other.stderr
    assert "model.d_" not in other.stderr
    Path("model/manifest.json").unlink()
    other = run_nmt(*command, "--preset", "small", "--seed", "2")
    assert other.exit_status == 2
    assert "other options: --preset: tiny → small; " in other.stderr
    write("a.de", Path("a.de").read_bytes().replace(b"ba", b"bo"))
    other = run_nmt(*command, "--preset", "tiny")
    assert "give the --src and --tgt of then" in other.stderr


# Signals


WAIT = 120  # seconds; on a busy machine torch alone may take many
ENDLESS = ("--set", "training.max_steps=1000000", "--set", "training.report_steps=1")


def wait_for(start: str, stream: IO[bytes]) -> str:
    """The next line that starts like this."""
    for line in stream:
        if line.decode().startswith(start):
            return line.decode()
    raise AssertionError(f"no line starts with {start!r}")


@pytest.mark.usefixtures("folder")
def test_ctrl_c_and_sigterm_save_and_the_same_command_goes_on(start_nmt) -> None:
    command = (*COMMAND, *ENDLESS)
    first = start_nmt(*command)
    wait_for("step 4/", first.stderr)
    first.send_signal(signal.SIGINT)
    saved = wait_for("saved step ", first.stderr)
    assert saved.endswith("; the same command goes on from there\n")
    assert (first.wait(WAIT), first.stderr.read()) == (130, b"")
    step = int(saved.removeprefix("saved step ").partition(";")[0])

    second = start_nmt(*command)
    wait_for(f"training goes on from step {step}: ", second.stderr)
    wait_for(f"step {step + 1}/", second.stderr)
    second.send_signal(signal.SIGTERM)
    assert second.wait(WAIT) == 143
    again = wait_for("saved step ", second.stderr)
    assert int(again.removeprefix("saved step ").partition(";")[0]) > step


def test_ctrl_c_while_evaluating_leaves_it_for_later(start_nmt, folder) -> None:
    text = Path("a.de").read_bytes() * 40
    write("d.de", text)
    write("d.en", text)
    slow = ("--set", "training.dev_sentences=2400", "--set", "decoding.batch_tokens=64")
    process = start_nmt(*COMMAND, *ENDLESS, *slow, "--dev-src", "d.de", "--dev-tgt", "d.en")
    wait_for("step 3/", process.stderr)
    process.send_signal(signal.SIGINT)
    assert process.wait(WAIT) == 130
    assert "; once more ends at once\nsaved step 3; " in process.stderr.read().decode()
    assert '"report": "eval"' not in (folder / "model" / "train" / "metrics.jsonl").read_text()


def test_ctrl_c_before_the_first_step_ends_at_once_and_leaves_nothing(start_nmt, folder) -> None:
    os.mkfifo("late")  # a text that does not come
    process = start_nmt("train", "tiny.toml", "--src", "late", "--tgt", "a.en", "--out", "model")
    with open("late", "wb"):  # is opened when it is read, not before
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT) == 130
    assert process.stderr.read() == b""
    assert not (folder / "model").exists()


@pytest.mark.parametrize("quiet", [False, True])
def test_a_second_ctrl_c_ends_at_once(quiet: bool) -> None:
    """Even where the first is not looked at, as in a long computation (torch lets other threads run)."""
    code = (
        "import time\nfrom nmt.cli.signals import SignalWatch\n"
        f"with SignalWatch(quiet={quiet}) as signals:\n"
        "    signals.begin(); print('ready', flush=True)\n"
        "    while not signals.received: time.sleep(0.01)\n"
        "    print(signals.received, flush=True); time.sleep(1000)"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        for expected in (b"ready\n", b"2\n"):
            assert process.stdout.readline() == expected
            process.send_signal(signal.SIGINT)
        assert process.wait(WAIT) == 130
        said = b"stopping after this step, and saving; once more ends at once\n"
        assert process.stderr.read() == (b"" if quiet else said)


# On a terminal


@pytest.mark.usefixtures("folder")
def test_on_a_terminal_there_is_a_picture(start_nmt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 90, 0, 0))
    env = {"TERM": "xterm-256color"}
    process = start_nmt(*COMMAND, env=env, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    text = b""
    with suppress(OSError):  # the other side was closed
        while part := os.read(screen, 65536):
            text += part
    assert process.wait(WAIT) == 0
    os.close(screen)
    for part in ("data: 59 of 60", "tokens/s", "dev BLEU", "best", "reference: ", "━", "now try: nmt"):
        assert part in text.decode()
    assert text.decode().count("\x1b[?25l") == text.decode().count("\x1b[?25h") == 1  # the cursor is back


def test_a_configuration_may_hold_everything(run_nmt, folder) -> None:
    data = '[data]\nsrc = ["a.de"]\ntgt = ["a.en"]\ndev_src = "a.de"\ndev_tgt = "a.en"\n'
    (folder / "whole.toml").write_text(data + TINY)
    done = run_nmt("train", "whole.toml", "--out", "model")
    assert done.exit_status == 0, done.stderr
    assert "60 development pairs, 60 of them also in the training text" in done.stderr
    flags = run_nmt(*COMMAND[:-1], "other", "--dev-src", "a.de", "--dev-tgt", "a.en")
    assert flags.exit_status == 0, flags.stderr
    weights = [(folder / name / "model.safetensors").read_bytes() for name in ("model", "other")]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(("choice", "exit_status"), [("error", 65), ("skip", 0), ("replace", 0)])
def test_a_line_that_is_not_utf8_ends_it_unless_the_user_says_otherwise(
    choice: str, exit_status: int, run_nmt, folder
) -> None:
    with (folder / "a.de").open("ab") as stream:
        stream.write(b"ba \xff ke\n")
    with (folder / "a.en").open("ab") as stream:
        stream.write(b"BA KE\n")
    done = run_nmt(*COMMAND, "--invalid-utf8", choice)
    assert done.exit_status == exit_status
    told = {"error": "a.de:61: byte 0xFF at column 4", "skip": "not UTF-8 1", "replace": "1 lines mended"}
    assert told[choice] in done.stderr
    assert (folder / "model").exists() == (choice != "error")
