"""`nmt backtranslate`: training pairs made by a model of the other direction out of text in one language."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.errors import DataError, UsageError

from .console import is_watched, say, write_line
from .lines import STDIN, counted, refuse_model_folder
from .options import DeviceOption, JsonOption, QuietOption, SetOption, ThreadsOption, ToOption
from .search_options import ModelsOption, PrecisionOption, SampleOption, SampleSeedOption, TemperatureOption
from .translating import progress, with_decoding

if TYPE_CHECKING:
    from nmt.decoding import Translator
    from nmt.training.synthetic import Made, PairFiles

TAG = "<BT>"
"""Plain text, which every tokenizer can cut: at worst, a real line that begins so is taken for a made one."""


def backtranslate(
    texts: Annotated[
        list[Path],
        typer.Argument(metavar="MONO…", help="Text in the language that the new model will write."),
    ],
    models: ModelsOption,
    output_dir: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Folder for the pairs.", show_default=False),
    ],
    to: ToOption = None,
    sample: SampleOption = None,
    beam: Annotated[
        int | None,
        typer.Option("--beam", min=1, metavar="N", help="Beam of the search; not with --sample."),
    ] = None,
    temperature: TemperatureOption = None,
    seed: SampleSeedOption = None,
    is_tagged: Annotated[
        bool, typer.Option("--tag", metavar="", help=f"Let every made source begin with {TAG}, as text.")
    ] = False,
    precision: PrecisionOption = None,
    restart: Annotated[bool, typer.Option("--restart", metavar="", help="Begin anew.")] = False,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    set_: SetOption = None,
) -> None:
    """Make training pairs out of text in one language: a model of the other direction translates it back.

    Each line gets its likeliest translation (Sennrich et al., 2016), or with --sample some drawn from the
    model, which teach more where there are millions of real pairs (Edunov et al., 2018). In DIR are then two
    files for --src and --tgt of nmt train, beside your real pairs; with --tag the new model can tell them
    apart (Caswell et al., 2019). Lines that are blank or too long, and translations with broken characters,
    are skipped and counted. However it was stopped, the same command goes on, and translates no more than
    the last 4,096 lines again.

    Example:
        nmt backtranslate -m model-en-de news.en -o made --tag
    """
    from nmt.training.synthetic import PairFiles

    if beam and sample:
        raise UsageError("--beam searches and --sample draws; give one of them")
    if not sample and (temperature, seed) != (None, None):
        raise UsageError("--temperature and --seed are for what is drawn; give --sample too")
    refuse_model_folder(output_dir)
    flags = {
        "beam_size": beam,
        "samples": sample or 0,
        "temperature": temperature,
        "seed": seed,
        "precision": precision,
    }
    translator = load_translator(models, flags, set_ or [], to=to, device=device, threads=threads)
    files = PairFiles.of(output_dir, translator.direction, is_reverse=True)
    made = translate_texts(
        translator, texts, files, tag=TAG if is_tagged else "", restart=restart, quiet=quiet
    )
    if as_json:
        paths = {"src": str(files.translation), "tgt": str(files.text)}
        write_line(json.dumps(asdict(made) | paths))
    elif made.num_pairs and not quiet:
        src, tgt = (shlex.quote(str(path)) for path in (files.translation, files.text))
        say(f"now add to your nmt train: --src {src} --tgt {tgt}", style="bold")


def load_translator(
    models: list[Path],
    flags: Mapping[str, object],
    overrides: list[str],
    *,
    to: str | None,
    device: str,
    threads: int,
) -> "Translator":
    """A translator that makes text to train on."""
    from nmt.checkpoint import load_model
    from nmt.decoding import Translator

    loaded = [load_model(path, device=device, threads=threads, with_links=False) for path in models]
    config = with_decoding(loaded[0].config, flags, overrides)
    first = replace(loaded[0], config=config)
    return Translator([first, *loaded[1:]], config.decoding, to=to, processes=True)


def translate_texts(
    translator: "Translator",
    texts: list[Path],
    files: "PairFiles",
    *,
    tag: str = "",
    restart: bool,
    quiet: bool,
) -> "Made":
    """Make all pairs, and say what became of the lines."""
    from nmt.training.synthetic import make_pairs

    if STDIN in texts:
        raise UsageError("- can not be read again to go on from; expected files")
    with progress(shown=is_watched() and not quiet) as on_progress:
        made = make_pairs(translator, texts, files, tag=tag, restart=restart, on_progress=on_progress)
    if not quiet:
        skipped = ", ".join(f"{reason} {count:,}" for reason, count in made.skipped.items())
        say(
            f"{counted(made.num_pairs, 'pair')} of {counted(made.num_lines, 'line')}"
            f"{f'; skipped: {skipped}' if skipped else ''}"
        )
    if not made.num_pairs:
        raise DataError(f"{', '.join(map(str, texts))}: has no line that a pair could be made of")
    return made
