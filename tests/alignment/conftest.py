"""A toy model: its tokenizer knows a few words, its weights are random."""

import pytest
import torch

from nmt.checkpoint import TranslationModel, build_network
from nmt.config.schema import Config, ModelConfig, TokenizerConfig
from nmt.tokenizer import Tokenizer, train_tokenizer

LINES = [
    "der Hund ist groß.",
    "das Haus im Garten",
    "eine Katze und die Tür",
    "the dog is big.",
    "the house",
    "a cat",
]


@pytest.fixture(scope="session")
def toy_tokenizer() -> Tokenizer:
    return train_tokenizer(LINES * 5, TokenizerConfig(), vocab_size=400, exact=False, threads=1)


@pytest.fixture
def toy_model(toy_tokenizer: Tokenizer) -> TranslationModel:
    model_config = ModelConfig(
        encoder_layers=1, decoder_layers=2, d_model=32, d_ff=64, num_heads=2, dropout=0.0, positions="rotary"
    )
    config = Config(model=model_config)
    torch.manual_seed(1)
    network = build_network(config, toy_tokenizer, toy_tokenizer).eval()
    return TranslationModel(config, toy_tokenizer, toy_tokenizer, network, manifest={})
