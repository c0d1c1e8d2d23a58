"""Measures how fast we and CTranslate2 translate with the same weights: throughput, latency, memory.

python recipes/benchmarks/translation.py --model MODEL --src test.en --ref test.de --out runs/translation \
    --nmt default --nmt large-batches:decoding.batch_tokens=16384

Every engine translates the same lines in a process of its own, one after the other, and all again in the
next round. CTranslate2 gets, for each kind of arithmetic, the threads and batches that were best in a trial.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from shutil import rmtree
from statistics import median, quantiles
from typing import Any

from memory import PeakMemory
from training import chosen, place, say, spread

from nmt.checkpoint import TranslationModel, load_model
from nmt.corpus.words import is_blank
from nmt.decoding.translator import EXTRA_LENGTH
from nmt.evaluation import score
from nmt.files import check_counts, make_dir, read_lines, write_json, write_text
from nmt.interop.ctranslate2 import export_ctranslate2

ENGINE = Path(__file__).with_name("translation_engine.py")
MODES = ("throughput", "latency")
COMPUTE_TYPES = ("float32", "int8")
BATCH_SIZES = (32, 64, 128)
WARM_UP = {"throughput": 128, "latency": 20}  # lines

Settings = dict[str, Any]


@dataclass(frozen=True)
class Text:
    """Lines to translate, with their references."""

    sources: list[str]
    references: list[str]
    num_left_out: int


@dataclass(frozen=True)
class Engine:
    """An engine with its settings: those of all jobs, and those to choose from in each mode."""

    name: str
    settings: Settings
    python: Path
    choices: dict[str, list[Settings]]


@dataclass(frozen=True)
class Row:
    """What is measured in every round."""

    mode: str
    beam_size: int
    engine: str


@dataclass(frozen=True)
class Reading:
    """One row in one round."""

    row: Row
    round: int
    settings: Settings
    version: str
    load_seconds: float
    seconds: list[float]  # of all lines at once, or line by line
    num_lines: int
    num_tokens: int
    imported_bytes: int
    peak_bytes: int

    @property
    def rate(self) -> float:
        """Sentences a second."""
        return self.num_lines / sum(self.seconds)

    @property
    def middle(self) -> float:
        """The median time of a line, in milliseconds."""
        return 1000 * median(self.seconds)

    @property
    def slowest(self) -> float:
        """The 99th percentile of the time of a line, in milliseconds."""
        return 1000 * percentile_99(self.seconds)

    @property
    def cost(self) -> float:
        """What settings are chosen by: the least is the best."""
        return self.middle if self.row.mode == "latency" else 1 / self.rate

    def line(self) -> str:
        """It in a line."""
        row = self.row
        shown = (
            f"{self.middle:.1f} ms a sentence, 99 % within {self.slowest:.1f} ms"
            if row.mode == "latency"
            else f"{self.rate:.1f} sentences/s, {self.num_tokens / sum(self.seconds):,.0f} tokens/s"
        )
        return (
            f"{row.mode} beam {row.beam_size} {row.engine} {brief(self.settings)}: {shown}, "
            f"{self.peak_bytes / 1e6:,.0f} MB ({self.imported_bytes / 1e6:,.0f} MB of imports), "
            f"loaded in {self.load_seconds:.1f} s"
        )


def percentile_99(values: list[float]) -> float:
    """What 99 of 100 values are not above; of a single value that one."""
    return quantiles(values, n=100, method="inclusive")[98] if len(values) > 1 else values[0]


def brief(settings: Settings) -> str:
    """Settings of threads and batches as `2×1, batch 64`: workers × threads of each."""
    if "inter_threads" not in settings:
        return ""
    return f"{settings['inter_threads']}×{settings['intra_threads']}, batch {settings['batch_size']}"


def read_text(model: TranslationModel, src_path: Path, ref_path: Path, num_lines: int = 0) -> Text:
    """The lines that are translated whole: not blank, and no longer than the model was trained for."""
    sides = [list(read_lines(path)) for path in (src_path, ref_path)]
    check_counts((str(path), len(side)) for path, side in zip((src_path, ref_path), sides, strict=True))
    pairs = list(zip(*sides, strict=True))[: num_lines or None]
    lengths = map(len, model.src_tokenizer.encode_batch([src for src, _ in pairs]))
    longest = model.config.data.max_length
    kept = [
        (src, ref)
        for (src, ref), length in zip(pairs, lengths, strict=True)
        if length <= longest and not is_blank(src)
    ]
    return Text([src for src, _ in kept], [ref for _, ref in kept], len(pairs) - len(kept))


def our_engine(text: str, model_dir: Path) -> Engine:
    """Our engine under a name with options: `int8:decoding.precision=int8,decoding.window=512`."""
    name, _, options = text.partition(":")
    settings = {"engine": "nmt", "model": str(model_dir), "options": options.split(",") if options else []}
    return Engine(f"nmt {name}", settings, Path(sys.executable), {mode: [{}] for mode in MODES})


def peer_engine(compute_type: str, folder: Path, *, threads: int, python: Path) -> Engine:
    """CTranslate2 in one kind of arithmetic, with all the settings that may be its best."""
    settings = {"engine": "ctranslate2", "model": str(folder), "compute_type": compute_type}
    layouts = sorted({(threads, 1), (1, threads)})
    choices = {
        "throughput": [
            {"inter_threads": inter, "intra_threads": intra, "batch_size": size}
            for (inter, intra), size in product(layouts, BATCH_SIZES)
        ],
        "latency": [
            {"inter_threads": 1, "intra_threads": intra, "batch_size": 1} for intra in sorted({1, threads})
        ],
    }
    return Engine(f"CTranslate2 {compute_type}", settings, python, choices)


@dataclass(frozen=True)
class Bench:
    """All engines, and what they are given to do."""

    engines: dict[str, Engine]  # by name
    lines: dict[str, list[str]]  # by mode
    job: Settings  # what is the same for all

    def measure(
        self, row: Row, settings: Settings, *, number: int, num_lines: int | None = None
    ) -> tuple[Reading, list[str]]:
        """One reading, of the first lines or of all, and the translations."""
        engine = self.engines[row.engine]
        task = {"mode": row.mode, "beam_size": row.beam_size, "warm_up": WARM_UP[row.mode]}
        lines = self.lines[row.mode][:num_lines]
        said = run_engine(engine, self.job | engine.settings | settings | task | {"lines": lines})
        texts: list[str] = said.pop("texts")
        reading = Reading(row=row, round=number, settings=settings, num_lines=len(lines), **said)
        say(f"{f'round {number}' if number else 'trial'}: {reading.line()}")
        return reading, texts

    def trials(self, row: Row, num_lines: int) -> list[Reading]:
        """A reading with each of the settings that there are to choose from; none if there is no choice."""
        choices = self.engines[row.engine].choices[row.mode]
        if len(choices) == 1:
            return []
        return [self.measure(row, choice, number=0, num_lines=num_lines)[0] for choice in choices]


def run_engine(engine: Engine, job: Settings) -> dict[str, Any]:
    """What an engine says of a job, done in a process of its own."""
    pipe, environment = subprocess.PIPE, os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    command = [str(engine.python), str(ENGINE)]
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
    with process, PeakMemory(process.pid) as memory:
        try:
            output, _ = process.communicate(json.dumps(job))
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        sys.exit(f"error: {engine.name}: its process ended with status {process.returncode}")
    said: dict[str, Any] = json.loads(output.splitlines()[-1])
    said["peak_bytes"] = max(said["peak_bytes"], memory.most)
    return said


def best_settings(trials: list[Reading]) -> Settings:
    """The settings of the fastest of some readings."""
    return min(trials, key=lambda reading: reading.cost).settings


def num_same(texts: list[str], others: list[str]) -> int:
    """How many lines are equal."""
    return sum(one == other for one, other in zip(texts, others, strict=True))


def ratios(
    of_row: list[Reading], readings: list[Reading], peer: str, value: Callable[[Reading], float]
) -> str:
    """A value by that of another engine at the same task, round by round."""
    row = of_row[0].row
    theirs = {
        reading.round: value(reading)
        for reading in readings
        if reading.row == Row(row.mode, row.beam_size, peer)
    }
    return spread([value(reading) / theirs[reading.round] for reading in of_row]).text(".2f")


def table(readings: list[Reading], mode: str, peers: list[str], bleu: dict[Row, float]) -> Iterator[str]:
    """The lines of a Markdown table: every row of a mode over all rounds."""
    values: dict[str, Callable[[Reading], float]] = (
        {"sentences/s": lambda reading: reading.rate}
        if mode == "throughput"
        else {"median ms": lambda reading: reading.middle, "99th ms": lambda reading: reading.slowest}
    )
    titles = ["beam", "engine", "settings"]
    for name in values:
        titles += [name, *(f"÷ {peer}" for peer in peers)]
    titles += ["BLEU", "tokens", "peak MB", "of imports", "load s"]
    yield f"| {' | '.join(titles)} |"
    yield f"|{'---|' * len(titles)}"
    for row in dict.fromkeys(reading.row for reading in readings if reading.row.mode == mode):
        of_row = [reading for reading in readings if reading.row == row]
        cells = [str(row.beam_size), row.engine, brief(of_row[0].settings)]
        for value in values.values():
            cells.append(spread([value(reading) for reading in of_row]).text(".1f"))
            cells += [ratios(of_row, readings, peer, value) for peer in peers]
        cells += [
            f"{bleu[row]:.2f}",
            f"{of_row[0].num_tokens:,}",
            f"{max(reading.peak_bytes for reading in of_row) / 1e6:,.0f}",
            f"{max(reading.imported_bytes for reading in of_row) / 1e6:,.0f}",
            f"{median(reading.load_seconds for reading in of_row):.1f}",
        ]
        yield f"| {' | '.join(cells)} |"


def agreements(texts: dict[Row, list[str]], peers: list[str]) -> Iterator[str]:
    """How many translations each of our engines has in common with each of the peers."""
    for row, ours in texts.items():
        for peer in peers if row.engine not in peers else ():
            theirs = texts[Row(row.mode, row.beam_size, peer)]
            yield (
                f"{row.mode}, beam {row.beam_size}: {num_same(ours, theirs):,} of {len(ours):,} translations "
                f"of {row.engine} are those of {peer}"
            )


def arguments() -> argparse.Namespace:
    """What the user wants."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="model folder of nmt train")
    parser.add_argument("--src", type=Path, required=True, help="text to translate, a sentence a line")
    parser.add_argument("--ref", type=Path, required=True, help="its reference translation, line by line")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="folder for readings.json, translations, and models for CTranslate2, which are made anew",
    )
    parser.add_argument(
        "--nmt",
        action="append",
        metavar="NAME[:KEY=VALUE,...]",
        help="one of our engines, with options that are not those of the model (default: default)",
    )
    parser.add_argument(
        "--ctranslate2",
        default=",".join(COMPUTE_TYPES),
        help="kinds of arithmetic of CTranslate2; an empty text: compare our engines with the first of them "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--ct2-python",
        type=Path,
        default=Path(sys.executable),
        help="the Python that has ctranslate2 and sentencepiece (default: this one)",
    )
    parser.add_argument("--beams", default="5,1", help="beam sizes (default: %(default)s)")
    parser.add_argument("--modes", default=",".join(MODES), help="(default: %(default)s)")
    parser.add_argument("--lines", type=int, default=0, help="first lines to translate; 0: all")
    parser.add_argument(
        "--latency-lines", type=int, default=300, help="of these, one at a time (default: %(default)s)"
    )
    parser.add_argument(
        "--trial-lines",
        type=int,
        default=1000,
        help="of these, to find the best settings of CTranslate2 with (default: %(default)s)",
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="times that all are measured (default: %(default)s)"
    )
    parser.add_argument("--threads", type=int, default=2, help="(default: %(default)s)")
    return parser.parse_args()


