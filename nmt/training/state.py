"""The whole state of a run, saved as a checkpoint folder and restored to the bit."""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmt.checkpoint import (
    check_weights,
    load_tensors,
    newest,
    publish,
    read_manifest,
    serialize,
    write_manifest,
)
from nmt.config.schema import TrainingConfig
from nmt.errors import DivergedError, ModelError
from nmt.files import remove_dir, write_bytes, write_json
from nmt.model import Transformer
from nmt.training.distributed import Ranks, whole
from nmt.training.optimizer import Anchor, MovingAverage, make_optimizer, moment_names

PARTS = ("weights", "average", "moments")


@dataclass
class Progress:
    """How far a run has come: plain numbers that stand in a checkpoint's `state.json`."""

    step: int = 0  # optimiser steps done
    epoch: int = 1  # the epoch at hand
    batch: int = 0  # batches of it that are done
    num_tokens: int = 0  # real target tokens seen
    max_steps: int = 0  # planned; with a budget planned anew as the pace shows
    setup_seconds: float = 0.0  # spent before the first step, at every start
    train_seconds: float = 0.0  # spent in steps, making batches included
    other_seconds: float = 0.0  # spent in evaluating and saving
    first_loss: float = 0.0  # nats per target token of the untrained network
    window_nll: float = 0.0  # since the last report of steps, as are the next three
    window_divergence: float = 0.0
    window_tokens: int = 0
    window_seconds: float = 0.0
    num_evaluations: int = 0
    evaluated_step: int = 0  # the step of the last evaluation
    best_value: float = float("-inf")  # of what is maximised: BLEU, or minus the loss
    best_step: int = 0
    bleu: float = 0.0  # of the best weights, as are the next three; the mean of all directions
    bleu_by_direction: dict[str, float] = field(default_factory=dict)  # if there are several, as in `de-en`
    loss: float = 0.0
    signature: str = ""
    num_stale: int = 0  # evaluations since the best
    num_skipped: int = 0  # updates in a row skipped because the gradient was not finite
    num_left_out: int = 0  # pairs that did not fit into memory alone, counted in every epoch
    num_parts: int = 1  # that each worker has of a batch at least, since memory ran out

    @property
    def seconds(self) -> float:
        """Spent in all, earlier parts of a resumed run included."""
        return self.setup_seconds + self.train_seconds + self.other_seconds

    @property
    def tokens_per_second(self) -> float:
        """Real target tokens in a second of training."""
        return self.num_tokens / max(self.train_seconds, 1e-9)


@dataclass(frozen=True)
class Origin:
    """What run a checkpoint is of."""

    tokenizer_hash: str
    config_hashes: tuple[str, ...]  # of every configuration that the run has had, that of now the last
    signature: str

    def facts(self) -> dict[str, str]:
        """What stands in the manifest of a checkpoint."""
        return {
            "tokenizer_hash": self.tokenizer_hash,
            "config_hash": self.config_hashes[-1],
            "signature": self.signature,
        }

    def check(self, manifest: Mapping[str, Any], path: Path) -> None:
        """ModelError if a checkpoint says that it is of another run."""
        expected = {"tokenizer_hash": (self.tokenizer_hash,), "config_hash": self.config_hashes}
        for name, hashes in expected.items():
            found = manifest.get(name)
            if found is not None and found not in hashes:
                raise ModelError(
                    f"{path}: is of another run: its {name.replace('_', ' ')} is {found[:12]}, "
                    f"expected {hashes[-1][:12]}"
                )


