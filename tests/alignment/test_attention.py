"""Reading attention: no off-by-one, whatever the batch.

What a position of the decoder sees is known exactly in three kinds of networks: one with random weights,
where only causality counts; one made by hand, whose cross-attention looks up its own input in the source;
and one that has learnt to copy backwards, where each step must look at the piece it outputs.
"""

import random
from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch.nn import functional

from nmt.alignment.attention import attend, reading_layer
from nmt.checkpoint import TranslationModel
from nmt.config.schema import ModelConfig
from nmt.model import Transformer
from nmt.model.forced import PiecePair
from nmt.tokenizer import BOS_ID, EOS_ID

FIRST_SYMBOL, NUM_SYMBOLS = 4, 10
SMALL = ModelConfig(encoder_layers=1, decoder_layers=2, d_model=32, d_ff=64, num_heads=2, dropout=0.0)


def make_network(config: ModelConfig = SMALL) -> Transformer:
    torch.manual_seed(1)
    size = FIRST_SYMBOL + NUM_SYMBOLS
    return Transformer(config, src_vocab_size=size, tgt_vocab_size=size).eval()


def lookup_network() -> Transformer:
    """A network that does nothing but look for the symbol of the decoder's input in the source."""
    network = make_network(replace(SMALL, positions="rotary"))
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if ".out_proj." in name:
                weight.zero_()  # nothing is added to the embeddings
            elif "query_proj.weight" in name or "key_value_proj.weight" in name:
                weight.copy_(4 * torch.eye(SMALL.d_model).repeat(len(weight) // SMALL.d_model, 1))
    return network


def symbols(text: str) -> list[int]:
    return [FIRST_SYMBOL + int(digit) for digit in text]


def pair(src: str, tgt: str) -> PiecePair:
    return PiecePair(symbols(src), symbols(tgt))


def links(network: Transformer, src: str, tgt: str, read: Literal["input", "output"]) -> list[int]:
    """The source position with the largest attention, for each position of the target."""
    (by_layer,) = attend(network, [pair(src, tgt)], [1], read)
    return by_layer[1].argmax(-1).tolist()


@pytest.mark.parametrize(
    ("src", "tgt", "expected"),
    [
        pytest.param("0123456789", "0123456789", [*range(10)], id="copy"),
        pytest.param("0123456789", "9876543210", [*range(9, -1, -1)], id="reversed copy"),
        pytest.param("31425", "54321", [4, 2, 0, 3, 1], id="permutation"),
        pytest.param("31425", "31", [0, 1], id="truncated target"),
        pytest.param("31425", "425", [2, 3, 4], id="target without the prefix"),
        pytest.param("31", "3311", [0, 0, 1, 1], id="target with repeats"),
        pytest.param("7", "7", [0], id="one piece"),
    ],
)
def test_input_read_links_each_piece_to_what_it_looks_up(src: str, tgt: str, expected: list[int]) -> None:
    network = lookup_network()
    assert links(network, src, tgt, "input") == expected
    assert links(network, src, tgt, "output")[1:] == expected[:-1]  # the step before had the piece before


@pytest.mark.parametrize("changed", range(5))
def test_input_read_has_seen_the_piece_and_output_read_has_not(changed: int) -> None:
    network = make_network()
    other = f"{'31425'[:changed]}9{'31425'[changed + 1 :]}"
    for read, first_different in (("input", changed), ("output", changed + 1)):
        before, after = (attend(network, [pair("31425", tgt)], [2], read)[0][2] for tgt in ("31425", other))
        same = (before - after).abs().amax(-1) < 1e-6
        assert same.tolist() == [row < first_different for row in range(5)]


def test_truncation_leaves_the_rows_before_it_as_they_are() -> None:
    network = make_network()
    whole = attend(network, [pair("31425", "31425")], [2])[0][2]
    for length in range(1, 5):
        part = attend(network, [pair("31425", "31425"[:length])], [2])[0][2]
        torch.testing.assert_close(part, whole[:length])


def learn() -> Transformer:
    """A network that has learnt to write five random symbols again, from the last to the first."""
    network = make_network(replace(SMALL, decoder_layers=1, positions="learned")).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2, betas=(0.9, 0.98))
    generator = torch.Generator().manual_seed(1)
    for step in range(200):
        optimizer.param_groups[0]["lr"] = 1e-2 * min((step + 1) / 50, 1 - step / 200)
        src = torch.randint(FIRST_SYMBOL, FIRST_SYMBOL + NUM_SYMBOLS, (64, 5), generator=generator)
        bos, eos = torch.full((64, 1), BOS_ID), torch.full((64, 1), EOS_ID)
        logits = network.logits(network(torch.cat([src, eos], 1), torch.cat([bos, src.flip(1)], 1)))
        loss = functional.cross_entropy(logits.flatten(0, 1), torch.cat([src.flip(1), eos], 1).flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


def test_each_step_of_a_learnt_copy_looks_at_the_piece_it_outputs() -> None:
    network = learn()
    generator = random.Random(2)
    lines = ["".join(generator.choices("0123456789", k=5)) for _ in range(50)]
    expected = [4, 3, 2, 1, 0]
    output_hits = input_hits = shifted_hits = 0
    for line in lines:
        found, shifted = (links(network, line, line[::-1], read) for read in ("output", "input"))
        output_hits += sum(map(int.__eq__, found, expected))
        input_hits += sum(map(int.__eq__, shifted, expected))
        shifted_hits += sum(map(int.__eq__, shifted, expected[1:]))  # it looks at what comes next
    assert output_hits >= 0.95 * 5 * len(lines)
    assert shifted_hits >= 0.95 * 4 * len(lines)
    assert input_hits <= 0.4 * 5 * len(lines)


def test_rows_sum_to_one_over_the_pieces_without_eos() -> None:
    for read in ("input", "output"):
        (by_layer,) = attend(make_network(), [pair("314", "15926")], [1, 2], read)
        for matrix in by_layer.values():
            assert matrix.shape == (5, 3)
            torch.testing.assert_close(matrix.sum(-1), torch.ones(5))


def test_padded_equals_alone() -> None:
    pairs = [pair("31415926", "1"), pair("2", "2718281"), pair("71828", "314")]
    network = make_network()
    together = attend(network, pairs, [1, 2])
    for each, by_layer in zip(pairs, together, strict=True):
        (alone,) = attend(network, [each], [1, 2])
        for layer in (1, 2):
            torch.testing.assert_close(by_layer[layer], alone[layer], atol=1e-5, rtol=1e-5)


def test_layer_is_the_given_the_stored_or_the_shaped(toy_model: TranslationModel) -> None:
    stored = replace(toy_model.config, alignment=replace(toy_model.config.alignment, layer=2))
    assert reading_layer(toy_model, 1) == 1
    assert reading_layer(replace(toy_model, config=stored)) == 2
    assert reading_layer(toy_model) == toy_model.config.model.alignment_layer
