"""Networks that are packed against what they were."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from nmt.model import IncrementalDecoder, Precision, Transformer, pack, packing
from nmt.model.int8_linear import Int8Linear, int8_linear
from nmt.model.packed_linear import PackedLinear

needs_int8 = pytest.mark.skipif(not int8_linear(), reason="no products of bytes on this processor")
PRECISIONS = ["float32", "bfloat16", pytest.param("int8", marks=needs_int8)]


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


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
    assert float(error) < {"float32": 1e-5, "bfloat16": 0.03, "int8": 0.12}[precision]


@pytest.mark.parametrize("num_rows", [1, 2, 4, 1000])
def test_products_of_few_rows_are_packed_where_they_are_large(
    network: Transformer, monkeypatch: pytest.MonkeyPatch, num_rows: int
) -> None:
    """The output layer has more weights than the others."""
    config = network.config
    largest = max(3 * config.d_model**2, config.d_model * config.d_ff)  # of a layer
    monkeypatch.setattr(packing, "SMALL_PRODUCT", 2 * largest)
    found = dict(pack(network, "float32", num_rows=num_rows).named_modules())
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear):
            is_small = num_rows * module.weight.numel() <= 2 * largest
            assert isinstance(found[name], nn.Linear if num_rows == 1 or is_small else PackedLinear)
            assert (found[name] is module) == (num_rows > 1 and is_small)
    x = torch.randn(num_rows, config.d_model)
    torch.testing.assert_close(found["out_proj"](x), network.out_proj(x))


def test_for_one_row_weights_lie_input_by_input(network: Transformer) -> None:
    found = pack(network, "float32", num_rows=1)
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear):
            turned = found.get_submodule(name)
            assert turned.weight.t().is_contiguous()
            assert torch.equal(turned.weight, module.weight)
            assert module.weight.is_contiguous()
            assert turned.bias is module.bias
