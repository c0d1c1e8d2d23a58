"""The gradient in parts against that of the whole, side by side and one by one, and where memory ends."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from nmt.config import ModelConfig, TrainingConfig
from nmt.corpus.batching import Batch, collate
from nmt.corpus.encoded import EncodedCorpus
from nmt.errors import ResourceError
from nmt.model import Transformer
from nmt.training import gradient
from nmt.training.gradient import Gradient, compute_gradient, make_workers, parts_each
from nmt.training.loss import batch_loss
from nmt.training.rehearsal import Rehearsal, parts_that_fit
from nmt.training.working import WorkingNetwork
from nmt.workers import Workers

VOCAB_SIZE = 11
PAIRS = [([5, 6], [7]), ([4, 8, 9], [5, 6, 7, 10]), ([10], [4, 4]), ([6, 7, 8, 4], [9, 5, 8])]


def make_network(dropout: float = 0.0) -> Transformer:
    """A network in float64, so that sums in another order agree."""
    torch.manual_seed(3)
    config = ModelConfig(encoder_layers=1, decoder_layers=1, d_model=8, d_ff=16, num_heads=2, dropout=dropout)
    return Transformer(config, src_vocab_size=VOCAB_SIZE, tgt_vocab_size=VOCAB_SIZE).double().train()


def make_batch(pairs: list[tuple[list[int], list[int]]]) -> Batch:
    return collate(EncodedCorpus.from_pairs(pairs), torch.arange(len(pairs)))


def gradient_of(
    network: Transformer,
    batch: Batch,
    *,
    count: int = 1,
    step: int = 0,
    num_parts: int = 1,
    precision: str = "float32",
) -> tuple[Gradient, list[Tensor]]:
    """What is told of the gradient, and the gradient itself, computed by so many workers."""
    training = TrainingConfig(precision=precision)
    found = compute_gradient(
        WorkingNetwork(network, precision),
        batch,
        training=training,
        workers=Workers(count),
        step=step,
        num_parts=num_parts,
    )
    return found, [parameter.grad.clone() for parameter in network.parameters()]


@contextmanager
def memory_for(num_tokens: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let memory end for batches of more than so many tokens."""

    def limited(network: Transformer, batch: Batch, **options):
        if batch.num_tokens > num_tokens:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return batch_loss(network, batch, **options)

    with monkeypatch.context() as patch:
        patch.setattr(gradient, "batch_loss", limited)
        yield