class TrainState:
    """Network, moving average, optimiser and progress; nothing random, which is a function of the step.

    It is made with the weights that training begins with, before those of a checkpoint are loaded.

    The tensors may lie in shards on several ranks: a checkpoint holds them whole, written and read by the
    first rank, so that a run goes on with any number of ranks.
    """

    def __init__(
        self,
        network: Transformer,
        config: TrainingConfig,
        progress: Progress,
        origin: Origin,
        ranks: Ranks | None = None,
    ) -> None:
        self.network = network
        self.optimizer = make_optimizer(network, config)
        self.average = MovingAverage(network, config.ema_decay)
        self.anchor = Anchor(network, config.l2_init)
        self.progress = progress
        self.origin = origin
        self.ranks = ranks or Ranks()

    @property
    def learning_rate(self) -> float:
        """That of the last step."""
        rate: float = self.optimizer.param_groups[0]["lr"]
        return rate

    def whole_average(self) -> list[Tensor]:
        """The averaged weights, put together for the first rank; elsewhere there are none."""
        return [full for each in self.average.tensors for full in [whole(each)] if self.ranks.is_first]

    def save(self, train_dir: Path, *, keep: int) -> None:
        """Write checkpoint `step-N` unless it is there, then remove the oldest beyond `keep`.

        Raises DivergedError, and writes nothing, if a weight is not finite.
        """
        path = train_dir / f"step-{self.progress.step}"
        # it is there after an evaluation that was stopped and done anew, and is never put at risk
        if not self.ranks.from_first(path.exists):
            parts = self._whole_parts()
            if self.ranks.is_first:
                self._refuse_infinite(parts)
                publish(path, lambda folder: self._write(folder, parts))
        if self.ranks.is_first:
            for old in newest(train_dir, "step")[:-keep]:
                remove_dir(old)

    def load_newest(self, train_dir: Path) -> list[str]:
        """Restore the newest checkpoint that can be used; returns what was wrong with newer ones.

        Raises ModelError if there are checkpoints and none can be used.
        """
        problems: list[str] = []
        parts: dict[str, dict[str, Tensor]] = {}

        def read_newest() -> dict[str, Any] | None:
            for path in reversed(newest(train_dir, "step")):
                try:
                    facts, found = self._read(path)
                except ModelError as error:
                    reason = str(error).partition("; ")[0]
                    problems.append(f"checkpoint {path.name} can not be used ({reason})")
                    continue
                parts.update(found)
                return facts | {"moments": list(found["moments"])}
            if problems:
                raise ModelError(f"{train_dir}: {'; '.join(problems)}; --restart begins anew")
            return None

        facts = self.ranks.from_first(read_newest)
        if facts is not None:
            self._take_over(parts, remembered=set(facts.pop("moments")))
            self.progress = _progress(facts)
        return problems

    def _read(self, path: Path) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
        """Progress and tensors of a checkpoint; ModelError if anything is damaged or of another run."""
        self.origin.check(read_manifest(path), path)
        parts = {part: load_tensors(path / f"{part}.safetensors") for part in PARTS}
        facts: dict[str, Any] = json.loads((path / "state.json").read_text(encoding="utf-8"))
        for part in ("weights", "average"):
            check_weights(self.network, parts[part], name=str(path))
        try:
            _progress(facts)
        except (TypeError, KeyError) as error:
            raise ModelError(f"{path}: written by another version of nmt: {error}") from error
        return facts, parts

    def _take_over(self, parts: Mapping[str, Mapping[str, Tensor]], *, remembered: Collection[str]) -> None:
        """Fill all tensors from those that the first rank has read, with moments of these names among them.

        A weight that another optimiser has changed so far, or none, has none of them: they begin anew.
        """
        weights, average, moments = ({**parts.get(part, {})} for part in PARTS)
        for name, own in self.average.state().items():
            self.ranks.spread(own, average.get(name))
        for name, parameter in self.network.named_parameters():
            self.ranks.spread(parameter.detach(), weights.get(name))
            keys = moment_names(self.optimizer, parameter) if parameter.requires_grad else ()
            if not all(f"{name}/{key}" in remembered for key in keys):
                continue
            for key in keys:
                moment = torch.zeros_like(parameter.detach())
                if key == "step":  # which AdamW counts on the CPU unless it is fused on a GPU
                    device = parameter.device if parameter.is_cuda else "cpu"
                    moment = torch.zeros((), dtype=torch.float32, device=device)
                self.ranks.spread(moment, moments.get(f"{name}/{key}"))
                self.optimizer.state[parameter][key] = moment

    def _whole_parts(self) -> dict[str, dict[str, Tensor]]:
        """All tensors put together, on the CPU of the first rank; elsewhere there are none."""
        parts: dict[str, Mapping[str, Tensor]] = {
            "weights": dict(self.network.named_parameters()),  # a shared parameter under one of its names
            "average": self.average.state(),
            "moments": self._moments(),
        }
        return {
            part: {
                name: full.cpu().contiguous()
                for name, tensor in tensors.items()
                for full in [whole(tensor.detach())]
                if self.ranks.is_first
            }
            for part, tensors in parts.items()
        }

    def _moments(self) -> dict[str, Tensor]:
        """What the optimiser remembers of every parameter, by its name; nothing before the first update."""
        state = self.optimizer.state
        return {
            f"{name}/{key}": value
            for name, parameter in self.network.named_parameters()
            for key, value in state.get(parameter, {}).items()
        }

    def _write(self, folder: Path, parts: Mapping[str, dict[str, Tensor]]) -> None:
        for part, tensors in parts.items():
            write_bytes(folder / f"{part}.safetensors", serialize(tensors))
        facts: dict[str, Any] = asdict(self.progress)
        facts["best_value"] = str(self.progress.best_value)  # JSON knows no infinity
        write_json(folder / "state.json", facts)
        names = (*(f"{part}.safetensors" for part in PARTS), "state.json")
        write_manifest(folder, names, {"step": self.progress.step, **self.origin.facts()})

    def _refuse_infinite(self, parts: Mapping[str, Mapping[str, Tensor]]) -> None:
        for part in ("average", "weights"):
            for name, tensor in parts[part].items():
                if not torch.isfinite(tensor).all():
                    raise DivergedError(
                        f"training diverged: {name} is not finite at step {self.progress.step}"
                    )


def _progress(facts: Mapping[str, Any]) -> Progress:
    """What stands in `state.json`."""
    return Progress(**{**facts, "best_value": float(facts["best_value"])})
