"""Networks that are packed against what they were."""

import pytest
import torch
from torch import Tensor, nn

from nmt.model import IncrementalDecoder, Precision, Transformer, pack, packing
from nmt.model.attention import SelfAttention
from nmt.model.int8_linear import LARGEST, Int8Linear, choose_largest_weight
from nmt.model.packed_linear import PackedLinear
from nmt.model.packing import Packer

pytestmark = pytest.mark.usefixtures("without_gradients")

needs_int8 = pytest.mark.skipif(not choose_largest_weight(), reason="no products of bytes on this processor")
PRECISIONS = ["float32", "bfloat16", pytest.param("int8", marks=needs_int8)]


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
    norms = [
        name
        for name, module in others.items()
        if isinstance(module, nn.LayerNorm | nn.RMSNorm) and not is_turned(network, name)
    ]
    assert len(norms) >= 10
    for name in (*norms, "src_embedding", "tgt_embedding"):
        assert all(id(parameter) in shared for parameter in others[name].parameters())


def is_turned(network: Transformer, name: str) -> bool:
    """Whether what a module makes is turned by places, so that its rows may come in another order."""
    attention = network.get_submodule(name.rpartition(".")[0])
    return isinstance(attention, SelfAttention) and attention.rotary and not name.endswith(".out_proj")


def logits(network: Transformer, *, num_rows: int) -> Tensor:
    """Of continuations (T, N, V) of a source, of so many hypotheses that have nothing but BOS in common."""
    decoder = IncrementalDecoder(network)
    decoder.admit([[5, 9, 7, 11]])
    found = [decoder.step(torch.zeros(1, dtype=torch.int64), torch.tensor([2]))]
    parents = torch.zeros(num_rows, dtype=torch.int64)
    for first in (6, 3):
        found.append(decoder.step(parents, first + torch.arange(num_rows)))
        parents = torch.arange(num_rows)
    return torch.cat(found)


@pytest.mark.parametrize("num_rows", [1, 4, 10])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_packed_network_says_nearly_the_same(
    network: Transformer, precision: Precision, num_rows: int
) -> None:
    expected = logits(network, num_rows=num_rows)
    tolerance = {"float32": 1e-5, "bfloat16": 0.05}.get(precision, 0.0)
    if largest_weight := choose_largest_weight():
        tolerance = tolerance or 0.07 * LARGEST / largest_weight
    found = logits(pack(network, precision), num_rows=num_rows)
    assert float((found - expected).norm() / expected.norm()) < tolerance


@pytest.mark.parametrize("num_rows", [1, 2, 5, 10])
def test_products_of_few_rows_are_packed_where_they_are_large(
    network: Transformer, monkeypatch: pytest.MonkeyPatch, num_rows: int
) -> None:
    sizes = sorted({each.weight.numel() for each in network.modules() if isinstance(each, nn.Linear)})
    largest = sizes[len(sizes) // 2 - 1]  # of those that stay
    monkeypatch.setattr(packing, "SMALL_PRODUCT", num_rows * largest)
    packed = Packer("float32").pack(network, num_rows=num_rows)
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear):
            found, is_large = packed.get_submodule(name), module.weight.numel() > largest
            is_kept = name.startswith("encoder") or (num_rows > 1 and not is_large)
            assert (found is module) == (
                is_kept and (name.startswith("encoder") or not is_turned(network, name))
            )
            assert isinstance(found, PackedLinear) == (not is_kept and num_rows > 1)
    torch.testing.assert_close(logits(packed, num_rows=num_rows), logits(network, num_rows=num_rows))


def test_for_one_row_weights_lie_input_by_input(network: Transformer) -> None:
    found = Packer("float32").pack(network, num_rows=1)
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear) and not name.startswith("encoder"):
            turned = found.get_submodule(name)
            assert turned.weight.t().is_contiguous()
            assert module.weight.is_contiguous()
            if is_turned(network, name):
                assert torch.equal(turned.weight.sort(0).values, module.weight.sort(0).values)
            else:
                assert torch.equal(turned.weight, module.weight)
                assert turned.bias is module.bias


def test_layers_that_are_made_in_the_same_way_are_made_once(
    network: Transformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "SMALL_PRODUCT", 0)
    packer = Packer("float32")
    few, some, many = (packer.pack(network, num_rows=size) for size in (2, 3, None))
    assert few is not some
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear) and not name.startswith("encoder"):
            assert few.get_submodule(name) is some.get_submodule(name) is many.get_submodule(name)
    assert isinstance(many.encoder[0].feed_forward.in_proj, PackedLinear)


@pytest.mark.parametrize("num_rows", [1, 2, None])
def test_pages_of_weights_that_were_copied_are_handed_back(
    network: Transformer, monkeypatch: pytest.MonkeyPatch, num_rows: int | None
) -> None:
    handed_back: set[Tensor] = set()
    monkeypatch.setattr(packing, "hand_back_pages", handed_back.update)
    monkeypatch.setattr(packing, "SMALL_PRODUCT", 2 * network.encoder[0].feed_forward.in_proj.weight.numel())
    packed = Packer("float32").pack(network, num_rows=num_rows)
    weights = {each.weight for each in network.modules() if isinstance(each, nn.Linear)}
    embeddings = {network.src_embedding.weight, network.tgt_embedding.weight}
    still_read = (set(packed.parameters()) & weights) - embeddings
    assert weights - embeddings == still_read | (handed_back & weights) - embeddings
    assert not still_read & handed_back
    assert bool(still_read) == bool(num_rows)


@pytest.mark.parametrize("precision", PRECISIONS[1:])
def test_the_number_of_rows_is_for_float32_alone(network: Transformer, precision: Precision) -> None:
    packer = Packer(precision)
    for num_rows in (1, 2):
        found = packer.pack(network, num_rows=num_rows)
        assert not any(isinstance(each, nn.Linear) for each in found.modules())
