"""The choice of the layer by agreement with the HMM aligner."""

import random

import pytest
import torch

from nmt.alignment.layer import HMM_CELLS, choose_layer, sample_pairs
from nmt.checkpoint import TranslationModel
from nmt.errors import DataError

SENTENCES = ["der Hund", "das Haus", "ist groß", "im Garten", "eine Katze", "und die Tür"]


def copied_pairs(count: int) -> list[tuple[str, str]]:
    """Lines of which the other side has the same words in another order."""
    generator = random.Random(1)
    words = sorted({word for sentence in SENTENCES for word in sentence.split()})
    pairs = []
    for _ in range(count):
        chosen = generator.sample(words, generator.randint(2, 6))
        pairs.append((" ".join(chosen), " ".join(generator.sample(chosen, len(chosen)))))
    return pairs


@pytest.mark.parametrize("good_layer", [1, 2])
def test_the_layer_that_looks_words_up_is_chosen(toy_model: TranslationModel, good_layer: int) -> None:
    with torch.no_grad():
        for name, weight in toy_model.network.named_parameters():
            if ".out_proj." in name:
                weight.zero_()
            elif "query_proj.weight" in name or "key_value_proj.weight" in name:
                is_good = name.startswith(f"decoder.{good_layer - 1}.")
                width = weight.size(1)
                weight.copy_((4 if is_good else 0) * torch.eye(width).repeat(len(weight) // width, 1))
    choice = choose_layer(toy_model, copied_pairs(300))
    assert choice.layer == good_layer
    assert choice.error_rates[good_layer - 1] < 0.2
    assert choice.error_rates[2 - good_layer] > 0.5


def test_the_choice_is_reproducible(toy_model: TranslationModel) -> None:
    pairs = copied_pairs(100)
    assert choose_layer(toy_model, pairs) == choose_layer(toy_model, pairs)


def test_pairs_without_words_are_no_basis_for_a_choice(toy_model: TranslationModel) -> None:
    with pytest.raises(DataError, match="no pair of lines with words"):
        choose_layer(toy_model, [("", "the"), (" ", "")])


def test_the_sample_is_bounded_and_lower_cased() -> None:
    long = " ".join(["Wort"] * 999)
    sample = sample_pairs([(long, long)] * 20)
    assert len(sample) == HMM_CELLS // 1000**2
    assert sample[0][1][0][0] == "wort"
