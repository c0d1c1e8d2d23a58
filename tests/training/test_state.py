"""A checkpoint holds all of the state, to the bit, and refuses what is not whole."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nmt.checkpoint import newest, read_manifest, write_manifest
from nmt.config import ModelConfig, TrainingConfig
from nmt.errors import DivergedError, ModelError
from nmt.model import Transformer
from nmt.training.optimizer import make_optimizer, moment_names
from nmt.training.state import Origin, Progress, TrainState

ORIGIN = Origin(tokenizer_hash="ab12", config_hashes=("cd34", "ef56"), signature="nmt:0.1.0|seed:1")


def fresh_state(seed: int, origin: Origin = ORIGIN, **options: str) -> TrainState:
    torch.manual_seed(seed)
    config = ModelConfig(encoder_layers=1, decoder_layers=1, d_model=8, d_ff=16, num_heads=2)
    network = Transformer(config, src_vocab_size=9, tgt_vocab_size=9)
    return TrainState(network, TrainingConfig(learning_rate=0.1, **options), Progress(max_steps=99), origin)


def update(state: TrainState) -> None:
    """One step with random gradients, a function of its number."""
    torch.manual_seed(state.progress.step)
    for parameter in state.network.parameters():
        parameter.grad = torch.randn_like(parameter)
    state.optimizer.step()
    state.progress.step += 1
    state.average.update(state.progress.step)


def contents(state: TrainState) -> list[torch.Tensor]:
    return [
        *state.network.parameters(),
        *state.average.tensors,
        *(
            state.optimizer.state[parameter][key]
            for parameter in state.network.parameters()
            for key in moment_names(state.optimizer, parameter)
        ),
    ]


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_what_was_saved_goes_on_to_the_bit(tmp_path: Path, optimizer: str) -> None:
    state, other = (fresh_state(seed, optimizer=optimizer) for seed in (1, 2))
    for _ in range(3):
        update(state)
    state.progress.best_value, state.progress.window_nll = -0.1, 1 / 3
    state.save(tmp_path, keep=2)
    update(state)
    assert other.load_newest(tmp_path) == []
    update(other)
    assert other.progress == state.progress
    for found, expected in zip(contents(other), contents(state), strict=True):
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected)


@pytest.mark.parametrize(("before", "now"), [("muon", "adamw"), ("adamw", "muon")])
def test_another_optimizer_begins_with_what_it_finds_of_its_own(
    tmp_path: Path, before: str, now: str
) -> None:
    state, other = fresh_state(1, optimizer=before), fresh_state(2, optimizer=now)
    update(state)
    state.save(tmp_path, keep=2)
    other.load_newest(tmp_path)
    for own, saved in zip(other.network.parameters(), state.network.parameters(), strict=True):
        assert torch.equal(own, saved)
        names = moment_names(other.optimizer, own)
        if names == moment_names(state.optimizer, saved):
            assert all(
                torch.equal(other.optimizer.state[own][key], state.optimizer.state[saved][key])
                for key in names
            )
        else:
            assert own not in other.optimizer.state
    update(other)


def test_weights_that_were_frozen_until_now_are_trained_with_fresh_moments(tmp_path: Path) -> None:
    state = fresh_state(1)
    frozen = state.network.encoder.requires_grad_(False)
    state.optimizer = make_optimizer(state.network, TrainingConfig(learning_rate=0.1))
    update(state)
    state.save(tmp_path, keep=2)
    other = fresh_state(2)
    other.load_newest(tmp_path)
    update(other)
    pairs = zip(other.network.encoder.parameters(), frozen.parameters(), strict=True)
    assert not any(torch.equal(own, saved) for own, saved in pairs)


def test_a_state_before_the_first_update_is_whole_too(tmp_path: Path) -> None:
    state, other = fresh_state(1), fresh_state(2)
    state.save(tmp_path, keep=2)
    other.load_newest(tmp_path)
    assert other.progress == state.progress
    assert other.progress.best_value == float("-inf")
    update(other)


def test_the_oldest_checkpoints_go_and_the_newest_is_known_by_its_number(tmp_path: Path) -> None:
    state = fresh_state(1)
    for step in (8, 9, 10, 11):
        state.progress.step = step
        state.save(tmp_path, keep=3)
    assert [path.name for path in newest(tmp_path, "step")] == ["step-9", "step-10", "step-11"]
    (tmp_path / "step-9").touch()  # the newest on the clock
    other = fresh_state(2)
    other.load_newest(tmp_path)
    assert other.progress.step == 11


def test_a_checkpoint_that_is_there_is_not_put_at_risk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = fresh_state(1)
    state.save(tmp_path, keep=2)
    monkeypatch.setattr(state, "_write", None)
    state.save(tmp_path, keep=2)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path, value: float) -> None:
    state = fresh_state(1)
    with torch.no_grad():
        state.network.tgt_embedding.weight[2, 3] = value
    with pytest.raises(DivergedError, match=r"tgt_embedding.weight is not finite at step 0"):
        state.save(tmp_path, keep=2)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["weights", "average", "moments"])
def test_every_part_is_checked(tmp_path: Path, name: str) -> None:
    state = fresh_state(1)
    update(state)
    state.save(tmp_path, keep=2)
    part = tmp_path / "step-1" / f"{name}.safetensors"
    data = bytearray(part.read_bytes())
    data[-1] ^= 1
    part.write_bytes(data)
    with pytest.raises(
        ModelError, match=rf"step-1 can not be used \(.*{name}.safetensors: damaged.*--restart begins anew"
    ):
        fresh_state(2).load_newest(tmp_path)


def test_a_checkpoint_says_what_run_it_is_of(tmp_path: Path) -> None:
    fresh_state(1).save(tmp_path, keep=2)
    facts = read_manifest(tmp_path / "step-0")
    assert (
        facts
        | {
            "step": 0,
            "tokenizer_hash": "ab12",
            "config_hash": "ef56",
            "signature": "nmt:0.1.0|seed:1",
        }
        == facts
    )


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (replace(ORIGIN, tokenizer_hash="ffff"), "tokenizer hash is ffff, expected ab12"),
        (replace(ORIGIN, config_hashes=("ffff",)), "config hash is ffff, expected ef56"),
    ],
)
def test_a_checkpoint_of_another_run_gives_way_to_the_one_before(
    other: Origin, message: str, tmp_path: Path
) -> None:
    state, stranger = fresh_state(1), fresh_state(2, other)
    state.save(tmp_path, keep=2)
    update(stranger)
    stranger.save(tmp_path, keep=2)
    resumed = fresh_state(3)
    (problem,) = resumed.load_newest(tmp_path)
    assert problem == (
        f"checkpoint step-1 can not be used ({tmp_path / 'step-1'}: is of another run: its {message})"
    )
    assert resumed.progress.step == 0


def test_a_checkpoint_from_before_an_option_was_changed_is_used(tmp_path: Path) -> None:
    fresh_state(1, replace(ORIGIN, config_hashes=("cd34",), signature="nmt:0.0.9")).save(tmp_path, keep=2)
    assert fresh_state(2).load_newest(tmp_path) == []


def test_a_checkpoint_that_does_not_say_what_it_is_of_is_used(tmp_path: Path) -> None:
    fresh_state(1).save(tmp_path, keep=2)
    folder = tmp_path / "step-0"
    names = tuple(json.loads((folder / "manifest.json").read_bytes())["files"])
    write_manifest(folder, names, {"step": 0})
    assert fresh_state(2).load_newest(tmp_path) == []
