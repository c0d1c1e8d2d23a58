"""`nmt evaluate`: translate a test set with a model and score the result."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from nmt.errors import UsageError

from .console import err, is_watched, say
from .lines import STDIN, counted, line_output
from .options import (
    SHORTLIST,
    BeamOption,
    ContextOption,
    DeviceOption,
    JsonOption,
    ModelOption,
    QuietOption,
    SetOption,
    ShortlistOption,
    ThreadsOption,
    ToOption,
)
from .requests import plain_requests
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
from .translating import LineTranslator, with_decoding


def evaluate(
    model: ModelOption,
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Text to translate; - is stdin.")],
    references: Annotated[
        list[Path], typer.Argument(metavar="REF", help="Reference translations, line by line.")
    ],
    to: ToOption = None,
    context: ContextOption = True,
    beam: BeamOption = None,
    shortlist: ShortlistOption = False,
    metric: MetricOption = "bleu,chrf",
    tokenize: TokenizeOption = "13a",
    lowercase: LowercaseOption = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Keep the translations in FILE.")
    ] = None,
    set_: SetOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Translate a test set and score it against references, by sacreBLEU with signatures.

    Example:
        nmt evaluate -m demo-model test.de test.en -o translated.en
    """
    if output == STDIN:
        raise UsageError("--output - would mix translations into the scores; give a file")
    from nmt import evaluation
    from nmt.checkpoint import load_model
    from nmt.decoding import Translator

    scoring = evaluation.Scoring(parse_metrics(metric), tokenize, lowercase)
    inputs = [source, *references]
    texts = read_texts(inputs)
    loaded = load_model(model, device=device, threads=threads, with_links=False)
    flags = {"beam_size": beam, "shortlist": SHORTLIST if shortlist else None}
    decoding = with_decoding(loaded.config, flags, set_ or []).decoding
    start = time.monotonic()
    with nullcontext() if output is None else line_output(output, inputs=inputs) as keep:
        translator = Translator(loaded, decoding, to=to, context=context, processes=True)
        lines = LineTranslator(translator, texts[0].name)
        hypotheses = _translate(lines, texts[0].lines, keep=keep, quiet=quiet)
    seconds = time.monotonic() - start
    facts = {
        "model": str(model),
        "model_signature": loaded.manifest.get("signature"),
        **({"direction": str(translator.direction)} if translator.direction.tag_ids else {}),
        **({"context": translator.context_size} if translator.context_size else {}),
        "beam_size": decoding.beam_size,
        "length_penalty": decoding.length_penalty,
        **({"shortlist": decoding.shortlist} if decoding.shortlist else {}),
        "lines": len(hypotheses),
        "seconds": round(seconds, 3),
    }
    warn_if_tokenized([Text("the translation", hypotheses), *texts[1:]], scoring)
    scores = evaluation.score(hypotheses, [text.lines for text in texts[1:]], scoring)
    show_scores(scores, as_json=as_json, facts=facts)
    if not quiet:
        speed = f"{counted(len(hypotheses), 'line')} in {seconds:.1f} s"
        search = f"beam {decoding.beam_size}, length penalty {decoding.length_penalty:g}"
        say(f"{speed}, {search}, {facts['model_signature'] or model}")


def _translate(
    translator: LineTranslator, lines: list[str], *, keep: Callable[[str], None] | None, quiet: bool
) -> list[str]:
    from rich.progress import Progress

    from nmt.decoding.windows import full_windows

    hypotheses: list[str] = []
    with Progress(console=err, transient=True, disable=quiet or not is_watched()) as progress:
        task = progress.add_task("translating", total=len(lines))
        for requests in full_windows(plain_requests(lines), translator.window):
            done = translator.translate(requests, lambda number: progress.advance(task, number))
            for _, translation in done:
                hypotheses.append(translation.text)
                if keep is not None:
                    keep(translation.text)
    translator.explain()
    return hypotheses
