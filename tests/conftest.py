"""The program as a user runs it, in this process or as one of its own, and a tiny model to run it with."""

import io
import json
import os
import select
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

import pytest
import typer

from nmt.cli import main as program
from nmt.config import Config, ModelConfig, TokenizerConfig

if TYPE_CHECKING:
    from nmt.checkpoint import TranslationModel

# for networks so small several threads would only wait for each other, and they do that busily
os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}

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


@dataclass
class Process:
    """`nmt`, running in a process of its own, and our ends of those of its streams that are pipes."""

    pid: int
    pipes: dict[str, IO[bytes]]
    told: IO[bytes]
    exit_status: int | None = None

    @property
    def stdin(self) -> IO[bytes]:
        """Where it reads from."""
        return self.pipes["stdin"]

    @property
    def stdout(self) -> IO[bytes]:
        """What it writes."""
        return self.pipes["stdout"]

    @property
    def stderr(self) -> IO[bytes]:
        """What it says."""
        return self.pipes["stderr"]

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.exit_status is None and not select.select([self.told], [], [], 0)[0]:
            os.kill(self.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, or minus the signal that ended it; TimeoutError if that takes so many seconds."""
        if self.exit_status is None:
            if not select.select([self.told], [], [], timeout)[0]:
                raise TimeoutError(f"after {timeout} s it is still running")
            self.exit_status = int(self.told.readline())
        return self.exit_status

    def end(self) -> int:
        """Kill it if it is still running, and let go of its pipes."""
        self.send_signal(signal.SIGKILL)
        for stream in self.pipes.values():
            with suppress(BrokenPipeError):
                stream.close()
        exit_status = self.wait()
        self.told.close()
        return exit_status


class Start(Protocol):
    """Starts `nmt` with pipes for those of its three streams that are not given, and leaves it running."""

    def __call__(
        self, *args: str | bytes | Path, env: Mapping[str, str] | None = None, **streams: IO[bytes] | int
    ) -> Process: ...


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
def no_core_but_one() -> Iterator[None]:
    """What is not told how many threads to use has one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """Files need not outlast a loss of power, which a test can not see, and for which disks take long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_history_of_yours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Prompts, also of processes that are started, keep what is typed in a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def run_nmt() -> Run:
    """`run_nmt("translate", "-m", model_dir, stdin="Hallo\\n")`, in this process."""

    def run(*args: str | Path, stdin: str | bytes = b"", env: Mapping[str, str] | None = None) -> Result:
        out, err = io.BytesIO(), io.BytesIO()
        streams = {
            "stdin": io.TextIOWrapper(io.BufferedReader(io.BytesIO(_bytes(stdin)))),
            "stdout": io.TextIOWrapper(out, write_through=True),
            "stderr": io.TextIOWrapper(err, write_through=True),
        }
        with pytest.MonkeyPatch.context() as patch:
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


@pytest.fixture(scope="session")
def fork_nmt() -> Iterator[Start]:
    """`start_nmt` for who ends what was started."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    program = Path(__file__).with_name("forked_nmt.py").read_text(encoding="utf-8")
    env = {**os.environ, "TORCH_CPP_LOG_LEVEL": "ERROR"}  # as `main` has it
    asking, asked = socket.socketpair()
    with subprocess.Popen([sys.executable, "-c", program], stdin=asked, env=env), asking:
        asked.close()
        yield partial(_fork, asking)


@pytest.fixture
def start_nmt(fork_nmt: Start) -> Iterator[Start]:
    """`start_nmt("train", ...)` for signals and for talking line by line; killed at the end of the test."""
    started: list[Process] = []

    def start(
        *args: str | bytes | Path, env: Mapping[str, str] | None = None, **streams: IO[bytes] | int
    ) -> Process:
        started.append(fork_nmt(*args, env=env, **streams))
        return started[-1]

    yield start
    for process in started:
        process.end()


@pytest.fixture(scope="session")
def tiny_model() -> "TranslationModel":
    """A model of random weights, the same every time; copy before you change it."""
    import torch

    from nmt.checkpoint import TranslationModel, build_network
    from nmt.tokenizer import train_tokenizer

    config = Config(
        model=ModelConfig(
            encoder_layers=2, decoder_layers=3, d_model=32, d_ff=64, num_heads=2, positions="sinusoidal"
        ),
        tokenizer=TokenizerConfig(vocab_size=330),
    )
    tokenizer = train_tokenizer(TINY_TEXT, config.tokenizer, vocab_size=330, threads=1)
    torch.manual_seed(1)
    network = build_network(config, tokenizer, tokenizer).eval()
    return TranslationModel(config, tokenizer, tokenizer, network, manifest={})


@pytest.fixture(scope="session")
def tiny_model_dir(tiny_model: "TranslationModel", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `tiny_model`; copy before you change it."""
    from nmt.checkpoint import save_model

    model_dir = tmp_path_factory.mktemp("tiny") / "model"
    save_model(tiny_model, model_dir)
    return model_dir


def _command(*args: str | Path) -> list[str]:
    return [sys.executable, "-m", "nmt.cli", *map(str, args)]


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _fork(
    asking: socket.socket,
    *args: str | bytes | Path,
    env: Mapping[str, str] | None = None,
    **given: IO[bytes] | int,
) -> Process:
    ours: dict[str, IO[bytes]] = {}
    theirs: list[int] = []
    for name in ("stdin", "stdout", "stderr", "told"):
        if name in given:
            stream = given[name]
            theirs.append(os.dup(stream if isinstance(stream, int) else stream.fileno()))
            continue
        reading, writing = os.pipe()
        theirs.append(reading if name == "stdin" else writing)
        mode, end = ("wb", writing) if name == "stdin" else ("rb", reading)
        ours[name] = open(end, mode, buffering=0 if name == "told" else -1)
    asked = {"args": [*map(os.fsdecode, args)], "folder": os.getcwd(), "env": {**os.environ, **(env or {})}}
    socket.send_fds(asking, [json.dumps(asked).encode()], theirs)
    for descriptor in theirs:
        os.close(descriptor)
    told = ours.pop("told")
    return Process(int(told.readline()), ours, told)
