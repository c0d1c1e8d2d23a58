"""What models translate like after the same time, and after the same tokens, of training: ours beside eole's.

python recipes/benchmarks/quality.py --train train --dev dev --test test --langs de-en --eole ENVIRONMENT \
    --minutes 50 --out runs/quality

Both train side by side on the same text in the same pieces with the same size, each on as many threads. Eole
trains as its published recipe for translation says (recipes/wmt17/wmt17_ende_spm.yaml there), and is ended
when its time is over; what counts is the last checkpoint that it had written by then. Ours has a budget of
that time, set-up and learning links included, and its defaults. Then ours trains once more, on as many target
tokens as eole had, beside eole with a warm-up that suits so few steps. Run again, it goes on with the
trainings that are missing. README.md says how to make eole's environment.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

from engines import SIZES, Corpus, Eole, Run, make_corpus

from nmt.config import load_config
from nmt.files import make_dir, read_lines, write_json, write_text
from nmt.tokenizer import Tokenizer
from nmt.training.data import prepare

PUBLISHED: dict[str, Any] = {
    "optim": "adamw",
    "adam_beta2": 0.998,
    "decay_method": "noam",
    "learning_rate": 2,
    "warmup_steps": 4000,
    "max_grad_norm": 0,
    "label_smoothing": 0.1,
    "dropout": [0.1],
    "attention_dropout": [0.1],
}
"""Of eole's recipe; but batches are of 4,096 tokens, where there ten of 5,000 make a step."""

WARMUP_SHARE = 0.1  # of the steps there is time for, where eole's own warm-up would take most of them
SAVE_STEPS = 20
KEPT_CHECKPOINTS = 2
BEAM_SIZE = 5


@dataclass(frozen=True)
class Text:
    """A pair of files."""

    src: Path
    tgt: Path

    @classmethod
    def named(cls, stem: Path, langs: str) -> "Text":
        """`stem.de` and `stem.en`, also compressed, of the languages `de-en`."""
        sides = []
        for lang in langs.split("-"):
            found = [Path(f"{stem}.{lang}{end}") for end in ("", ".gz", ".xz")]
            sides.append(next((path for path in found if path.exists()), found[0]))
        return cls(*sides)


class Ours:
    """This repository, by the command line, on the tokenizer of the corpus."""

    def __init__(
        self, corpus: Corpus, train: Text, dev: Text, *, preset: str, threads: int, options: list[str]
    ) -> None:
        texts = {"src": train.src, "tgt": train.tgt, "dev-src": dev.src, "dev-tgt": dev.tgt}
        self._arguments = [str(part) for name, path in texts.items() for part in (f"--{name}", path)]
        self._arguments += ["--preset", preset, "--device", "cpu", "--threads", str(threads)]
        for option in (f"tokenizer.model={corpus.tokenizer_path}", *options):
            self._arguments += ["--set", option]
        self._threads = threads

    def train(self, folder: Path, *more: str) -> None:
        """Train into a folder, with these arguments more."""
        command = [sys.executable, "-m", "nmt.cli", "train", "--out", str(folder), *self._arguments, *more]
        log = folder.with_suffix(".log")
        process = begin(command, log, self._threads)
        if process.wait():
            sys.exit(f"error: {log}: the training ended with status {process.returncode}")

    def translate(self, folder: Path, test: Text, output: Path) -> None:
        """Translate the test set."""
        command = [sys.executable, "-m", "nmt.cli", "translate", "-q", "-m", str(folder), "-i", str(test.src)]
        run([*command, "-o", str(output), "--beam", str(BEAM_SIZE)])


class Theirs:
    """Eole, on numbers of pieces."""

    def __init__(
        self, eole: Eole, corpus: Corpus, size: str, *, folder: Path, threads: int, options: dict[str, Any]
    ) -> None:
        self._eole, self._folder, self._threads = eole, folder, threads
        self._tokenizer = Tokenizer.from_bytes(corpus.tokenizer_path.read_bytes())
        self._config = eole.config(Run(corpus, SIZES[size], "float32", threads, folder))
        saved = {"save_checkpoint_steps": SAVE_STEPS, "keep_checkpoint": KEPT_CHECKPOINTS}
        self._config["training"] |= PUBLISHED | saved | options

    def start(self) -> subprocess.Popen[str]:
        """Begin to train."""
        return begin(self._eole.train(self._folder, self._config), self.log, self._threads)

    @property
    def log(self) -> Path:
        """What it says while it trains."""
        return self._folder.with_suffix(".log")

    def checkpoint(self) -> tuple[Path, int, int]:
        """The last checkpoint, the steps and the target tokens that it has learnt from."""
        steps = {
            int(path.name.removeprefix("step_")): path for path in (self._folder / "model").glob("step_*")
        }
        if not steps:
            sys.exit(f"error: {self.log}: eole has not written a checkpoint in its time; give more --minutes")
        last = max(steps)
        found = (self._eole.step_pattern.search(line) for line in read_lines(self.log))
        tokens = [round(float(match[1])) for match in found if match]
        return steps[last], last, sum(tokens[:last])

    def translate(self, checkpoint: Path, test: Text, output: Path) -> None:
        """Translate the test set."""
        make_dir(output.parent)
        src, tgt = output.with_suffix(".src"), output.with_suffix(".numbers")
        write_text(src, "".join(f"{self._numbers(line)}\n" for line in read_lines(test.src)))
        options = {
            "model_path": [str(checkpoint)],
            "src": str(src),
            "output": str(tgt),
            "beam_size": BEAM_SIZE,
            "length_penalty": "avg",
            "world_size": 1,
            "gpu_ranks": [],
        }
        config = output.with_suffix(".yaml")
        write_json(config, options)
        run([str(self._eole.venv / "bin" / "eole"), "predict", "--config", str(config)])
        write_text(output, "".join(f"{self._text(line)}\n" for line in read_lines(tgt)))

    def _numbers(self, line: str) -> str:
        return " ".join(map(str, self._tokenizer.encode(line)))

    def _text(self, numbers: str) -> str:
        return self._tokenizer.decode([int(piece) for piece in numbers.split() if piece.isdigit()])


