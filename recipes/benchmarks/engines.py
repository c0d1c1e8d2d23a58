"""The training engines that are compared: how each is started, and how its log gives the tokens of a step.

All count what they are trained to predict: the pieces of the target side and one EOS for each sentence, no
padding. So it stands in their sources, and over an epoch it adds up to the text:

- nmt: `Batch.num_tokens`, the lengths plus one EOS each.
- eole: `n_tokens`, the positions of the loss whose target is not padding. The target is the batch without its
  first column, BOS, and ends in EOS. The log has the average over batches; it is the count if there is one.
- fairseq: `ntokens`, what is not padding in the target, which got its EOS when it was made binary. The log
  has it as `wpb`, words a batch.

The source side, which is not counted, ends in EOS for nmt and fairseq but not for eole, which has less to do.
"""

import json
import re
import subprocess
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from shutil import rmtree
from typing import Any, ClassVar

from nmt.config import TokenizerConfig
from nmt.files import make_dir, read_lines, write_bytes, write_json, write_text
from nmt.tokenizer import EOS_ID, train_tokenizer

VOCAB_SIZE = 8000
BATCH_TOKENS = 4096
LEARNING_RATE = 5e-4
DROPOUT = 0.1
LABEL_SMOOTHING = 0.1
CLIP_NORM = 1.0
ADAM_BETAS = (0.9, 0.98)
WARMUP_STEPS = 4000
FOR_EVER = 1_000_000  # steps


@dataclass(frozen=True)
class Size:
    """A Transformer with as many layers in the encoder as in the decoder."""

    num_layers: int
    d_model: int
    d_ff: int
    num_heads: int


SIZES = {"small": Size(4, 256, 1024, 4), "base": Size(6, 512, 2048, 8)}


@dataclass(frozen=True)
class Corpus:
    """Parallel text, raw for us and in numbers of the same pieces for the others."""

    folder: Path
    src_path: Path
    tgt_path: Path
    src_lengths: tuple[int, ...]  # in pieces, EOS included
    tgt_lengths: tuple[int, ...]

    @property
    def tokenizer_path(self) -> Path:
        """The SentencePiece model of both sides."""
        return self.folder / "tokenizer.model"


def make_corpus(src_path: Path, tgt_path: Path, folder: Path) -> Corpus:
    """Train one tokenizer on both sides, and write each in numbers of pieces, into a new folder."""
    rmtree(folder, ignore_errors=True)
    sides = [list(read_lines(path)) for path in (src_path, tgt_path)]
    tokenizer = train_tokenizer([*sides[0], *sides[1]], TokenizerConfig(), vocab_size=VOCAB_SIZE, seed=1)
    make_dir(folder)
    corpus_lengths = []
    for side, lines in zip(("src", "tgt"), sides, strict=True):
        rows = tokenizer.encode_batch(lines)
        write_text(folder / f"pieces.{side}", "".join(" ".join(map(str, row)) + "\n" for row in rows))
        corpus_lengths.append(tuple(len(row) + 1 for row in rows))
    pieces = range(EOS_ID + 1, tokenizer.vocab_size)  # the peers bring their own PAD, UNK, BOS and EOS
    write_text(folder / "dict.txt", "".join(f"{piece} 1\n" for piece in pieces))
    write_bytes(folder / "tokenizer.model", tokenizer.data)
    return Corpus(folder, src_path, tgt_path, *corpus_lengths)


@dataclass(frozen=True)
class Run:
    """One training, to be measured."""

    corpus: Corpus
    size: Size
    precision: str
    threads: int
    folder: Path


@dataclass(frozen=True)
class Log:
    """What a training said of its steps."""

    folder: Path
    started: float  # seconds, by the clock of the times
    step_lines: list[str]
    step_times: list[float]  # seconds, when each line came
    peak_bytes: int  # resident memory


class Engine(ABC):
    """A way to train: a command, and how to read the tokens of its steps from what it says."""

    precisions: ClassVar[tuple[str, ...]] = ("bfloat16", "float32")
    step_pattern: ClassVar[re.Pattern[str]]  # what only a line of the log about a step has in it

    @abstractmethod
    def prepare(self, corpus: Corpus) -> None:
        """Make of the corpus what the engine reads."""

    @abstractmethod
    def command(self, run: Run) -> list[str]:
        """The command that trains until it is ended, and says a line after each step."""

    @abstractmethod
    def version(self) -> str:
        """Which version it is."""

    @abstractmethod
    def step_tokens(self, log: Log) -> list[int]:
        """Target tokens of each step that there is a line about."""


