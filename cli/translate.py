"""`nmt translate`: lines of text in, their translations out, with word alignments if wanted."""

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from nmt.config import OnLong
from nmt.errors import DataError, OutputError, UsageError

from .alternatives import show_alternatives
from .console import is_terminal, is_watched, say, warn
from .line_source import LineSource, mended, open_source
from .lines import STDIN, check_output, check_stdout, warn_of_unlinked
from .options import (
    SHORTLIST,
    UNITS,
    BeamOption,
    ContextOption,
    DeviceOption,
    FromOption,
    OutputOption,
    QuietOption,
    SetOption,
    ShortlistOption,
    ThreadsOption,
    ToOption,
    UnitsOption,
)
from .prompt import ask, greeting, history
from .requests import InputFormat, Request, format_of
from .scoring import ScoreOption, score_lines
from .search_options import (
    AlternativesOption,
    ForbidOption,
    MbrOption,
    ModelsOption,
    PrecisionOption,
    PrefixOption,
    RequireOption,
    SampleOption,
    SampleSeedOption,
    TemperatureOption,
    WordScoresOption,
)
from .translating import Asked, LineTranslator, progress, speed, with_decoding
from .translation_view import Format, Sinks, View

MBR_SAMPLES = 32  # where --sample does not say how many


def translate(
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="What to translate; without it stdin, line by line."),
    ] = None,
    *,
    models: ModelsOption,
    to: ToOption = None,
    context: ContextOption = True,
    input_path: Annotated[
        Path | None, typer.Option("--input", "-i", metavar="FILE", help="Translate the lines of a file.")
    ] = None,
    input_format: Annotated[
        InputFormat | None,
        typer.Option(
            "--input-format",
            help="Lines of text, or JSON objects with a text in src and other fields, which are kept.",
            show_default="jsonl for FILE.jsonl, else text",
        ),
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
    precision: PrecisionOption = None,
    shortlist: ShortlistOption = False,
    sample: SampleOption = None,
    temperature: TemperatureOption = None,
    seed: SampleSeedOption = None,
    mbr: MbrOption = False,
    prefix: PrefixOption = "",
    require: RequireOption = None,
    forbid: ForbidOption = None,
    alternatives: AlternativesOption = 0,
    align: Annotated[
        bool,
        typer.Option(
            "--align",
            metavar="",
            help="Show word alignments, of every hypothesis; in a pipe, append ` ||| 0-0 1-2`.",
        ),
    ] = False,
    align_path: Annotated[
        Path | None,
        typer.Option(
            "--align-out",
            metavar="FILE",
            help="Write links here: FILE.jsonl, .talp, .naacl, .soft, else Pharaoh.",
        ),
    ] = None,
    links_from: FromOption = None,
    format_: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="Translations only, JSON lines, or Moses' n-best.",
            show_default="jsonl of jsonl, nbest with --nbest, else text",
        ),
    ] = None,
    tokens: UnitsOption = None,
    word_scores: WordScoresOption = False,
    score_path: ScoreOption = None,
    strict: Annotated[
        bool, typer.Option("--strict", metavar="", help="Refuse invalid UTF-8 and JSON, do not go on.")
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

    Blank lines stay blank. On a terminal without TEXT you get a prompt, with a history; Ctrl-D ends it.

    Example:
        nmt translate -m demo-model --align "Der Hund schläft im Garten."
        nmt translate -m both-ways --to de "The dog is sleeping."
    """
    if texts == ["-"]:
        texts = None
    if align_path == STDIN:
        raise UsageError("--align-out - would mix links into the translations; give a file, or use --align")
    input_format = input_format or format_of(input_path)
    samples = sample or (MBR_SAMPLES if mbr else None)
    prefix = mended(prefix)
    require, forbid = ([mended(phrase) for phrase in phrases or []] for phrases in (require, forbid))
    if any(not phrase.strip() for phrase in require):
        raise UsageError("--require is blank; expected words")
    several = nbest if samples is None else None if mbr else samples
    layout = _layout(format_ or ("jsonl" if input_format == "jsonl" else None), several)
    if word_scores and layout != "jsonl":
        raise UsageError("--word-scores has no place in plain lines; give --format jsonl")
    _check_paths(texts, input_path, output_path, align_path)
    if score_path and (align or align_path or nbest or samples or layout == "nbest"):
        raise UsageError("--score tells what is thought of given lines; leave out --align, --nbest, --sample")
    if score_path and any((beam, precision, shortlist, prefix, require, forbid, on_long)):
        raise UsageError(
            "--score searches for nothing; leave out --beam, --precision, --shortlist, --prefix, --require, "
            "--forbid, --on-long"
        )
    if score_path and score_path != STDIN and input_format == "jsonl":
        raise UsageError("JSON lines hold both sides, in src and tgt; give --score -, not a file")
    if alternatives and (align or align_path or nbest or samples or score_path or word_scores or format_):
        raise UsageError(
            "--alternatives shows no more than them; leave out --align, --nbest, --sample, --format, …"
        )
    has_links = align or align_path is not None
    if links_from and not has_links:
        raise UsageError("--from says where links come from; give --align or --align-out, or leave it out")
    if tokens and not has_links and not word_scores:
        raise UsageError(
            "--tokens is for links and --word-scores; give --align or --align-out, or leave it out"
        )
    units = tokens or UNITS
    path = None if input_path == STDIN else input_path
    work = "score" if score_path else "translate"
    with open_source(texts or [], path, input_format=input_format, strict=strict, work=work) as source:
        from nmt.alignment import origin_of_links
        from nmt.checkpoint import load_model
        from nmt.decoding import Translator

        loaded, *others = (
            load_model(model, device=device, threads=threads, with_links=has_links and number == 0)
            for number, model in enumerate(models)
        )
        flags = {
            "beam_size": beam,
            "length_penalty": length_penalty,
            "on_long": on_long,
            "precision": precision,
            "shortlist": SHORTLIST if shortlist else None,
            "samples": samples,
            "temperature": temperature,
            "seed": seed,
            "mbr": "true" if mbr else None,
        }
        config = with_decoding(loaded.config, flags, set_ or [])
        decoding = replace(config.decoding, forbid=(*config.decoding.forbid, *forbid))
        config = replace(config, decoding=decoding)
        is_drawn = config.decoding.samples > 0
        if not is_drawn and (temperature, seed) != (None, None):
            raise UsageError(
                "--temperature and --seed are for what --sample draws; leave them out, or give it"
            )
        if is_drawn and (beam or nbest):
            raise UsageError("--beam and --nbest are for a search, --sample draws; give one of them")
        if links_from:
            has_head = config.alignment.head or links_from == "head"  # if it is not there, that is told below
            config = replace(config, alignment=replace(config.alignment, source=links_from, head=has_head))
        loaded = replace(loaded, config=config)
        num_hypotheses = nbest or (config.decoding.beam_size if layout == "nbest" else 1)
        has_several = num_hypotheses > 1 or is_drawn
        translator = Translator(
            [loaded, *others],
            config.decoding,
            align=has_links,
            align_all=align and has_several and layout != "text",
            nbest=num_hypotheses,
            to=to,
            context=context,
            processes=True,
        )
        if score_path:
            if source is None:
                raise UsageError("--score needs lines to score; give TEXT, --input or a pipe")
            score_lines(
                translator,
                source,
                targets=score_path,
                output_path=output_path,
                as_json=layout == "jsonl",
                words=units if word_scores else None,
                quiet=quiet,
            )
            source.odd.explain()
            return
        if alternatives:
            if source is None:
                raise UsageError("--alternatives needs lines to translate; give TEXT, --input or a pipe")
            asked = Asked(prefix, tuple(require))
            show_alternatives(translator, source, asked, count=alternatives, output_path=output_path)
            return
        view = View(
            layout,
            align,
            units,
            config.alignment.threshold,
            origin_of_links(loaded, config.alignment.source if translator.align else "attention"),
            has_several=has_several,
            scores=word_scores,
        )
        asked = Asked(prefix, tuple(require))
        with Sinks(output_path, align_path) as sinks:
            if source is None:
                if not quiet:
                    say(greeting(models[0], config, translator.direction))
                _converse(LineTranslator(translator, "stdin", asked), view, sinks)
            else:
                lines = LineTranslator(translator, source.name, asked, goes_on=source.goes_on)
                _run(lines, view, source, sinks, quiet=quiet)


def _layout(wanted: Format | None, nbest: int | None) -> Format:
    layout: Format = wanted or ("nbest" if (nbest or 1) > 1 else "text")
    if layout == "text" and (nbest or 1) > 1:
        raise UsageError(
            "--format text has one line for each input line; use --format nbest or jsonl with --nbest"
        )
    return layout


def _check_paths(
    texts: list[str] | None, input_path: Path | None, output_path: Path | None, align_path: Path | None
) -> None:
    outputs = [path for path in (output_path, align_path) if path]
    if texts and input_path:
        raise UsageError("give either TEXT or --input, not both")
    if len(outputs) == 2 and outputs[0].resolve() == outputs[1].resolve():
        raise OutputError(f"{outputs[0]}: is the file of --output and of --align-out")
    inputs = [input_path] if input_path and input_path != STDIN else []
    for path in outputs:
        check_output(path, inputs=inputs)
    if not (texts or (output_path and output_path != STDIN)):
        check_stdout(inputs[0] if inputs else None)


def _run(lines: LineTranslator, view: View, source: LineSource, sinks: Sinks, *, quiet: bool) -> None:
    """Translate all lines of the source, and say on stderr what there is to say about it."""
    from nmt.decoding.windows import arrived_windows, full_windows

    windows = arrived_windows if source.is_waited_for else full_windows
    start, unlinked = time.monotonic(), Counter[str]()
    shows_progress = is_watched() and not quiet and not (sinks.is_stdout and is_terminal())
    with progress(shown=shows_progress) as on_progress:
        for requests in windows(source.requests(has_context=lines.has_context), lines.window):
            for request, translation in lines.translate(requests, on_progress):
                sinks.write(translation, view, request)
                if request.error:
                    source.odd.refuse(request.number, request.error)
                if translation.alignment and (reason := translation.alignment.unlinked):
                    unlinked[reason] += 1
            sinks.flush()
    sinks.explain()
    lines.explain()
    warn_of_unlinked(unlinked, "line")
    source.odd.explain()
    if not quiet:
        say(speed(lines.num_lines, time.monotonic() - start))


def _converse(lines: LineTranslator, view: View, sinks: Sinks) -> None:
    """Ask for line after line, until Ctrl-D."""
    with history() as remember:
        while True:
            try:
                request = Request(lines.num_lines, ask())
            except EOFError:
                say("")
                return
            remember(request.text)
            try:
                for answered, translation in lines.translate([request]):
                    sinks.write(translation, view, answered)
            except DataError as error:
                warn(str(error))
            sinks.explain()
            sinks.flush()
