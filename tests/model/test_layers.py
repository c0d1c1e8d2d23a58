"""Feed-forward layers, norms and residuals compute their formulas."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from nmt.config import ModelConfig
from nmt.model.layers import EncoderLayer, FeedForward, Residual, make_norm

CONFIG = ModelConfig(
    d_model=6, d_ff=10, num_heads=2, positions="sinusoidal", dropout=0.5, activation_dropout=0.5
)
ACTIVATIONS: dict[str, Callable[[float], float]] = {
    "relu": lambda x: max(x, 0.0),
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "silu": lambda x: x / (1 + math.exp(-x)),
}


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(6)


def drawn(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module.eval()


def product(weight: Tensor, x: list[float], bias: Tensor | None) -> list[float]:
    start = [0.0] * len(weight) if bias is None else bias.tolist()
    return [
        b + sum(w * value for w, value in zip(row, x, strict=True))
        for row, b in zip(weight.tolist(), start, strict=True)
    ]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@torch.no_grad()
def test_feed_forward_is_the_formula(activation: str, gated: bool, bias: bool) -> None:
    layer = drawn(FeedForward(replace(CONFIG, activation=activation, gated=gated, bias=bias)))
    x = torch.randn(6)
    inner = product(layer.in_proj.weight, x.tolist(), layer.in_proj.bias)
    active = [ACTIVATIONS[activation](value) for value in inner[:10]]
    if gated:
        active = [value * linear for value, linear in zip(active, inner[10:], strict=True)]
    expected = product(layer.out_proj.weight, active, layer.out_proj.bias)
    assert layer(x.view(1, 1, 6)).flatten().tolist() == pytest.approx(expected, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("bias", [True, False])
@torch.no_grad()
def test_norms_are_the_formulas(bias: bool) -> None:
    x = 3 * torch.randn(6) + 2
    mean, variance = float(x.mean()), float(x.var(correction=0))
    layer_norm = drawn(make_norm(replace(CONFIG, norm="layer", bias=bias)))
    shift = layer_norm.bias if bias else 0
    expected = (x - mean) / math.sqrt(variance + 1e-5) * layer_norm.weight + shift
    torch.testing.assert_close(layer_norm(x), expected)
    rms_norm = drawn(make_norm(replace(CONFIG, norm="rms", bias=bias)))
    expected = x / math.sqrt(float((x * x).mean()) + 1e-6) * rms_norm.weight
    torch.testing.assert_close(rms_norm(x), expected)


@pytest.mark.parametrize("norm", ["layer", "rms"])
@torch.no_grad()
def test_the_norm_stands_before_the_sublayer_or_after_the_sum(norm: str) -> None:
    x = torch.randn(2, 3, 6)
    before = drawn(Residual(replace(CONFIG, norm=norm, norm_position="pre")))
    torch.testing.assert_close(before(x, torch.exp), x + before.norm(x).exp())
    after = drawn(Residual(replace(CONFIG, norm=norm, norm_position="post")))
    torch.testing.assert_close(after(x, torch.exp), after.norm(x + x.exp()))


@pytest.mark.parametrize("option", ["dropout", "attention_dropout", "activation_dropout"])
def test_each_dropout_acts_in_training_and_only_there(option: str) -> None:
    none = {"dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0}
    layer = drawn(EncoderLayer(replace(CONFIG, **(none | {option: 0.5}))))
    x = torch.randn(2, 3, 6)
    still = layer(x, None)
    assert torch.equal(layer(x, None), still)
    layer.train()
    assert not torch.equal(layer(x, None), layer(x, None))
    without = drawn(EncoderLayer(replace(CONFIG, **none)))
    without.load_state_dict(layer.state_dict())
    torch.testing.assert_close(without.train()(x, None), still)
