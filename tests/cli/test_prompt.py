"""The prompt greets, and remembers what was typed from run to run, if it can."""

import os
import stat
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from nmt.checkpoint import Direction
from nmt.cli.prompt import MOST_KEPT, greeting, history, history_path
from nmt.config import Config, DataConfig

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs readline and a pseudo-terminal")

WAIT = 120  # seconds until a test gives up
UP = b"\x1b[A"


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def kept() -> list[str]:
    return history_path().read_text(encoding="utf-8").splitlines()


def remember(*lines: str) -> None:
    with history() as add:
        for line in lines:
            add(line)


def test_the_greeting_names_the_model_the_languages_and_the_way_out() -> None:
    def greet(src: str, tgt: str) -> str:
        config = replace(Config(), data=DataConfig(src=(src,), tgt=(tgt,)))
        return greeting(Path("models/m"), config, Direction(src, tgt))

    rest = "each line is translated as it is entered; Ctrl-D ends"
    assert greet("a/train.de.gz", "a/train.en.gz") == f"models/m, de to en: {rest}"
    assert greet("source.txt", "target.txt") == f"models/m: {rest}"
    back = greeting(Path("models/m"), Config(), Direction("en", "de", tag_ids=(4,)))
    assert back == f"models/m, en to de: {rest}"


def test_lines_of_several_runs_are_kept_in_order_and_the_oldest_go(state_dir: Path) -> None:
    import readline

    remember("eins", " ", "zwei 😀")
    remember("drei")
    assert history_path() == state_dir / "nmt" / "history"
    assert kept() == ["eins", "zwei 😀", "drei"]
    assert stat.S_IMODE(history_path().parent.stat().st_mode) == 0o700
    remember(*map(str, range(MOST_KEPT - 1)))
    assert kept() == ["drei", *map(str, range(MOST_KEPT - 1))]
    with history():
        assert readline.get_current_history_length() == MOST_KEPT
        assert readline.get_history_item(1) == "drei"


def test_what_another_prompt_has_kept_meanwhile_stays(state_dir: Path) -> None:
    assert state_dir.is_dir()
    with history() as add:
        add("mine")
        remember("theirs")
    assert kept() == ["theirs", "mine"]


def test_what_was_typed_is_kept_when_the_prompt_is_interrupted(state_dir: Path) -> None:
    assert state_dir.is_dir()
    with suppress(KeyboardInterrupt), history() as add:
        add("eins")
        raise KeyboardInterrupt
    assert kept() == ["eins"]


@pytest.mark.parametrize("spoil", ["file", "folder", "binary"])
def test_a_history_that_can_not_be_kept_is_no_reason_to_speak(
    state_dir: Path, spoil: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if spoil == "file":
        (state_dir / "nmt").touch()
    elif spoil == "folder":
        (state_dir / "nmt" / "history").mkdir(parents=True)
    else:
        (state_dir / "nmt").mkdir()
        (state_dir / "nmt" / "history").write_bytes(b"\x1f\x8b\0\xff\n")
    remember("eins")
    assert capfd.readouterr() == ("", "")


def test_a_state_folder_that_is_not_absolute_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert history_path() == Path("/home/somebody/.local/state/nmt/history")


def test_the_arrow_key_brings_back_a_line_of_the_run_before(
    start_nmt, state_dir: Path, tiny_model_dir: Path
) -> None:
    remember("Der Hund")
    ours, theirs = os.openpty()
    command = ("translate", "-m", tiny_model_dir, "--beam", "1", "--threads", "1")
    process = start_nmt(*command, env={"TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    greeted = read_until(ours, "> ")
    assert f"{tiny_model_dir}: each line" in " ".join(greeted.split())
    os.write(ours, UP + b" ja\n")
    read_until(ours, "> ")
    os.write(ours, b"\x04")
    assert process.wait(WAIT) == 0
    os.close(ours)
    assert kept() == ["Der Hund", "Der Hund ja"]
    assert state_dir in history_path().parents


def read_until(terminal: int, end: str) -> str:
    text, deadline = b"", time.monotonic() + WAIT
    os.set_blocking(terminal, False)
    while not text.decode(errors="ignore").endswith(end):
        assert time.monotonic() < deadline, f"only {text!r}"
        with suppress(BlockingIOError):
            text += os.read(terminal, 4096)
            continue
        time.sleep(0.05)
    return text.decode(errors="replace")
