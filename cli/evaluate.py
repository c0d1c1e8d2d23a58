"""`nmt evaluate`: translate a test set with a model and score the result."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import err, is_watched, say
from .lines import line_output
from .options import BeamOption, DeviceOption, JsonOption, ModelOption, QuietOption, ThreadsOption
from .score import (
    LowercaseOption,
    MetricOption,
    Text,
    TokenizeOption,
    parse_metrics,
    read_texts,
    show_scores,
    warn_if_tokenized,
)

if TYPE_CHECKING:
    from nmt.decoding import Translator


def evaluate(
    model: ModelOption,
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Text to translate; - is stdin.")],
    references: Annotated[
        list[Path], typer.Argument(metavar="REF", help="Reference translations, line by line.")
    ],
    beam: BeamOption = None,
    metric: MetricOption = "bleu,chrf",
    tokenize: TokenizeOption = "13a",
    lowercase: LowercaseOption = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Keep the translations in FILE.")
    ] = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Translate a test set and score it against references, by sacreBLEU with signatures.

    Example:
        nmt evaluate -m demo-model test.de test.en -o translated.en
    """
    from nmt import evaluation
    from nmt.checkpoint import load_model
    from nmt.decoding import Translator

    scoring = evaluation.Scoring(parse_metrics(metric), tokenize, lowercase)
    inputs = [source, *references]
    texts = read_texts(inputs)
    loaded = load_model(model, device=device, threads=threads)
    decoding = loaded.config.decoding if beam is None else replace(loaded.config.decoding, beam_size=beam)
    start = time.monotonic()
    with nullcontext() if output is None else line_output(output, inputs=inputs) as keep:
        translator = Translator(loaded, decoding)
        hypotheses = _translate(translator, texts[0].lines, keep=keep, quiet=quiet)
    seconds = time.monotonic() - start
    facts = {
        "model": str(model),
        "model_signature": loaded.manifest.get("signature"),
        "beam_size": decoding.beam_size,
        "length_penalty": decoding.length_penalty,
        "lines": len(hypotheses),
        "seconds": round(seconds, 3),
    }
    warn_if_tokenized([Text("the translation", hypotheses), *texts[1:]], scoring)
    scores = evaluation.score(hypotheses, [text.lines for text in texts[1:]], scoring)
    show_scores(scores, as_json=as_json, facts=facts)
    if not quiet:
        search = f"beam {decoding.beam_size}, length penalty {decoding.length_penalty:g}"
        say(f"{len(hypotheses):,} lines in {seconds:.1f} s, {search}, {facts['model_signature'] or model}")


def _translate(
    translator: "Translator", lines: list[str], *, keep: Callable[[str], None] | None, quiet: bool
) -> list[str]:
    from rich.progress import Progress

    hypotheses = []
    with Progress(console=err, transient=True, disable=quiet or not is_watched()) as progress:
        translations = translator.stream(lines)
        for translation in progress.track(translations, total=len(lines), description="translating"):
            hypotheses.append(translation.text)
            if keep is not None:
                keep(translation.text)
    return hypotheses
