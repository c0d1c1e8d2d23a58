"""The folder of a run: begun, resumed, refused, finished."""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nmt.checkpoint import CONFIG, MANIFEST, newest, read_manifest
from nmt.config.schema import Config
from nmt.config.toml import load_config, to_toml
from nmt.errors import ConfigError, DataError, ModelError, OutputError
from nmt.files import make_dir, remove_dir, remove_file, write_json, write_text

RUN = "run.json"
METRICS = "metrics.jsonl"
LOG = "log.txt"
PATHS = {"data.src", "data.tgt", "data.dev_src", "data.dev_tgt", "tokenizer.model"}  # compared by content


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
    def is_begun(self) -> bool:
        """Whether the run was begun before and can be resumed."""
        return (self.train_dir / RUN).exists()

    def begin(self, config: Config) -> None:
        """Record a new run with its frozen configuration."""
        write_text(self.model_dir / CONFIG, to_toml(config))
        write_json(self.train_dir / RUN, {"requested": self.requested, "data_hash": self.data_hash})

    def resume(self, config: Config, allowed: Collection[str]) -> Config:
        """The frozen configuration of the run, if the same is asked for now, but for the `allowed` keys.

        Raises ConfigError listing the keys that differ, DataError if the text is not the same.
        """
        try:
            record = json.loads((self.train_dir / RUN).read_bytes())
            before, data_hash = record["requested"], record["data_hash"]
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"{self.train_dir / RUN}: damaged: {error}; --restart begins anew") from error
        differing = [
            line for line in differences(before, self.requested) if line.split(":")[0] not in allowed
        ]
        if differing:
            raise ConfigError(
                f"{self.model_dir} is being trained with other options: {'; '.join(differing)}; "
                "give them as they were, --override KEY=VALUE to change one, or --restart"
            )
        if data_hash != self.data_hash:
            raise DataError(
                f"the data hash differs (was {data_hash[:12]}, now {self.data_hash[:12]}); "
                f"{self.model_dir} was begun with other text; restore it, or --restart"
            )
        return _with_options(load_config(self.model_dir / CONFIG), config, allowed)

    def make_folder(self) -> None:
        """Make the folder, once there is something to put into it."""
        make_dir(self.train_dir)

    def clean_up(self) -> None:
        """Remove what an earlier run left half written."""
        for path in self.train_dir.glob("*.tmp"):
            remove_dir(path)
        for path in (*self.model_dir.glob("*.part"), *self.train_dir.glob("*.part")):
            remove_file(path)

    def forget_after(self, step: int) -> None:
        """Cut from the metrics what an earlier part of the run reported after its last checkpoint."""
        path = self.train_dir / METRICS
        if not path.exists():
            return
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and json.loads(line).get("step", 0) <= step]
        write_text(path, "".join(kept))

    def discard(self) -> None:
        """Forget the run and the model it made, the manifest first."""
        for path in (self.model_dir / MANIFEST, self.train_dir / RUN):
            remove_file(path)
        for kind in ("step", "best"):
            for folder in newest(self.train_dir, kind):
                remove_dir(folder)
        for name in (METRICS, LOG):
            remove_file(self.train_dir / name)

    def finished_manifest(self) -> dict[str, Any] | None:
        """The manifest of the finished model in the folder, None if there is none.

        Raises OutputError if the model was trained with other options or on other text.
        """
        if not (self.model_dir / MANIFEST).exists():
            return None
        manifest = read_manifest(self.model_dir)
        differing = differences(manifest.get("requested", {}), self.requested)
        if manifest.get("data", {}).get("hash") != self.data_hash:
            differing.append("the text")
        if differing:
            raise OutputError(
                f"{self.model_dir} holds a finished model of another configuration "
                f"({'; '.join(differing)}); --restart begins anew"
            )
        return manifest


def flat(config: Config) -> dict[str, Any]:
    """Options as JSON keeps them by "section.key", without the paths of files."""
    values = json.loads(json.dumps(asdict(config)))
    return {
        f"{section}.{key}": value
        for section, options in values.items()
        for key, value in options.items()
        if f"{section}.{key}" not in PATHS
    }


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What differs, as in `model.d_model: 128 → 256`."""
    return [
        f"{key}: {before.get(key)} → {now.get(key)}"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    ]


def _with_options(config: Config, source: Config, keys: Collection[str]) -> Config:
    """A configuration with the options named by `keys` as they are in another one."""
    for key in keys:
        section, option = key.split(".")
        part = replace(getattr(config, section), **{option: getattr(getattr(source, section), option)})
        config = replace(config, **{section: part})
    return config
