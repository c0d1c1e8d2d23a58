"""A million lines, every kind of odd one planted, through `nmt translate`: counts, content, memory, pace."""

import argparse
import os
import random
import re
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO

import torch
from memory import PeakMemory

from nmt.checkpoint import TranslationModel, build_network, save_model
from nmt.config import Config, ModelConfig, TokenizerConfig
from nmt.corpus.sample import sample_dir
from nmt.tokenizer import train_tokenizer

SENTENCE, LONG, NOT_UTF8 = "sentence", "very long", "invalid UTF-8"
BLANK = {"blank": b"", "white space only": " \t\u00a0\u3000\u200b".encode()}
ODD = {
    **BLANK,
    "NUL": b"Der Hund\0 schl\0ft.",
    "controls": b"Der " + bytes({*range(1, 32), 127} - set(b"\n")) + b" Hund",
    "lone CR": b"Der Hund\rDie Katze",
    "U+2028": "Der Hund\u2028Die\u2029Katze\u0085sieht ihn.".encode(),
    NOT_UTF8: b"Der Hund im Caf\xe9 \xff\xc3(",
    LONG: b"Der Hund sieht die Katze im Garten. " * 60,
    "emoji": "😀 👨‍👩‍👧‍👦 🏳️‍🌈 e\u0301\u0302".encode(),
    "special tokens": "</s> <s> <unk> <pad> <0x0A> ▁ <2de> </s>".encode(),
    "unknown script": "ⵜⴰⵎⴰⵣⵉⵖⵜ 𒀀𒁀 ありがとう".encode(),
}
"""Odd lines by their kind; none has a newline in it."""

OPTIONS = ("--beam", "1", "--threads", "1", "--set", "decoding.max_length_ratio=0.01")
PATIENCE = 300  # seconds without an answer until the rest counts as lost
ROWS = 10


@dataclass(frozen=True)
class Line:
    """A line that is written, and what kind it is of."""

    kind: str
    text: bytes


@dataclass(frozen=True)
class Sample:
    """How far the process was, and its memory in megabytes."""

    num_lines: int
    seconds: float
    now: float
    peak: float


@dataclass
class Outcome:
    """What came back, and what was not as promised."""

    samples: list[Sample] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    first_seconds: float = 0.0
    """From the start to the first answer."""


