"""Small networks in the variants of ModelConfig: every pair of choices occurs in one of them."""

from collections.abc import Callable, Iterator
from itertools import combinations, product
from typing import Any

import pytest
import torch
from torch import nn

from nmt.config import ModelConfig
from nmt.model import Transformer

SRC_VOCAB_SIZE, TGT_VOCAB_SIZE = 23, 19
CHOICES: dict[str, tuple[Any, ...]] = {
    "norm_position": ("pre", "post"),
    "positions": ("sinusoidal", "learned", "rotary"),
    "activation": ("relu", "gelu", "silu"),
    "gated": (False, True),
    "norm": ("layer", "rms"),
    "bias": (True, False),
    "qk_norm": (False, True),
    "tied_embeddings": ("all", "target", "none"),
}


def covering_variants() -> Iterator[ModelConfig]:
    """Few variants in which every two choices of different options meet."""
    variants = [dict(zip(CHOICES, values, strict=True)) for values in product(*CHOICES.values())]
    missing = {pair for variant in variants for pair in combinations(variant.items(), 2)}
    while missing:
        best = max(variants, key=lambda variant: len(missing.intersection(combinations(variant.items(), 2))))
        missing.difference_update(combinations(best.items(), 2))
        yield ModelConfig(
            encoder_layers=2, decoder_layers=2, d_model=24, d_ff=40, num_heads=3, max_positions=64, **best
        )


def name_of(config: ModelConfig) -> str:
    return "-".join(str(getattr(config, option)) for option in CHOICES)


@pytest.fixture(scope="session", params=list(covering_variants()), ids=name_of)
def network(request: pytest.FixtureRequest) -> Transformer:
    """A network of each variant with random weights, also where they begin as zero or one; eval mode."""
    return make_network(request.param)


def make_network(config: ModelConfig) -> Transformer:
    torch.manual_seed(5)
    src_vocab_size = TGT_VOCAB_SIZE if config.tied_embeddings == "all" else SRC_VOCAB_SIZE
    network = Transformer(config, src_vocab_size=src_vocab_size, tgt_vocab_size=TGT_VOCAB_SIZE).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return network


@pytest.fixture
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture
def make_linear() -> Callable[..., nn.Linear]:
    """`make_linear(num_inputs, num_outputs, bias=…)`: a layer, always the same of a size."""

    def make(num_inputs: int, num_outputs: int, *, bias: bool = True) -> nn.Linear:
        torch.manual_seed(num_inputs + num_outputs)
        return nn.Linear(num_inputs, num_outputs, bias=bias).requires_grad_(False)

    return make
