"""The network in all its variants: padding, batches and the order of layers change nothing they must not."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nmt.config import ModelConfig
from nmt.config.presets import SIZES
from nmt.model import DecoderOut, Transformer

SENTENCES = ([5, 9, 7, 11, 16, 3], [8, 4, 3], [12, 6, 15, 3])
TARGETS = ([2, 8, 4, 17, 9], [2, 10, 5, 3, 3], [2, 5, 18, 7, 11])
PADDED = torch.tensor([sentence + [0] * (9 - len(sentence)) for sentence in SENTENCES])  # (B, S)
TARGET = torch.tensor(TARGETS)  # (B, T)
CONFIG = ModelConfig(encoder_layers=1, decoder_layers=2, d_model=24, d_ff=40, num_heads=3)


def assert_close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-5)


def decoded(network: Transformer, source: Tensor, target: Tensor) -> DecoderOut:
    """States and the attention of every layer."""
    return network.decode(target, network.encode(source), attention_layers=range(len(network.decoder)))


# In every variant


@torch.no_grad()
def test_batched_and_padded_is_alone_and_unpadded(network: Transformer) -> None:
    together = decoded(network, PADDED, TARGET)
    encoded = network.encode(PADDED)
    for row, sentence in enumerate(SENTENCES):
        source = torch.tensor([sentence])
        alone = decoded(network, source, TARGET[row : row + 1])
        real = slice(0, len(sentence))
        assert_close(together.states[row], alone.states[0])
        assert_close(encoded.states[row, real], network.encode(source).states[0])
        assert encoded.mask[row].tolist() == [True] * len(sentence) + [False] * (9 - len(sentence))
        for layer, weights in alone.attention.items():
            assert_close(together.attention[layer][row, :, :, real], weights[0])


@torch.no_grad()
def test_padding_behind_a_target_changes_nothing_before_it(network: Transformer) -> None:
    padded = torch.cat([TARGET, torch.zeros(3, 4, dtype=torch.long)], dim=1)
    assert_close(network(PADDED, padded)[:, :5], network(PADDED, TARGET))


@torch.no_grad()
def test_asking_for_weights_changes_nothing_else(network: Transformer) -> None:
    with_weights = decoded(network, PADDED, TARGET)
    encoder_out = network.encode(PADDED)
    without = network.decode(TARGET, encoder_out)
    assert without.attention == {}
    assert_close(with_weights.states, without.states)
    (layer, weights), *none = network.decode(TARGET, encoder_out, attention_layers=[1]).attention.items()
    assert (layer, none) == (1, [])
    assert_close(weights, with_weights.attention[1])
    lowest = network.decode(TARGET, encoder_out, attention_layers=[0], last_layer=0)
    assert lowest.attention.keys() == {0}
    assert torch.equal(lowest.attention[0], with_weights.attention[0])


@torch.no_grad()
def test_attention_sums_to_one_over_real_source_positions_only(network: Transformer) -> None:
    for weights in decoded(network, PADDED, TARGET).attention.values():
        assert weights.shape == (3, 3, 5, 9)
        assert_close(weights.sum(-1), torch.ones(3, 3, 5))
        for row, sentence in enumerate(SENTENCES):
            assert not weights[row, :, :, len(sentence) :].any()
            assert (weights[row, :, :, : len(sentence)] > 0).all()


@torch.no_grad()
def test_later_target_pieces_change_nothing_before_them(network: Transformer) -> None:
    before = decoded(network, PADDED, TARGET)
    for position in range(1, 5):
        changed = TARGET.clone()
        changed[:, position:] = 14
        after = decoded(network, PADDED, changed)
        assert_close(after.states[:, :position], before.states[:, :position])
        assert not torch.allclose(after.states[:, position], before.states[:, position], atol=1e-3)
        for layer, weights in after.attention.items():
            assert_close(weights[:, :, :position], before.attention[layer][:, :, :position])


@torch.no_grad()
def test_the_order_of_source_and_target_matters(network: Transformer) -> None:
    states = network(PADDED, TARGET)
    swapped_source, swapped_target = PADDED.clone(), TARGET.clone()
    swapped_source[:, [0, 1]] = PADDED[:, [1, 0]]
    swapped_target[:, [1, 2]] = TARGET[:, [2, 1]]
    assert not torch.allclose(network(swapped_source, TARGET), states, atol=1e-3)
    assert not torch.allclose(network(PADDED, swapped_target)[:, 3:], states[:, 3:], atol=1e-3)


def source_logits(network: Transformer, tgt_tokens: Tensor) -> Tensor:
    """Of the source piece behind each target piece, (B, T, V), as training asks for them."""
    return functional.linear(
        network.tgt_to_src(network.embed_target(tgt_tokens)), network.src_embedding.weight
    )


def test_every_weight_learns(network: Transformer) -> None:
    network.zero_grad()
    told = source_logits(network, TARGET).logsumexp(-1).sum()
    (told + network.logits(network(PADDED, TARGET)).logsumexp(-1).sum()).backward()
    without = [name for name, parameter in network.named_parameters() if not parameter.grad.any()]
    network.zero_grad()
    assert without == []


@torch.no_grad()
def test_the_norm_at_the_end_belongs_to_pre_norm(network: Transformer) -> None:
    names = [name.split(".")[0] for name, _ in network.named_parameters()]
    assert ("encoder_norm" in names) == ("decoder_norm" in names) == (network.config.norm_position == "pre")


def test_without_biases_there_are_none(network: Transformer) -> None:
    biases = [name for name, _ in network.named_parameters() if name.endswith("bias")]
    assert bool(biases) == network.config.bias


def test_shared_embeddings_are_one_tensor(network: Transformer) -> None:
    source, target, out = (
        part.weight for part in (network.src_embedding, network.tgt_embedding, network.out_proj)
    )
    tied = network.config.tied_embeddings
    assert (source is target) == (tied == "all")
    assert (out is target) == (tied != "none")
    names = {name.split(".")[0] for name, _ in network.named_parameters()}
    expected = {"all": set(), "target": {"src_embedding"}, "none": {"src_embedding", "out_proj"}}[tied]
    assert names & {"src_embedding", "out_proj"} == expected


@torch.no_grad()
def test_logits_are_products_with_the_output_embedding(network: Transformer) -> None:
    states = torch.randn(2, 3, 24)
    assert_close(network.logits(states), states @ network.out_proj.weight.T)


@pytest.mark.parametrize("norm_position", ["pre", "post"])
def test_training_in_bfloat16_comes_close_to_float32(norm_position: str) -> None:
    torch.manual_seed(1)
    network = Transformer(
        replace(CONFIG, norm_position=norm_position, dropout=0.0), src_vocab_size=23, tgt_vocab_size=23
    )
    losses, gradients = [], []
    for enabled in (False, True):
        network.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            logits = network.logits(network(PADDED, TARGET[:, :-1]))
            told = source_logits(network, TARGET)
        loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), TARGET[:, 1:].flatten())
        (loss + told.float().logsumexp(-1).mean()).backward()
        losses.append(float(loss.detach()))
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in network.parameters()]))
    assert losses[1] == pytest.approx(losses[0], rel=0.01)
    assert (gradients[1] - gradients[0]).norm() < 0.05 * gradients[0].norm()


@torch.no_grad()
def test_dropout_in_training_repeats_with_the_seed() -> None:
    network = Transformer(replace(CONFIG, dropout=0.3), src_vocab_size=23, tgt_vocab_size=23).train()

    def states(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return network(PADDED, TARGET)

    assert torch.equal(states(1), states(1))
    assert not torch.equal(states(1), states(2))


# Weights


@pytest.mark.parametrize(
    ("size", "vocab_size", "expected"),
    [
        # with D, F and layers L + M: L (4D² + 4D) + (L + M) (2DF + F + D) + M (8D² + 8D) for attention and
        # feed-forward, 2D for each of 2L + 3M + 2 norms, VD for the one embedding, D² from target to source
        ("tiny", 4_000, 1_853_952),
        ("small", 8_000, 9_487_360),
        ("base", 32_000, 60_786_688),
        ("fast", 8_000, 9_486_080),
    ],
)
def test_the_presets_have_as_many_weights_as_worked_out_by_hand(
    size: str, vocab_size: int, expected: int
) -> None:
    with torch.device("meta"):
        network = Transformer(
            ModelConfig(**SIZES[size]), src_vocab_size=vocab_size, tgt_vocab_size=vocab_size
        )
    assert sum(parameter.numel() for parameter in network.parameters()) == expected


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        ({"tied_embeddings": "target"}, 23 * 24),
        ({"tied_embeddings": "none"}, 2 * 23 * 24),
        ({"positions": "learned", "max_positions": 10}, 2 * 10 * 24),
        ({"positions": "rotary"}, 0),
        ({"qk_norm": True}, 5 * 2 * 24 // CONFIG.num_heads),  # 1 + 2 · 2 attentions
        ({"gated": True}, 3 * (24 * 40 + 40)),
        ({"norm_position": "post"}, -2 * 48),
        ({"norm": "rms"}, -10 * 24),  # 1 · 2 + 2 · 3 + 2 norms
        ({"bias": False}, -10 * 24 - 5 * 4 * 24 - 3 * (40 + 24)),
    ],
    ids=str,
)
def test_a_choice_costs_as_many_weights_as_worked_out_by_hand(
    options: dict[str, object], difference: int
) -> None:
    counts = [
        sum(
            parameter.numel()
            for parameter in Transformer(config, src_vocab_size=23, tgt_vocab_size=23).parameters()
        )
        for config in (CONFIG, replace(CONFIG, **options))
    ]
    assert counts[1] - counts[0] == difference


@pytest.mark.parametrize("tied", ["all", "target", "none"])
@torch.no_grad()
def test_new_weights_have_the_scale_they_should(tied: str) -> None:
    torch.manual_seed(2)
    config = ModelConfig(
        encoder_layers=1, decoder_layers=1, d_model=64, d_ff=96, gated=True, tied_embeddings=tied
    )
    network = Transformer(config, src_vocab_size=300, tgt_vocab_size=300)
    for weight in (network.src_embedding.weight, network.tgt_embedding.weight, network.out_proj.weight):
        assert float(weight[1:].std()) == pytest.approx(1 / 8, rel=0.03)
    assert not network.src_embedding.weight[0].any()
    assert not network.tgt_embedding.weight[0].any()
    layer = network.decoder[0]
    for weight, (num_in, num_out) in {
        layer.attention.in_proj.weight: (64, 64),  # queries, keys and values each by itself
        layer.cross_attention.key_value_proj.weight: (64, 64),
        layer.feed_forward.in_proj.weight: (64, 96),
        layer.feed_forward.out_proj.weight: (96, 64),
    }.items():
        bound = math.sqrt(6 / (num_in + num_out))
        assert 0.98 * bound < float(weight.abs().max()) <= bound
    assert all(not p.any() for name, p in network.named_parameters() if name.endswith("bias"))


def test_resetting_draws_the_same_network_from_the_same_seed() -> None:
    networks = []
    for _ in range(2):
        torch.manual_seed(7)
        networks.append(Transformer(CONFIG, src_vocab_size=23, tgt_vocab_size=23))
    used = networks[1]
    with torch.no_grad():
        for parameter in used.parameters():
            parameter += 1
    expected = {name: parameter.clone() for name, parameter in networks[0].named_parameters()}
    for network in networks:
        torch.manual_seed(8)
        network.reset_parameters()
    for name, parameter in networks[0].named_parameters():
        assert torch.equal(parameter, used.get_parameter(name)), name
    assert not torch.equal(networks[0].tgt_embedding.weight, expected["tgt_embedding.weight"])