def make_engines(given: argparse.Namespace, model: TranslationModel) -> dict[str, Engine]:
    """All engines by their names, ours first; writes the models of CTranslate2."""
    engines = [our_engine(text, given.model.absolute()) for text in given.nmt or ["default"]]
    kinds = chosen(given.ctranslate2, COMPUTE_TYPES, "--ctranslate2") if given.ctranslate2 else []
    for compute_type in kinds:
        folder = given.out.absolute() / f"ctranslate2-{compute_type}"
        rmtree(folder, ignore_errors=True)
        export_ctranslate2(model, folder, quantization=compute_type)
        engines.append(peer_engine(compute_type, folder, threads=given.threads, python=given.ct2_python))
    return {engine.name: engine for engine in engines}


def make_bench(given: argparse.Namespace, text: Text, model: TranslationModel) -> Bench:
    """The engines and their work."""
    decoding = model.config.decoding
    job = {
        "threads": given.threads,
        "length_penalty": decoding.length_penalty,
        "max_length_ratio": decoding.max_length_ratio,
        "extra_length": EXTRA_LENGTH,
    }
    lines = {"throughput": text.sources, "latency": text.sources[: given.latency_lines]}
    return Bench(make_engines(given, model), lines, job)


def bleu_scores(texts: dict[Row, list[str]], references: list[str]) -> tuple[dict[Row, float], str]:
    """BLEU of the translations of every row, and its signature."""
    scores = {row: score(lines, [references[: len(lines)]])[0] for row, lines in texts.items()}
    [signature] = {score.signature for score in scores.values()}
    return {row: score.value for row, score in scores.items()}, signature


