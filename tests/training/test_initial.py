"""Training that begins with a finished model: its weights, what stays frozen or near, and what is refused."""

import re

import pytest
import torch

from nmt.checkpoint import WEIGHTS, load_tensors, stored_config
from nmt.config import TrainingConfig
from nmt.errors import ConfigError, Interrupted, ModelError, OutputError
from nmt.files import sha256_file
from nmt.training.data import prepare
from nmt.training.dry_run import dry_run
from nmt.training.initial import initial_network, initial_tokenizers
from nmt.training.optimizer import Anchor, make_optimizer
from nmt.training.options import resolve


@pytest.fixture(scope="module")
def old(corpus, tmp_path_factory):
    """The model to begin with."""
    return corpus.train(
        tmp_path_factory.mktemp("old") / "model", "training.max_steps=4", "alignment.head=false"
    )


@pytest.fixture
def further(make_corpus, pairs, old):
    """Other text, and what it takes to train the model further on it."""
    corpus = make_corpus(pairs(40, seed=5))
    begin = (
        f"training.init_from={old.model_dir}",
        "training.l2_init=0.1",
        "training.freeze=embeddings,encoder",
    )
    few_steps = ("training.max_steps=6", "training.eval_steps=3", "alignment.head=false")
    return corpus, (*begin, "model.dropout=0.2", *few_steps)


def test_a_model_is_trained_further_and_resumed_to_the_bit(further, old, tmp_path) -> None:
    corpus, options = further
    whole = corpus.train(tmp_path / "whole", *options)
    before, after = (load_tensors(run.model_dir / WEIGHTS) for run in (old, whole))
    frozen = {name for name in before if torch.equal(before[name], after[name])}
    assert frozen == {name for name in before if name.startswith(("encoder", "tgt_embedding"))}
    assert whole.config.training.init_from == str(old.model_dir)
    assert whole.manifest["training"]["initial"] == {
        "name": "model",
        "sha256": sha256_file(old.model_dir / WEIGHTS),
    }
    assert (whole.model_dir / "tokenizer.model").read_bytes() == (
        old.model_dir / "tokenizer.model"
    ).read_bytes()
    assert any(line.startswith("size: 1+1 layers of width 16, ") for line in log_of(whole))
    assert "began with the weights of `model`" in (whole.model_dir / "README.md").read_text()

    questions = iter(range(5))
    with pytest.raises(Interrupted, match="saved step 4"):
        corpus.train(tmp_path / "half", *options, stop_signal=lambda: 2 * (next(questions, None) is None))
    resumed = corpus.train(tmp_path / "half", *options)
    assert (resumed.weights, resumed.curve) == (whole.weights, whole.curve)


def log_of(trained) -> list[str]:
    return (trained.model_dir / "train" / "log.txt").read_text().splitlines()


def test_the_gradient_draws_weights_back_to_where_they_began(further) -> None:
    corpus, options = further
    config = corpus.config(*options)
    data = prepare(config, tokenizer_dir=initial_tokenizers(config))
    network = initial_network(config, data.tokenizers, torch.device("cpu"))
    anchor, norm = Anchor(network, 0.1), network.decoder_norm.weight
    assert all(group["params"] for group in make_optimizer(network, TrainingConfig()).param_groups)
    with torch.no_grad():
        norm += 2
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    anchor.add_gradient()
    assert torch.allclose(norm.grad, torch.full_like(norm, 1.2))  # 1 + 0.1 · 2
    assert torch.equal(network.decoder_norm.bias.grad, torch.ones_like(norm))
    assert network.tgt_embedding.weight.grad is None
    assert dry_run(config, corpus.folder / "model").num_parameters == sum(
        each.numel() for each in network.parameters()
    )


def test_sizes_tokenizer_and_languages_are_those_of_the_model(further, old) -> None:
    corpus, options = further
    asked = {key: values for key, values in corpus.options(*options).items() if key != "model"}
    config = resolve(None, asked, preset_name="auto", overrides=["training.learning_rate=0"])
    assert (config.model.d_model, config.model.encoder_layers) == (16, 1)
    assert (stored_config(old.model_dir).model.dropout, config.model.dropout) == (0.1, "auto")
    assert config.tokenizer.vocab_size == old.reports[0].tgt_vocab_size
    assert config.training.learning_rate == pytest.approx(1.5e-3 * 8**1.5, rel=0.05)
    for overrides, preset_name, message in (
        (
            ["model.d_model=32"],
            "auto",
            f"model.d_model: 32 was asked for, {old.model_dir} has 16; leave it out",
        ),
        ([], "small", f"--preset small: model.encoder_layers: 4 was asked for, {old.model_dir} has 1"),
        (["tokenizer.model=x"], "auto", f"tokenizer.model: x was asked for, {old.model_dir} has its own"),
        (["data.bidirectional=true"], "auto", "data.bidirectional: true was asked for"),
        (
            ["training.init_from="],
            "auto",
            "training.freeze: is for the weights of a finished model; give --in",
        ),
        (["training.freeze=embeddings,encoder,decoder"], "auto", "nothing would be left to train"),
        (["training.freeze=heads"], "auto", "training.freeze: found 'heads'"),
    ):
        with pytest.raises(ConfigError, match=re.escape(message)):
            resolve(None, asked, preset_name=preset_name, overrides=overrides)
    with pytest.raises(ModelError, match="expected a model folder"):
        resolve(None, asked, preset_name="auto", overrides=[f"training.init_from={corpus.folder}"])


def test_a_model_is_not_trained_over_itself(further, old) -> None:
    corpus, options = further
    with pytest.raises(OutputError, match="is the model of --init-from, too"):
        corpus.train(old.model_dir, *options, restart=True)
    assert old.weights
