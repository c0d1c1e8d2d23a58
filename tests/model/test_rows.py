"""Rows of several parts, whose attention is that of each row by itself."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from nmt.model.rows import Heads, Rows, as_long, together

NUM_HEADS, WIDTH = 2, 3


def rows_of(*counts: int) -> Rows:
    """So many rows of each group."""
    groups = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    return Rows.of(groups, len(counts), most=max(counts), num_heads=NUM_HEADS)


def attended(query: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
    """What one head of one row gets: query (K,), keys (S, K), values (S, K), bias (S,)."""
    weights = (keys @ query / math.sqrt(len(query)) + bias).softmax(0)
    return weights @ values


@pytest.mark.parametrize("num_computed", [0, 16])
@pytest.mark.parametrize(
    "counts", [[(1, 1)], [(2, 2)], [(0, 3, 1)], [(1, 1), (1,)], [(1, 0, 2), (4,), (2, 2)]]
)
def test_every_row_looks_at_what_its_own_group_has(counts: list[tuple[int, ...]], num_computed: int) -> None:
    torch.manual_seed(0)
    parts = [rows_of(*each) for each in counts]
    heads = Heads(parts, num_computed=num_computed)
    projected = torch.randn(heads.num_computed, 3, NUM_HEADS, WIDTH)
    lengths = [4 + number for number in range(len(counts))]
    shapes = [(len(each) * NUM_HEADS, length, WIDTH) for each, length in zip(counts, lengths, strict=True)]
    keys, values = ([torch.randn(shape) for shape in shapes] for _ in range(2))
    biases = [torch.randn(len(rows.ranks), length) for rows, length in zip(parts, lengths, strict=True)]
    seen = [
        (k.mT, v, rows.for_heads(bias)) for k, v, rows, bias in zip(keys, values, parts, biases, strict=True)
    ]
    found = heads.attend(heads.pad_third(projected), seen)
    assert found.shape == (heads.num_computed, NUM_HEADS * WIDTH)
    queries = iter(projected[:, 0])
    expected = [
        attended(query, keys[part][group * NUM_HEADS + head], values[part][group * NUM_HEADS + head], bias)
        for part, rows in enumerate(parts)
        for group, bias in zip(rows.groups.tolist(), biases[part], strict=True)
        for head, query in enumerate(next(queries))
    ]
    torch.testing.assert_close(found[: sum(heads.num_rows)].flatten(), torch.cat(expected))
    padded = heads.pad(projected[:, 0].reshape(-1, WIDTH))
    for these, those in zip(padded, heads.pad_third(projected), strict=True):
        torch.testing.assert_close(these, those)


def test_keys_and_values_of_heads_have_places_of_their_own() -> None:
    rows = rows_of(2, 0, 1)
    places = rows.memory_places  # (n, 2, H) among (2, B, H)
    for (row, group), part, head in itertools.product(enumerate([0, 0, 2]), range(2), range(NUM_HEADS)):
        assert places[row, part, head] == (part * 3 + group) * NUM_HEADS + head


def test_rows_of_unequal_groups_go_to_an_array_and_back() -> None:
    rows, x = rows_of(1, 0, 3), torch.arange(8.0).view(4, 2)
    padded = rows.pad(x)
    assert padded.shape == (3, 3, 2)
    assert padded[2].tolist() == x[1:].tolist()
    assert rows.unpad(padded).tolist() == x.tolist()


def test_parts_of_unequal_width_and_length_are_filled() -> None:
    parts = [torch.ones(2, 1), torch.ones(1, 3)]
    assert together(parts, filler=-1.0).tolist() == [[1, -1, -1], [1, -1, -1], [1, 1, 1]]
    assert together(parts[1:], filler=0.0) is parts[1]
    assert [part.tolist() for part in as_long(torch.ones(2, 1), torch.ones(1, 1))] == [[[1], [1]], [[1], [0]]]
