"""A tiny model that has learnt links too."""

from dataclasses import replace

import pytest
from safetensors.torch import save_file

from nmt.alignment.linking import cut_pair, encode_pair
from nmt.alignment.text_aligner import train_text_aligner
from nmt.checkpoint import TranslationModel

PAIRS = [
    ("Der Hund schläft.", "The dog is sleeping."),
    ("Die kleine Katze sieht den Hund im Garten.", "The little cat sees the dog in the garden."),
    ("Wir gehen morgen nach Hause.", "We are going home tomorrow."),
]


@pytest.fixture(scope="session")
def linked_model(tiny_model: TranslationModel, tmp_path_factory: pytest.TempPathFactory) -> TranslationModel:
    """The tiny model with HMM aligners of a few pairs."""
    cut = [cut_pair(encode_pair(tiny_model, *pair)) for pair in PAIRS]
    sizes = tiny_model.src_tokenizer.vocab_size, tiny_model.tgt_tokenizer.vocab_size
    path = tmp_path_factory.mktemp("links") / "hmm.safetensors"
    save_file(train_text_aligner(cut, vocab_sizes=sizes, is_joint=True).state(), path)
    return replace(tiny_model, hmm_path=path)
