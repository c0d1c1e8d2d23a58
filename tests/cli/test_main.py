"""Exit statuses, one-line errors, suggestions, and a help that does not load torch."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
import typer

from nmt import __version__
from nmt.errors import (
    ConfigError,
    DataError,
    DivergedError,
    Interrupted,
    OutputError,
    ResourceError,
    StorageError,
)

COMMANDS = (
    "demo",
    "train",
    "plot",
    "translate",
    "align",
    "show",
    "aer",
    "symmetrize",
    "score",
    "evaluate",
    "info",
    "average",
    "backtranslate",
    "distill",
    "bench",
    "export",
)
TOKENIZER_COMMANDS = ("train", "encode", "decode", "info")
HELPS = (
    (),
    *((name,) for name in (*COMMANDS, "tokenizer")),
    *(("tokenizer", name) for name in TOKENIZER_COMMANDS),
)
SLOW_TO_LOAD = {"torch", "numpy", "matplotlib", "plotext", "sentencepiece", "sacrebleu", "safetensors"}


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Puts a command that raises in the place of all others."""

    def put(error: BaseException) -> None:
        app = typer.Typer(pretty_exceptions_enable=False)

        @app.command()
        def fail() -> None:
            raise error

        monkeypatch.setattr("nmt.cli.main.app", app)

    return put


def test_the_version_is_shown(run_nmt) -> None:
    result = run_nmt("--version")
    assert (result.exit_status, result.lines) == (0, [f"nmt {__version__}"])


@pytest.mark.parametrize("command", HELPS, ids=" ".join)
def test_every_help_ends_with_an_example_and_fits_80_columns(
    command: tuple[str, ...], run_nmt, parse_nmt
) -> None:
    result = run_nmt(*command, "--help")
    assert result.exit_status == 0
    assert max(map(len, result.lines)) <= 80
    example = result.stdout.rpartition("Example:")[2]
    assert example.strip().startswith(("nmt ", "echo ", "cat ", "printf "))
    assert "╭" not in example
    for line in example.strip().splitlines():
        parse_nmt(line)


@pytest.mark.parametrize(
    "line", ["nmt translate --bem 5", "nmt trian --out m", "nmt tokenizer train --sise 9"]
)
def test_an_example_that_is_wrong_would_be_found(line: str, parse_nmt) -> None:
    with pytest.raises(Exception, match=r"No such (option|command)"):
        parse_nmt(line)


def test_help_lists_every_command(run_nmt) -> None:
    listed = [
        line.split()[1] for line in run_nmt("--help").lines if line.startswith("│ ") and line[2].isalpha()
    ]
    assert sorted(listed) == sorted([*COMMANDS, "tokenizer"])


def test_help_and_completion_load_nothing_slow() -> None:
    code = (
        "import sys\nfrom nmt.cli.main import main\ntry: main(ARGS)\nexcept SystemExit: print(*sys.modules)"
    )
    for args in (["--help"], ["train", "--help"], ["translate", "--help"]):
        script = code.replace("ARGS", repr(args))
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
        assert set(done.stdout.split()) & SLOW_TO_LOAD == set()


@pytest.mark.parametrize(
    ("args", "suggestion"),
    [
        (["tranlsate"], "Did you mean 'translate'"),
        (["translate", "--bem", "5"], "--beam"),
        (["tokenizer", "trian"], "Did you mean 'train'?"),
        (["train", "--modell", "x"], "No such option: --modell"),
    ],
)
def test_what_is_misspelt_is_a_usage_error_with_a_suggestion(
    args: list[str], suggestion: str, run_nmt
) -> None:
    result = run_nmt(*args)
    assert (result.exit_status, result.stdout) == (2, "")
    assert suggestion in result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigError("config.toml: model: unknown key 'd_modle'; did you mean 'd_model'?"), 2),
        (DataError("train.de has 29000 lines, train.en has 28999 [really]"), 65),
        (OutputError("out.txt: is a folder"), 73),
        (StorageError("out.txt: No space left on device"), 74),
        (ResourceError("no room"), 75),
        (DivergedError("the loss is nan"), 76),
    ],
)
def test_a_mistake_is_one_line_with_the_exit_status_of_its_kind(error, status: int, raising, run_nmt) -> None:
    raising(error)
    result = run_nmt()
    assert (result.exit_status, result.stdout) == (status, "")
    assert result.stderr == f"error: {error}\n"


