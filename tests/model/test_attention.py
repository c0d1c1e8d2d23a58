"""Attention is softmax(QKᵀ/√d_k)V of every head, whichever path computes it."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nmt.model import attention
from nmt.model.attention import FAST_SOFTMAX, CrossAttention, SelfAttention, attend
from nmt.model.dropout import seeded

B, T, S, D = 2, 4, 5, 12
LENGTHS = (5, 3)  # real source positions of the two sentences
PADDING = torch.arange(S) < torch.tensor(LENGTHS)[:, None]  # (B, S)
CAUSAL = torch.ones(S, S, dtype=torch.bool).tril()
MASKS = {"all": None, "padding": PADDING[:, None, None, :], "causal": CAUSAL}


def reference(
    queries: Tensor, keys: Tensor, values: Tensor, *, num_heads: int, allowed: Callable[[int, int, int], bool]
) -> tuple[Tensor, Tensor]:
    """The formula in float64, one number after the other: heads joined (B, T, D), weights (B, H, T, S).

    `allowed(b, t, s)` says whether query t of sentence b may look at key s.
    """
    width = queries.size(-1) // num_heads
    out = torch.zeros_like(queries, dtype=torch.float64)
    weights = torch.zeros(queries.size(0), num_heads, queries.size(1), keys.size(1), dtype=torch.float64)
    for b in range(queries.size(0)):
        for head in range(num_heads):
            part = slice(head * width, (head + 1) * width)
            for t in range(queries.size(1)):
                seen = [s for s in range(keys.size(1)) if allowed(b, t, s)]
                products = [float(queries[b, t, part] @ keys[b, s, part]) for s in seen]
                exponentials = [math.exp(score / math.sqrt(width)) for score in products]
                for s, exponential in zip(seen, exponentials, strict=True):
                    weights[b, head, t, s] = exponential / sum(exponentials)
                    out[b, t, part] += weights[b, head, t, s] * values[b, s, part]
    return out, weights


def linear(layer: nn.Linear, x: Tensor) -> Tensor:
    bias = 0 if layer.bias is None else layer.bias.double()
    return x.double() @ layer.weight.double().T + bias


def drawn(module: nn.Module) -> Any:
    """The module with every weight and bias drawn anew, none of them zero."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.eval()


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(3)