class Nmt(Engine):
    """This repository, by the command line."""

    step_pattern = re.compile(r"^step ([\d,]+)/.* tokens/s ")

    def __init__(self, reconstruction: float) -> None:
        self.reconstruction = reconstruction

    def version(self) -> str:
        """See `Engine`."""
        return _output([sys.executable, "-m", "nmt.cli", "--version"])

    def prepare(self, corpus: Corpus) -> None:
        """A development set is asked for, but never looked at."""
        for path, name in ((corpus.src_path, "dev.src"), (corpus.tgt_path, "dev.tgt")):
            write_text(corpus.folder / name, "".join(f"{line}\n" for line in list(read_lines(path))[:100]))

    def command(self, run: Run) -> list[str]:
        """See `Engine`."""
        options = {
            "data.remove_duplicates": "false",
            "data.max_ratio": 1000,
            "data.max_length": 1000,
            "tokenizer.model": run.corpus.tokenizer_path,
            "model.encoder_layers": run.size.num_layers,
            "model.decoder_layers": run.size.num_layers,
            "model.d_model": run.size.d_model,
            "model.d_ff": run.size.d_ff,
            "model.num_heads": run.size.num_heads,
            "model.positions": "sinusoidal",
            "training.optimizer": "adamw",
            "model.dropout": DROPOUT,
            "training.precision": run.precision,
            "training.batch_tokens": BATCH_TOKENS,
            "training.learning_rate": LEARNING_RATE,
            "training.warmup_steps": WARMUP_STEPS,
            "training.adam_beta1": ADAM_BETAS[0],
            "training.adam_beta2": ADAM_BETAS[1],
            "training.label_smoothing": LABEL_SMOOTHING,
            "training.clip_norm": CLIP_NORM,
            "training.reconstruction": self.reconstruction,
            "training.max_steps": FOR_EVER,
            "training.eval_steps": FOR_EVER,
            "training.save_seconds": FOR_EVER,
            "training.report_steps": 1,
        }
        command = [sys.executable, "-m", "nmt.cli", "train", "--device", "cpu", "--threads", str(run.threads)]
        command += ["--src", str(run.corpus.src_path), "--tgt", str(run.corpus.tgt_path)]
        command += ["--dev-src", f"{run.corpus.folder}/dev.src", "--dev-tgt", f"{run.corpus.folder}/dev.tgt"]
        command += ["--out", str(run.folder)]
        for key, value in options.items():
            command += ["--set", f"{key}={value}"]
        return command

    def step_tokens(self, log: Log) -> list[int]:
        """Our log has a rounded pace, but `metrics.jsonl` the exact one and the moment of each report."""
        records = [json.loads(line) for line in read_lines(log.folder / "train" / "metrics.jsonl")]
        steps = [record for record in records if record["report"] == "step"]
        tokens = [0]  # of the first step, whose beginning is not known
        for before, step in pairwise(steps):
            count = step["tokens_per_second"] * (step["seconds"] - before["seconds"])
            assert abs(count - round(count)) < 0.01, (
                f"step {step['step']}: {count} tokens, not a whole number"
            )
            tokens.append(round(count))
        return tokens[: len(log.step_lines)]


@dataclass(frozen=True)
class Peer(Engine):
    """An engine in an environment of its own."""

    venv: Path

    def version(self) -> str:
        """What is installed in its environment."""
        name = type(self).__name__.lower()
        code = f"import importlib.metadata as m; print(m.version('{name}'), 'torch', m.version('torch'))"
        return _output([str(self.venv / "bin" / "python"), "-c", code])

    def step_tokens(self, log: Log) -> list[int]:
        """What the pattern finds."""
        found = [self.step_pattern.search(line) for line in log.step_lines]
        return [round(float(match[1])) for match in found if match]


