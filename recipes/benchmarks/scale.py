"""What a corpus of 100 thousand, a million or ten million pairs costs: preparing, starting again, batches."""

import argparse
import json
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from nmt.config import Config, DataConfig, TokenizerConfig, TrainingConfig
from nmt.corpus.batching import Batch
from nmt.corpus.sample import sample_dir
from nmt.files import read_lines
from nmt.training.data import TrainingData, data_hash, prepare

SIZES = (100_000, 1_000_000, 10_000_000)
REPLACED = 2  # words of each side of a repeated pair
MEASURED_BATCHES = 1000
CPU = torch.device("cpu")
COLUMNS = {
    "kept": "pairs kept",
    "prepare": "preparing, s",
    "prepare_cpu": "of CPU time, s",
    "prepare_rate": "pairs/s",
    "prepare_peak": "peak RSS, GB",
    "disk": "disk, GB",
    "start": "starting again, s",
    "plan": "planning an epoch, s",
    "start_peak": "peak RSS of a start and batches, GB",
    "plain": "batches, pairs/s",
    "sampled": "sampled batches, pairs/s",
    "sampled_cpu": "pairs per second of CPU time",
}


def main() -> None:
    """Generate the texts, measure each in a process of its own, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--src", default=str(sample_dir() / "de-en" / "train.de"), help="text to repeat")
    parser.add_argument("--tgt", default=str(sample_dir() / "de-en" / "train.en"))
    parser.add_argument("--folder", default="scale", help="scratch folder, removed afterwards")
    parser.add_argument("--pairs", type=int, nargs="+", default=SIZES)
    parser.add_argument("--stage", choices=["prepare", "start"], help=argparse.SUPPRESS)
    asked = parser.parse_args()
    folder = Path(asked.folder)
    if asked.stage:
        print(json.dumps({"prepare": measure_preparing, "start": measure_start}[asked.stage](folder)))
        return
    print("| pairs |", " | ".join(COLUMNS.values()), "|")
    print("|" + "---|" * (1 + len(COLUMNS)), flush=True)
    for num_pairs in asked.pairs:
        try:
            generate(Path(asked.src), Path(asked.tgt), folder, num_pairs)
            facts = in_a_process(folder, "prepare") | in_a_process(folder, "start")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        print(f"| {num_pairs:,} |", " | ".join(f"{facts[name]:,.6g}" for name in COLUMNS), "|", flush=True)


def generate(src_path: Path, tgt_path: Path, folder: Path, num_pairs: int) -> None:
    """Repeat a text, every time with other words in some places, so that hardly a pair is like another."""
    folder.mkdir(parents=True)
    generator = random.Random(1)
    for path, name in ((src_path, "src"), (tgt_path, "tgt")):
        lines = [line.split() for line in read_lines(path)]
        words = [word for line in lines for word in line]
        with (folder / name).open("w", encoding="utf-8") as file:
            for number in range(num_pairs):
                line = list(lines[number % len(lines)])
                for _ in range(REPLACED if number >= len(lines) and line else 0):
                    line[generator.randrange(len(line))] = generator.choice(words)
                file.write(" ".join(line) + "\n")


def in_a_process(folder: Path, stage: str) -> dict[str, float]:
    """What one stage measures of itself."""
    command = [sys.executable, __file__, "--folder", str(folder), "--stage", stage]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def measure_preparing(folder: Path) -> dict[str, float]:
    """Seconds from the text to the stored corpus."""
    data, seconds = timed(lambda: open_corpus(folder))
    stored = sum(path.stat().st_size for path in (folder / "corpus").iterdir())
    pairs = data.report.num_pairs
    return {
        "kept": data.report.num_kept,
        "prepare": round(seconds, 1),
        "prepare_cpu": round(time.process_time(), 1),
        "prepare_rate": round(pairs / seconds),
        "prepare_peak": peak_gb(),
        "disk": round(stored / 1e9, 3),
    }


def measure_start(folder: Path) -> dict[str, float]:
    """Seconds until the first batch of a corpus that is there, and the pace of batches."""
    data, seconds = timed(lambda: open_corpus(folder))
    training = TrainingConfig()
    _, plan_seconds = timed(lambda: data.num_batches(training))
    plain, _ = pace(data.plain_batches(training, CPU))
    before = cpu_seconds()
    sampled, num_pairs = pace(
        batch for _, batch in data.train_batches(training, epoch=1, start=0, device=CPU)
    )
    data.close()
    sampled_cpu = num_pairs / (cpu_seconds() - before)
    return {
        "start": round(seconds, 2),
        "plan": round(plan_seconds, 2),
        "start_peak": peak_gb(),
        "plain": round(plain),
        "sampled": round(sampled),
        "sampled_cpu": round(sampled_cpu),
    }


def open_corpus(folder: Path) -> TrainingData:
    """As a training does: the hash of the text first."""
    config = Config(
        data=DataConfig(src=(str(folder / "src"),), tgt=(str(folder / "tgt"),)),
        tokenizer=TokenizerConfig(vocab_size=8000, sampling_alpha=0.1),
        training=replace(TrainingConfig(), device="cpu", threads=1),
    )
    return prepare(config, store_dir=folder / "corpus", hash=data_hash(config))


def pace(batches: Iterable[Batch]) -> tuple[float, int]:
    """Pairs a second after the first batch, and how many there were."""
    remaining = iter(batches)
    next(remaining)
    num_pairs, seconds = timed(
        lambda: sum(len(batch.src_tokens) for batch in islice(remaining, MEASURED_BATCHES))
    )
    return num_pairs / seconds, num_pairs


def timed(work: Any) -> tuple[Any, float]:
    """The result of a call, and its seconds."""
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def cpu_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def peak_gb() -> float:
    """The most memory that this process held, mapped pages of files included."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 2)


if __name__ == "__main__":
    main()