# The formula


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("num_heads", [1, 3, 4])
@pytest.mark.parametrize("kind", ["all", "padding", "causal", "both"])
@torch.no_grad()
def test_self_attention_is_the_formula(kind: str, num_heads: int, bias: bool) -> None:
    module = drawn(SelfAttention(D, num_heads, bias=bias, dropout_rate=0.5, rotary=False))
    x = torch.randn(B, S, D)
    padding, causal = kind in ("padding", "both"), kind in ("causal", "both")

    def allowed(b: int, t: int, s: int) -> bool:
        return (not causal or s <= t) and (not padding or s < LENGTHS[b])

    found = module(x, mask=MASKS["padding"] if padding else None, causal=causal)
    queries, keys, values = linear(module.in_proj, x).chunk(3, dim=-1)
    expected, _ = reference(queries, keys, values, num_heads=num_heads, allowed=allowed)
    torch.testing.assert_close(found.double(), linear(module.out_proj, expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["self", "cross"])
@torch.no_grad()
def test_normed_queries_and_keys_have_the_length_that_their_gains_say(kind: str) -> None:
    """Head by head divided by the root of their mean square; and the scores are then those of the formula."""
    options = {"bias": True, "dropout_rate": 0.5, "qk_norm": True}
    x, source = torch.randn(B, S, D), torch.randn(B, S, D)
    if kind == "self":
        module = drawn(SelfAttention(D, 3, rotary=False, **options))
        found = module(x)
        queries, keys, values = linear(module.in_proj, x).chunk(3, dim=-1)
    else:
        module = drawn(CrossAttention(D, 3, **options))
        found, _ = module(x, *module.keys_values(source), mask=torch.ones(B, 1, 1, S, dtype=torch.bool))
        queries, (keys, values) = (
            linear(module.query_proj, x),
            linear(module.key_value_proj, source).chunk(2, dim=-1),
        )

    def normed(parts: Tensor, gain: Tensor) -> Tensor:
        heads = parts.unflatten(-1, (3, -1))
        return (heads / (heads.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() * gain).flatten(-2)

    queries, keys = normed(queries, module.query_norm.weight), normed(keys, module.key_norm.weight)
    expected, _ = reference(queries, keys, values, num_heads=3, allowed=lambda *_: True)
    torch.testing.assert_close(found.double(), linear(module.out_proj, expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("num_heads", [1, 3, 4])
@torch.no_grad()
def test_cross_attention_is_the_formula_and_so_are_its_weights(num_heads: int) -> None:
    module = drawn(CrossAttention(D, num_heads, bias=True, dropout_rate=0.5))
    x, source = torch.randn(B, T, D), torch.randn(B, S, D)
    keys, values = linear(module.key_value_proj, source).chunk(2, dim=-1)
    expected, expected_weights = reference(
        linear(module.query_proj, x),
        keys,
        values,
        num_heads=num_heads,
        allowed=lambda b, _, s: s < LENGTHS[b],
    )
    for return_weights in (False, True):
        found, weights = module(
            x, *module.keys_values(source), mask=MASKS["padding"], return_weights=return_weights
        )
        torch.testing.assert_close(found.double(), linear(module.out_proj, expected), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(weights.double(), expected_weights, rtol=1e-5, atol=1e-6)


def test_attention_by_hand() -> None:
    """One head of width 4: the scores are 2 ln 3 / √4 and 0, so the weights are 3/4 and 1/4."""
    queries = torch.tensor([2 * math.log(3), 0, 0, 0]).view(1, 1, 1, 4)
    keys = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0]]).view(1, 1, 2, 4)
    values = torch.tensor([[4.0, 8, 0, 0], [0, 8, 4, 0]]).view(1, 1, 2, 4)
    for return_weights in (False, True):
        out, weights = attend(queries, keys, values, return_weights=return_weights)
        torch.testing.assert_close(out, torch.tensor([3.0, 8, 1, 0]).view(1, 1, 1, 4))
    torch.testing.assert_close(weights, torch.tensor([0.75, 0.25]).view(1, 1, 1, 2))


# Two paths, one result


@pytest.mark.parametrize("kind", ["all", "padding", "causal", "both"])
@pytest.mark.parametrize("length", [S, FAST_SOFTMAX + 1])
def test_fused_and_plain_path_agree_in_values_and_gradients(
    length: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = torch.arange(length) < torch.tensor(LENGTHS)[:, None, None, None]
    options = {"mask": mask if kind in ("padding", "both") else None, "causal": kind in ("causal", "both")}
    results = []
    for fast_fused in (0, length):
        monkeypatch.setattr(attention, "FAST_FUSED", fast_fused)
        torch.manual_seed(3)
        inputs = [torch.randn(B, 3, length, 8, requires_grad=True) for _ in range(3)]
        out, _ = attend(*inputs, **options)
        (out * torch.randn(B, 3, length, 8)).sum().backward()
        assert ("_WeightedSum" in type(out.grad_fn).__name__) == bool(fast_fused)
        results.append([out, *(tensor.grad for tensor in inputs)])
    for fused, plain in zip(*results, strict=True):
        torch.testing.assert_close(fused, plain, rtol=1e-5, atol=1e-5)


def test_gradients_are_those_of_the_formula() -> None:
    """Against differences of the formula's values in float64."""
    inputs = [torch.randn(B, T, D), torch.randn(B, S, D), torch.randn(B, S, D)]
    direction = [torch.randn_like(tensor) for tensor in inputs]
    weighting = torch.randn(B, T, D)
    step = 1e-5

    def loss(sign: int) -> float:
        moved = [x.double() + sign * step * d.double() for x, d in zip(inputs, direction, strict=True)]
        out, _ = reference(*moved, num_heads=3, allowed=lambda b, _, s: s < LENGTHS[b])
        return float((out * weighting).sum())

    expected = (loss(1) - loss(-1)) / (2 * step)
    for return_weights in (False, True):
        leaves = [x.clone().requires_grad_() for x in inputs]
        split = [x.unflatten(-1, (3, -1)).transpose(1, 2) for x in leaves]
        out, _ = attend(*split, mask=MASKS["padding"], return_weights=return_weights)
        (out.transpose(1, 2).flatten(-2) * weighting).sum().backward()
        found = sum(float((leaf.grad * d).sum()) for leaf, d in zip(leaves, direction, strict=True))
        assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("causal", [False, True])
def test_training_in_bfloat16_comes_close_to_float32(causal: bool) -> None:
    inputs = [torch.randn(B, 3, S, 8) for _ in range(3)]
    weighting = torch.randn(B, 3, S, 8)
    results = []
    for dtype in (torch.float32, torch.bfloat16):
        leaves = [x.detach().to(dtype, copy=True).requires_grad_() for x in inputs]
        out, _ = attend(*leaves, causal=causal)
        assert out.dtype == dtype
        (out * weighting).sum().backward()
        results.append([out.float(), *(leaf.grad.float() for leaf in leaves)])
    for exact, rounded in zip(*results, strict=True):
        assert (exact - rounded).norm() < 0.02 * exact.norm()


@pytest.mark.parametrize("dropout_rate", [0.0, 0.3])
@pytest.mark.parametrize("mask", ["all", "padding"])
def test_gradients_go_through_the_weights_too_and_through_what_is_kept(
    mask: str, dropout_rate: float
) -> None:
    inputs = [torch.randn(B, 3, size, 4, dtype=torch.float64, requires_grad=True) for size in (T, S, S)]

    def both(queries: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor | None]:
        with seeded(7, torch.device("cpu")):  # the same is dropped every time
            return attend(
                queries, keys, values, mask=MASKS[mask], dropout_rate=dropout_rate, return_weights=True
            )

    assert torch.autograd.gradcheck(both, inputs)


# Masks


def test_weights_sum_to_one_over_allowed_keys_and_are_zero_elsewhere() -> None:
    keys, values = torch.randn(2, B, 3, S, 8)
    _, weights = attend(torch.randn(B, 3, T, 8), keys, values, mask=MASKS["padding"], return_weights=True)
    torch.testing.assert_close(weights.sum(-1), torch.ones(B, 3, T))
    assert not weights.masked_select(~PADDING[:, None, None, :]).any()
    assert weights.dtype == torch.float32


def test_what_is_masked_can_not_matter() -> None:
    queries, keys, values = torch.randn(B, 3, T, 8), torch.randn(B, 3, S, 8), torch.randn(B, 3, S, 8)
    hidden = ~PADDING[:, None, :, None]
    other_keys, other_values = (tensor.masked_fill(hidden, 1e4) for tensor in (keys, values))
    for return_weights in (False, True):
        options = {"mask": MASKS["padding"], "return_weights": return_weights}
        before, _ = attend(queries, keys, values, **options)
        after, _ = attend(queries, other_keys, other_values, **options)
        assert torch.equal(before, after)


@pytest.mark.parametrize("num_new", [1, 2, S])
@pytest.mark.parametrize("return_weights", [False, True])
def test_the_last_causal_queries_see_what_they_see_among_all(num_new: int, return_weights: bool) -> None:
    """There may be keys of earlier positions; the queries are the last ones."""
    queries, keys, values = (torch.randn(B, 3, S, 8) for _ in range(3))
    whole, _ = attend(queries, keys, values, causal=True)
    last, _ = attend(queries[:, :, -num_new:], keys, values, causal=True, return_weights=return_weights)
    torch.testing.assert_close(last, whole[:, :, -num_new:])


@pytest.mark.parametrize("return_weights", [False, True])
def test_large_scores_stay_finite(return_weights: bool) -> None:
    queries, keys, values = (
        torch.randn(B, 3, T, 8) * 1e4,
        torch.randn(B, 3, S, 8) * 1e4,
        torch.randn(B, 3, S, 8),
    )
    out, _ = attend(queries, keys, values, mask=MASKS["padding"], return_weights=return_weights)
    assert out.isfinite().all()


# Dropout


def test_dropout_acts_on_the_output_but_not_on_the_weights_shown() -> None:
    queries, keys = torch.randn(B, 3, T, 8), torch.randn(B, 3, S, 8)
    values = torch.ones(B, 3, S, 8)
    out, weights = attend(queries, keys, values, dropout_rate=0.5, return_weights=True)
    torch.testing.assert_close(weights.sum(-1), torch.ones(B, 3, T))
    assert (out - 1).abs().max() > 0.1


def test_dropout_is_for_training_only() -> None:
    module = drawn(SelfAttention(D, 3, bias=True, dropout_rate=0.5, rotary=False))
    x = torch.randn(B, S, D)
    assert torch.equal(module(x), module(x))
    module.train()
    assert not torch.equal(module(x), module(x))


@pytest.mark.parametrize(("bias", "qk_norm"), [(True, False), (False, True)])
@torch.no_grad()
def test_interleaved_heads_are_the_same_function(bias: bool, qk_norm: bool) -> None:
    module = drawn(SelfAttention(D, 3, bias=bias, dropout_rate=0.0, rotary=True, qk_norm=qk_norm))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    interleaved = module.interleaved()
    x = torch.randn(B, S, D)
    torch.testing.assert_close(interleaved(x, causal=True), module(x, causal=True))
    assert interleaved.out_proj is module.out_proj
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert not torch.equal(interleaved.in_proj.weight, module.in_proj.weight)
