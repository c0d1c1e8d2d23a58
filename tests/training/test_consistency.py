"""Two passes over a batch: their loss worked by hand, its gradient against torch's, and what is cut off."""

import math

import pytest
import torch
from torch import Tensor

from nmt.config import ModelConfig
from nmt.corpus.batching import collate
from nmt.corpus.encoded import EncodedCorpus
from nmt.model import Transformer
from nmt.model.dropout import seeded
from nmt.tokenizer import BOS_ID, EOS_ID, PAD_ID
from nmt.training import cross_entropy as cross_entropy_module
from nmt.training import loss as loss_module
from nmt.training.consistency import Consistency, consistent_cross_entropy, seen
from nmt.training.loss import batch_loss

N, D, V = 13, 6, 29
PAIRS = [([5, 6], [7]), ([4, 8, 9], [5, 6, 7, 10]), ([10], [4, 4]), ([6, 7, 8, 4], [9, 5, 8])]
RDROP, SIMCUT = Consistency("rdrop", 5.0), Consistency("simcut", 3.0, cutoff=0.3)
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("kind", "loss", "nll", "divergence"),
    [
        # p = (0.8, 0.2), q = (0.5, 0.5), the first piece is right:
        # KL(p‖q) = 0.8 ln 1.6 + 0.2 ln 0.4 = 0.192745, KL(q‖p) = 0.5 ln 0.625 + 0.5 ln 2.5 = 0.223144
        ("rdrop", (0.2231436 + 0.6931472 + 5 * (0.1927448 + 0.2231436) / 2) / 2, 0.458145, 0.207944),
        ("simcut", 0.2231436 + 5 * 0.1927448, 0.2231436, 0.1927448),
    ],
)
def test_the_loss_is_that_of_the_papers_worked_by_hand(kind, loss, nll, divergence) -> None:
    states = torch.tensor([[math.log(4.0)], [0.0]], dtype=torch.float64)  # one position in both passes
    weight = torch.tensor([[1.0], [0.0]], dtype=torch.float64)
    found = consistent_cross_entropy(
        states, weight, torch.tensor([0]), label_smoothing=0.0, consistency=Consistency(kind, 5.0)
    )
    assert [float(each) for each in found] == pytest.approx([loss, nll, divergence], abs=1e-6)


def plain(states: Tensor, weight: Tensor, targets: Tensor, smoothing: float, kind: str) -> Tensor:
    """The same as torch would compute it, with α = 5."""
    first, second = ((half @ weight.T).log_softmax(-1) for half in states.chunk(2))

    def smoothed(log_probs: Tensor) -> Tensor:
        wanted = log_probs.gather(1, targets[:, None]).sum()
        return -(1 - smoothing) * wanted - smoothing * log_probs.mean(1).sum()

    ahead = (first.exp() * (first - second)).sum()
    if kind == "simcut":
        return smoothed(first) + 5 * ahead
    back = (second.exp() * (second - first)).sum()
    return (smoothed(first) + smoothed(second)) / 2 + 5 / 4 * (ahead + back)


@pytest.mark.parametrize("kind", ["rdrop", "simcut"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.bfloat16, 0.03)])
def test_the_gradient_goes_through_both_passes_in_blocks(kind, dtype, tolerance, monkeypatch) -> None:
    monkeypatch.setattr(cross_entropy_module, "BLOCK", {"cpu": 4 * V})
    monkeypatch.setattr("nmt.training.consistency.BLOCKS_PER_PRODUCT", 2)  # products of eight rows and five
    generator = torch.Generator().manual_seed(1)
    states, weight = (torch.randn(size, D, generator=generator).to(dtype) for size in (2 * N, V))
    targets = torch.randint(V, (N,), generator=generator)
    inputs = states.requires_grad_(), weight.requires_grad_()
    loss, *_ = consistent_cross_entropy(
        *inputs, targets, label_smoothing=0.1, consistency=Consistency(kind, 5.0)
    )
    exact = [each.detach().double().requires_grad_() for each in inputs]
    expected = plain(*exact, targets, 0.1, kind)
    torch.testing.assert_close(loss.double(), expected, rtol=tolerance, atol=0)
    found = torch.autograd.grad(3 * loss, inputs)
    for own, wanted in zip(found, torch.autograd.grad(3 * expected, exact), strict=True):
        assert own.dtype == dtype
        assert float((own.double() - wanted).norm()) <= tolerance * float(wanted.norm())


