"""Decoding with a cache gives what decoding the whole gives, however its rows are moved."""

import pytest
import torch
from torch import Tensor

from nmt.model import Cache, Transformer
from nmt.model.cache import LayerCache
from nmt.model.transformer import FIRST_CAPACITY

SOURCE = torch.tensor([[5, 9, 7, 11, 3], [8, 4, 3, 0, 0], [12, 6, 15, 3, 0]])  # ends with 3, padded with 0
NUM_ROWS, LENGTH = 3, 11


@pytest.fixture(autouse=True)
def without_gradients() -> object:
    with torch.no_grad():
        yield


@pytest.fixture
def target() -> Tensor:
    torch.manual_seed(8)
    return torch.cat([torch.full((NUM_ROWS, 1), 2), torch.randint(3, 19, (NUM_ROWS, LENGTH - 1))], dim=1)


def start(network: Transformer, max_length: int = LENGTH) -> Cache:
    return network.start_cache(network.encode(SOURCE), max_length)


def uncached(network: Transformer, target: Tensor, rows: Tensor | None = None) -> Tensor:
    source = SOURCE if rows is None else SOURCE[rows]
    return network(source, target)


def assert_close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-5)


# Over the whole network


@pytest.mark.parametrize("max_length", [1, LENGTH])
def test_step_by_step_is_all_at_once(network: Transformer, target: Tensor, max_length: int) -> None:
    """With room for one position the memory grows four times on the way."""
    cache = start(network, max_length)
    steps = [network.decode(target[:, t : t + 1], cache=cache).states for t in range(LENGTH)]
    assert cache.length == LENGTH
    assert_close(torch.cat(steps, dim=1), uncached(network, target))


def test_a_prefix_and_then_steps_is_all_at_once(network: Transformer, target: Tensor) -> None:
    cache = start(network, 3)
    parts = [target[:, :4], target[:, 4:9], target[:, 9:10], target[:, 10:]]
    states = [network.decode(part, cache=cache).states for part in parts]
    assert_close(torch.cat(states, dim=1), uncached(network, target))


def test_attention_is_the_same_with_a_cache(network: Transformer, target: Tensor) -> None:
    cache = start(network)
    network.decode(target[:, :4], cache=cache)
    layers = range(len(network.decoder))
    cached = network.decode(target[:, 4:], cache=cache, attention_layers=layers)
    whole = network.decode(target, network.encode(SOURCE), attention_layers=layers)
    for layer in layers:
        assert_close(cached.attention[layer], whole.attention[layer][:, :, 4:])


@pytest.mark.parametrize("rows", [[2, 0, 1], [1], [0, 0, 2, 2, 1, 1]], ids=["moved", "fewer", "repeated"])
def test_selected_rows_go_on_as_if_they_were_alone(
    network: Transformer, target: Tensor, rows: list[int]
) -> None:
    cache = start(network, 2)
    network.decode(target[:, :5], cache=cache)
    chosen = torch.tensor(rows)
    cache.select(chosen)
    states = network.decode(target[chosen, 5:], cache=cache).states
    assert_close(states, uncached(network, target[chosen], chosen)[:, 5:])


def test_reordered_rows_swap_their_past_but_not_their_source(network: Transformer, target: Tensor) -> None:
    """As in a beam: rows 0 to 2 and 3 to 5 belong to the two sentences 0 and 1."""
    sentences = torch.tensor([0, 0, 0, 1, 1, 1])
    parents = torch.tensor([2, 2, 0, 3, 5, 4])
    targets = torch.cat([target, target.flip(0)])
    cache = start(network)
    cache.select(sentences)
    network.decode(targets[:, :6], cache=cache)
    cache.reorder(parents)
    new = torch.cat([targets[parents, :6], targets[:, 6:]], dim=1)
    states = network.decode(new[:, 6:], cache=cache).states
    assert_close(states, uncached(network, new, sentences)[:, 6:])


# By itself


def test_the_source_is_computed_once_and_the_first_memory_is_bounded(network: Transformer) -> None:
    cache = start(network, 1000)
    before = [layer.cross_keys for layer in cache.layers]
    for _ in range(2):
        network.decode(torch.full((NUM_ROWS, 1), 2), cache=cache)
    assert all(layer.cross_keys is keys for layer, keys in zip(cache.layers, before, strict=True))
    assert cache.layers[0].keys.shape == (NUM_ROWS, 3, FIRST_CAPACITY, 8)
    assert start(network, 0).layers[0].keys.size(2) == 1


def empty_layer(capacity: int) -> LayerCache:
    nan = torch.full((2, 1, capacity, 1), torch.nan)  # what was not written must never be read
    return LayerCache(torch.zeros(2, 1, 3, 1), torch.zeros(2, 1, 3, 1), nan, nan.clone())


def column(*values: float) -> Tensor:
    """Keys of both rows (2, 1, T, 1); those of the second row are 100 more."""
    keys = torch.tensor(values).view(1, 1, -1, 1)
    return torch.cat([keys, keys + 100])


def test_memory_doubles_or_grows_to_what_is_needed() -> None:
    layer = empty_layer(2)
    capacities = []
    for number, new in enumerate([(1.0,), (2.0,), (3.0,), (4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)], start=1):
        keys, values = layer.append(column(*new), -column(*new))
        capacities.append(layer.keys.size(2))
        assert layer.length == keys.size(2) == (number if number < 4 else 10)
    assert capacities == [2, 2, 4, 10]
    assert torch.equal(keys, column(*map(float, range(1, 11))))
    assert torch.equal(values, -keys)


def test_rows_are_moved_with_what_was_written_and_no_more() -> None:
    layer = empty_layer(4)
    layer.append(column(1.0, 2.0), column(3.0, 4.0))
    layer.reorder(torch.tensor([1, 1, 0]))
    keys, values = layer.append(torch.full((3, 1, 1, 1), 9.0), torch.full((3, 1, 1, 1), 8.0))
    assert keys.flatten(1).tolist() == [[101, 102, 9], [101, 102, 9], [1, 2, 9]]
    assert values.flatten(1).tolist() == [[103, 104, 8], [103, 104, 8], [3, 4, 8]]


def test_no_rows_at_all_may_be_left(network: Transformer) -> None:
    cache = start(network)
    network.decode(torch.full((NUM_ROWS, 1), 2), cache=cache)
    cache.select(torch.zeros(0, dtype=torch.long))
    assert cache.mask.size(0) == cache.layers[0].keys.size(0) == 0
