"""The folder of a run: begun, resumed, refused, finished."""

import json
import os
import re
import shutil
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nmt.checkpoint import (
    ALIGN_HEAD,
    CONFIG,
    HMM,
    MANIFEST,
    SRC_TOKENIZER,
    TGT_TOKENIZER,
    TOKENIZER,
    WEIGHTS,
    newest,
    read_manifest,
)
from nmt.config.presets import SIZES, size_name
from nmt.config.schema import Config
from nmt.config.toml import load_config, to_toml
from nmt.errors import ConfigError, DataError, ModelError, OutputError, StorageError
from nmt.files import remove_dir, remove_file, write_bytes, write_json, write_text
from nmt.training.lock import LOCK
from nmt.training.manifest import INITIAL, config_hash

RUN = "run.json"
METRICS = "metrics.jsonl"
LOG = "log.txt"
EVENTS = "tensorboard"
CARD = "README.md"
MODEL_FILES = (MANIFEST, CONFIG, WEIGHTS, TOKENIZER, SRC_TOKENIZER, TGT_TOKENIZER, CARD)
BYTES_PER_PARAMETER = 20  # of a checkpoint (weights, average, two moments) and of the best model
CHANGEABLE = {
    "model.dropout",
    "model.attention_dropout",
    "model.activation_dropout",
    "tokenizer.model",  # compared by content
    "tokenizer.sampling_alpha",
}  # of model and tokenizer; all else is part of the weights
FLAGS = {
    "training.budget": "--budget",
    "training.device": "--device",
    "training.threads": "--threads",
    "training.seed": "--seed",
    "data.invalid_utf8": "--invalid-utf8",
    "data.bidirectional": "--bidirectional",
    "training.init_from": "--init-from",
}
MOST_NAMED = 5  # options that differ, in one message
FIT = "training.fit_budget"  # told by the sizes that the run then has
PATHS = {"data.src", "data.tgt", "data.dev_src", "data.dev_tgt", "tokenizer.model", INITIAL}  # by content


