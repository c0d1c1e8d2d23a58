"""Packed products against nn.Linear, and products of bytes against whole numbers."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from nmt.model import IncrementalDecoder, Precision, Transformer, pack, packed
from nmt.model.packed import Int8Linear, PackedLinear, has_int8_products, quantize_rows

needs_int8 = pytest.mark.skipif(not has_int8_products(), reason="no products of bytes on this processor")
PRECISIONS = ["float32", "bfloat16", pytest.param("int8", marks=needs_int8)]


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def make_linear(num_inputs: int, num_outputs: int, *, bias: bool = True) -> nn.Linear:
    torch.manual_seed(num_inputs + num_outputs)
    linear = nn.Linear(num_inputs, num_outputs, bias=bias)
    return linear.requires_grad_(False)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(64, 32), (24, 120), (7, 1), (512, 333)])
def test_packed_in_float32_is_the_layer_it_was(shape: tuple[int, int], bias: bool) -> None:
    linear = make_linear(*shape, bias=bias)
    layer = PackedLinear(linear, torch.float32)
    for num_rows in (0, 1, 5, 160):
        x = torch.randn(num_rows, shape[0])
        torch.testing.assert_close(layer(x), linear(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
def test_packed_in_bfloat16_rounds_inputs_weights_and_outputs(bias: bool) -> None:
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
    monkeypatch: pytest.MonkeyPatch, precision: Precision
) -> None:
    linear, x = make_linear(64, 30), torch.randn(9, 64)
    with_packed = pack(linear, precision)(x)
    monkeypatch.setattr(packed, "has_packed_products", lambda _: False)
    layer = pack(linear, precision)
    assert not layer.is_packed
    tolerance = 1e-5 if precision == "float32" else 2e-2
    torch.testing.assert_close(layer(x), with_packed, rtol=tolerance, atol=tolerance)


def test_where_the_processor_has_no_packed_products_of_bfloat16_the_others_are_still_packed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    linear, x = make_linear(64, 30), torch.randn(9, 64)
    coarse, exact = PackedLinear(linear, torch.bfloat16), PackedLinear(linear, torch.float32)
    assert not coarse.is_packed
    assert exact.is_packed == packed.has_packed_products(torch.float32)
    torch.testing.assert_close(coarse(x), exact(x), rtol=2e-2, atol=2e-2)


# Bytes


def as_integers(x: Tensor) -> tuple[Tensor, Tensor]:
    """Signed whole numbers (N, K) in int64 and the scale (N, 1) of every row, worked out in float64."""
    scales = x.abs().amax(1, keepdim=True).clamp_min(1e-12) / 127
    return (x / scales).round().long(), scales


@needs_int8
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("num_inputs", "num_outputs"), [(512, 64), (48, 7), (2048, 33)])
def test_a_product_of_bytes_is_exact(num_inputs: int, num_outputs: int, bias: bool) -> None:
    linear = make_linear(num_inputs, num_outputs, bias=bias)
    layer = Int8Linear(linear)
    weights, weight_scales = as_integers(linear.weight)
    for num_rows in range(1, 71):
        x = torch.randn(num_rows, num_inputs)
        quantized, peaks = quantize_rows(x)
        product = quantized.long() @ weights.T  # (N, M), whole numbers
        exact = product.double() * weight_scales.double().T * peaks.double() / 127
        found = layer(x).double() - (linear.bias.double() if bias else 0)
        largest = float(exact.abs().max()) + (float(linear.bias.abs().max()) if bias else 0)
        torch.testing.assert_close(found, exact, rtol=1e-6, atol=1e-6 * largest)  # float32's last bits


@needs_int8
def test_the_largest_bytes_do_not_overflow() -> None:
    """Processors without products of bytes add pairs of them in sixteen bits, which is too few for these."""
    linear = make_linear(2048, 16, bias=False)
    linear.weight.fill_(1.0)
    x = torch.ones(3, 2048)
    x[1], x[2, ::2] = -1.0, -1.0
    assert Int8Linear(linear)(x)[:, 0].tolist() == pytest.approx([2048, -2048, 0], rel=1e-5)


def test_rows_are_quantized_to_the_nearest_of_255_steps() -> None:
    x = torch.randn(50, 77) * torch.logspace(-6, 6, 50)[:, None]
    quantized, peaks = quantize_rows(x)
    assert quantized.dtype == torch.int8
    assert quantized.long().abs().amax(1).eq(127).all()  # and -128 nowhere
    steps = peaks.double() / 127
    error = (quantized.double() * steps - x.double()).abs()
    assert bool((error <= steps * 0.50001).all())


@needs_int8
def test_what_becomes_of_a_row_does_not_depend_on_the_rows_beside_it() -> None:
    layer = Int8Linear(make_linear(512, 100))
    x = torch.randn(160, 512) * torch.rand(160, 1)
    together = layer(x)
    for num_rows in (1, 2, 3, 7, 16, 33, 64, 127):
        parts = torch.cat([layer(part) for part in x.split(num_rows)])
        assert torch.equal(parts, together)


@needs_int8
def test_zeros_give_the_bias_and_no_rows_give_none() -> None:
    linear = make_linear(64, 20)
    layer = Int8Linear(linear)
    assert torch.equal(layer(torch.zeros(3, 64)), linear.bias.expand(3, -1))
    assert layer(torch.zeros(0, 64)).shape == (0, 20)
    linear.weight.zero_()
    assert torch.equal(Int8Linear(linear)(torch.randn(3, 64)), linear.bias.expand(3, -1))


# Whole networks


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_original_is_untouched_and_all_but_products_is_shared(
    network: Transformer, precision: Precision
) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = pack(network, precision)
    assert type(found) is Transformer
    assert found is not network
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    linear = {name for name, module in network.named_modules() if isinstance(module, nn.Linear)}
    others = dict(found.named_modules())
    assert all(isinstance(others[name], PackedLinear | Int8Linear) for name in linear)
    shared = {id(parameter) for parameter in network.parameters()}
    norms = [name for name, module in others.items() if isinstance(module, nn.LayerNorm | nn.RMSNorm)]
    assert len(norms) >= 10
    for name in (*norms, "src_embedding", "tgt_embedding"):
        assert all(id(parameter) in shared for parameter in others[name].parameters())


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_packed_network_says_nearly_the_same(network: Transformer, precision: Precision) -> None:
    source, pieces = [5, 9, 7, 11], [2, 6, 8, 4]

    def logits(found: Transformer) -> Tensor:
        decoder = IncrementalDecoder(found)
        decoder.admit([source])
        return torch.stack([decoder.step(torch.tensor([0]), torch.tensor([piece]))[0] for piece in pieces])

    expected = logits(network)
    error = (logits(pack(network, precision)) - expected).norm() / expected.norm()
    assert float(error) < {"float32": 1e-5, "bfloat16": 0.03, "int8": 0.06}[precision]
