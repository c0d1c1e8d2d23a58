"""A look at the averaged weights leaves no trace."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from nmt.checkpoint import TranslationModel, build_network
from nmt.training.data import prepare
from nmt.training.evaluate import averaged, dev_loss, translate_dev
from nmt.training.optimizer import MovingAverage


@pytest.fixture
def looked_at(corpus):
    """A model that is being trained, its average far from its weights, and its data."""
    config = corpus.config("model.dropout=0.5")
    data = prepare(config)
    torch.manual_seed(1)
    network = build_network(config, data.src_tokenizer, data.tgt_tokenizer).train()
    average = MovingAverage(network, 0.9)
    for tensor in average.tensors:
        tensor.normal_()
    return TranslationModel(config, data.src_tokenizer, data.tgt_tokenizer, network, {}), average, data


def test_it_is_the_average_that_is_looked_at_and_the_weights_come_back(looked_at) -> None:
    model, average, data = looked_at
    before = [parameter.detach().clone() for parameter in model.network.parameters()]
    random_before = torch.get_rng_state()
    with averaged(model.network, average.tensors):
        assert not model.network.training
        assert all(map(torch.equal, model.network.parameters(), average.tensors))
        loss = dev_loss(model, data)
        translate_dev(model, data, number=1, on_progress=lambda _: None)
        assert dev_loss(model, data) == loss  # without dropout
    assert model.network.training
    assert all(map(torch.equal, model.network.parameters(), before))
    assert torch.equal(torch.get_rng_state(), random_before)


def test_the_weights_come_back_after_an_interruption(looked_at) -> None:
    model, average, _ = looked_at
    before = [parameter.detach().clone() for parameter in model.network.parameters()]
    with pytest.raises(KeyboardInterrupt), averaged(model.network, average.tensors):
        raise KeyboardInterrupt
    assert all(map(torch.equal, model.network.parameters(), before))


def test_the_loss_does_not_depend_on_the_batches(looked_at) -> None:
    model, average, data = looked_at
    with averaged(model.network, average.tensors):
        losses = [
            dev_loss(replace(model, config=replace(model.config, training=training)), data)
            for training in (replace(model.config.training, batch_tokens=size) for size in (8, 64, 4096))
        ]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)


def test_both_looks_tell_after_every_batch_how_many_pairs_are_done(looked_at) -> None:
    model, average, data = looked_at
    small = replace(model.config.training, batch_tokens=16)
    model = replace(model, config=replace(model.config, training=small))
    for look in (dev_loss, partial(translate_dev, number=0)):
        done: list[int] = []
        with averaged(model.network, average.tensors):
            look(model, data, on_progress=done.append)
        assert sum(done) == len(data.dev_pairs)
    with averaged(model.network, average.tensors):
        dev_loss(model, data, on_progress=(done := []).append)
    assert len(done) > 1


def test_the_samples_walk_through_the_development_set(looked_at, corpus) -> None:
    model, average, data = looked_at
    with averaged(model.network, average.tensors):
        shown = [
            translate_dev(model, data, number=number, on_progress=lambda _: None).sample.reference
            for number in range(4)
        ]
    lines = corpus.lines("dev.tgt")
    assert shown == [lines[0], lines[7], lines[4], lines[1]]