def main() -> None:
    """Run what is asked for, print a table, and end with status 1 if anything was not as promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="default: one of 32 dimensions with random weights")
    parser.add_argument("--text", type=Path, default=sample_dir() / "de-en" / "test.de", help="to repeat")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--every", type=int, default=20, help="one line in so many is odd")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--growth", type=float, default=16.0, help="MB that the second half may need more")
    parser.add_argument("options", nargs="*", default=OPTIONS, help="of nmt translate, behind --")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sentences = asked.text.read_bytes().splitlines()
        model = asked.model or make_model(Path(folder) / "model", sentences)
        command = [sys.executable, "-m", "nmt.cli", "translate", "-m", str(model), *asked.options]
        outcome = soak(command, sentences, asked.lines, every=asked.every, seed=asked.seed)
    outcome.problems += growth(outcome.samples, asked.growth)
    print_table(outcome)
    sys.exit(1 if outcome.problems else 0)


def make_model(model_dir: Path, sentences: Sequence[bytes]) -> Path:
    """A model of 32 dimensions with random weights, the same every time."""
    config = Config(
        model=ModelConfig(encoder_layers=1, decoder_layers=1, d_model=32, d_ff=64, num_heads=2),
        tokenizer=TokenizerConfig(vocab_size=500),
    )
    tokenizer = train_tokenizer([line.decode() for line in sentences], config.tokenizer, vocab_size=500)
    torch.manual_seed(1)
    network = build_network(config, tokenizer, tokenizer).eval()
    save_model(TranslationModel(config, tokenizer, tokenizer, network, manifest={}), model_dir)
    return model_dir


def planted(sentences: Sequence[bytes], num_lines: int, *, every: int, seed: int) -> Iterator[Line]:
    """Sentences drawn by the seed; one line in every so many is an odd one, each kind in its turn."""
    generator = random.Random(seed)
    kinds = list(ODD)
    for number in range(num_lines):
        turn, place = divmod(number, every)
        if place == every // 2:
            kind = kinds[turn % len(kinds)]
            yield Line(kind, ODD[kind])
        else:
            yield Line(SENTENCE, generator.choice(sentences))


def soak(
    command: Sequence[str], sentences: Sequence[bytes], num_lines: int, *, every: int, seed: int
) -> Outcome:
    """Write the lines to a process that runs the command, and look at every line that it answers."""

    def lines() -> Iterator[Line]:
        return planted(sentences, num_lines, every=every, seed=seed)

    expected = answers_of(command, sentences)  # of sentences among themselves
    outcome = Outcome()
    with tempfile.TemporaryFile() as messages, started(command, messages) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        threading.Thread(target=feed, args=(process.stdin, lines()), daemon=True).start()
        answers = incoming(process.stdout)
        with PeakMemory(process.pid) as memory:
            read(outcome, memory, zip(lines(), answers, strict=False), expected, num_lines)
        process.stdin.close()  # all that was asked is answered before
        if num_more := sum(1 for _ in answers):
            outcome.problems.append(f"{num_more:,} lines too many")
        if status := process.wait(PATIENCE):
            outcome.problems.append(f"exit status {status}")
        messages.seek(0)
        outcome.problems += unsaid(messages.read().decode(), outcome.kinds)
    return outcome


@contextmanager
def started(command: Sequence[str], messages: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A process with unbuffered pipes, which does not outlive us."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=messages, bufsize=0) as process:
        try:
            yield process
        finally:
            process.kill()


def answers_of(command: Sequence[str], sentences: Sequence[bytes]) -> dict[bytes, bytes]:
    """What every sentence becomes where there are no odd lines."""
    text = b"".join(sentence + b"\n" for sentence in sentences)
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return dict(zip(sentences, done.stdout.removesuffix(b"\n").split(b"\n"), strict=True))


def feed(stream: IO[bytes], lines: Iterable[Line]) -> None:
    """Write all lines, some thousands at a time."""
    stream_of_bytes = (line.text + b"\n" for line in lines)
    while block := b"".join(islice(stream_of_bytes, 1000)):
        view = memoryview(block)
        while view:
            view = view[stream.write(view) :]


def incoming(stream: IO[bytes]) -> Iterator[bytes]:
    """Lines as they arrive, without their ends; the end is the end of the stream, or of our patience."""
    rest = b""
    while select.select([stream], [], [], PATIENCE)[0] and (data := os.read(stream.fileno(), 1 << 16)):
        *lines, rest = (rest + data).split(b"\n")
        yield from lines
    if rest:
        yield rest + b" (without a line end)"


def read(
    outcome: Outcome,
    memory: PeakMemory,
    pairs: Iterable[tuple[Line, bytes]],
    expected: dict[bytes, bytes],
    num_lines: int,
) -> None:
    """Compare every answer with what is expected of its line, and look at the memory at times."""
    start, num_read = time.monotonic(), 0
    row = max(1, num_lines // ROWS)
    for num_read, (line, answer) in enumerate(pairs, start=1):
        outcome.first_seconds = outcome.first_seconds or time.monotonic() - start
        outcome.kinds[line.kind] += 1
        if problem := wrong(line, answer, expected):
            outcome.problems.append(f"line {num_read:,}, {line.kind}: {problem}")
        if num_read % row == 0:
            now, most = (size / 1e6 for size in memory.look())
            outcome.samples.append(Sample(num_read, time.monotonic() - start, now, most))
        if num_read == num_lines:
            return  # and not one more: the process waits for more lines, and we would for its answer
    outcome.problems.append(f"{num_read:,} lines came back, expected {num_lines:,}")


def wrong(line: Line, answer: bytes, expected: dict[bytes, bytes]) -> str:
    """What is not as promised, if anything; an odd line is to have the same answer every time."""
    if line.kind in BLANK:
        return f"is not blank: {answer[:80]!r}" if answer else ""
    try:
        text = answer.decode()
    except UnicodeDecodeError:
        return f"is not UTF-8: {answer[:80]!r}"
    if len(text.splitlines()) > 1 or "\r" in text:
        return f"has line ends in it: {answer[:80]!r}"
    if answer != expected.setdefault(line.text, answer):
        return f"is {answer[:80]!r}, expected {expected[line.text][:80]!r}"
    return ""


def unsaid(messages: str, kinds: Counter[str]) -> list[str]:
    """What should have been said at the end and was not: counts of lines, exactly."""
    counts = {
        r"invalid UTF-8 on ([\d,]+) line": kinds[NOT_UTF8],
        r"([\d,]+) lines in all had to be cut": kinds[LONG] if kinds[LONG] > 10 else 0,
        r"([\d,]+) lines? in [\d,.]+ s": kinds.total(),
    }
    said = {
        pattern: [int(found.replace(",", "")) for found in re.findall(pattern, messages)]
        for pattern in counts
    }
    return [
        f"stderr says {said[pattern]} of {pattern!r}, expected {count:,}"
        for pattern, count in counts.items()
        if said[pattern] != ([count] if count else [])
    ]


def growth(samples: Sequence[Sample], limit: float) -> list[str]:
    """Whether the second half needed more memory at its peak than the first, by more than the limit."""
    if len(samples) < 2:
        return []
    grown = samples[-1].peak - samples[(len(samples) - 1) // 2].peak
    return (
        [f"the second half needed {grown:,.1f} MB more, expected at most {limit:g}"] if grown > limit else []
    )


def print_table(outcome: Outcome, say: Callable[[str], None] = print) -> None:
    """Pace and memory as the lines went by, then what was planted and what was wrong."""
    say("| lines | lines/s | memory, MB | peak, MB |\n|---|---|---|---|")
    before = Sample(0, 0.0, 0.0, 0.0)
    for each in outcome.samples:
        pace = (each.num_lines - before.num_lines) / max(each.seconds - before.seconds, 1e-9)
        say(f"| {each.num_lines:,} | {pace:,.0f} | {each.now:,.1f} | {each.peak:,.1f} |")
        before = each
    pace = before.num_lines / max(before.seconds, 1e-9)
    first = f"first answer after {outcome.first_seconds:.1f} s"
    say(f"\n{before.num_lines:,} lines, {pace:,.0f} a second; {first}, all before the end of the input")
    say(", ".join(f"{count:,} {kind}" for kind, count in outcome.kinds.most_common()))
    for problem in outcome.problems[:20]:
        say(f"WRONG: {problem}")
    say(f"{len(outcome.problems):,} lines or counts were not as promised")


if __name__ == "__main__":
    main()
