"""Learning rates, averages and decay, worked by hand."""

import math
from dataclasses import replace

import pytest
import torch

from nmt.config import ModelConfig, TrainingConfig
from nmt.model import Transformer
from nmt.training.optimizer import MovingAverage, learning_rate, make_optimizer


def small_network() -> Transformer:
    torch.manual_seed(1)
    config = ModelConfig(encoder_layers=1, decoder_layers=1, d_model=8, d_ff=16, num_heads=2)
    return Transformer(config, src_vocab_size=9, tgt_vocab_size=9)


def rates(schedule: str, steps: tuple[int, ...], *, max_steps: int, warmup_steps: int = 4) -> list[float]:
    config = TrainingConfig(learning_rate=8.0, schedule=schedule, warmup_steps=warmup_steps)
    return [learning_rate(step, config, max_steps=max_steps) for step in steps]


@pytest.mark.parametrize(
    ("schedule", "after"),
    [
        ("constant", [8.0, 8.0, 8.0]),
        ("inverse-sqrt", [8 * math.sqrt(4 / 16), 8 * math.sqrt(4 / 64), 8 * math.sqrt(4 / 100)]),
        ("linear", [8 * (1 - 12 / 97), 8 * (1 - 60 / 97), 8 * (1 - 96 / 97)]),
        ("cosine", [4 * (1 + math.cos(math.pi * done / 97)) for done in (12, 60, 96)]),
    ],
)
def test_the_rate_rises_in_a_line_and_falls_as_the_schedule_says(schedule: str, after: list[float]) -> None:
    assert rates(schedule, (1, 2, 4), max_steps=100) == pytest.approx([2.0, 4.0, 8.0])
    assert rates(schedule, (16, 64, 100), max_steps=100) == pytest.approx(after)


def test_warm_up_takes_no_more_than_a_tenth_of_the_steps() -> None:
    assert rates("constant", (1, 2, 3), max_steps=20, warmup_steps=2000) == pytest.approx([4.0, 8.0, 8.0])
    assert rates("constant", (1,), max_steps=1) == [8.0]


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_the_rate_is_positive_at_the_last_step_and_zero_after_it(schedule: str) -> None:
    last, next_one = rates(schedule, (50, 51), max_steps=50)
    assert last > 0
    assert next_one == pytest.approx(0)


def test_the_average_moves_as_by_hand() -> None:
    network = small_network()
    average = MovingAverage(network, 0.25)
    name, weight = next(iter(network.named_parameters()))
    before = weight.detach().clone()
    with torch.no_grad():
        weight.add_(1.0)
    average.update(1)  # decay min(0.25, 2 / 11)
    torch.testing.assert_close(average.state()[name], before + 1 - 2 / 11)
    with torch.no_grad():
        weight.add_(1.0)
    average.update(50)  # decay 0.25
    torch.testing.assert_close(average.state()[name], 0.25 * (before + 1 - 2 / 11) + 0.75 * (before + 2))


def test_without_decay_the_average_is_the_weights() -> None:
    network = small_network()
    average = MovingAverage(network, 0.0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2)
    average.update(1)
    assert all(torch.equal(average.state()[name], each) for name, each in network.named_parameters())


def test_muon_moves_matrices_of_layers_in_all_directions_as_far_as_adamw_would() -> None:
    """All singular values of an update are about equal, its elements about 0.2; all else is AdamW's."""
    network, other = small_network(), small_network()
    config = TrainingConfig(learning_rate=0.01, weight_decay=0.0)
    optimizers = make_optimizer(network, replace(config, optimizer="muon")), make_optimizer(other, config)
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    for one, two in zip(network.parameters(), other.parameters(), strict=True):
        one.grad = torch.randn_like(one)
        two.grad = one.grad.clone()
    for optimizer in optimizers:
        optimizer.step()
    by_muon = 0
    for (name, found), two in zip(network.named_parameters(), other.parameters(), strict=True):
        if name.endswith("proj.weight") or name == "tgt_to_src.weight":
            by_muon += 1
            num_stacked = 3 if "attention.in_proj" in name else 2 if "key_value_proj" in name else 1
            for update in ((found.detach() - before[name]) / 0.01).chunk(num_stacked):
                assert 0.1 < float(update.pow(2).mean().sqrt()) < 0.3
                values = torch.linalg.svdvals(update)
                assert float(values.max()) < 3 * float(values.min())
        else:
            assert torch.equal(found, two)
    assert by_muon == len(optimizers[0].matrices) == 12


def test_matrices_decay_and_vectors_do_not() -> None:
    network = small_network()
    optimizer = make_optimizer(network, TrainingConfig(learning_rate=0.5, weight_decay=0.1))
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in network.named_parameters():
        factor = 1 - 0.5 * 0.1 if parameter.dim() > 1 else 1.0
        torch.testing.assert_close(parameter.detach(), before[name] * factor)
