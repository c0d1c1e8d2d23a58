"""Several models as one: a model beside itself is itself, and two are the mean of their probabilities."""

import math
from dataclasses import replace

import pytest
import torch

from nmt.checkpoint import TranslationModel, build_network
from nmt.config import DecodingConfig
from nmt.decoding import Translator
from nmt.decoding.ensemble import EnsembleDecoder, log_mean
from nmt.errors import ConfigError
from nmt.model import IncrementalDecoder
from nmt.tokenizer import BOS_ID, EOS_ID, train_tokenizer

LINES = ["Der Hund schläft.", "", "Die kleine Katze sieht den großen Hund im Garten.", "Ja!"]


@pytest.fixture(scope="module")
def other_model(tiny_model: TranslationModel) -> TranslationModel:
    """A model of the same tokenizer, of another shape and with other weights."""
    shape = replace(tiny_model.config.model, d_model=16, encoder_layers=1, decoder_layers=1)
    config = replace(tiny_model.config, model=shape)
    torch.manual_seed(7)
    network = build_network(config, tiny_model.src_tokenizer, tiny_model.tgt_tokenizer).eval()
    return replace(tiny_model, config=config, network=network)


def next_log_probs(model: TranslationModel, source: str, tokens: list[int]) -> torch.Tensor:
    """Log P (V,) of what comes after some tokens, by the network as it is trained."""
    states = model.network.encode(torch.tensor([[*model.src_tokenizer.encode(source), EOS_ID]]))
    last = model.network.decode(torch.tensor([[BOS_ID, *tokens]]), states).states[0, -1]
    return model.network.logits(last).log_softmax(-1).detach()


@pytest.mark.parametrize("beam_size", [1, 4])
def test_a_model_beside_itself_is_itself(tiny_model: TranslationModel, beam_size: int) -> None:
    config = DecodingConfig(beam_size=beam_size, max_length_ratio=0.5)
    alone = Translator(tiny_model, config, nbest=beam_size).translate(LINES)
    thrice = Translator([tiny_model] * 3, config, nbest=beam_size).translate(LINES)
    for one, other in zip(alone, thrice, strict=True):
        assert [each.text for each in one.hypotheses] == [each.text for each in other.hypotheses]
        assert [each.score for each in one.hypotheses] == pytest.approx(
            [each.score for each in other.hypotheses], abs=1e-4
        )


def test_two_models_search_greedily_as_the_mean_of_their_probabilities_says(
    tiny_model: TranslationModel, other_model: TranslationModel
) -> None:
    both = Translator([tiny_model, other_model], DecodingConfig(beam_size=1, max_length_ratio=0.01))
    for one in both.translate(["Ja!", "Der Hund schläft."]):
        tokens: list[int] = []
        log_probs: list[float] = []
        for limit in reversed(range(21)):
            each = [next_log_probs(model, one.source, tokens) for model in (tiny_model, other_model)]
            mean = (each[0].exp() + each[1].exp()).div(2).log()
            allowed = mean.clone()
            allowed[list(both.rules.banned)] = -math.inf
            best = int(allowed.argmax()) if limit else EOS_ID
            log_probs.append(float(mean[best]))
            if best == EOS_ID:
                break
            tokens.append(best)
        assert one.hypotheses[0].tokens == tokens
        assert one.hypotheses[0].token_log_probs == pytest.approx(log_probs, abs=1e-4)


def test_beam_search_of_two_models_reports_their_forced_scores(
    tiny_model: TranslationModel, other_model: TranslationModel
) -> None:
    both = Translator([tiny_model, other_model], DecodingConfig(beam_size=3, max_length_ratio=0.5), nbest=3)
    found = [(one.source, each) for one in both.translate(LINES) for each in one.hypotheses]
    for (_, hypothesis), scored in zip(found, both.score(found), strict=True):
        assert scored.hypothesis is not None
        assert scored.hypothesis.score == pytest.approx(hypothesis.score, abs=1e-4)


def test_the_order_of_the_models_does_not_matter_but_for_alignments(
    tiny_model: TranslationModel, other_model: TranslationModel
) -> None:
    one, other, alone = (
        Translator(models, DecodingConfig(beam_size=2), align=True).translate(LINES[:1])[0]
        for models in ([tiny_model, other_model], [other_model, tiny_model], tiny_model)
    )
    assert one.text == other.text
    assert one.alignment is not None
    assert alone.alignment is not None
    if one.text == alone.text:
        torch.testing.assert_close(one.alignment.forward, alone.alignment.forward)


def test_probabilities_of_the_mean_add_up_to_one(
    tiny_model: TranslationModel, other_model: TranslationModel
) -> None:
    each = [IncrementalDecoder(model.network, watched_layer=0) for model in (tiny_model, other_model)]
    decoder = EnsembleDecoder(each)
    decoder.admit([[5, 6, 7], [8]])
    rows = torch.arange(2)
    with torch.inference_mode():
        log_probs = decoder.step(rows, torch.full_like(rows, BOS_ID))
    assert log_probs.exp().sum(-1).tolist() == pytest.approx([1.0, 1.0], abs=1e-5)
    assert decoder.watched is each[0].watched is not None
    assert float(log_mean([torch.tensor(-2.0), torch.tensor(-math.inf)])) == pytest.approx(-2 - math.log(2))


def test_models_of_different_tokenizers_are_refused_by_name(tiny_model: TranslationModel) -> None:
    text = ["Ein anderer Text.", "Another text."]
    tokenizer = train_tokenizer(text, tiny_model.config.tokenizer, vocab_size=300, exact=False, threads=1)
    network = build_network(tiny_model.config, tokenizer, tokenizer)
    stranger = replace(tiny_model, src_tokenizer=tokenizer, tgt_tokenizer=tokenizer, network=network)
    named = [replace(tiny_model, path="models/one"), replace(stranger, path="models/two")]
    with pytest.raises(ConfigError, match=r"^models/one and models/two have different tokenizers; .*$"):
        Translator(named, DecodingConfig())


def test_an_ensemble_reaches_as_far_as_the_shortest_of_its_models(tiny_model: TranslationModel) -> None:
    shape = replace(tiny_model.config.model, positions="learned", max_positions=12)
    config = replace(tiny_model.config, model=shape, data=replace(tiny_model.config.data, max_length=11))
    network = build_network(config, tiny_model.src_tokenizer, tiny_model.tgt_tokenizer).eval()
    both = Translator([tiny_model, replace(tiny_model, config=config, network=network)], DecodingConfig())
    [long] = both.translate(["Die kleine Katze sieht den großen Hund im Garten."])
    assert long.num_parts > 1
    assert both.longest == 11