class Eole(Peer):
    """Eole: attention computed in steps on a CPU; bfloat16 by autocast, weights and optimizer in float32."""

    step_pattern = re.compile(r"Step +\d+.* bsz: +\d+/ *(\d+)/ *\d+;")

    def prepare(self, corpus: Corpus) -> None:
        """A vocabulary with a tab between piece and count."""
        lines = read_lines(corpus.folder / "dict.txt")
        write_text(corpus.folder / "eole.vocab", "".join(line.replace(" ", "\t") + "\n" for line in lines))

    def command(self, run: Run) -> list[str]:
        """See `Engine`."""
        return self.train(run.folder, self.config(run))

    def train(self, folder: Path, config: dict[str, Any]) -> list[str]:
        """The command that trains as a configuration says, which is written into a folder."""
        make_dir(folder)
        write_json(folder / "config.yaml", config)  # JSON is YAML
        return [str(self.venv / "bin" / "eole"), "train", "--config", str(folder / "config.yaml")]

    def config(self, run: Run) -> dict[str, Any]:
        """How it trains when its pace is measured."""
        text = {"path_src": f"{run.corpus.folder}/pieces.src", "path_tgt": f"{run.corpus.folder}/pieces.tgt"}
        model = {
            "architecture": "transformer",
            "layers": run.size.num_layers,
            "hidden_size": run.size.d_model,
            "transformer_ff": run.size.d_ff,
            "heads": run.size.num_heads,
            "embeddings": {
                "word_vec_size": run.size.d_model,
                "position_encoding": True,
                "position_encoding_type": "SinusoidalInterleaved",
            },
            "share_embeddings": True,
            "share_decoder_embeddings": True,
            "add_qkvbias": True,
            "add_final_linear_bias": True,
            "add_ffnbias": True,
        }
        training = {
            "compute_dtype": {"bfloat16": "bf16", "float32": "fp32"}[run.precision],
            "world_size": 1,
            "gpu_ranks": [],
            "batch_type": "tokens",
            "batch_size": BATCH_TOKENS,
            "normalization": "tokens",
            "bucket_size": 262_144,  # its default; with less there is more padding
            "num_workers": 0,  # so that nothing but training takes the cores
            "optim": "adam",
            "adam_beta1": ADAM_BETAS[0],
            "adam_beta2": ADAM_BETAS[1],
            "learning_rate": LEARNING_RATE,
            "decay_method": "none",
            "max_grad_norm": CLIP_NORM,
            "dropout": [DROPOUT],
            "attention_dropout": [0.0],
            "label_smoothing": LABEL_SMOOTHING,
            "log_attention_entropy": False,  # costs time, and has no part in training
            "param_init_method": "xavier_uniform",
            "train_steps": FOR_EVER,
            "valid_steps": FOR_EVER,
            "save_checkpoint_steps": FOR_EVER,
            "model_path": str(run.folder / "model"),
        }
        return {
            "data": {"corpus": text},
            "src_vocab": f"{run.corpus.folder}/eole.vocab",
            "share_vocab": True,
            "src_vocab_size": VOCAB_SIZE,
            "tgt_vocab_size": VOCAB_SIZE,
            "report_every": 1,
            "seed": 1,
            "model": model,
            "training": training,
        }


class Fairseq(Peer):
    """fairseq: float32 only, its bfloat16 needs a GPU."""

    precisions = ("float32",)
    step_pattern = re.compile(r'train_inner.*"wpb": "([\d.]+)"')

    def prepare(self, corpus: Corpus) -> None:
        """Make the text binary."""
        folder = corpus.folder
        options = ["--source-lang", "src", "--target-lang", "tgt", "--trainpref", f"{folder}/pieces"]
        options += [
            "--joined-dictionary",
            "--srcdict",
            f"{folder}/dict.txt",
            "--destdir",
            f"{folder}/fairseq",
        ]
        _output([*self._program("preprocess"), *options])

    def command(self, run: Run) -> list[str]:
        """See `Engine`."""
        options: dict[str, object] = {"arch": "transformer"}
        for side in ("encoder", "decoder"):
            options |= {
                f"{side}-layers": run.size.num_layers,
                f"{side}-embed-dim": run.size.d_model,
                f"{side}-ffn-embed-dim": run.size.d_ff,
                f"{side}-attention-heads": run.size.num_heads,
            }
        options |= {
            "dropout": DROPOUT,
            "attention-dropout": 0,
            "criterion": "label_smoothed_cross_entropy",
            "label-smoothing": LABEL_SMOOTHING,
            "optimizer": "adam",
            "adam-betas": ADAM_BETAS,
            "lr": LEARNING_RATE,
            "lr-scheduler": "inverse_sqrt",
            "warmup-updates": WARMUP_STEPS,
            "clip-norm": CLIP_NORM,
            "max-tokens": BATCH_TOKENS,
            "valid-subset": "train",  # is loaded, but never looked at
            "log-format": "json",
            "log-interval": 1,
        }
        flags = ["--encoder-normalize-before", "--decoder-normalize-before", "--share-all-embeddings"]
        flags += ["--cpu", "--no-save", "--disable-validation"]
        pairs = [str(part) for key, value in options.items() for part in (f"--{key}", value)]
        return [
            *self._program("train"),
            f"{run.corpus.folder}/fairseq",
            *pairs,
            *flags,
            "--save-dir",
            str(run.folder),
        ]

    def _program(self, command: str) -> list[str]:
        launcher = Path(__file__).with_name("fairseq_command.py")
        return [str(self.venv / "bin" / "python"), str(launcher), command]


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: {' '.join(command)}: ended with status {done.returncode}\n{done.stderr}")
    return done.stdout.strip()
