"""The whole state of a run, saved as a checkpoint folder and restored to the bit."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from nmt.checkpoint import (
    load_tensors,
    load_weights,
    newest,
    publish,
    read_manifest,
    serialize,
    weights,
    write_manifest,
)
from nmt.config.schema import TrainingConfig
from nmt.errors import ModelError
from nmt.files import remove_dir, write_bytes, write_json
from nmt.model import Transformer
from nmt.training.optimizer import MovingAverage, make_optimizer

PARTS = ("weights", "average", "moments", "random")


@dataclass
class Progress:
    """How far a run has come: plain numbers that stand in a checkpoint's `state.json`."""

    step: int = 0  # optimiser steps done
    epoch: int = 1  # the epoch at hand
    batch: int = 0  # batches of it that are done
    num_tokens: int = 0  # real target tokens seen
    train_seconds: float = 0.0  # spent in steps, data loading included
    seconds: float = 0.0  # spent in all, evaluation included
    max_steps: int = 0  # planned; fewer than at the start if the machine proved slower
    best_value: float = float("-inf")  # of what is maximised: BLEU, or minus the loss
    best_step: int = 0
    bleu: float = 0.0  # of the best weights
    loss: float = 0.0
    signature: str = ""
    evaluated_step: int = 0  # the step of the last evaluation
    num_stale: int = 0  # evaluations since the best
    num_skipped: int = 0  # updates skipped because of a gradient that was not finite


class TrainState:
    """Network, moving average, optimiser, random numbers and progress."""

    def __init__(self, network: Transformer, config: TrainingConfig, progress: Progress) -> None:
        self.network = network
        self.optimizer = make_optimizer(network, config)
        self.average = MovingAverage(network, config.ema_decay)
        self.progress = progress

    def save(self, train_dir: Path, *, keep: int) -> Path:
        """Write checkpoint `step-N`, then remove the oldest beyond `keep`; returns its folder."""
        path = train_dir / f"step-{self.progress.step}"
        if path.exists():  # of a run that was stopped during the evaluation after it
            remove_dir(path)
        publish(path, self._write)
        for old in newest(train_dir, "step")[:-keep]:
            remove_dir(old)
        return path

    def load(self, path: Path) -> None:
        """Restore a checkpoint folder; ModelError if anything in it is damaged."""
        read_manifest(path)
        parts = {part: load_tensors(path / f"{part}.safetensors") for part in PARTS}
        load_weights(self.network, parts["weights"], name=str(path))
        self.average.load(parts["average"])
        self._load_moments(parts["moments"])
        torch.set_rng_state(parts["random"]["cpu"])
        if "cuda" in parts["random"]:
            torch.cuda.set_rng_state(parts["random"]["cuda"])
        facts = json.loads((path / "state.json").read_text(encoding="utf-8"))
        facts["best_value"] = float(facts["best_value"])
        for name, value in facts.items():
            setattr(self.progress, name, value)

    def load_newest(self, train_dir: Path) -> list[str]:
        """Restore the newest checkpoint that is whole; returns what was wrong with newer ones.

        Raises ModelError if there are checkpoints and none is whole.
        """
        problems: list[str] = []
        for path in reversed(newest(train_dir, "step")):
            try:
                self.load(path)
                return problems
            except ModelError as error:
                problems.append(f"{path.name} is damaged ({error})")
        if problems:
            raise ModelError(f"{train_dir}: {'; '.join(problems)}; --restart begins anew")
        return problems

    def _write(self, folder: Path) -> None:
        tensors = {
            "weights": weights(self.network),
            "average": self.average.state(),
            "moments": self._moments(),
            "random": self._random_states(),
        }
        for part, values in tensors.items():
            on_cpu = {name: tensor.cpu().contiguous() for name, tensor in values.items()}
            write_bytes(folder / f"{part}.safetensors", serialize(on_cpu))
        facts = asdict(self.progress) | {
            "best_value": str(self.progress.best_value)
        }  # JSON knows no infinity
        write_json(folder / "state.json", facts)
        names = (*(f"{part}.safetensors" for part in PARTS), "state.json")
        write_manifest(folder, names, {"step": self.progress.step})

    def _random_states(self) -> dict[str, Tensor]:
        states = {"cpu": torch.get_rng_state()}
        if self.network.tgt_embedding.weight.is_cuda:
            states["cuda"] = torch.cuda.get_rng_state()
        return states

    def _moments(self) -> dict[str, Tensor]:
        """Both moments and the step count of every parameter, by its name."""
        state = self.optimizer.state
        return {
            f"{name}/{key}": value
            for name, parameter in self.network.named_parameters()
            for key, value in state.get(parameter, {}).items()
        }

    def _load_moments(self, tensors: dict[str, Tensor]) -> None:
        for name, parameter in self.network.named_parameters():
            kept = {key: tensors[f"{name}/{key}"] for key in ("step", "exp_avg", "exp_avg_sq")}
            device = parameter.device
            # the count of steps stays on the CPU unless the optimiser is fused on a GPU
            self.optimizer.state[parameter] = {key: value.to(device) for key, value in kept.items()}
