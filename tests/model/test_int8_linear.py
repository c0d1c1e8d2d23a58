"""Products of bytes against whole numbers."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from nmt.model import int8_linear
from nmt.model.int8_linear import LARGEST, Int8Linear, PairwiseLinear, VnniLinear, is_exact, quantize_rows

pytestmark = pytest.mark.usefixtures("without_gradients")

every_class = pytest.mark.parametrize(
    "layer_class",
    [
        pytest.param(each, marks=pytest.mark.skipif(not is_exact(each), reason="not on this processor"))
        for each in (VnniLinear, PairwiseLinear)
    ],
)


def whole_numbers(num_rows: int, size: int, largest: int) -> Tensor:
    """Rows (N, K) of whole numbers up to the largest, which is in each, times a power of two."""
    numbers = torch.randint(-largest, largest + 1, (num_rows, size))
    numbers[:, -1] = largest
    return numbers * 2.0 ** torch.randint(-9, 9, (num_rows, 1))


@every_class
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("num_inputs", "num_outputs"), [(512, 64), (48, 7), (2048, 33)])
def test_numbers_that_are_bytes_already_are_multiplied_exactly(
    layer_class: type[Int8Linear],
    num_inputs: int,
    num_outputs: int,
    bias: bool,
    make_linear: Callable[..., nn.Linear],
) -> None:
    linear = make_linear(num_inputs, num_outputs, bias=bias)
    linear.weight.copy_(whole_numbers(num_outputs, num_inputs, layer_class.largest_weight))
    layer = layer_class(linear)
    linear.double()
    for num_rows in range(1, 71):
        x = whole_numbers(num_rows, num_inputs, LARGEST)
        exact = linear(x.double())
        largest = float(exact.abs().max())  # float32's last bits
        torch.testing.assert_close(layer(x).double(), exact, rtol=1e-6, atol=1e-6 * largest)


@every_class
def test_others_are_rounded_to_the_nearest_byte(
    layer_class: type[Int8Linear], make_linear: Callable[..., nn.Linear]
) -> None:
    linear, x = make_linear(300, 40, bias=False), torch.randn(50, 300) * torch.logspace(-6, 6, 50)[:, None]
    weight_steps = linear.weight.abs().amax(1) / layer_class.largest_weight  # (M,)
    steps = x.abs().amax(1, keepdim=True) / LARGEST  # (N, 1)
    most = steps / 2 * linear.weight.abs().sum(1) + (x.abs() + steps / 2).sum(1)[:, None] * weight_steps / 2
    error = (layer_class(linear)(x) - linear(x)).abs()
    assert bool((error <= 1.001 * most).all())
    assert bool((error.amax(1) > 0.02 * most.amax(1)).all())  # so it is bytes that are multiplied


@every_class
def test_the_largest_bytes_do_not_overflow(
    layer_class: type[Int8Linear], make_linear: Callable[..., nn.Linear]
) -> None:
    """Some processors add pairs of products in sixteen bits."""
    linear = make_linear(2048, 16, bias=False)
    linear.weight.fill_(1.0)
    x = torch.ones(3, 2048)
    x[1], x[2, ::2] = -1.0, -1.0
    assert layer_class(linear)(x)[:, 0].tolist() == pytest.approx([2048, -2048, 0], rel=1e-5)


def test_rows_are_quantized_to_the_nearest_of_255_steps() -> None:
    x = torch.randn(50, 77) * torch.logspace(-6, 6, 50)[:, None]
    quantized, peaks = quantize_rows(x)
    assert quantized.dtype == torch.int8
    assert quantized.long().abs().amax(1).eq(127).all()  # and -128 nowhere
    steps = peaks.double() / 127
    error = (quantized.double() * steps - x.double()).abs()
    assert bool((error <= steps * 0.50001).all())


@every_class
def test_what_becomes_of_a_row_does_not_depend_on_the_rows_beside_it(
    layer_class: type[Int8Linear], make_linear: Callable[..., nn.Linear]
) -> None:
    layer = layer_class(make_linear(512, 100))
    x = torch.randn(160, 512) * torch.rand(160, 1)
    together = layer(x)
    for num_rows in (1, 2, 3, 7, 16, 33, 64, 127):
        parts = torch.cat([layer(part) for part in x.split(num_rows)])
        assert torch.equal(parts, together)


@every_class
def test_zeros_give_the_bias_and_no_rows_give_none(
    layer_class: type[Int8Linear], make_linear: Callable[..., nn.Linear]
) -> None:
    linear = make_linear(64, 20)
    layer = layer_class(linear)
    assert torch.equal(layer(torch.zeros(3, 64)), linear.bias.expand(3, -1))
    assert layer(torch.zeros(0, 64)).shape == (0, 20)
    linear.weight.zero_()
    assert torch.equal(layer_class(linear)(torch.randn(3, 64)), linear.bias.expand(3, -1))


def test_the_first_class_that_is_exact_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    choose = int8_linear.choose_int8_linear.__wrapped__  # not what was remembered
    for exact, expected in (
        ((VnniLinear, PairwiseLinear), VnniLinear),
        ((PairwiseLinear,), PairwiseLinear),
        ((), None),
    ):
        monkeypatch.setattr(int8_linear, "is_exact", lambda each, exact=exact: each in exact)
        assert choose() is expected


def test_a_class_that_overflows_or_is_not_there_is_not_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    class Overflowing(Int8Linear):
        def forward(self, x: Tensor) -> Tensor:
            """Sums that stop at the largest number of sixteen bits."""
            sums = x.mul(LARGEST) @ self.rows.float().t()
            return sums.clamp(max=2**15 - 1) * self.scales

    assert not is_exact(Overflowing)
    monkeypatch.setattr(Overflowing, "forward", lambda self, x: x @ torch.ones_like(self.rows).float().t())
    assert is_exact(Overflowing)

    def missing(*_: object) -> None:
        raise NotImplementedError("no such operation")

    monkeypatch.setattr(Overflowing, "forward", missing)
    assert not is_exact(Overflowing)