@dataclass(frozen=True)
class Run:
    """A model folder in which training is at work."""

    model_dir: Path
    requested: dict[str, Any]  # what was asked for, "section.key" -> value
    data_hash: str

    @property
    def train_dir(self) -> Path:
        """Where checkpoints, metrics and the lock lie."""
        return self.model_dir / "train"

    @property
    def corpus_dir(self) -> Path:
        """Where the prepared text lies as long as the run is not finished."""
        return self.train_dir / "corpus"

    @property
    def is_begun(self) -> bool:
        """Whether the run was begun before and can be resumed."""
        return (self.train_dir / RUN).exists()

    def check_place(self) -> None:
        """Refuse a folder that can not be written to, or in which files of somebody else would be lost."""
        existing = self._existing_dir()
        if not existing.is_dir():
            raise OutputError(f"{existing}: is a file, expected a folder for the model")
        if not os.access(existing, os.W_OK):
            raise OutputError(f"{existing}: no permission to write")
        if (self.train_dir / LOCK).exists() or (self.model_dir / MANIFEST).exists():
            return
        foreign = [name for name in MODEL_FILES if (self.model_dir / name).exists()]
        if foreign:
            raise OutputError(
                f"{self.model_dir}: holds {', '.join(foreign)}, which would be overwritten, but no model and "
                "no run to resume; remove these files, or give another folder"
            )

    def _existing_dir(self) -> Path:
        """The folder of the run, or what there is of the path to it."""
        return next(path for path in (self.train_dir, *self.train_dir.absolute().parents) if path.exists())

    def begin(self, config: Config, tokenizer_hashes: list[str]) -> tuple[str, ...]:
        """Record a run with its frozen configuration; the hashes of all it has had, this one the last."""
        now = config_hash(config)
        before = self._record()["configs"] if self.is_begun else []
        config_hashes = [*(each for each in before if each != now), now]
        write_text(self.model_dir / CONFIG, to_toml(config))
        record = {
            "requested": self.requested,
            "data_hash": self.data_hash,
            "tokenizers": tokenizer_hashes,
            "configs": config_hashes,
        }
        write_json(self.train_dir / RUN, record)
        return tuple(config_hashes)

    def resume(self, config: Config, allowed: Collection[str]) -> Config:
        """The frozen configuration of the run, if the same is asked for now, but for the `allowed` keys.

        Raises ConfigError listing the keys that differ, DataError if the text is not the same.
        """
        record = self._record()
        for line in differences(record["requested"], self.requested):
            key = line.split(":")[0]
            if key in allowed and key.startswith(("model.", "tokenizer.")) and key not in CHANGEABLE:
                raise ConfigError(f"--override {line}: can not change in a training; give another folder")
        differing = [
            line
            for line in differences(record["requested"], self.requested)
            if line.split(":")[0] not in allowed
        ]
        if differing:
            told = "; ".join(with_flags(differing, record["requested"], self.requested))
            raise ConfigError(
                f"{self.model_dir} is being trained with other options: {told}; "
                "give them as they were, --override KEY=VALUE to change one, or --restart"
            )
        if record["data_hash"] != self.data_hash:
            raise DataError(
                f"the data hash differs (was {record['data_hash'][:12]}, now {self.data_hash[:12]}); "
                f"{self.model_dir} was begun with other text; give the --src and --tgt of then, or --restart"
            )
        return _with_options(load_config(self.model_dir / CONFIG), config, {*allowed, *PATHS})

    def check_tokenizers(self, hashes: list[str]) -> None:
        """ModelError unless these are the tokenizers that the run was begun with."""
        before = self._record()["tokenizers"]
        if before != hashes:
            raise ModelError(
                f"{self.train_dir}: the tokenizer does not match the model "
                f"(hash was {', '.join(each[:12] for each in before)}, now "
                f"{', '.join(each[:12] for each in hashes)}); restore it, or --restart"
            )

    @property
    def has_debris(self) -> bool:
        """Whether the run was ended in the middle of its last touches."""
        return self.corpus_dir.exists() or bool(
            [*self.train_dir.glob("*.tmp"), *newest(self.train_dir, "best")]
        )

    def clean_up(self) -> None:
        """Remove what an earlier run left half written."""
        for path in self.train_dir.glob("*.tmp"):
            remove_dir(path)
        own = (self.model_dir / f"{name}.part" for name in (*MODEL_FILES, HMM, ALIGN_HEAD))
        for path in (*own, *self.train_dir.glob("*.part")):
            remove_file(path)

    def forget_what_made_it(self) -> None:
        """Remove what a finished model needs no more: every `best-N`, and the prepared text."""
        for folder in newest(self.train_dir, "best"):
            remove_dir(folder)
        if self.corpus_dir.exists():
            remove_dir(self.corpus_dir)

    def forget_unless_begun(self) -> None:
        """Remove the prepared text of a run that was refused before its first step."""
        if not self.is_begun and self.corpus_dir.exists():
            remove_dir(self.corpus_dir)

    def check_space(self, num_bytes: int) -> None:
        """StorageError unless the disk has room for so much more."""
        free = shutil.disk_usage(self._existing_dir()).free
        if free < num_bytes:
            raise StorageError(
                f"{self.train_dir}: no space left on device: checkpoints need about "
                f"{num_bytes / 1e6:,.0f} MB, {free / 1e6:,.0f} MB are free"
            )

    def forget_after(self, step: int, *, is_evaluated: bool) -> None:
        """Remove what an earlier part of the run left of later steps and evaluations: they are done anew."""
        for kind in ("step", "best"):
            for folder in newest(self.train_dir, kind):
                if number(folder) > step:
                    remove_dir(folder)
        path = self.train_dir / METRICS
        if path.exists():
            lines = path.read_bytes().splitlines(keepends=True)
            kept = (line for line in lines if _reported_place(line) <= (step, is_evaluated))
            write_bytes(path, b"".join(kept))

    def forget_superseded(self) -> None:
        """Remove every `best-N` that no checkpoint goes back to."""
        checkpoints, best = newest(self.train_dir, "step"), newest(self.train_dir, "best")
        oldest_step = number(checkpoints[0])
        for folder in [folder for folder in best if number(folder) <= oldest_step][:-1]:
            remove_dir(folder)

    def discard(self) -> None:
        """Forget the run and the model it made, the manifest first."""
        for name in (*MODEL_FILES, HMM, ALIGN_HEAD):
            remove_file(self.model_dir / name)
        for kind in ("step", "best"):
            for folder in newest(self.train_dir, kind):
                remove_dir(folder)
        if (self.train_dir / EVENTS).exists():
            remove_dir(self.train_dir / EVENTS)
        for name in (METRICS, LOG, RUN):
            remove_file(self.train_dir / name)

    def finished_manifest(self) -> dict[str, Any] | None:
        """The manifest of the finished model in the folder, None if there is none.

        Raises OutputError if the model was trained with other options or on other text.
        """
        if not (self.model_dir / MANIFEST).exists():
            return None
        manifest = read_manifest(self.model_dir)
        before = manifest.get("requested", {})
        differing = with_flags(differences(before, self.requested), before, self.requested)
        if manifest.get("data", {}).get("hash") != self.data_hash:
            differing.insert(0, "other text")
        if differing:
            rest = f"; and {len(differing) - MOST_NAMED} more" if len(differing) > MOST_NAMED else ""
            raise OutputError(
                f"{self.model_dir} holds a finished model of another configuration "
                f"({'; '.join(differing[:MOST_NAMED])}{rest}), which can not be trained further here; "
                "--restart replaces it by a new one, or give another folder"
            )
        return manifest

    def _record(self) -> dict[str, Any]:
        path = self.train_dir / RUN
        try:
            record = {"configs": []} | json.loads(path.read_bytes())  # older versions wrote no configs
            return {key: record[key] for key in ("requested", "data_hash", "tokenizers", "configs")}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{path}: damaged: {error}; --restart begins anew") from error


