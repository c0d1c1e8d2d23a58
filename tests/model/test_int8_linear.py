"""Products of bytes against whole numbers."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from nmt.model import int8_linear
from nmt.model.int8_linear import (
    LARGEST,
    LARGEST_OF_SEVEN_BITS,
    Int8Linear,
    choose_largest_weight,
    is_exact,
)

pytestmark = pytest.mark.usefixtures("without_gradients")

every_size = pytest.mark.parametrize(
    "largest_weight",
    [
        pytest.param(each, marks=pytest.mark.skipif(not is_exact(each), reason="not on this processor"))
        for each in (LARGEST, LARGEST_OF_SEVEN_BITS)
    ],
)


def whole_numbers(num_rows: int, size: int, largest: int) -> Tensor:
    """Rows (N, K) of whole numbers up to the largest, which is in each, times a power of two."""
    numbers = torch.randint(-largest, largest + 1, (num_rows, size))
    numbers[:, -1] = largest
    return numbers * 2.0 ** torch.randint(-9, 9, (num_rows, 1))


@every_size
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("num_inputs", "num_outputs"), [(512, 64), (48, 7), (2048, 33)])
def test_numbers_that_are_bytes_already_are_multiplied_exactly(
    largest_weight: int,
    num_inputs: int,
    num_outputs: int,
    bias: bool,
    make_linear: Callable[..., nn.Linear],
) -> None:
    linear = make_linear(num_inputs, num_outputs, bias=bias)
    linear.weight.copy_(whole_numbers(num_outputs, num_inputs, largest_weight))
    layer = Int8Linear(linear, largest_weight=largest_weight)
    linear.double()
    for num_rows in range(1, 71):
        x = whole_numbers(num_rows, num_inputs, LARGEST)
        exact = linear(x.double())
        largest = float(exact.abs().max())  # float32's last bits
        torch.testing.assert_close(layer(x).double(), exact, rtol=1e-6, atol=1e-6 * largest)


@every_size
def test_others_are_rounded_to_the_nearest_byte(
    largest_weight: int, make_linear: Callable[..., nn.Linear]
) -> None:
    linear, x = make_linear(300, 40, bias=False), torch.randn(50, 300) * torch.logspace(-6, 6, 50)[:, None]
    weight_steps = linear.weight.abs().amax(1) / largest_weight  # (M,)
    steps = x.abs().amax(1, keepdim=True) / LARGEST  # (N, 1)
    most = steps / 2 * linear.weight.abs().sum(1) + (x.abs() + steps / 2).sum(1)[:, None] * weight_steps / 2
    error = (Int8Linear(linear, largest_weight=largest_weight)(x) - linear(x)).abs()
    assert bool((error <= 1.001 * most).all())
    assert bool((error.amax(1) > 0.02 * most.amax(1)).all())  # so it is bytes that are multiplied


@every_size
def test_the_largest_bytes_do_not_overflow(
    largest_weight: int, make_linear: Callable[..., nn.Linear]
) -> None:
    """Some processors add pairs of products in sixteen bits."""
    linear = make_linear(2048, 16, bias=False)
    linear.weight.fill_(1.0)
    x = torch.ones(3, 2048)
    x[1], x[2, ::2] = -1.0, -1.0
    assert Int8Linear(linear, largest_weight=largest_weight)(x)[:, 0].tolist() == pytest.approx(
        [2048, -2048, 0], rel=1e-5
    )


@every_size
def test_what_becomes_of_a_row_does_not_depend_on_the_rows_beside_it(
    largest_weight: int, make_linear: Callable[..., nn.Linear]
) -> None:
    layer = Int8Linear(make_linear(512, 100), largest_weight=largest_weight)
    x = torch.randn(160, 512) * torch.rand(160, 1)
    together = layer(x)
    for num_rows in (1, 2, 3, 7, 16, 33, 64, 127):
        parts = torch.cat([layer(part) for part in x.split(num_rows)])
        assert torch.equal(parts, together)


@every_size
def test_zeros_give_the_bias_and_no_rows_give_none(
    largest_weight: int, make_linear: Callable[..., nn.Linear]
) -> None:
    linear = make_linear(64, 20)
    layer = Int8Linear(linear, largest_weight=largest_weight)
    assert torch.equal(layer(torch.zeros(3, 64)), linear.bias.expand(3, -1))
    assert layer(torch.zeros(0, 64)).shape == (0, 20)
    linear.weight.zero_()
    assert torch.equal(
        Int8Linear(linear, largest_weight=largest_weight)(torch.randn(3, 64)), linear.bias.expand(3, -1)
    )


@every_size
def test_inputs_may_be_written_over_where_that_is_asked_for(
    largest_weight: int, make_linear: Callable[..., nn.Linear]
) -> None:
    layer = Int8Linear(make_linear(96, 24), largest_weight=largest_weight)
    x = torch.randn(2, 7, 96)
    kept = x.clone()
    expected = layer(x)
    assert torch.equal(x, kept)
    assert torch.equal(layer.forward_(x), expected)


@every_size
def test_after_a_relu_all_bytes_are_for_what_is_positive(
    largest_weight: int, make_linear: Callable[..., nn.Linear]
) -> None:
    linear = make_linear(96, 24)
    linear.weight.copy_(whole_numbers(24, 96, largest_weight))
    layer = Int8Linear(linear, largest_weight=largest_weight)
    for num_rows in (1, 5, 40):
        x = whole_numbers(num_rows, 96, 255).abs()
        exact = linear.double()(x.double())
        found = layer.forward_(x, is_positive=True).double()
        torch.testing.assert_close(found, exact, rtol=1e-6, atol=1e-6 * float(exact.abs().max()))
    linear.weight.fill_(1.0)
    layer = Int8Linear(linear.float(), largest_weight=largest_weight)
    expected = linear(torch.ones(2, 96))  # the largest bytes do not overflow
    torch.testing.assert_close(layer.forward_(torch.ones(2, 96), is_positive=True), expected)


def test_weights_have_as_many_bits_as_are_multiplied_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    choose = choose_largest_weight.__wrapped__  # not what was remembered
    for exact, expected in (
        ((LARGEST, LARGEST_OF_SEVEN_BITS), LARGEST),
        ((LARGEST_OF_SEVEN_BITS,), LARGEST_OF_SEVEN_BITS),
        ((), None),
    ):
        monkeypatch.setattr(int8_linear, "is_exact", lambda each, exact=exact: each in exact)
        assert choose() == expected


def test_products_that_overflow_or_are_not_there_are_not_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    def overflow(layer: Int8Linear, x: Tensor) -> Tensor:
        """Sums that stop at the largest number of sixteen bits."""
        weight, _ = layer.packed.unpack()
        sums = x.mul(LARGEST) @ weight.int_repr().float().t()
        return sums.clamp(max=2**15 - 1) / (LARGEST * LARGEST)

    monkeypatch.setattr(Int8Linear, "forward", overflow)
    assert not is_exact(LARGEST)
    monkeypatch.setattr(Int8Linear, "forward", lambda _, x: x @ torch.ones(64, 32))
    assert is_exact(LARGEST)

    def missing(*_: object) -> None:
        raise NotImplementedError("no such operation")

    monkeypatch.setattr(Int8Linear, "forward", missing)
    assert not is_exact(LARGEST)
