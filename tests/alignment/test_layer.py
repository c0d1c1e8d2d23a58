"""The choice of the layer by agreement with the HMM aligners."""

import random

import pytest
import torch

from nmt.alignment.layer import choose_layer
from nmt.alignment.linking import cut_pair, encode_pair
from nmt.alignment.text_aligner import TextAligner, train_text_aligner
from nmt.checkpoint import TranslationModel

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


def aligner_of(model: TranslationModel, pairs: list[tuple[str, str]]) -> TextAligner:
    sizes = model.src_tokenizer.vocab_size, model.tgt_tokenizer.vocab_size
    cut = [cut_pair(encode_pair(model, *pair)) for pair in pairs]
    return train_text_aligner(cut, vocab_sizes=sizes, is_joint=True)


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
    pairs = copied_pairs(300)
    aligner = aligner_of(toy_model, pairs)
    choice = choose_layer(toy_model, pairs, aligner)
    assert choice.layer == good_layer
    assert choice.error_rates[good_layer - 1] < 0.2
    assert choice.error_rates[2 - good_layer] > 0.5
    assert choose_layer(toy_model, pairs, aligner) == choice
