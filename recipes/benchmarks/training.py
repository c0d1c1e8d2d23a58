"""Measures how fast engines train: real target tokens a second, on the same text in the same pieces.

python recipes/benchmarks/training.py --src train.en --tgt train.de --out runs/benchmark \
    --peer eole=ENVIRONMENT --peer fairseq=ENVIRONMENT

Each engine trains for some time, one after the other, and all again in the next round. The clock is that of
this program: a step lasts from the line in which the engine tells of the step before to the line in which it
tells of this one, so that loading data counts. README.md says how to make the environments.
"""

import argparse
import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise, product
from pathlib import Path
from shutil import rmtree
from statistics import median
from typing import IO

import torch
from engines import SIZES, VOCAB_SIZE, Corpus, Engine, Eole, Fairseq, Log, Nmt, Run, Size, make_corpus

from nmt.config import TrainingConfig
from nmt.files import write_json

PRECISIONS = {"bfloat16": torch.bfloat16, "float32": torch.float32}
PEERS = {"eole": Eole, "fairseq": Fairseq}
ENGINES = ("nmt", "nmt-links", *PEERS)
SHAPES = ((4096, 512, 2048), (4096, 2048, 512), (2048, 2048, 2048))  # rows x inner x columns
LEAST_STEPS = 3
LAST_LINES = 30  # of a log, to show why an engine ended


@dataclass(frozen=True)
class Row:
    """What is to be measured in every round."""

    size: str
    engine: str
    precision: str


@dataclass(frozen=True)
class Reading:
    """One engine in one round, after its warm-up."""

    row: Row
    round: int
    seconds_to_first_step: float
    step_seconds: tuple[float, ...]
    step_tokens: tuple[int, ...]
    peak_bytes: int

    @property
    def rate(self) -> float:
        """Target tokens a second, the median over the steps: a short disturbance does not move it."""
        return median(n / s for n, s in zip(self.step_tokens, self.step_seconds, strict=True))

    @property
    def mean_rate(self) -> float:
        """Target tokens a second, all tokens by the whole time."""
        return sum(self.step_tokens) / sum(self.step_seconds)

    def line(self) -> str:
        """It in a line."""
        return (
            f"{self.row.size} {self.row.engine} {self.row.precision}: {self.rate:,.0f} target tokens/s "
            f"(mean {self.mean_rate:,.0f}), {len(self.step_tokens)} steps of "
            f"{median(self.step_tokens):,.0f}, {self.peak_bytes / 1e6:,.0f} MB, "
            f"first step after {self.seconds_to_first_step:.0f} s"
        )


@dataclass(frozen=True)
class Spread:
    """The middle of some values and their range."""

    middle: float
    least: float
    most: float

    def text(self, form: str) -> str:
        """As `middle [least-most]`; only the middle if the others look the same."""
        middle, least, most = (format(value, form) for value in (self.middle, self.least, self.most))
        return middle if least == most else f"{middle} [{least}–{most}]"


def spread(values: list[float]) -> Spread:
    """The median of some values and their range."""
    return Spread(median(values), min(values), max(values))


def flops_per_token(size: Size, corpus: Corpus) -> float:
    """Floating-point operations, forward and backward, for each target token, without padding.

    Six for each parameter of a matrix that a token is multiplied with (two forward, four backward), and for
    attention twelve times the width for each position that is looked at; the source has its share.
    """
    d_model, num_layers = size.d_model, size.num_layers
    num_src, num_tgt = sum(corpus.src_lengths), sum(corpus.tgt_lengths)
    src_seen = sum(length**2 for length in corpus.src_lengths)  # by all source tokens in one layer
    tgt_seen = sum(length**2 for length in corpus.tgt_lengths)
    both_seen = sum(s * t for s, t in zip(corpus.src_lengths, corpus.tgt_lengths, strict=True))
    feed_forward = 2 * d_model * size.d_ff
    src_matrices = num_layers * (
        4 * d_model**2 + feed_forward + 2 * d_model**2
    )  # and keys and values of the decoder
    tgt_matrices = num_layers * (6 * d_model**2 + feed_forward) + d_model * VOCAB_SIZE
    attention = 12 * d_model * num_layers * (src_seen + tgt_seen + both_seen)
    return (6 * (src_matrices * num_src + tgt_matrices * num_tgt) + attention) / num_tgt


