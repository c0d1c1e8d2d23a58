"""`nmt demo`: the whole way on the bundled German-English corpus."""

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.rule import Rule

from nmt.files import read_lines, write_json, write_text

from .console import err, messages, out, write_line
from .options import DeviceOption, JsonOption, QuietOption, SeedOption, ThreadsOption
from .tables import draw_legend, draw_table
from .training_session import run_training

if TYPE_CHECKING:
    from nmt.checkpoint import TranslationModel
    from nmt.decoding import Translation
    from nmt.evaluation import Score
    from nmt.training.report import EndReport

SHOWN = (3, 17, 42)  # test sentences whose alignment tables are shown, from 0
QUICK = (
    "training.max_steps=30",
    "training.eval_steps=30",
    "training.warmup_steps=10",
    "training.dev_sentences=10",
    "alignment.head=false",
    "decoding.beam_size=1",
    "decoding.max_length_ratio=1",
)
QUICK_SENTENCES = 50
NEXT = """
  nmt translate -m {model} "Der Hund schläft im Garten."
  nmt translate -m {model} --align < {corpus}/test.de
  nmt align -m {model} {corpus}/dev.de {corpus}/dev.en
  nmt show {corpus}/test.de {corpus}/test.en {model}/test.links --diff {corpus}/test.talp --worst 3
  nmt info {model}
  nmt train --src train.de --tgt train.en --out my-model      # your own text
"""


@dataclass(frozen=True)
class Corpus:
    """The files of the sample corpus."""

    folder: Path

    def test(self, ending: str) -> list[str]:
        """Lines of the test set: `de`, `en`, or the gold links in `talp`."""
        return list(read_lines(self.folder / f"test.{ending}"))

    def options(self) -> dict[str, Any]:
        """The data section of a configuration."""
        train_src, train_tgt, dev_src, dev_tgt = (
            str(self.folder / name) for name in ("train.de", "train.en", "dev.de", "dev.en")
        )
        return {"src": [train_src], "tgt": [train_tgt], "dev_src": dev_src, "dev_tgt": dev_tgt}


def demo(
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Folder of the model.",
            show_default="demo-model, or quick-demo-model",
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", metavar="", help="Train for seconds only; it learns little."),
    ] = False,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
    seed: SeedOption = 1,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a German-English model on the bundled corpus, translate with it, and look at alignments.

    Takes a few minutes on two CPU cores. What is left is a model folder like any other, with summary.json.

    Example:
        nmt demo --out demo-model
    """
    from nmt.checkpoint import load_model
    from nmt.corpus.sample import sample_dir
    from nmt.training.options import resolve

    started = time.perf_counter()
    out_dir = folder or Path("quick-demo-model" if quick else "demo-model")
    corpus = Corpus(sample_dir() / "de-en")
    flags = {"data": corpus.options(), "training": {"device": device, "threads": threads, "seed": seed}}
    config = resolve(corpus.folder / "demo.toml", flags, preset_name="auto", overrides=QUICK if quick else ())
    _say_heading("1  A tokenizer and a model from 20,000 sentence pairs", quiet=quiet)
    end = run_training(config, out_dir, quiet=quiet)
    model = load_model(out_dir, device=device, threads=threads)

    sources = corpus.test("de")[: QUICK_SENTENCES if quick else None]
    _say_heading(f"2  Translations of {len(sources)} sentences it has not seen", quiet=quiet)
    translations = _translate(model, sources)
    bleu = _bleu(translations, corpus.test("en")[: len(translations)])
    aer = _alignment_error(model, corpus, out_dir / "test.links")
    summary = _summary(out_dir, end, bleu, aer, seconds=time.perf_counter() - started)
    write_text(out_dir / "test.hyp.en", "".join(f"{each.text}\n" for each in translations))
    write_json(out_dir / "summary.json", summary)
    if as_json:
        write_line(json.dumps(summary))
        return
    out.print(f"BLEU {bleu.value:.2f}  [dim]{bleu.signature}[/dim]")
    out.print(f"AER  {aer:.3f}  [dim]against gold links; {_origin(model)}[/dim]")
    _say_heading("3  What the translations were made of", quiet=quiet)
    _show_tables(model, translations)
    _say_heading("4  What to try next", quiet=quiet)
    out.print(_next_commands(out_dir, corpus.folder), markup=False, soft_wrap=True)


def _say_heading(text: str, *, quiet: bool) -> None:
    if not quiet and not messages.as_json:
        err.print(Rule(text, align="left", style="dim"))


def _translate(model: "TranslationModel", lines: list[str]) -> "list[Translation]":
    from nmt.decoding import Translator

    return Translator(model, model.config.decoding, align=True).translate(lines)


def _bleu(translations: "list[Translation]", references: list[str]) -> "Score":
    from nmt.evaluation import score

    (bleu,) = score([translation.text for translation in translations], [references])
    return bleu


def _alignment_error(model: "TranslationModel", corpus: Corpus, links_path: Path) -> float:
    """AER of the model's links between the test sentences and their references; the links are kept."""
    from nmt.alignment import align_pairs
    from nmt.alignment.scoring import score_links
    from nmt.corpus.links import format_pharaoh, parse_talp

    pairs = list(zip(corpus.test("de"), corpus.test("en"), strict=True))
    threshold = model.config.alignment.threshold
    links = [set(alignment.words("punct", threshold).links) for alignment in align_pairs(model, pairs)]
    write_text(links_path, "".join(f"{format_pharaoh(each)}\n" for each in links))
    gold = [
        parse_talp(line, where=f"test.talp:{number}")
        for number, line in enumerate(corpus.test("talp"), start=1)
    ]
    return score_links(links, gold).aer


def _origin(model: "TranslationModel") -> str:
    from nmt.alignment import origin_of_links

    return str(origin_of_links(model, model.config.alignment.source))


def _summary(out_dir: Path, end: "EndReport", bleu: "Score", aer: float, *, seconds: float) -> dict[str, Any]:
    """What is kept in summary.json; the time of a rerun, which trains no more, is that of the first run."""
    training_seconds = round(end.seconds, 1)
    with suppress(OSError, ValueError, KeyError, TypeError):
        before = json.loads((out_dir / "summary.json").read_bytes())
        if before["training_seconds"] == training_seconds:
            seconds = float(before["seconds"])
    return {
        "bleu": round(bleu.value, 2),
        "bleu_signature": bleu.signature,
        "aer": round(aer, 4),
        "links_from": end.links_from,
        "alignment_layer": end.alignment_layer,
        "seconds": round(seconds, 1),
        "training_seconds": training_seconds,
        "tokens_per_second": round(end.tokens_per_second, 1),
        "steps": end.step,
        "model": str(out_dir),
    }


def _show_tables(model: "TranslationModel", translations: "list[Translation]") -> None:
    for number in SHOWN:
        alignment = translations[number].alignment
        assert alignment is not None, "the translator was asked to align"
        words = alignment.words("punct", model.config.alignment.threshold)
        out.print(draw_table(out, words, caption=f"sentence {number + 1}"), "")
    out.print(draw_legend(out))


def _next_commands(out_dir: Path, corpus_dir: Path) -> str:
    """Commands to copy, with paths as seen from here if that is shorter."""
    here = Path.cwd()
    corpus = corpus_dir.relative_to(here) if corpus_dir.is_relative_to(here) else corpus_dir
    return NEXT.format(model=quote(str(out_dir)), corpus=quote(str(corpus)))
