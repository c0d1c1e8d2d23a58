"""The count of operations agrees with torch's, which watches what is computed."""

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from nmt.config import ModelConfig
from nmt.corpus.batching import Batch
from nmt.model import Transformer
from nmt.training.consistency import Consistency
from nmt.training.flops import TrainingFlops, flops_of_batches
from nmt.training.loss import batch_loss

VOCAB = 50
TINY = {"encoder_layers": 2, "decoder_layers": 3, "d_model": 16, "d_ff": 40, "num_heads": 2}
DROPPED = {"attention_dropout": 0.1}  # attention in plain products, all of which torch counts


def make_batch(num_pairs: int, *, src_length: int, tgt_length: int) -> Batch:
    """Random pairs without padding; 3 is the end of a sentence as anything else is."""

    def rows(length: int) -> Tensor:
        return torch.randint(4, VOCAB, (num_pairs, length))

    tgt = rows(tgt_length)
    return Batch(rows(src_length), tgt, tgt, num_tokens=tgt.numel())


def counted(
    config: ModelConfig, batch: Batch, *, reconstruction: float, consistency: Consistency | None = None
) -> float:
    """Operations of matrix products as torch sees them."""
    network = Transformer(config, src_vocab_size=VOCAB, tgt_vocab_size=VOCAB).train()
    with FlopCounterMode(display=False) as counter:
        loss = batch_loss(
            network, batch, label_smoothing=0.1, reconstruction=reconstruction, consistency=consistency
        )
        parameters = list(network.parameters())
        torch.autograd.grad(loss.objective, parameters, materialize_grads=True)
    return counter.get_total_flops()


def count(config: ModelConfig, *batches: Batch, reconstruction: bool, num_passes: int = 1) -> TrainingFlops:
    return flops_of_batches(
        batches,
        config,
        src_vocab_size=VOCAB,
        tgt_vocab_size=VOCAB,
        reconstruction=reconstruction,
        num_passes=num_passes,
    )


@pytest.mark.parametrize("options", [{}, {"gated": True}, {"tied_embeddings": "none"}], ids=str)
def test_it_is_what_torch_counts(options: dict) -> None:
    config = ModelConfig(**TINY, **DROPPED, **options)
    batch = make_batch(5, src_length=7, tgt_length=9)
    assert count(config, batch, reconstruction=False).total == counted(config, batch, reconstruction=0.0)
    twice = counted(config, batch, reconstruction=0.0, consistency=Consistency("rdrop", 1.0))
    assert count(config, batch, reconstruction=False, num_passes=2).total == twice


def test_the_reconstruction_tells_about_one_piece_in_four() -> None:
    config = ModelConfig(**TINY, **DROPPED)
    batch = make_batch(200, src_length=21, tgt_length=25)
    flops = count(config, batch, reconstruction=True)
    assert flops.reconstruction > 0.05 * flops.total
    plain = counted(config, batch, reconstruction=0.0)
    told = counted(config, batch, reconstruction=0.5) - plain
    assert flops.total - flops.reconstruction == plain
    assert flops.reconstruction == pytest.approx(told, rel=0.1)


def test_padding_is_no_work_and_batches_add_up() -> None:
    config = ModelConfig(**TINY)
    short, long = make_batch(1, src_length=3, tgt_length=4), make_batch(1, src_length=8, tgt_length=6)

    def padded(a: Tensor, b: Tensor) -> Tensor:
        return torch.cat([torch.nn.functional.pad(a, (0, b.size(1) - a.size(1))), b])

    both = Batch(
        padded(short.src_tokens, long.src_tokens),
        padded(short.tgt_in, long.tgt_in),
        padded(short.tgt_out, long.tgt_out),
        num_tokens=10,
    )
    together, apart = (count(config, *batches, reconstruction=True) for batches in ([both], [short, long]))
    assert together == apart
    assert together.per(10).total == pytest.approx(together.total / 10)