def flat(config: Config) -> dict[str, Any]:
    """Options as JSON keeps them by "section.key", without the paths of files and what only begins a run."""
    values = json.loads(json.dumps(asdict(config)))
    return {
        f"{section}.{key}": value
        for section, options in values.items()
        for key, value in options.items()
        if f"{section}.{key}" not in {*PATHS, FIT}
    }


def checkpoint_bytes(num_parameters: int, num_checkpoints: int) -> int:
    """What so many checkpoints and one that is being written take on the disk, the best model included."""
    return (num_checkpoints + 1) * BYTES_PER_PARAMETER * num_parameters


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What differs, as in `model.d_model: 128 → 256`; what an older version did not know was its default."""
    before = flat(Config()) | before
    return [
        f"{key}: {_short(before.get(key))} → {_short(now.get(key))}"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    ]


def _short(value: object) -> object:
    """A value as it is told: of a SHA-256 its beginning."""
    return f"{value[:12]}…" if isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) else value


def with_flags(differing: list[str], before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What differs, with the flags of `nmt train`; for sizes that are those of presets, the presets alone."""
    presets = requested_size(before), requested_size(now)
    if all(presets) and presets[0] != presets[1]:
        sizes = {f"model.{option}" for options in SIZES.values() for option in options}
        others = (line for line in differing if line.split(":")[0] not in sizes)
        differing = [f"--preset: {presets[0]} → {presets[1]}", *others]
    return [f"{line} ({FLAGS[key]})" if (key := line.split(":")[0]) in FLAGS else line for line in differing]


def requested_size(requested: Mapping[str, Any]) -> str:
    """The name of the size that was asked for, if it has one."""
    return size_name({key.removeprefix("model."): value for key, value in requested.items()})


def number(folder: Path) -> int:
    """The N of `step-N` or `best-N`."""
    return int(folder.name.rpartition("-")[2])


def _reported_place(line: bytes) -> tuple[float, bool]:
    """The step that a line of the metrics tells of, 0 if of none, and whether of its evaluation.

    A damaged line is past all others.
    """
    try:
        record = json.loads(line) if line.endswith(b"\n") else {}
        return int(record.get("step", 0)), record["report"] == "eval"
    except (ValueError, KeyError):
        return float("inf"), True


def _with_options(config: Config, source: Config, keys: Collection[str]) -> Config:
    """A configuration with the options named by `keys` as they are in another one."""
    for key in keys:
        section, option = key.split(".")
        part = replace(getattr(config, section), **{option: getattr(getattr(source, section), option)})
        config = replace(config, **{section: part})
    return config
