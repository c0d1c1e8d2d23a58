"""The cross-entropy and its gradient worked by hand against torch's."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nmt.training import cross_entropy as module
from nmt.training.cross_entropy import cross_entropy

N, D, V = 13, 6, 29


@pytest.fixture(autouse=True)
def several_blocks(monkeypatch) -> None:
    """Blocks of four positions, the last one of them smaller."""
    monkeypatch.setattr(module, "BLOCK", {"cpu": 4 * V})


def inputs(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    states, weight = (torch.randn(size, D, generator=generator, dtype=dtype) for size in (N, V))
    targets = torch.randint(V, (N,), generator=generator)
    return states.requires_grad_(), weight.requires_grad_(), targets


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_the_loss_and_its_gradient_are_those_of_torch(smoothing: float) -> None:
    states, weight, targets = inputs()
    loss, nll = cross_entropy(states, weight, targets, label_smoothing=smoothing)
    logits = states @ weight.T
    expected = functional.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="sum")
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(nll, functional.cross_entropy(logits, targets, reduction="sum"))
    found, wanted = (torch.autograd.grad(3 * each, (states, weight)) for each in (loss, expected))
    torch.testing.assert_close(found, wanted)


def test_without_a_gradient_the_loss_is_the_same() -> None:
    states, weight, targets = inputs(torch.float32)
    with torch.no_grad():
        alone = cross_entropy(states, weight, targets, label_smoothing=0.1)
    torch.testing.assert_close(alone, cross_entropy(states, weight, targets, label_smoothing=0.1))


def test_in_bfloat16_the_softmax_is_of_float32() -> None:
    states, weight, targets = inputs(torch.bfloat16)
    loss, nll = cross_entropy(states, weight, targets, label_smoothing=0.1)
    logits = (states @ weight.T).float()  # rounded as they are inside
    torch.testing.assert_close(nll, functional.cross_entropy(logits, targets, reduction="sum"))
    (found,) = torch.autograd.grad(loss, weight)
    exact, *_ = torch.autograd.grad(
        functional.cross_entropy(logits, targets, label_smoothing=0.1, reduction="sum"), weight
    )
    torch.testing.assert_close(found, exact, rtol=0.02, atol=0.02)


def test_a_piece_that_seems_impossible_costs_what_it_costs() -> None:
    states, weight = torch.full((1, 1), 100.0), torch.tensor([[1.0], [-1.0]])
    loss, nll = cross_entropy(states, weight, torch.tensor([1]), label_smoothing=0.1)
    assert nll.item() == pytest.approx(200)
    assert loss.item() == pytest.approx(0.9 * 200 + 0.1 * 100)


def test_no_positions_lose_nothing() -> None:
    states, weight, _ = inputs()
    loss, nll = cross_entropy(states[:0], weight, torch.empty(0, dtype=torch.int64), label_smoothing=0.1)
    assert (loss.item(), nll.item()) == (0.0, 0.0)
    assert not torch.autograd.grad(loss, weight)[0].any()
