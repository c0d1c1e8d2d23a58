"""Positions: the paper's sinusoids, learned places, and rotations that show only differences."""

import math

import pytest
import torch
from torch import Tensor

from nmt.model.positions import Positions, rotate, sinusoids

CPU = torch.device("cpu")


def test_sinusoids_by_hand() -> None:
    """Width 4: the angles are p / 10000^(0/4) and p / 10000^(2/4); both sines first, then both cosines."""
    expected = [[math.sin(p), math.sin(p / 100), math.cos(p), math.cos(p / 100)] for p in range(50)]
    torch.testing.assert_close(sinusoids(0, 50, 4, CPU), torch.tensor(expected), rtol=0, atol=1e-5)


@pytest.mark.parametrize("d_model", [1, 2, 7, 64])
def test_sinusoids_have_the_papers_values(d_model: int) -> None:
    found = sinusoids(3, 2, d_model, CPU)
    half = (d_model + 1) // 2
    for p, row in enumerate(found.tolist(), start=3):
        angles = [p / 10_000 ** (i / half) for i in range(half)]
        expected = [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
        assert row == pytest.approx(expected[:d_model], abs=1e-5)


@pytest.mark.parametrize("kind", ["sinusoidal", "learned", "rotary"])
def test_a_start_continues_the_sequence(kind: str) -> None:
    positions = Positions(kind, 8, 20)
    x = torch.randn(2, 6, 8)
    whole = positions(x)
    torch.testing.assert_close(positions(x[:, 4:], start=4), whole[:, 4:])
    assert torch.equal(whole, x) == (kind == "rotary")  # rotations come later, in attention


def test_learned_places_are_added_and_the_last_one_repeats() -> None:
    positions = Positions("learned", 8, 5)
    assert positions.learned is not None
    places = positions.learned.weight
    found = positions(torch.zeros(1, 4, 8), start=3)
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
    found = rotate(x.expand(1, 1, 4, 4), start=5)
    torch.testing.assert_close(found, torch.tensor(expected).view(1, 1, 4, 4))


def score(query: Tensor, key: Tensor, query_position: int, key_position: int) -> float:
    return float(rotate(query, query_position).flatten() @ rotate(key, key_position).flatten())


def test_rotated_scores_depend_on_the_difference_of_positions_only() -> None:
    torch.manual_seed(2)
    query, key = torch.randn(2, 1, 1, 1, 16, dtype=torch.float64)
    near = score(query, key, 7, 4)
    assert score(query, key, 107, 104) == pytest.approx(near, abs=1e-4)
    assert score(query, key, 3, 0) == pytest.approx(near, abs=1e-4)
    assert score(query, key, 4, 7) != pytest.approx(near, abs=1e-2)
    assert rotate(query, 50).norm() == pytest.approx(float(query.norm()))


def test_a_rotation_keeps_the_type_of_what_it_rotates() -> None:
    assert rotate(torch.ones(1, 1, 2, 4, dtype=torch.bfloat16), 0).dtype == torch.bfloat16
