"""The program `nmt`: its commands, and the only place where errors become exit statuses."""

import inspect
import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Annotated

import typer

from nmt import __version__
from nmt.errors import Interrupted, NmtError, RankError

from .aer import aer
from .align import align
from .average import average
from .backtranslate import backtranslate
from .bench import bench
from .console import Level, messages, say
from .demo import demo
from .distill import distill
from .evaluate import evaluate
from .export import export
from .info import info
from .plot import plot
from .score import score
from .show import show
from .signals import SIGNALS, whole_lines
from .symmetrize import symmetrize
from .tokenizer import tokenizer_app
from .train import train
from .translate import translate

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nmt {__version__}")
        raise typer.Exit


def _log_as_json(wanted: bool) -> None:
    messages.as_json = wanted


@app.callback()
def _nmt(
    _json_log: Annotated[
        bool,
        typer.Option(
            "--json-log",
            metavar="",
            help="Messages on stderr as JSON lines, without progress.",
            callback=_log_as_json,
            is_eager=True,
        ),
    ] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Train, use and explain your own translation model.

    Example:
        nmt demo --out demo-model
    """


def _show_examples_last(group: typer.Typer) -> None:
    """Move the `Example:` that ends a docstring behind the options, and let the help wrap its paragraphs."""
    for command in (*group.registered_commands, group.registered_callback):
        if command is None or command.callback is None:
            continue
        text, heading, example = inspect.cleandoc(command.callback.__doc__ or "").partition("Example:")
        if heading:
            command.help = "\n\n".join(
                " ".join(part.split()) for part in text.replace("\b", "").split("\n\n")
            )
            command.epilog = f"\b\n{heading}{example.rstrip()}"


for command in (
    demo,
    train,
    plot,
    translate,
    align,
    show,
    score,
    evaluate,
    aer,
    symmetrize,
    info,
    average,
    backtranslate,
    distill,
    bench,
    export,
):
    app.command()(command)
app.add_typer(tokenizer_app, name="tokenizer")
for group in (app, tokenizer_app):
    _show_examples_last(group)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program; a user's mistake ends in one line on stderr and the exit status of its kind."""
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # we tell ourselves when another process is lost
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # what is no terminal is a file or a program, and takes UTF-8 whatever the locale
            encoding = stream.encoding if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # a prompt mends what was typed
    messages.as_json = False
    with _signals_as_exceptions():
        status = _run(argv)
    sys.exit(status)


def _open_closed_streams() -> None:
    """Put nothing in the place of a standard stream that was closed before the program began."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))


@contextmanager
def _signals_as_exceptions() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM unwind the program, so that files keep whole lines and say so."""
    numbers = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, whole_lines.leave) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(argv: Sequence[str] | None) -> int:
    try:
        try:
            status = app(args=argv, prog_name="nmt", standalone_mode=False)
        finally:
            sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except SystemExit as leaving:
        if isinstance(leaving.__context__, BrokenPipeError):  # Typer and rich make status 1 of it
            return _close_stdout(141)
        status = leaving.code if isinstance(leaving.code, int) else 0
        return _stopped(leaving, status)
    except BrokenPipeError:
        return _close_stdout(141)
    except KeyboardInterrupt as interrupt:
        return _stopped(interrupt, 130)
    except Interrupted as interrupted:
        return _fail(str(interrupted), interrupted.exit_status, level="info")
    except RankError as error:
        return _fail(str(error), error.exit_status) if str(error) else error.exit_status
    except NmtError as error:
        return _fail("; ".join([str(error), *_notes(error)]), error.exit_status)
    except OSError as error:
        place = error.filename or "standard output"
        return _close_stdout(_fail(f"{place}: {error.strerror or error}", 74))
    except Exception as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            return _stopped(error.__context__, 130)
        if (message := _usage_message(error)) is not None:
            return _fail(message, 2) if message else 2
        if _is_out_of_memory(error):
            return _fail("out of memory; try smaller batches or a smaller model", 75)
        return _fail(f"internal error, please report it with {_write_log()}: {repr(error)[:200]}", 70)


def _stopped(reason: BaseException, exit_status: int) -> int:
    """Tell what is left of an output that was not finished."""
    notes = _notes(reason)
    return _fail("; ".join(["stopped", *notes]), exit_status, level="info") if notes else exit_status


def _usage_message(error: Exception) -> str | None:
    """What is wrong with the command line, in one line; None if the error is of another kind.

    It is empty where the help was shown instead. Typer's own class has moved between its releases.
    """
    format_message = getattr(error, "format_message", None)
    return " ".join(format_message().split()) if format_message else None


def _is_out_of_memory(error: Exception) -> bool:
    if "torch" not in sys.modules:
        return isinstance(error, MemoryError)
    from nmt.hardware import is_out_of_memory

    return is_out_of_memory(error)


def _fail(message: str, exit_status: int, *, level: Level = "error") -> int:
    with suppress(OSError):
        say(message, level=level)
    return exit_status


def _notes(error: BaseException) -> list[str]:
    return getattr(error, "__notes__", [])


def _close_stdout(exit_status: int) -> int:
    """Let what stdout could not take vanish; else Python would try again, and complain, at its exit."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return exit_status


def _write_log() -> str:
    """Write the traceback of the error at hand into the temporary folder."""
    import platform
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile(
        "w", prefix="nmt-error-", suffix=".log", delete=False, encoding="utf-8"
    ) as log:
        log.write(
            f"nmt {__version__}, Python {platform.python_version()}, {platform.platform()}\n{sys.argv}\n"
        )
        log.write(traceback.format_exc())
    return log.name