def main() -> None:
    """Measure all, write readings and translations, print the tables."""
    given = arguments()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    modes = chosen(given.modes, MODES, "--modes")
    beam_sizes = [int(size) for size in given.beams.split(",")]
    make_dir(given.out)
    model = load_model(given.model, device="cpu", threads=given.threads)
    text = read_text(model, given.src, given.ref, given.lines)
    say(f"{len(text.sources):,} lines; {text.num_left_out:,} were blank or too long, and are left out")
    bench = make_bench(given, text, model)
    rows = [Row(*task) for task in product(modes, beam_sizes, bench.engines)]

    trials = {row: bench.trials(row, given.trial_lines) for row in rows}
    readings: list[Reading] = []
    texts: dict[Row, list[str]] = {}
    for number, row in product(range(1, given.rounds + 1), rows):
        settings = best_settings(trials[row]) if trials[row] else {}
        reading, texts[row] = bench.measure(row, settings, number=number)
        readings.append(reading)
        facts = place(given.threads) | {"options": {name: e.settings for name, e in bench.engines.items()}}
        found = {"trials": [asdict(each) for some in trials.values() for each in some]}
        write_json(given.out / "readings.json", facts | found | {"readings": [*map(asdict, readings)]})
        name = f"{row.mode}.beam-{row.beam_size}.{row.engine.replace(' ', '-')}.txt"
        write_text(given.out / name, "".join(f"{line}\n" for line in texts[row]))

    bleu, signature = bleu_scores(texts, text.references)
    peers = [name for name, engine in bench.engines.items() if engine.settings["engine"] != "nmt"]
    peers = peers or [next(iter(bench.engines))]
    for mode in modes:
        print("\n".join(table(readings, mode, peers, bleu)), end="\n\n")
    print("\n".join([*agreements(texts, peers), f"BLEU: {signature}"]))


if __name__ == "__main__":
    main()
