"""The loss against its formula, and against torch."""

import math

import pytest
import torch
from torch.nn import functional

from nmt.config import ModelConfig
from nmt.corpus.batching import Batch, collate
from nmt.corpus.encoded import EncodedCorpus
from nmt.model import Transformer
from nmt.tokenizer import BOS_ID, EOS_ID, PAD_ID, SEPARATOR_ID
from nmt.training import loss as loss_module
from nmt.training.loss import batch_loss

VOCAB_SIZE = 11
PAIRS = [([5, 6], [7]), ([4, 8, 9], [5, 6, 7, 10]), ([10], [4, 4]), ([6, 7, 8, 4], [9, 5, 8])]


@pytest.fixture
def network() -> Transformer:
    """A network without dropout, in float64 so that sums in another order agree."""
    torch.manual_seed(3)
    config = ModelConfig(encoder_layers=1, decoder_layers=1, d_model=8, d_ff=16, num_heads=2, dropout=0.0)
    return Transformer(config, src_vocab_size=VOCAB_SIZE, tgt_vocab_size=VOCAB_SIZE).double()


@pytest.fixture
def batch() -> Batch:
    """Four pairs of different lengths."""
    return collate(EncodedCorpus.from_pairs(PAIRS), torch.arange(4))


def loss_of(
    network: Transformer, batch: Batch, smoothing: float, reconstruction: float = 0.0
) -> tuple[float, float]:
    loss = batch_loss(network, batch, label_smoothing=smoothing, reconstruction=reconstruction)
    return float(loss.objective.detach()), float(loss.nll)


def test_the_loss_is_the_formula_worked_position_by_position(network, batch) -> None:
    smoothing = 0.2
    log_probs = network.logits(network(batch.src_tokens, batch.tgt_in)).float().log_softmax(-1).tolist()
    smoothed = nll = 0.0
    for row, targets in zip(log_probs, batch.tgt_out.tolist(), strict=True):
        for position, target in zip(row, targets, strict=True):
            if target != PAD_ID:
                nll -= position[target]
                smoothed -= (1 - smoothing) * position[target] + smoothing * math.fsum(position) / VOCAB_SIZE
    assert loss_of(network, batch, smoothing) == pytest.approx((smoothed, nll), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_the_loss_is_that_of_torch(network, batch, smoothing: float) -> None:
    logits = network.logits(network(batch.src_tokens, batch.tgt_in)).float()
    expected = functional.cross_entropy(
        logits.flatten(0, 1),
        batch.tgt_out.flatten(),
        ignore_index=PAD_ID,
        label_smoothing=smoothing,
        reduction="sum",
    )
    assert loss_of(network, batch, smoothing)[0] == pytest.approx(float(expected.detach()), rel=1e-5)


def test_the_reconstruction_is_the_formula_worked_pair_by_pair(network, batch, monkeypatch) -> None:
    monkeypatch.setattr(loss_module, "TELL_EVERY", 1)
    expected = 0.0
    for src, tgt in PAIRS:
        encoder_out = network.encode(torch.tensor([[*src, EOS_ID]]))
        decoded = network.decode(torch.tensor([[BOS_ID, *tgt]]), encoder_out, attention_layers=[0])
        weights = decoded.attention[0][0].mean(0)[1:].double()  # (T, S), heads averaged, BOS left out
        for row, piece in zip(weights, tgt, strict=True):
            attended = sum(w * state for w, state in zip(row, encoder_out.states[0], strict=True))
            expected -= float(network.logits(attended).log_softmax(-1)[piece].detach())
        embedded = network.tgt_embedding.weight[tgt] * network.config.d_model**0.5  # (T, D)
        for column, piece in zip(weights.T, src, strict=False):  # EOS left out
            attended = sum(w * each for w, each in zip(column / column.sum(), embedded, strict=True))
            logits = network.src_embedding.weight @ (network.tgt_to_src.weight @ attended)
            expected -= loss_module.SOURCE_SHARE * float(logits.log_softmax(-1)[piece].detach())
    plain, _ = loss_of(network, batch, 0.1)
    objective, _ = loss_of(network, batch, 0.1, reconstruction=0.5)
    assert objective - plain == pytest.approx(0.5 * expected, rel=1e-4)


def test_about_every_fourth_piece_is_told_whatever_the_batch() -> None:
    tokens = torch.randint(4, 2000, (300, 15), generator=torch.Generator().manual_seed(1))
    pieces = torch.ones_like(tokens, dtype=torch.bool)
    told = loss_module._some(tokens, pieces)
    assert told.float().mean().item() == pytest.approx(1 / loss_module.TELL_EVERY, abs=0.02)
    assert torch.equal(loss_module._some(tokens[7:9], pieces[7:9]), told[7:9])
    padded, padded_pieces = functional.pad(tokens, (0, 4)), functional.pad(pieces, (0, 4))
    assert torch.equal(loss_module._some(padded, padded_pieces)[:, :15], told)


@pytest.mark.parametrize("reconstruction", [0.0, 0.5])
def test_padding_adds_nothing(network, batch, reconstruction: float) -> None:
    wider = Batch(
        *(functional.pad(each, (0, 3)) for each in (batch.src_tokens, batch.tgt_in, batch.tgt_out)),
        batch.num_tokens,
    )
    found, expected = (loss_of(network, each, 0.1, reconstruction) for each in (wider, batch))
    assert found == pytest.approx(expected, rel=1e-6)
    assert batch.num_tokens == sum(len(tgt) + 1 for _, tgt in PAIRS) == int((batch.tgt_out != PAD_ID).sum())


def test_a_tag_and_the_context_are_no_pieces_to_be_told_from_the_other_side(network, monkeypatch) -> None:
    told: list[torch.Tensor] = []
    monkeypatch.setattr(loss_module, "_some", lambda _, pieces: told.append(pieces) or pieces)
    for before in ([3], [3, 5, 6, SEPARATOR_ID], [3, 5, SEPARATOR_ID, 6, 7, SEPARATOR_ID]):
        corpus = EncodedCorpus.from_pairs(([*before, *src], tgt) for src, tgt in PAIRS)
        batch = collate(corpus, torch.arange(4), num_tags=1)
        for each in (batch, *batch.split(2), batch.to(torch.device("cpu"))):
            loss_of(network, each, 0.1, 0.5)
            _, src_pieces = told[-2:]
            assert not src_pieces[:, : len(before)].any()
            assert int(src_pieces.sum()) == int((each.src_tokens[:, len(before) :] > EOS_ID).sum())
