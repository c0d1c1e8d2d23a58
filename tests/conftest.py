"""The program as a user runs it, in this process or as one of its own, and a tiny model to run it with."""

import io
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
import typer

from nmt.cli import main as program
from nmt.config import Config, ModelConfig, TokenizerConfig

if TYPE_CHECKING:
    from nmt.checkpoint import TranslationModel

TINY_TEXT = [
    "Der Hund schläft.",
    "Die kleine Katze sieht den großen Hund im Garten.",
    "Wir gehen morgen nach Hause, wenn es nicht regnet.",
    "Der Apfelbaum im Garten meiner Großmutter blüht im Mai.",
    "The dog is sleeping.",
    "The little cat sees the big dog in the garden.",
    "We are going home tomorrow if it does not rain.",
    "The apple tree in my grandmother's garden blossoms in May.",
]


@dataclass(frozen=True)
class Result:
    """What a run of the program left."""

    exit_status: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        """Lines of stdout; only a newline ends one."""
        return self.stdout.removesuffix("\n").split("\n") if self.stdout else []


class Run(Protocol):
    """Runs `nmt` with these arguments and this standard input to its end."""

    def __call__(
        self, *args: str | Path, stdin: str | bytes = b"", env: Mapping[str, str] | None = None
    ) -> Result: ...


class Start(Protocol):
    """Starts `nmt` with pipes for its three streams and leaves it running."""

    def __call__(
        self, *args: str | Path, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]: ...


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """What runs in the process of the tests connects to nowhere."""
    tried: list[object] = []

    def refuse(_: socket.socket, address: object) -> None:
        tried.append(address)
        raise OSError(f"a connection to {address}")

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, refuse)
        yield
    assert tried == []


@pytest.fixture(scope="session", autouse=True)
def no_history_of_yours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Prompts, also of processes that are started, keep what is typed in a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture
def run_nmt(monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run_nmt("translate", "-m", model_dir, stdin="Hallo\\n")`, in this process."""

    def run(*args: str | Path, stdin: str | bytes = b"", env: Mapping[str, str] | None = None) -> Result:
        out, err = io.BytesIO(), io.BytesIO()
        streams = {
            "stdin": io.TextIOWrapper(io.BufferedReader(io.BytesIO(_bytes(stdin)))),
            "stdout": io.TextIOWrapper(out, write_through=True),
            "stderr": io.TextIOWrapper(err, write_through=True),
        }
        with monkeypatch.context() as patch:
            for name, stream in streams.items():
                patch.setattr(sys, name, stream)
            for name, value in (env or {}).items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as leaving:
                program.main([str(arg) for arg in args])
        assert isinstance(leaving.value.code, int)
        return Result(leaving.value.code, out.getvalue().decode(), err.getvalue().decode())

    return run


@pytest.fixture
def parse_nmt() -> Callable[[str], None]:
    """Reads a command such as `echo a | nmt translate -m m > b` as the program does, without running it.

    Raises the usage error that it would end with.
    """

    def parse(command_line: str) -> None:
        words = shlex.split(command_line.rpartition("| ")[2], comments=True)
        assert words[0] == "nmt", command_line
        words = words[1 : next((i for i, word in enumerate(words) if word[0] in "<>"), None)]
        command = typer.main.get_command(program.app)
        context = command.make_context("nmt", words)
        while hasattr(command, "resolve_command"):
            name, command, words = command.resolve_command(context, [*context._protected_args, *context.args])
            context = command.make_context(name, words, parent=context)

    return parse


@pytest.fixture
def nmt_process() -> Run:
    """`nmt_process("--version", env={"LC_ALL": "C"})`, in a process of its own."""

    def run(*args: str | Path, stdin: str | bytes = b"", env: Mapping[str, str] | None = None) -> Result:
        done = subprocess.run(
            _command(*args),
            input=_bytes(stdin),
            env={**os.environ, **(env or {})},
            capture_output=True,
            check=False,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def start_nmt() -> Iterator[Start]:
    """`start_nmt("train", ...)` for signals and for talking line by line; killed at the end of the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*args: str | Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            _command(*args),
            env={**os.environ, **(env or {})},
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            # a shell starts what is in the background deaf to Ctrl-C
            preexec_fn=None if os.name == "nt" else _hear_ctrl_c,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def tiny_model() -> "TranslationModel":
    """A model of random weights, the same every time; copy before you change it."""
    import torch

    from nmt.checkpoint import TranslationModel, build_network
    from nmt.tokenizer import train_tokenizer

    config = Config(
        model=ModelConfig(encoder_layers=2, decoder_layers=3, d_model=32, d_ff=64, num_heads=2),
        tokenizer=TokenizerConfig(vocab_size=330),
    )
    tokenizer = train_tokenizer(TINY_TEXT, config.tokenizer, vocab_size=330, threads=1)
    torch.manual_seed(1)
    torch.set_num_threads(1)  # as fast for a tiny model, and leaves the other cores to others
    network = build_network(config, tokenizer, tokenizer).eval()
    return TranslationModel(config, tokenizer, tokenizer, network, manifest={})


@pytest.fixture(scope="session")
def tiny_model_dir(tiny_model: "TranslationModel", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `tiny_model`; copy before you change it."""
    from nmt.checkpoint import save_model

    model_dir = tmp_path_factory.mktemp("tiny") / "model"
    save_model(tiny_model, model_dir)
    return model_dir


def _hear_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _command(*args: str | Path) -> list[str]:
    return [sys.executable, "-m", "nmt.cli", *map(str, args)]


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