def begin(command: list[str], log: Path, threads: int) -> subprocess.Popen[str]:
    """Start a command on so many threads, in a group of its own."""
    numbers = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    environment = os.environ | numbers | {"PYTHONUNBUFFERED": "1", "CUDA_VISIBLE_DEVICES": ""}
    make_dir(log.parent)
    with log.open("w", encoding="utf-8") as file:
        return subprocess.Popen(
            command, stdout=file, stderr=file, text=True, env=environment, start_new_session=True
        )


def run(command: list[str]) -> str:
    """What a command prints; ends the program if it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: {' '.join(command)}: ended with status {done.returncode}\n{done.stderr}")
    return done.stdout


def steps_for(num_tokens: int, model_dir: Path) -> int:
    """Steps of a training like this one that learn from so many target tokens."""
    config = load_config(model_dir / "config.toml")
    data = prepare(config)
    step_tokens = data.num_epoch_tokens(config.training) / data.num_batches(config.training)
    return max(1, round(num_tokens / step_tokens))


def short_warmup(num_steps: int) -> dict[str, Any]:
    """Options of eole with a warm-up for so few steps, up to the same learning rate as with its own."""
    warmup_steps = max(1, round(WARMUP_SHARE * num_steps))
    rate = PUBLISHED["learning_rate"] * (warmup_steps / PUBLISHED["warmup_steps"]) ** 0.5
    return {"warmup_steps": warmup_steps, "learning_rate": rate}


def score(outputs: dict[str, Path], test: Text) -> Iterator[str]:
    """BLEU and chrF of every translation; of ours also whether chance makes the difference from eole's."""
    peers = [name for name in outputs if name.startswith("eole")]
    for name, output in outputs.items():
        for peer in [None] if name in peers else peers:
            compared = ["--compare", str(outputs[peer])] if peer else []
            command = [sys.executable, "-m", "nmt.cli", "score", str(output), str(test.tgt), *compared]
            yield "\n".join([f"{name}, beside {peer}:" if peer else f"{name}:", run(command)])


def arguments() -> argparse.Namespace:
    """What the user wants."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("train", "dev", "test"):
        parser.add_argument(
            f"--{name}", type=Path, required=True, help="files, without the endings that name languages"
        )
    parser.add_argument("--langs", required=True, metavar="SRC-TGT", help="those endings, such as de-en")
    parser.add_argument("--eole", type=Path, required=True, metavar="VENV", help="where eole is installed")
    parser.add_argument("--out", type=Path, required=True, help="folder for what is made")
    parser.add_argument("--minutes", type=float, default=50, help="for each training (default: %(default)s)")
    parser.add_argument("--size", choices=SIZES, default="small", help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of each (default: %(default)s)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="an option of our training"
    )
    return parser.parse_args()


def main() -> None:
    """Train both side by side, then ours once more; translate and score."""
    given = arguments()
    train, dev, test = (Text.named(stem, given.langs) for stem in (given.train, given.dev, given.test))
    out = given.out.absolute()
    corpus = make_corpus(train.src, train.tgt, out / "corpus")
    eole = Eole(given.eole.absolute())
    eole.prepare(corpus)
    ours = Ours(corpus, train, dev, preset=given.size, threads=given.threads, options=given.set)

    def beside(name: str, options: dict[str, Any], folder: Path, *more: str) -> tuple[int, int]:
        """Train eole and ours at the same time; the steps and target tokens that eole had."""
        done = out / f"{name}.json"
        if done.exists():
            known = json.loads(done.read_text(encoding="utf-8"))
            return known["steps"], known["target_tokens"]
        rmtree(out / name, ignore_errors=True)  # ours goes on by itself
        theirs = Theirs(eole, corpus, given.size, folder=out / name, threads=given.threads, options=options)
        process = theirs.start()
        end = threading.Timer(60 * given.minutes, os.killpg, (process.pid, signal.SIGKILL))
        end.start()
        try:
            ours.train(folder, *more)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            process.wait()
            end.cancel()
        checkpoint, num_steps, num_tokens = theirs.checkpoint()
        print(f"{name}: {num_steps:,} steps, {num_tokens:,} target tokens", flush=True)
        theirs.translate(checkpoint, test, outputs[name])
        write_json(done, {"steps": num_steps, "target_tokens": num_tokens})
        return num_steps, num_tokens

    names = ("eole", "eole-short-warmup", "time", "tokens")
    outputs = {name: out / f"{name}.{given.langs.split('-')[1]}" for name in names}
    num_steps, num_tokens = beside("eole", {}, out / "time", "--budget", f"{given.minutes:g}m")
    max_steps = steps_for(num_tokens, out / "time")
    print(f"tokens: {max_steps:,} steps of ours for as many", flush=True)
    plan = (f"training.max_steps={max_steps}", "training.schedule=cosine")
    beside(
        "eole-short-warmup",
        short_warmup(num_steps),
        out / "tokens",
        *(part for each in plan for part in ("--set", each)),
    )
    for name in ("time", "tokens"):
        ours.translate(out / name, test, outputs[name])
    print("\n".join(score(outputs, test)))


if __name__ == "__main__":
    main()
