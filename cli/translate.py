"""`nmt translate`: lines of text in, their translations out, with word alignments if wanted."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.config import Config, OnLong, from_dict, override, parse_override
from nmt.errors import DataError, OutputError, UsageError

from .console import err, is_terminal, is_watched, say, warn
from .line_source import LineSource, one_line, open_source
from .lines import STDIN, counted
from .options import (
    BeamOption,
    DeviceOption,
    ModelOption,
    OutputOption,
    QuietOption,
    SetOption,
    ThreadsOption,
    UnitsOption,
)
from .translation_view import Format, Sinks, View

if TYPE_CHECKING:
    from nmt.decoding import Translation, Translator

MOST_LONG = 10  # lines that are named one by one when they are too long


def translate(
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="What to translate; without it stdin, line by line."),
    ] = None,
    *,
    model: ModelOption,
    input_path: Annotated[
        Path | None, typer.Option("--input", "-i", metavar="FILE", help="Translate the lines of a file.")
    ] = None,
    output_path: OutputOption = None,
    beam: BeamOption = None,
    nbest: Annotated[
        int | None, typer.Option("--nbest", min=1, metavar="N", help="The N best translations of a line.")
    ] = None,
    length_penalty: Annotated[
        float | None,
        typer.Option(
            "--length-penalty",
            min=0.0,
            metavar="A",
            help="Larger gives longer translations.",
            show_default="the model's, usually 1",
        ),
    ] = None,
    align: Annotated[
        bool,
        typer.Option("--align", metavar="", help="Show word alignments; in a pipe, append ` ||| 0-0 1-2`."),
    ] = False,
    align_path: Annotated[
        Path | None,
        typer.Option("--align-out", metavar="FILE", help="Write alignments here: Pharaoh, or FILE.jsonl."),
    ] = None,
    format_: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="Translations only, JSON lines, or Moses' n-best.",
            show_default="text, or nbest with --nbest",
        ),
    ] = None,
    tokens: UnitsOption = "punct",
    strict: Annotated[
        bool, typer.Option("--strict", metavar="", help="Refuse invalid UTF-8, do not mend it.")
    ] = False,
    on_long: Annotated[
        OnLong | None,
        typer.Option(
            "--on-long",
            help="A line longer than the model was trained for is translated in parts, cut off, or refused.",
            show_default="the model's, usually split",
        ),
    ] = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
    quiet: QuietOption = False,
    set_: SetOption = None,
) -> None:
    """Translate: each TEXT, or each line of a pipe or file, is one unit and gives one line.

    Blank lines stay blank. On a terminal without TEXT you get a prompt; Ctrl-D ends it.

    Example:
        nmt translate -m demo-model --align "Der Hund schläft im Garten."
    """
    if texts == ["-"]:
        texts = None
    if align_path == STDIN:
        raise UsageError("--align-out - would mix links into the translations; give a file, or use --align")
    layout = _layout(format_, nbest, align=align)
    _check_paths(model, texts, input_path, [path for path in (output_path, align_path) if path])
    with open_source(texts or [], None if input_path == STDIN else input_path, strict=strict) as source:
        from nmt.alignment.attention import reading_layer
        from nmt.alignment.formats import Origin
        from nmt.checkpoint import load_model
        from nmt.decoding import Translator

        loaded = load_model(model, device=device, threads=threads)
        flags = {"beam_size": beam, "length_penalty": length_penalty, "on_long": on_long}
        config = _configured(loaded.config, flags, set_ or [])
        loaded = replace(loaded, config=config)
        num_hypotheses = nbest or (config.decoding.beam_size if layout == "nbest" else 1)
        needs_links = align or align_path is not None
        translator = Translator(loaded, config.decoding, align=needs_links, nbest=num_hypotheses)
        view = View(layout, align, tokens, config.alignment.threshold, Origin(reading_layer(loaded)))
        with Sinks(output_path, align_path) as sinks:
            if source is None:
                _converse(translator, view, sinks)
            else:
                _run(translator, view, source, sinks, quiet=quiet)


def _layout(wanted: Format | None, nbest: int | None, *, align: bool) -> Format:
    layout: Format = wanted or ("nbest" if (nbest or 1) > 1 else "text")
    if layout == "text" and (nbest or 1) > 1:
        raise UsageError(
            "--format text has one line for each input line; use --format nbest or jsonl with --nbest"
        )
    if layout == "nbest" and align:
        raise UsageError("--format nbest has no place for links; use --format jsonl or --align-out")
    return layout


def _configured(config: Config, flags: Mapping[str, object], overrides: Sequence[str]) -> Config:
    for key, _ in map(parse_override, overrides):
        if not key.startswith(("decoding.", "alignment.")):
            raise UsageError(f"--set {key}: the model is trained; only decoding.* and alignment.* can be set")
    given = [f"decoding.{key}={value}" for key, value in flags.items() if value is not None]
    return from_dict(override(asdict(config), [*overrides, *given]))


def _check_paths(model: Path, texts: list[str] | None, input_path: Path | None, outputs: list[Path]) -> None:
    if texts and input_path:
        raise UsageError("give either TEXT or --input, not both")
    if len(outputs) == 2 and outputs[0].resolve() == outputs[1].resolve():
        raise OutputError(f"{outputs[0]}: is the file of --output and of --align-out")
    for path in outputs:
        if input_path and path.resolve() == input_path.resolve():
            raise OutputError(f"{path}: is the input file too; write somewhere else")
        if path.resolve().is_relative_to(model.resolve()):
            raise OutputError(f"{path}: is in the model folder; write somewhere else")
        if not path.parent.is_dir():
            raise OutputError(f"{path}: there is no folder {path.parent}")


def _run(translator: "Translator", view: View, source: LineSource, sinks: Sinks, *, quiet: bool) -> None:
    """Translate all lines of the source, and say on stderr what there is to say about it."""
    from nmt.decoding.windows import arrived_windows, full_windows

    windows = arrived_windows if source.is_waited_for else full_windows
    longest = translator.model.config.data.max_length
    start, number, num_long, num_unlinked = time.monotonic(), 0, 0, 0
    shows_progress = is_watched() and not quiet and not (sinks.is_stdout and is_terminal())
    with _progress(shown=shows_progress) as on_progress:
        for window in windows(source.lines, translator.config.window):
            for translation in _translated(translator, window, source.name, number, on_progress):
                sinks.write(translation, view, number)
                number += 1
                num_unlinked += translation.is_too_long_to_align
                if translation.num_pieces > longest:
                    num_long += 1
                    if num_long <= MOST_LONG:
                        _warn_of_long(translation, number, longest)
            sinks.flush()
    sinks.explain()
    if num_long > MOST_LONG:
        done = "cut off" if translator.config.on_long == "truncate" else "translated in parts"
        warn(f"{num_long:,} lines were too long and {done}")
    if num_unlinked:
        warn(f"too long to align, without links: {counted(num_unlinked, 'line')}")
    source.warn_of_replaced()
    if not quiet:
        say(_speed(number, time.monotonic() - start))


def _converse(translator: "Translator", view: View, sinks: Sinks) -> None:
    """Ask for line after line, until Ctrl-D."""
    with suppress(ImportError):
        import readline  # noqa: F401  gives input() a history and the arrow keys
    for number in count():
        try:
            line = input("> ")
        except EOFError:
            say("")
            return
        for translation in translator.translate([one_line(line)]):
            sinks.write(translation, view, number)
        sinks.explain()
        sinks.flush()


def _translated(
    translator: "Translator",
    window: Sequence[str],
    name: str,
    num_before: int,
    on_progress: Callable[[int], None] | None,
) -> "list[Translation]":
    """Translations of a window of lines, `num_before` of which came before it."""
    from nmt.decoding import LineTooLongError

    try:
        return translator.translate(window, on_progress=on_progress)
    except LineTooLongError as error:
        raise DataError(
            f"{name}:{num_before + error.index + 1}: {error.num_pieces:,} pieces, expected at most "
            f"{error.longest:,}; split the line, or give --on-long split"
        ) from None


@contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[int], None] | None]:
    """A line on stderr that counts sentences, if somebody looks at it."""
    if not shown:
        yield None
        return
    start, num_done = time.monotonic(), 0

    def add(num_sentences: int) -> None:
        nonlocal num_done
        num_done += num_sentences
        status.update(_speed(num_done, time.monotonic() - start, "sentence"))

    with err.status("translating") as status:
        yield add


def _speed(number: int, seconds: float, unit: str = "line") -> str:
    return f"{counted(number, unit)} in {seconds:.1f} s, {number / max(seconds, 1e-9):,.1f} {unit}s/s"


def _warn_of_long(translation: "Translation", number: int, longest: int) -> None:
    parts = translation.num_parts
    done = f"split into {parts} parts" if parts > 1 else "cut off there"
    warn(f"line {number}: {translation.num_pieces:,} pieces > max {longest}, {done}")