@pytest.mark.parametrize("count", [1, 2, 3, 9])
@pytest.mark.parametrize("num_parts", [1, 2, 4, 9])
def test_the_gradient_in_parts_is_that_of_the_whole(count: int, num_parts: int) -> None:
    network, batch = make_network(), make_batch(PAIRS)
    usual = TrainingConfig()
    loss = batch_loss(
        network, batch, label_smoothing=usual.label_smoothing, reconstruction=usual.reconstruction
    )
    expected = torch.autograd.grad(loss.objective / batch.num_tokens, list(network.parameters()))
    found, gradients = gradient_of(network, batch, count=count, num_parts=num_parts)
    assert found.nll == pytest.approx(float(loss.nll), rel=1e-6)
    torch.testing.assert_close(gradients, list(expected), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("count", [1, 2])
def test_what_is_dropped_is_a_function_of_step_and_part_only(count: int) -> None:
    network, batch = make_network(dropout=0.5), make_batch(PAIRS)
    _, first = gradient_of(network, batch, count=count, step=7)
    before = torch.get_rng_state()
    _, again = gradient_of(network, batch, count=count, step=7)
    _, other = gradient_of(network, batch, count=count, step=8)
    assert all(map(torch.equal, first, again))
    assert not all(map(torch.equal, first, other))
    assert torch.equal(torch.get_rng_state(), before)


def test_in_bfloat16_too_the_same_comes_out_every_time() -> None:
    network, batch = make_network(dropout=0.5).float(), make_batch(3 * PAIRS)
    _, first = gradient_of(network, batch, count=3, precision="bfloat16")
    for _ in range(20):
        _, again = gradient_of(network, batch, count=3, precision="bfloat16")
        assert all(map(torch.equal, first, again))


@pytest.mark.parametrize("tied_embeddings", ["all", "target", "none"])
@pytest.mark.parametrize("reconstruction", [0.0, 0.5])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_gradient_lies_in_memory_as_its_parameter(
    tied_embeddings: str, reconstruction: float, precision: str
) -> None:
    """The fused optimiser takes them element by element as they lie there."""
    config = ModelConfig(
        encoder_layers=1, decoder_layers=1, d_model=8, d_ff=16, num_heads=2, tied_embeddings=tied_embeddings
    )
    network = Transformer(config, src_vocab_size=VOCAB_SIZE, tgt_vocab_size=VOCAB_SIZE).train()
    training = TrainingConfig(reconstruction=reconstruction)
    working = WorkingNetwork(network, precision)
    compute_gradient(working, make_batch(PAIRS), training=training, workers=Workers(2), step=1)
    for parameter in network.parameters():
        assert parameter.grad.stride() == parameter.stride()
        assert parameter.grad.dtype == parameter.dtype


def test_workers_and_parts_draw_alike() -> None:
    """Two workers with one part each, or one worker with two: the same four pairs in the same two parts."""
    network, batch = make_network(dropout=0.5), make_batch(PAIRS)
    _, side_by_side = gradient_of(network, batch, count=2, step=3)
    _, in_turn = gradient_of(network, batch, num_parts=2, step=3)
    torch.testing.assert_close(side_by_side, in_turn)  # sums on other numbers of cores differ in the last bit


@pytest.mark.parametrize(
    ("batch_tokens", "micro_batch", "num_sharers", "num_parts"),
    [(4096, 4096, 1, 1), (4096, 2048, 2, 1), (25_000, 4096, 2, 4), (4096, 100, 8, 6), (4096, "auto", 2, 1)],
)
def test_a_share_is_cut_into_as_many_parts_as_micro_batches_it_holds(
    batch_tokens: int, micro_batch, num_sharers: int, num_parts: int
) -> None:
    training = TrainingConfig(batch_tokens=batch_tokens, micro_batch=micro_batch)
    assert parts_each(training, num_sharers) == num_parts


@pytest.mark.parametrize(("most", "num_parts"), [(1000, 1), (9, 2), (5, 4)])
def test_a_rehearsal_finds_in_how_many_parts_every_batch_fits(most: int, num_parts: int, monkeypatch) -> None:
    network = make_network().float()
    training = TrainingConfig(precision="float32", learning_rate=1e-3)
    with memory_for(most, monkeypatch):
        rehearsal = Rehearsal(network, training)
        assert parts_that_fit(rehearsal, [make_batch(PAIRS[:1]), make_batch(PAIRS)]) == num_parts


@pytest.mark.parametrize(("count", "num_tokens"), [(1, 9), (2, 8)])  # every second pair has 5 and 9
def test_a_batch_that_does_not_fit_is_computed_in_more_parts_with_the_same_gradient(
    count: int, num_tokens: int, monkeypatch
) -> None:
    network, batch = make_network(), make_batch(PAIRS)
    _, expected = gradient_of(network, batch)
    with memory_for(num_tokens, monkeypatch):
        found, gradients = gradient_of(network, batch, count=count)
    assert (found.num_parts, found.left_out) == (2, ())
    torch.testing.assert_close(gradients, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("count", [1, 2])
def test_a_pair_that_does_not_fit_alone_is_left_out(count: int, monkeypatch) -> None:
    network, batch = make_network(), make_batch(PAIRS)
    with memory_for(4, monkeypatch):  # the second has 5 with EOS
        found, gradients = gradient_of(network, batch, count=count)
    assert found.left_out == (1,)
    rest = make_batch([PAIRS[0], *PAIRS[2:]])
    of_rest, expected = gradient_of(network, rest)
    assert found.nll == pytest.approx(of_rest.nll, rel=1e-6)
    share = rest.num_tokens / batch.num_tokens
    torch.testing.assert_close(gradients, [each * share for each in expected], rtol=1e-5, atol=1e-7)


def test_memory_that_is_not_enough_for_any_pair_is_an_error(monkeypatch) -> None:
    with (
        memory_for(1, monkeypatch),
        pytest.raises(ResourceError, match=r"out of memory: not even one pair of 5 source and 5 target"),
    ):
        gradient_of(make_network(), make_batch(PAIRS))


def test_any_other_error_of_a_worker_is_raised(monkeypatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(gradient, "batch_loss", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        gradient_of(make_network(), make_batch(PAIRS), count=2)


@pytest.mark.parametrize(
    ("num_cores", "options", "num_workers"),
    [
        (4, {"batch_tokens": 4096}, 4),
        (4, {"batch_tokens": 25_000}, 4),
        (4, {"batch_tokens": 2500}, 2),
        (4, {"batch_tokens": 2047}, 1),
        (1, {"batch_tokens": 25_000}, 1),
        (6, {"batch_tokens": 4096}, 3),  # of two cores each; four of one would leave two cores idle
        (7, {"batch_tokens": 4096}, 3),
        (5, {"batch_tokens": 25_000}, 5),
        (64, {"batch_tokens": 25_000}, 8),
    ],
)
def test_every_worker_has_enough_to_do_and_few_cores_have_nothing(
    num_cores: int, options: dict[str, int], num_workers: int, monkeypatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: num_cores)
    assert make_workers(torch.device("cpu"), TrainingConfig(**options)).num_workers == num_workers
    assert make_workers(torch.device("cuda"), TrainingConfig(**options)).num_workers == 1