def make_network(dropout: float) -> Transformer:
    torch.manual_seed(3)
    config = ModelConfig(encoder_layers=1, decoder_layers=1, d_model=8, d_ff=16, num_heads=2, dropout=dropout)
    return Transformer(config, src_vocab_size=11, tgt_vocab_size=11).double().train()


def test_a_token_that_is_cut_off_is_known_by_its_place_only(monkeypatch) -> None:
    """The second pass is one over tokens whose embedding is zero; padding's is, if nothing masks it."""
    network, batch = make_network(dropout=0.0), collate(EncodedCorpus.from_pairs(PAIRS[3:]), torch.arange(1))
    src_cut, tgt_cut = torch.tensor([[1, 1, 0, 1, 1.0]]), torch.tensor([[1, 0, 1, 1.0]])
    both = [torch.cat([torch.ones_like(cut), cut]).double() for cut in (src_cut, tgt_cut)]
    monkeypatch.setattr(loss_module, "seen", lambda *_: both)
    found = batch_loss(network, batch, label_smoothing=0.1, reconstruction=0.5, consistency=SIMCUT)
    first = batch_loss(network, batch, label_smoothing=0.1, reconstruction=0.5)

    tokens = (
        batch.src_tokens.masked_fill(src_cut == 0, PAD_ID),
        batch.tgt_in.masked_fill(tgt_cut == 0, PAD_ID),
    )
    x = network._embed(tokens[0], network.src_embedding, network.src_positions)
    for layer in network.encoder:
        x = layer(x, None)
    nothing_masked = loss_module.EncoderOut(network.encoder_norm(x), torch.ones(1, 5, dtype=torch.bool))
    second = network.logits(network.decode(tokens[1], nothing_masked).states).log_softmax(-1)
    log_probs = network.logits(network(batch.src_tokens, batch.tgt_in)).log_softmax(-1)
    divergence = (log_probs.exp() * (log_probs - second)).sum()
    assert float(found.divergence) == pytest.approx(float(divergence.detach()))
    assert float(found.nll) == pytest.approx(float(first.nll))
    expected = float(first.objective.detach()) + SIMCUT.weight * float(divergence.detach())
    assert float(found.objective.detach()) == pytest.approx(expected)


def test_pieces_are_cut_off_in_the_second_pass_alone_and_marks_never() -> None:
    tagged = EncodedCorpus.from_pairs([([3, *range(4, 54)], list(range(4, 54)))] * 40)
    batch = collate(tagged, torch.arange(40), num_tags=1)
    with seeded(1, CPU):
        both = seen(batch, SIMCUT, torch.float32)
    for kept, tokens in zip(both, (batch.src_tokens, batch.tgt_in), strict=True):
        first, second = kept.chunk(2)
        assert bool((first == 1).all())
        marks = (tokens == BOS_ID) | (tokens == EOS_ID) | (tokens == 3)
        assert bool((second[marks] == 1).all())
        assert second[~marks].mean().item() == pytest.approx(1 - SIMCUT.cutoff, abs=0.03)
    assert seen(batch, RDROP, torch.float32) == (None, None)


@pytest.mark.parametrize("consistency", [RDROP, SIMCUT], ids=["rdrop", "simcut"])
def test_predictions_differ_by_what_is_dropped_and_agree_without(consistency) -> None:
    batch = collate(EncodedCorpus.from_pairs(PAIRS), torch.arange(4))

    def divergence(dropout: float, consistency: Consistency) -> float:
        network = make_network(dropout)
        with seeded(1, CPU):
            loss = batch_loss(
                network, batch, label_smoothing=0.1, reconstruction=0.5, consistency=consistency
            )
        return float(loss.divergence)

    assert divergence(0.5, consistency) > 0.01
    assert divergence(0.0, Consistency(consistency.kind, 5.0)) == pytest.approx(0.0, abs=1e-12)