def matrix_peak(precision: str, threads: int) -> float:
    """Operations a second that torch reaches in a matrix product here, in the best of some shapes."""
    torch.set_num_threads(threads)
    rates = []
    for rows, inner, columns in SHAPES:
        x = torch.randn(rows, inner, dtype=PRECISIONS[precision])
        weight = torch.randn(columns, inner, dtype=PRECISIONS[precision])
        times: list[float] = []
        while len(times) < 3 or sum(times) < 1.0:
            start = time.perf_counter()
            torch.nn.functional.linear(x, weight)
            times.append(time.perf_counter() - start)
        rates.append(2 * rows * inner * columns / median(times))
    return max(rates)


def run_engine(engine: Engine, run: Run, *, warm_up: float, seconds: float) -> Log:
    """Train for some seconds after the first step and its warm-up."""
    threads = str(run.threads)
    environment = os.environ | {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "PYTHONUNBUFFERED": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    started = time.perf_counter()
    process = subprocess.Popen(
        engine.command(run),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,  # so that what it starts ends with it
    )
    assert process.stdout is not None, "it is a pipe"
    try:
        step_lines, step_times = follow(process.stdout, engine.step_pattern, warm_up=warm_up, seconds=seconds)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        _, process.returncode, usage = os.wait4(process.pid, 0)
    process.stdout.close()
    unit = 1 if sys.platform == "darwin" else 1024
    return Log(run.folder, started, step_lines, step_times, usage.ru_maxrss * unit)


def follow(
    lines: IO[str], pattern: re.Pattern[str], *, warm_up: float, seconds: float
) -> tuple[list[str], list[float]]:
    """The lines about steps, and when each came, for a warm-up, some seconds and at least some steps."""
    last_lines: deque[str] = deque(maxlen=LAST_LINES)
    step_lines: list[str] = []
    step_times: list[float] = []
    for line in lines:
        last_lines.append(line)
        if not pattern.search(line):
            continue
        step_lines.append(line)
        step_times.append(time.perf_counter())
        warm = after(warm_up, step_times)
        if len(warm) > LEAST_STEPS and step_times[-1] - step_times[warm[0]] > seconds:
            return step_lines, step_times
    sys.exit(f"error: the engine ended too early; its last lines were:\n{''.join(last_lines)}")


def after(warm_up: float, step_times: list[float]) -> list[int]:
    """The steps that ended so many seconds after the first one, or later."""
    return [step for step, ended in enumerate(step_times) if ended >= step_times[0] + warm_up]


def measure(engine: Engine, row: Row, run: Run, *, number: int, warm_up: float, seconds: float) -> Reading:
    """One reading; the steps that began in the warm-up are left out."""
    rmtree(run.folder, ignore_errors=True)
    log = run_engine(engine, run, warm_up=warm_up, seconds=seconds)
    tokens, steps = engine.step_tokens(log), after(warm_up, log.step_times)
    rmtree(run.folder)
    return Reading(
        row=row,
        round=number,
        seconds_to_first_step=log.step_times[0] - log.started,
        step_seconds=tuple(log.step_times[step] - log.step_times[before] for before, step in pairwise(steps)),
        step_tokens=tuple(tokens[step] for step in steps[1:]),
        peak_bytes=log.peak_bytes,
    )


def table(readings: list[Reading], peaks: list[float], flops: dict[str, float]) -> Iterator[str]:
    """The lines of a Markdown table: each row over all rounds."""
    titles = ("size", "engine", "precision", "target tokens/s", "÷ fastest peer", "share of peak")
    yield f"| {' | '.join((*titles, 'tokens a step', 'peak MB'))} |"
    yield "|---|---|---|---|---|---|---|---|"
    peak = median(peaks)
    for row in dict.fromkeys(reading.row for reading in readings):
        of_row = [reading for reading in readings if reading.row == row]
        rates = spread([reading.rate for reading in of_row])
        cells = [
            *(row.size, row.engine, row.precision),
            rates.text(",.0f"),
            against_peers(of_row, readings),
            f"{rates.middle * flops[row.size] / peak:.0%}",
            f"{median(n for reading in of_row for n in reading.step_tokens):,.0f}",
            f"{max(reading.peak_bytes for reading in of_row) / 1e6:,.0f}",
        ]
        yield f"| {' | '.join(cells)} |"


def against_peers(of_row: list[Reading], readings: list[Reading]) -> str:
    """The pace of a row by that of the fastest peer of its size, round by round."""
    size = of_row[0].row.size
    peers = [each for each in readings if each.row.size == size and each.row.engine in PEERS]
    if not peers:
        return ""
    middles = {
        row: median(each.rate for each in peers if each.row == row) for row in {each.row for each in peers}
    }
    fastest = max(middles, key=middles.__getitem__)
    theirs = {each.round: each.rate for each in peers if each.row == fastest}
    return spread([each.rate / theirs[each.round] for each in of_row]).text(".2f")


def processor() -> str:
    """The name of the processor."""
    path = Path("/proc/cpuinfo")
    names = [line for line in path.read_text().splitlines() if "model name" in line] if path.exists() else []
    return names[0].partition(": ")[2] if names else platform.processor()


def chosen(text: str, known: tuple[str, ...], option: str) -> list[str]:
    """The names in a list that a user gave."""
    names = text.split(",")
    for name in names:
        if name not in known:
            sys.exit(f"error: {option}: {name!r} is unknown; there are {', '.join(known)}")
    return names


def make_engines(names: list[str], peers: list[str]) -> dict[str, Engine]:
    """The engines with these names; `peers` has the environments, as `eole=FOLDER`."""
    venvs = {name: Path(folder).absolute() for name, _, folder in (peer.partition("=") for peer in peers)}
    for name in PEERS:
        if name in names and name not in venvs:
            sys.exit(f"error: where is {name}? give --peer {name}=ENVIRONMENT, or leave it out of --engines")
    known = {name: peer(venvs[name]) for name, peer in PEERS.items() if name in names}
    ours = {"nmt": Nmt(reconstruction=0.0), "nmt-links": Nmt(TrainingConfig().reconstruction)}
    return {name: (ours | known)[name] for name in names}


def arguments() -> argparse.Namespace:
    """What the user wants."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--src", type=Path, required=True, help="source text, raw, a sentence a line")
    parser.add_argument("--tgt", type=Path, required=True, help="its translation, line by line")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="folder for readings.json, and for what the engines write: corpus/ and run/ there are made anew",
    )
    parser.add_argument(
        "--peer", action="append", default=[], metavar="NAME=VENV", help="where a peer is installed"
    )
    parser.add_argument(
        "--engines",
        default=",".join(ENGINES),
        help="in this order; nmt trains to translate only, nmt-links to align as well, which is our default "
        "(default: %(default)s)",
    )
    parser.add_argument("--sizes", default=",".join(SIZES), help="(default: %(default)s)")
    parser.add_argument(
        "--precision", default=",".join(PRECISIONS), help="each engine in those it has (default: %(default)s)"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="times that all are measured (default: %(default)s)"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=60,
        help="time measured, each engine and round; but at least three steps (default: %(default)s)",
    )
    parser.add_argument(
        "--warm-up",
        type=float,
        default=15,
        help="seconds left out behind the first step (default: %(default)s)",
    )
    parser.add_argument("--threads", type=int, default=2, help="(default: %(default)s)")
    return parser.parse_args()


def main() -> None:
    """Measure all, write the readings, print the table."""
    given = arguments()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # end the engine, too
    sizes = chosen(given.sizes, tuple(SIZES), "--sizes")
    precisions = chosen(given.precision, tuple(PRECISIONS), "--precision")
    engines = make_engines(chosen(given.engines, ENGINES, "--engines"), given.peer)
    corpus = make_corpus(given.src, given.tgt, given.out.absolute() / "corpus")
    for engine in engines.values():
        engine.prepare(corpus)
    flops = {size: flops_per_token(SIZES[size], corpus) for size in sizes}
    facts = place(given.threads) | {
        "engines": {name: engine.version() for name, engine in engines.items()},
        "warm_up_seconds": given.warm_up,
        "flops_per_target_token": flops,
    }
    peaks: list[float] = []
    readings: list[Reading] = []
    for number in range(1, given.rounds + 1):
        peaks.append(matrix_peak("bfloat16", given.threads))
        say(f"round {number}: bfloat16 matrix products {peaks[-1] / 1e9:.0f} GFLOP/s")
        for size, precision, (name, engine) in product(sizes, precisions, engines.items()):
            if precision not in engine.precisions:
                continue
            row = Row(size, name, precision)
            run = Run(corpus, SIZES[size], precision, given.threads, given.out.absolute() / "run")
            reading = measure(engine, row, run, number=number, warm_up=given.warm_up, seconds=given.seconds)
            say(f"round {number}: {reading.line()}")
            readings.append(reading)
            records = [asdict(each) | {"rate": each.rate, "mean_rate": each.mean_rate} for each in readings]
            found = {"bfloat16_peak_flops_per_second": peaks, "readings": records}
            write_json(given.out / "readings.json", facts | found)
    print("\n".join(table(readings, peaks, flops)))


def place(threads: int) -> dict[str, object]:
    """On what it is measured."""
    return {
        "processor": processor(),
        "threads": threads,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def say(message: str) -> None:
    """Tell how far it is, on stderr."""
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
