"""What is measured is positive and adds up; how long that takes is set small here."""

from itertools import pairwise

import pytest
import torch

from nmt.config import Config, from_dict
from nmt.training import bench as module
from nmt.training.bench import Bench, bench, made_up_pairs, nominal_tflops

OPTIONS = {
    "model": {"encoder_layers": 1, "decoder_layers": 1, "d_model": 16, "d_ff": 32, "num_heads": 2},
    "tokenizer": {"vocab_size": 100},
    "training": {"batch_tokens": 300, "device": "cpu", "threads": 1},
    "decoding": {"batch_tokens": 300, "beam_size": 2},
}


@pytest.fixture(scope="module")
def found() -> Bench:
    """A tiny model on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SQUARES", {"cpu": (64,)})
        patch.setattr(module, "ROUND_SECONDS", 0.001)
        patch.setattr(module, "TRAINING_SECONDS", 0.05)
        patch.setattr(module, "COPIED_BYTES", 2**16)
        return bench(from_dict(OPTIONS), with_profile=True)


def test_every_precision_has_its_rates(found) -> None:
    assert [rate.precision for rate in found.machine.products] == ["float32", "bfloat16"]
    assert [rate.precision for rate in found.training] == ["float32", "bfloat16"]
    for product, rate in zip(found.machine.products, found.training, strict=True):
        assert min(product.gflops, rate.tokens_per_second, rate.step_seconds) > 0
        assert rate.gflops == pytest.approx(rate.flops_per_token.total * rate.tokens_per_second / 1e9)
        assert rate.share_of_peak == pytest.approx(rate.gflops / product.gflops)
    assert found.machine.copy_gbytes > 0
    assert found.machine.nominal_tflops == 0


def test_greedy_and_beam_search_have_theirs(found) -> None:
    greedy, beam = found.translation
    assert (greedy.beam_size, beam.beam_size) == (1, 2)
    assert greedy.num_sentences >= 2 * beam.num_sentences
    assert min(greedy.sentences_per_second, beam.sentences_per_second) > 0


def test_the_profile_is_the_whole_step(found) -> None:
    assert sum(part.share for part in found.profile) == pytest.approx(1)
    assert all(one.seconds >= other.seconds for one, other in pairwise(found.profile))
    parts = {part.part for part in found.profile}
    assert {"matrix products", "softmax and loss", "dropout", "norms", "optimiser"} <= parts


def test_lengths_vary_as_in_news_text() -> None:
    pairs = made_up_pairs(20_000, 100, longest=200)
    lengths = pairs.tgt_lengths.double()
    assert float(lengths.mean()) == pytest.approx(module.MEAN_LENGTH, abs=0.5)
    assert float(lengths.median()) == pytest.approx(module.MEDIAN_LENGTH, abs=1)
    ratio = (pairs.src_lengths / pairs.tgt_lengths).log().std()
    assert float(ratio) == pytest.approx(module.RATIO_SPREAD, abs=0.03)
    assert int(pairs.tgt_lengths.max()) <= 200
    assert torch.equal(pairs.tgt_tokens, made_up_pairs(20_000, 100, longest=200).tgt_tokens)


@pytest.mark.parametrize(
    ("name", "tflops"),
    [
        ("NVIDIA H200", 989),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA A10G", 70),
        ("CPU, 2 threads", 0),
    ],
)
def test_known_cards_have_a_nominal_rate(name: str, tflops: float) -> None:
    assert nominal_tflops(name) == tflops


def test_a_precision_that_is_asked_for_is_the_only_one() -> None:
    config: Config = from_dict(OPTIONS)
    assert module._precisions("float32", torch.device("cpu")) == ("float32",)
    assert module._precisions(config.training.precision, torch.device("mps")) == ("float32",)
