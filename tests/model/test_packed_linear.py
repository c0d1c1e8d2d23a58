"""Packed products against nn.Linear."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from nmt.model import Precision, pack, packed_linear
from nmt.model.packed_linear import PackedLinear, num_computed

pytestmark = pytest.mark.usefixtures("without_gradients")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(64, 32), (24, 120), (7, 1), (512, 333)])
def test_packed_in_float32_is_the_layer_it_was(
    shape: tuple[int, int], bias: bool, make_linear: Callable[..., nn.Linear]
) -> None:
    linear = make_linear(*shape, bias=bias)
    layer = PackedLinear(linear, torch.float32)
    for num_rows in (0, 1, 5, 160):
        x = torch.randn(num_rows, shape[0])
        torch.testing.assert_close(layer(x), linear(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
def test_packed_in_bfloat16_rounds_inputs_weights_and_outputs(
    bias: bool, make_linear: Callable[..., nn.Linear]
) -> None:
    linear = make_linear(96, 40, bias=bias)
    layer = PackedLinear(linear, torch.bfloat16)
    x = torch.randn(33, 96)
    rounded = [None if each is None else each.bfloat16().double() for each in (x, linear.weight, linear.bias)]
    exact = nn.functional.linear(*rounded)
    assert layer(x).dtype == torch.float32
    torch.testing.assert_close(layer(x).double(), exact, rtol=2**-8, atol=1e-3)
    assert layer(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_where_torch_has_no_packed_products_it_computes_with_plain_ones(
    monkeypatch: pytest.MonkeyPatch, precision: Precision, make_linear: Callable[..., nn.Linear]
) -> None:
    linear, x = make_linear(64, 30), torch.randn(9, 64)
    with_packed = pack(linear, precision)(x)
    monkeypatch.setattr(packed_linear, "has_packed_products", lambda _: False)
    layer = pack(linear, precision)
    assert not layer.is_packed
    tolerance = 1e-5 if precision == "float32" else 2e-2
    torch.testing.assert_close(layer(x), with_packed, rtol=tolerance, atol=tolerance)


def test_where_the_processor_has_no_packed_products_of_bfloat16_the_others_are_still_packed(
    monkeypatch: pytest.MonkeyPatch, make_linear: Callable[..., nn.Linear]
) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    linear, x = make_linear(64, 30), torch.randn(9, 64)
    coarse, exact = PackedLinear(linear, torch.bfloat16), PackedLinear(linear, torch.float32)
    assert not coarse.is_packed
    assert exact.is_packed == packed_linear.has_packed_products(torch.float32)
    torch.testing.assert_close(coarse(x), exact(x), rtol=2e-2, atol=2e-2)


def test_rows_are_rounded_up_to_few_numbers() -> None:
    rounded = [num_computed(number) for number in range(1, 1025)]
    assert all(number <= more <= number + 255 for number, more in enumerate(rounded, start=1))
    assert rounded == sorted(rounded)
    assert len(set(rounded[:320])) == 8 + 16 + 1
    assert len(set(rounded)) == 8 + 16 + 4 + 2
