"""Dropout zeroes the share it says, keeps the mean, and passes the gradient through the same mask."""

import math
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from nmt.model.dropout import dropout, seeded

MANY = 1 << 18


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(4)


def deviation(rate: float, count: int) -> float:
    return math.sqrt(rate * (1 - rate) / count)


@pytest.mark.parametrize(
    ("rate", "steps"), [(0.1, 26), (0.3, 77), (0.5, 128), (1e-9, 1), (0.996, 255), (0.9999, 255)]
)
def test_the_rate_is_a_number_of_256ths_and_the_mean_stays(rate: float, steps: int) -> None:
    out = dropout(torch.ones(MANY), rate)
    exact = steps / 256
    kept = out[out != 0]
    assert torch.equal(kept, torch.full_like(kept, 1 / (1 - exact)))
    assert 1 - kept.numel() / MANY == pytest.approx(exact, abs=5 * deviation(exact, MANY))
    assert float(out.mean()) == pytest.approx(1, abs=5 * deviation(exact, MANY) / (1 - exact))


def test_every_byte_of_a_random_number_drops_alike_and_by_itself() -> None:
    dropped = (dropout(torch.ones(MANY), 0.25) == 0).double().view(-1, 8)  # 8 elements of one random number
    bound = 5 * deviation(0.25, len(dropped))
    assert dropped.mean(0).tolist() == pytest.approx([0.25] * 8, abs=bound)
    correlations = torch.corrcoef(dropped.T) - torch.eye(8)
    assert float(correlations.abs().max()) < 5 / math.sqrt(len(dropped))


def test_the_gradient_passes_through_the_same_mask() -> None:
    x = torch.randn(5, 7, requires_grad=True)
    out = dropout(x, 0.4)
    out.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad * x, out)
    assert x.grad.unique().tolist() == pytest.approx([0, 256 / (256 - 102)])


def test_the_seed_of_torch_repeats_it() -> None:
    x = torch.ones(1000)
    first, second = dropout(x, 0.5), dropout(x, 0.5)
    torch.manual_seed(4)
    assert torch.equal(dropout(x, 0.5), first)
    assert not torch.equal(first, second)


def test_a_stream_of_its_own_depends_on_its_seed_only_and_leaves_torch_s_alone() -> None:
    x, cpu = torch.ones(1000), torch.device("cpu")
    before = torch.get_rng_state()
    with seeded(5, cpu):
        first, second = dropout(x, 0.5), dropout(x, 0.5)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(9)
    with seeded(5, cpu):
        assert torch.equal(dropout(x, 0.5), first)
        with seeded(6, cpu):
            assert not torch.equal(dropout(x, 0.5), second)
        assert torch.equal(dropout(x, 0.5), second)


def test_every_thread_draws_from_its_own_stream() -> None:
    x, cpu = torch.ones(1000), torch.device("cpu")
    both_inside = threading.Barrier(2, timeout=20)

    def draw(seed: int) -> list[Tensor]:
        with seeded(seed, cpu):
            both_inside.wait()
            return [dropout(x, 0.5) for _ in range(20)]

    with ThreadPoolExecutor(2) as pool:
        side_by_side = list(pool.map(draw, [5, 6]))
    for seed, drawn in zip([5, 6], side_by_side, strict=True):
        with seeded(seed, cpu):
            assert all(torch.equal(dropout(x, 0.5), each) for each in drawn)


def test_a_rate_of_zero_gives_the_input_and_draws_nothing() -> None:
    x = torch.randn(10)
    state = torch.get_rng_state()
    assert dropout(x, 0.0) is x
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (7,), (8,), (9,), (3, 0, 2), (3, 5, 7)])
def test_any_number_of_elements_will_do(shape: tuple[int, ...]) -> None:
    out = dropout(torch.ones(shape), 0.5)
    assert out.shape == shape
    assert set(out.flatten().tolist()) <= {0.0, 2.0}


@pytest.mark.parametrize(
    "strange",
    [
        torch.arange(1.0, 106).view(3, 5, 7).transpose(0, 2),
        torch.arange(1.0, 106)[::3],
        torch.arange(1.0, 8).expand(4, 7),
    ],
    ids=["transposed", "every third", "expanded"],
)
def test_any_strides_will_do(strange: Tensor) -> None:
    torch.manual_seed(4)
    expected = dropout(strange.contiguous(), 0.5)
    torch.manual_seed(4)
    assert torch.equal(dropout(strange, 0.5), expected)
    assert ((expected == 0) | (expected == 2 * strange)).all()


def test_bfloat16_stays_bfloat16() -> None:
    out = dropout(torch.ones(MANY, dtype=torch.bfloat16), 0.3)
    assert out.dtype == torch.bfloat16
    assert float(out.float().mean()) == pytest.approx(1, abs=0.01)  # the factor has 8 bits
