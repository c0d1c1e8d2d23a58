"""A step is measured without training anything."""

from types import SimpleNamespace

import pytest
import torch

from nmt.config import ModelConfig, TrainingConfig
from nmt.corpus.batching import collate
from nmt.corpus.encoded import EncodedCorpus
from nmt.model import Transformer
from nmt.training import rehearsal
from nmt.training.rehearsal import measure_step

VOCAB_SIZE = 11
BATCH = collate(EncodedCorpus.from_pairs([([5, 6], [7]), ([4, 8, 9], [5, 6, 7, 10])]), torch.arange(2))


@pytest.fixture
def network() -> Transformer:
    config = ModelConfig(encoder_layers=1, decoder_layers=1, d_model=8, d_ff=16, num_heads=2)
    torch.manual_seed(3)
    return Transformer(config, src_vocab_size=VOCAB_SIZE, tgt_vocab_size=VOCAB_SIZE)


def test_a_step_takes_the_mean_of_those_after_two_to_warm_up_and_changes_nothing(
    network: Transformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, seconds = 0, iter([90, 30, 1, 2, 6])

    def take_time(*_: object) -> None:
        nonlocal now
        now += next(seconds)

    network.encoder[0].register_forward_hook(take_time)  # once in each step of the copy
    monkeypatch.setattr(rehearsal, "time", SimpleNamespace(perf_counter=lambda: now))
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    assert measure_step(network, [BATCH] * 3, TrainingConfig(threads=1)) == (1 + 2 + 6) / 3
    assert list(seconds) == []
    assert all(torch.equal(weight, before[name]) for name, weight in network.state_dict().items())
    assert all(weight.grad is None for weight in network.parameters())
