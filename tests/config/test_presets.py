"""What is chosen by the number of sentence pairs, at the borders of every range."""

from dataclasses import asdict

import pytest

from nmt.config import from_dict
from nmt.config.presets import SIZES, dropout, learning_rate, merge, preset, typical_pairs, vocab_size
from nmt.errors import ConfigError


@pytest.mark.parametrize(
    ("num_pairs", "size"),
    [
        (1, "tiny"),
        (50_000, "tiny"),
        (50_001, "small"),
        (200_000, "small"),
        (200_001, "base"),
        (5_000_000, "base"),
        (5_000_001, "big"),
        (10**9, "big"),
    ],
)
def test_auto_takes_the_size_that_suits_the_corpus(num_pairs: int, size: str) -> None:
    assert preset("auto", num_pairs=num_pairs) == preset(size, num_pairs=num_pairs)


@pytest.mark.parametrize(
    ("size", "layers", "d_model", "d_ff", "num_heads"),
    [
        ("tiny", (4, 4), 128, 256, 4),
        ("small", (4, 4), 256, 1024, 4),
        ("base", (6, 6), 512, 2048, 8),
        ("big", (6, 6), 1024, 4096, 16),
        ("fast", (8, 1), 256, 1024, 4),
    ],
)
def test_the_sizes_are_the_documented_ones(
    size: str, layers: tuple[int, int], d_model: int, d_ff: int, num_heads: int
) -> None:
    model = from_dict(preset(size, num_pairs=1000)).model
    assert (model.encoder_layers, model.decoder_layers) == layers
    assert (model.d_model, model.d_ff, model.num_heads) == (d_model, d_ff, num_heads)


def test_a_size_is_measured_with_as_many_pairs_as_it_is_for_and_fast_with_those_of_small() -> None:
    pairs = {size: typical_pairs(size) for size in SIZES}
    small, base = 200_000, 5_000_000
    assert pairs == {"tiny": 50_000, "small": small, "base": base, "big": 2 * base, "fast": small}


@pytest.mark.parametrize("size", SIZES)
def test_the_more_pairs_the_more_is_in_a_batch(size: str) -> None:
    counts = (50_000, 50_001, 999_999, 1_000_000)
    trainings = [from_dict(preset(size, num_pairs=num_pairs)).training for num_pairs in counts]
    assert [training.batch_tokens for training in trainings] == [2048, 4096, 4096, 25_000]
    assert [training.warmup_steps for training in trainings] == [2000, 2000, 2000, 4000]


@pytest.mark.parametrize(
    ("num_pairs", "num_passes", "expected"),
    [
        (999_999, 1, 0.1),
        (999_999, 15, 0.1),
        (999_999, 15.1, 0.2),
        (29_000, 30, 0.2),
        (29_000, 30.1, 0.3),
        (1_000_000, 1000, 0.1),
    ],
)
def test_dropout_grows_with_the_passes_over_few_pairs(
    num_pairs: int, num_passes: float, expected: float
) -> None:
    assert dropout(num_pairs, num_passes) == expected


def test_a_preset_that_is_not_there_is_refused() -> None:
    expected = "--preset huge: expected one of auto, tiny, small, base, big, fast"
    with pytest.raises(ConfigError, match=expected):
        preset("huge", num_pairs=1)


@pytest.mark.parametrize(
    ("num_pairs", "expected"),
    [
        (1, 2_000),
        (15_000, 2_000),
        (15_001, 4_000),
        (50_000, 4_000),
        (50_001, 8_000),
        (300_000, 8_000),
        (300_001, 16_000),
        (2_000_000, 16_000),
        (2_000_001, 32_000),
    ],
)
def test_the_vocabulary_grows_with_the_corpus(num_pairs: int, expected: int) -> None:
    assert vocab_size(num_pairs) == expected


@pytest.mark.parametrize(
    ("d_model", "expected"), [(128, 0.005), (256, 0.0018), (512, 0.00063), (1024, 0.00022)]
)
def test_the_learning_rate_falls_with_the_width(d_model: int, expected: float) -> None:
    assert learning_rate(d_model) == expected


def test_later_options_win_and_the_given_ones_stay_as_they_are() -> None:
    below = preset("tiny", num_pairs=1000)
    before = {section: dict(options) for section, options in below.items()}
    merged = merge(below, {"model": {"d_ff": 512}}, {"model": {"d_ff": 768}, "data": {"max_length": 50}})
    assert merged["model"] == {**before["model"], "d_ff": 768}
    assert (merged["data"], merged["training"]) == ({"max_length": 50}, before["training"])
    assert below == before
    assert asdict(from_dict(merged).model)["d_ff"] == 768
