"""Choices by agreement with the HMM aligners."""

import random
from dataclasses import replace

import pytest
import torch

from nmt.alignment import choice
from nmt.alignment.choice import Probe, choose_layer, choose_threshold
from nmt.alignment.linking import align_pairs, cut_pair, encode_pair, link_by_text
from nmt.alignment.text_aligner import TextAligner, train_text_aligner
from nmt.checkpoint import TranslationModel, build_align_head
from nmt.corpus.links import Link

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


@pytest.mark.parametrize(
    ("num_pairs", "numbers"), [(2, [0, 1]), (4, [0, 1, 2, 3]), (7, [0, 1, 3, 5]), (12, [0, 3, 6, 9])]
)
def test_a_probe_is_of_pairs_from_all_over_the_text(
    num_pairs: int, numbers: list[int], toy_model: TranslationModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "PROBE_PAIRS", 4)
    pairs = copied_pairs(num_pairs)
    aligner = aligner_of(toy_model, pairs)
    probe = Probe.of(toy_model, pairs, aligner)
    assert probe.pairs == [pairs[number] for number in numbers]
    linked = link_by_text(toy_model, probe.pairs, aligner)
    assert probe.links == [frozenset(one.words().links) for one in linked]


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
    pairs = copied_pairs(100)
    aligner = aligner_of(toy_model, pairs)
    probe = Probe.of(toy_model, pairs, aligner)
    chosen = choose_layer(toy_model, probe)
    assert chosen.layer == good_layer
    assert chosen.error_rates[good_layer - 1] < 0.2
    assert chosen.error_rates[2 - good_layer] > 0.5
    assert choose_layer(toy_model, probe) == chosen


def test_the_threshold_that_finds_the_links_of_the_aligners_is_chosen(toy_model: TranslationModel) -> None:
    sizes = (toy_model.src_tokenizer.vocab_size,) * 2
    torch.manual_seed(2)
    head = build_align_head(toy_model.config, layer=1, vocab_sizes=sizes).eval()
    torch.nn.init.normal_(head.src_embedding.weight)
    torch.nn.init.normal_(head.tgt_embedding.weight)
    model, pairs = replace(toy_model, align_head=head), copied_pairs(20)

    def links(threshold: float) -> list[frozenset[Link]]:
        found = align_pairs(model, pairs, links_from="head")
        return [frozenset(one.words(threshold=threshold).links) for one in found]

    for wanted in (0.2, 0.6):
        assert links(wanted) != links(0.4)
        assert links(choose_threshold(model, Probe(pairs, links(wanted)))) == links(wanted)
    assert choose_threshold(model, Probe(pairs, [frozenset()] * len(pairs))) == 0
