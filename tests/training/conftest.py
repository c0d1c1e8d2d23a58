"""A corpus of reversed sentences, a tiny model to learn it, and processes that are killed while they do."""

import json
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest

from nmt.config import Config, from_dict, override, to_toml
from nmt.corpus.reading import Pair
from nmt.training import Report, train

SYLLABLES = "ba ke lo mu ti sa ne ro du vi".split()
TINY: dict[str, dict[str, Any]] = {
    "model": {"encoder_layers": 1, "decoder_layers": 1, "d_model": 16, "d_ff": 32, "num_heads": 2},
    "training": {
        "threads": 1,
        "precision": "float32",
        "batch_tokens": 160,
        "max_steps": 12,
        "eval_steps": 4,
        "report_steps": 3,
        "learning_rate": 0.01,
        "warmup_steps": 2,
        "ema_decay": 0.9,
    },
}
TIMES = {"seconds", "seconds_left", "tokens_per_second"}


def reversed_pairs(num_pairs: int, *, seed: int = 1) -> list[Pair]:
    """Sentences of two to five syllables, and the same backwards."""
    generator = random.Random(seed)
    sentences = [generator.choices(SYLLABLES, k=generator.randint(2, 5)) for _ in range(num_pairs)]
    return [(" ".join(sentence), " ".join(reversed(sentence))) for sentence in sentences]


def write_pairs(folder: Path, name: str, pairs: Sequence[Pair]) -> None:
    """Write `name.src` and `name.tgt` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for ending, lines in (("src", [src for src, _ in pairs]), ("tgt", [tgt for _, tgt in pairs])):
        (folder / f"{name}.{ending}").write_bytes("".join(f"{line}\n" for line in lines).encode())


@dataclass
class Trained:
    """A model folder, what training reported, and what it left."""

    config: Config
    model_dir: Path
    reports: list[Report] = field(default_factory=list)

    def of(self, kind: type[Any]) -> list[Any]:
        """The reports of a kind."""
        return [report for report in self.reports if isinstance(report, kind)]

    @property
    def weights(self) -> bytes:
        """The finished model's file of weights."""
        return (self.model_dir / "model.safetensors").read_bytes()

    @property
    def manifest(self) -> dict[str, Any]:
        """The finished model's manifest."""
        return json.loads((self.model_dir / "manifest.json").read_bytes())

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """What metrics.jsonl tells, every line of it."""
        lines = (self.model_dir / "train" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line, parse_constant=_refuse) for line in lines]

    @property
    def curve(self) -> list[dict[str, Any]]:
        """What metrics.jsonl tells of steps and evaluations, without times."""
        kept = [record for record in self.metrics if record["report"] in ("step", "eval")]
        return [{key: value for key, value in record.items() if key not in TIMES} for record in kept]

    @property
    def leftovers(self) -> list[str]:
        """Names of what should not be left behind."""
        return [path.name for path in self.model_dir.rglob("*") if path.suffix in (".tmp", ".part")]


def run(config: Config, model_dir: Path, **options: Any) -> Trained:
    """Train to the end."""
    trained = Trained(config, model_dir)
    train(config, model_dir, on_report=trained.reports.append, **options)
    return trained


@dataclass(frozen=True)
class Corpus:
    """A folder with `train.src`, `train.tgt`, `dev.src`, `dev.tgt`."""

    folder: Path

    def options(self, *overrides: str) -> dict[str, dict[str, Any]]:
        """Options of a tiny model on this corpus, with `section.key=value` put over them."""
        train_src, train_tgt, dev_src, dev_tgt = (
            str(self.folder / name) for name in ("train.src", "train.tgt", "dev.src", "dev.tgt")
        )
        data = {"src": [train_src], "tgt": [train_tgt], "dev_src": dev_src, "dev_tgt": dev_tgt}
        return override({**TINY, "data": data}, overrides)

    def config(self, *overrides: str) -> Config:
        """The configuration with these options."""
        return from_dict(self.options(*overrides))

    def lines(self, name: str) -> list[str]:
        """The lines of one of its files."""
        return (self.folder / name).read_text(encoding="utf-8").splitlines()

    def train(self, model_dir: Path, *overrides: str, **options: Any) -> Trained:
        """Train a tiny model to the end."""
        return run(self.config(*overrides), model_dir, **options)

    def finished(self, model_dir: Path, *overrides: str) -> Trained:
        """What a training in another process has left."""
        return Trained(self.config(*overrides), model_dir)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """60 pairs to train on, 10 to look at."""
    return _distinct(tmp_path_factory.mktemp("corpus"), num_train=60, num_dev=10)


@pytest.fixture(scope="session")
def large_corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """1,000 pairs to train on, 20 to look at: enough to learn it."""
    return _distinct(tmp_path_factory.mktemp("large"), num_train=1000, num_dev=20)


def _distinct(folder: Path, *, num_train: int, num_dev: int) -> Corpus:
    pairs = list(dict.fromkeys(reversed_pairs(2 * num_train)))
    write_pairs(folder, "train", pairs[:num_train])
    write_pairs(folder, "dev", pairs[num_train : num_train + num_dev])
    return Corpus(folder)


@pytest.fixture
def make_corpus(tmp_path: Path) -> Callable[..., Corpus]:
    """`make_corpus(pairs, dev=pairs)` writes a corpus of its own."""

    def make(pairs: Sequence[Pair], *, dev: Sequence[Pair] = (("ba ke", "ke ba"),)) -> Corpus:
        write_pairs(tmp_path / "corpus", "train", pairs)
        write_pairs(tmp_path / "corpus", "dev", dev)
        return Corpus(tmp_path / "corpus")

    return make


@pytest.fixture
def pairs() -> Callable[..., list[Pair]]:
    """`pairs(400, seed=2)` draws sentences and the same backwards."""
    return reversed_pairs


class Killable(Protocol):
    """Runs `nmt train` in a process that a fault ends, or a kill after some time; gives its exit status."""

    def __call__(
        self,
        options: dict[str, dict[str, Any]],
        model_dir: Path,
        *,
        fault: str = "",
        kill_after: float | None = None,
    ) -> int: ...


@pytest.fixture(scope="session")
def killable(fork_nmt: Callable[..., Any]) -> Killable:
    """`killable(options, model_dir, fault="op=any,n=3,kill=9")` gives the exit status."""

    def train_to_its_end(
        options: dict[str, dict[str, Any]],
        model_dir: Path,
        *,
        fault: str = "",
        kill_after: float | None = None,
    ) -> int:
        config_path = model_dir.with_name(f"{model_dir.name}.toml")
        config_path.write_text(to_toml(from_dict(options)), encoding="utf-8")
        command = ("train", config_path, "--out", model_dir, "--quiet")
        process = fork_nmt(*command, env={"NMT_FAULT": fault})
        with suppress(TimeoutError):
            process.wait(kill_after)
        return process.end()

    return train_to_its_end