def test_a_long_message_is_not_broken_and_a_note_is_added(raising, run_nmt) -> None:
    error = StorageError("/a/path" * 30)
    error.add_note("out.txt.part keeps 3 whole lines")
    raising(error)
    assert run_nmt().stderr == f"error: {'/a/path' * 30}; out.txt.part keeps 3 whole lines\n"


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
def test_a_closed_stream_is_an_empty_one(stream: str, tiny_model_dir: Path) -> None:
    number = ("stdin", "stdout", "stderr").index(stream)
    tokenizer = tiny_model_dir / "tokenizer.model"
    program = [sys.executable, "-m", "nmt.cli", "tokenizer", "encode", "-m", str(tokenizer)]
    redirected = ["bash", "-c", f'exec "$@" {number}{"<" if number == 0 else ">"}&-', "-", *program]
    done = subprocess.run(redirected, input=b"" if number else None, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"error" not in done.stderr


def test_messages_are_json_lines_on_request(run_nmt, tmp_path: Path) -> None:
    result = run_nmt("--json-log", "info", tmp_path / "größe.txt")
    [line] = result.stderr.splitlines()
    record = json.loads(line)
    assert (result.exit_status, record["level"]) == (2, "error")
    assert record["message"] == f"{tmp_path / 'größe.txt'}: no such file or folder"
    assert datetime.fromisoformat(record["time"]).tzinfo is not None
    assert run_nmt("info", tmp_path / "größe.txt").stderr.startswith("error: ")  # and only then
    misspelt = json.loads(run_nmt("--json-log", "inof").stderr)
    assert (misspelt["level"], "Did you mean" in misspelt["message"]) == ("error", True)


def test_a_name_that_is_not_utf8_is_shown_with_its_bytes(run_nmt, tmp_path: Path) -> None:
    path = tmp_path / "gr\udcf6\udcdfe.txt"
    try:
        path.write_text("Hund\n")
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system has no such names")
    assert json.loads(run_nmt("info", "--json", path).stdout)["lines"] == 1
    refused = run_nmt("train", "--src", path, "--tgt", path, "--out", tmp_path / "model")
    assert refused.exit_status == 2
    assert "is not UTF-8 text; rename it" in refused.stderr
    assert not (tmp_path / "model").exists()


def test_what_the_library_warns_of_is_shown_as_a_warning(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.cli.console.messages.as_json", False)
    logging.getLogger("nmt.decoding.translator").warning("out of memory: %d pieces", 7)
    assert capsys.readouterr().err == "warning: out of memory: 7 pieces\n"


def test_an_interruption_that_was_handled_is_no_error(raising, run_nmt) -> None:
    raising(Interrupted("saved step 7; the same command resumes", 15))
    result = run_nmt()
    assert (result.exit_status, result.stderr) == (143, "saved step 7; the same command resumes\n")


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(32, "Broken pipe"), 141, ""),
        (OSError(28, "No space left on device"), 74, "error: standard output: No space left on device\n"),
        (OSError(5, "I/O error", "a.txt"), 74, "error: a.txt: I/O error\n"),
        (MemoryError(), 75, "error: out of memory; try smaller batches or a smaller model\n"),
    ],
)
def test_the_system_has_statuses_too(error, status: int, message: str, raising, run_nmt) -> None:
    raising(error)
    result = run_nmt()
    assert (result.exit_status, result.stderr) == (status, message)


def test_our_own_mistake_is_one_line_and_a_log_file(
    raising, run_nmt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    raising(ZeroDivisionError("by zero"))
    result = run_nmt()
    [log] = tmp_path.iterdir()
    assert result.exit_status == 70
    assert (
        result.stderr == f"error: internal error, please report it with {log}: ZeroDivisionError('by zero')\n"
    )
    assert f"nmt {__version__}" in log.read_text()
    assert "Traceback" in log.read_text()


def test_a_reader_that_leaves_early_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "nmt.cli", "--help"], stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("args", [["--help"], ["--version"]])
def test_a_full_disk_behind_stdout_is_told(args: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-m", "nmt.cli", *args], stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (74, b"error: standard output: No space left on device\n")


def test_a_missing_file_ends_in_one_line_whatever_the_locale(nmt_process) -> None:
    result = nmt_process(
        "info", "größe.txt", env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    )
    assert (result.exit_status, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert "no such file" in result.stderr
