"""Positions: the paper's sinusoids, learned places, and rotations that show only differences."""

import math

import pytest
import torch
from torch import Tensor

from nmt.model.positions import InterleavedRotation, Positions, SplitRotation, interleaving, sinusoids


def rotate(x: Tensor, places: Tensor) -> Tensor:
    return SplitRotation.at(places, x.size(-1)).turn(x)


def test_sinusoids_by_hand() -> None:
    """Width 4: the angles are p / 10000^(0/4) and p / 10000^(2/4); both sines first, then both cosines."""
    expected = [[math.sin(p), math.sin(p / 100), math.cos(p), math.cos(p / 100)] for p in range(50)]
    torch.testing.assert_close(sinusoids(torch.arange(50), 4), torch.tensor(expected), rtol=0, atol=1e-5)


@pytest.mark.parametrize("d_model", [1, 2, 7, 64])
def test_sinusoids_have_the_papers_values(d_model: int) -> None:
    found = sinusoids(torch.tensor([3, 4]), d_model)
    half = (d_model + 1) // 2
    for p, row in enumerate(found.tolist(), start=3):
        angles = [p / 10_000 ** (i / half) for i in range(half)]
        expected = [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
        assert row == pytest.approx(expected[:d_model], abs=1e-5)


@pytest.mark.parametrize("kind", ["sinusoidal", "learned", "rotary"])
def test_a_place_is_the_same_in_every_row_and_beside_any_others(kind: str) -> None:
    positions = Positions(kind, 8, 20)
    x = torch.randn(2, 6, 8)
    whole = positions(x, torch.arange(6))
    torch.testing.assert_close(positions(x[:, 4:], torch.tensor([4, 5])), whole[:, 4:])
    each_its_own = positions(torch.stack([x[0, 5], x[1, 2]]), torch.tensor([5, 2]))
    torch.testing.assert_close(each_its_own, torch.stack([whole[0, 5], whole[1, 2]]))
    assert torch.equal(whole, x) == (kind == "rotary")  # rotations come later, in attention


def test_learned_places_are_added_and_the_last_one_repeats() -> None:
    positions = Positions("learned", 8, 5)
    assert positions.learned is not None
    places = positions.learned.weight
    found = positions(torch.zeros(1, 4, 8), torch.arange(3, 7))
    assert torch.equal(found[0], torch.stack([places[3], places[4], places[4], places[4]]))


def test_rotation_by_hand() -> None:
    """Width 4: components 0 and 2 turn by p, components 1 and 3 by p / 100."""
    x = torch.tensor([1.0, 2, 3, 4])
    expected = [
        [
            math.cos(p) - 3 * math.sin(p),
            2 * math.cos(p / 100) - 4 * math.sin(p / 100),
            3 * math.cos(p) + math.sin(p),
            4 * math.cos(p / 100) + 2 * math.sin(p / 100),
        ]
        for p in range(5, 9)
    ]
    found = rotate(x.expand(1, 1, 4, 4), torch.arange(5, 9))
    torch.testing.assert_close(found, torch.tensor(expected).view(1, 1, 4, 4))


def test_sentences_may_stand_at_different_places() -> None:
    x = torch.randn(3, 2, 4, 8)  # (B, H, T, K)
    places = torch.tensor([[0, 1, 2, 3], [9, 9, 9, 9], [7, 3, 5, 100]])
    together = rotate(x, places[:, None])
    for row, own in enumerate(places):
        torch.testing.assert_close(together[row : row + 1], rotate(x[row : row + 1], own))


def score(query: Tensor, key: Tensor, query_position: int, key_position: int) -> float:
    return float(
        rotate(query, torch.tensor([query_position])).flatten()
        @ rotate(key, torch.tensor([key_position])).flatten()
    )


def test_rotated_scores_depend_on_the_difference_of_positions_only() -> None:
    torch.manual_seed(2)
    query, key = torch.randn(2, 1, 1, 1, 16, dtype=torch.float64)
    near = score(query, key, 7, 4)
    assert score(query, key, 107, 104) == pytest.approx(near, abs=1e-4)
    assert score(query, key, 3, 0) == pytest.approx(near, abs=1e-4)
    assert score(query, key, 4, 7) != pytest.approx(near, abs=1e-2)
    assert rotate(query, torch.tensor([50])).norm() == pytest.approx(float(query.norm()))


def test_a_rotation_keeps_the_type_of_what_it_rotates() -> None:
    assert rotate(torch.ones(1, 1, 2, 4, dtype=torch.bfloat16), torch.arange(2)).dtype == torch.bfloat16


@pytest.mark.parametrize("width", [2, 6, 16])
def test_halves_side_by_side_turn_as_halves_apart(width: int) -> None:
    x, places = torch.randn(3, 2, 4, width), torch.tensor([5, 0, 700, 2])  # (B, H, T, K)
    order = interleaving(width)
    assert order.view(-1, 2).diff(dim=1).eq(width // 2).all()
    turned = InterleavedRotation.at(places, width).turn(x[..., order])
    torch.testing.assert_close(turned, rotate(x, places)[..., order])


@pytest.mark.parametrize("kind", [SplitRotation, InterleavedRotation])
def test_a_part_is_turned_in_place(kind: type[SplitRotation] | type[InterleavedRotation]) -> None:
    places = torch.tensor([4, 9, 1])
    rotation = kind.at(places[:, None, None], 8)
    parts = torch.randn(3, 3, 2, 8)  # (N, 3, H, K): queries, keys, values
    before = parts.clone()
    rotation.turn_(parts[:, :2])
    assert torch.equal(parts[:, 2], before[:, 2])
    torch.testing.assert_close(parts[:, :2], rotation.turn(before[:, :2]))
    some = torch.tensor([2, 0])
    torch.testing.assert_close(rotation.of(some).turn(before[some, :2]), parts[some, :2])
