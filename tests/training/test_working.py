"""The copy in bfloat16 that computes: it follows the master, and trains it as float32 does."""

import pytest
import torch

from nmt.config import ModelConfig, TrainingConfig
from nmt.corpus.batching import Batch, collate
from nmt.corpus.encoded import EncodedCorpus
from nmt.model import Transformer
from nmt.training.gradient import compute_gradient
from nmt.training.optimizer import make_optimizer
from nmt.training.working import WorkingNetwork
from nmt.workers import Workers

VOCAB_SIZE = 23


def make_network() -> Transformer:
    torch.manual_seed(3)
    config = ModelConfig(encoder_layers=2, decoder_layers=2, d_model=32, d_ff=64, num_heads=2, dropout=0.1)
    return Transformer(config, src_vocab_size=VOCAB_SIZE, tgt_vocab_size=VOCAB_SIZE).train()


def make_batch() -> Batch:
    """Sixty sentences that are to be said backwards."""
    generator = torch.Generator().manual_seed(1)
    lines = [torch.randint(4, VOCAB_SIZE, (5,), generator=generator).tolist() for _ in range(60)]
    return collate(EncodedCorpus.from_pairs((line, line[::-1]) for line in lines), torch.arange(60))


def losses(precision: str, num_steps: int) -> list[float]:
    """Nats per token of so many steps on one batch."""
    network, batch = make_network(), make_batch()
    training = TrainingConfig(precision=precision, learning_rate=3e-3)
    working, optimizer = WorkingNetwork(network, precision), make_optimizer(network, training)
    found = []
    for step in range(num_steps):
        gradient = compute_gradient(working, batch, training=training, workers=Workers(), step=step)
        optimizer.step()
        found.append(gradient.nll / batch.num_tokens)
    return found


def test_float32_works_with_the_network_itself() -> None:
    network = make_network()
    assert WorkingNetwork(network, "float32").network is network


def test_the_copy_holds_the_weights_of_the_last_refresh_rounded() -> None:
    network = make_network()
    working = WorkingNetwork(network, "bfloat16")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1)
    working.refresh()
    assert working.network.out_proj.weight is working.network.tgt_embedding.weight  # still one
    for rounded, exact in zip(working.network.parameters(), network.parameters(), strict=True):
        assert torch.equal(rounded, exact.bfloat16())
        assert exact.dtype == torch.float32


def test_training_in_bfloat16_follows_training_in_float32() -> None:
    exact, rounded = losses("float32", 60), losses("bfloat16", 60)
    assert exact[-1] < 0.6 * exact[0]
    assert rounded == pytest.approx(exact, rel=0.02)
