"""Scores of translations that are there: those of the search that found them, and of pairs from elsewhere."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import torch

from nmt.checkpoint import TranslationModel, build_network
from nmt.config import DecodingConfig
from nmt.decoding import Hypothesis, Translator
from nmt.errors import DataError
from nmt.model import Transformer, encoded
from nmt.model.forced import MAX_PIECES
from nmt.tokenizer import BOS_ID, EOS_ID

LINES = [
    "Der Hund schläft.",
    "",
    "Die kleine Katze sieht den großen Hund im Garten.",
    " \t\u3000\u200b",
    "Ja!",
    "😀 ありがとう </s> ▁ <0x0A>",
]
PAIRS = [
    ("Der Hund schläft.", "The dog is sleeping."),
    ("Ja!", ""),
    ("Wir gehen morgen nach Hause.", "We  are going ▁ home, 😀!"),
    ("Ja!", "It rains."),
]


def translator(model: TranslationModel, *others: TranslationModel, **options: object) -> Translator:
    nbest = options.pop("nbest", 1)
    assert isinstance(nbest, int)
    return Translator([model, *others], DecodingConfig(**options), nbest=nbest)  # type: ignore[arg-type]


def sibling(model: TranslationModel, seed: int) -> TranslationModel:
    """A model with the same tokenizers and other weights."""
    torch.manual_seed(seed)
    network = build_network(model.config, model.src_tokenizer, model.tgt_tokenizer).eval()
    return replace(model, network=network)


def log_probs_one_by_one(model: TranslationModel, source: str, tokens: list[int]) -> list[float]:
    """Of every token and the end, each from a pass of its own over what stands before it."""
    states = model.network.encode(torch.tensor([[*model.src_tokenizer.encode(source), EOS_ID]]))
    found = []
    for length, token in enumerate([*tokens, EOS_ID]):
        tgt_tokens = torch.tensor([[BOS_ID, *tokens[:length]]])
        last = model.network.decode(tgt_tokens, states).states[0, -1]
        found.append(float(model.network.logits(last).log_softmax(-1)[token].detach()))
    return found


@pytest.mark.parametrize(("beam_size", "nbest"), [(1, 1), (4, 1), (4, 4)])
def test_a_translation_has_the_score_it_was_found_with(
    tiny_model: TranslationModel, beam_size: int, nbest: int
) -> None:
    searching = translator(tiny_model, beam_size=beam_size, nbest=nbest, length_penalty=0.7)
    found = [(one.source, each) for one in searching.translate(LINES) for each in one.hypotheses]
    scored = list(searching.score(found))
    assert len(scored) == 4 * nbest + 2
    for (source, hypothesis), one in zip(found, scored, strict=True):
        assert (one.source, one.target, one.unscored) == (source, hypothesis.text, None)
        assert one.hypothesis is not None
        assert one.hypothesis.score == pytest.approx(hypothesis.score, abs=1e-4)
        assert one.hypothesis.log_prob == pytest.approx(hypothesis.log_prob, abs=1e-4, rel=1e-6)
        assert one.hypothesis.tokens == hypothesis.tokens
        assert one.hypothesis.token_log_probs == pytest.approx(hypothesis.token_log_probs, abs=1e-4)


def test_a_line_has_the_score_of_the_translation_it_was_if_it_is_cut_the_same(
    tiny_model: TranslationModel,
) -> None:
    searching = translator(tiny_model, beam_size=2, length_penalty=0.7)
    source, text = "Der Hund schläft.", "The dog is sleeping."
    every = searching.alternatives(source, text, count=tiny_model.tgt_tokenizer.vocab_size)
    [found] = [each.translation for each in every if each.piece == "</s>"]
    assert found.tokens == tiny_model.tgt_tokenizer.encode(text)
    [scored] = searching.score([(source, text)])
    assert scored.hypothesis is not None
    assert scored.hypothesis.score == pytest.approx(found.score, abs=1e-4)
    expected = log_probs_one_by_one(tiny_model, source, found.tokens)
    assert scored.hypothesis.log_prob == pytest.approx(sum(expected), abs=1e-4)


def test_every_token_has_the_log_prob_that_it_has_after_those_before_it(tiny_model: TranslationModel) -> None:
    for scored in translator(tiny_model, length_penalty=0.5).score(PAIRS):
        assert scored.hypothesis is not None
        tokens = tiny_model.tgt_tokenizer.encode(scored.target)
        expected = log_probs_one_by_one(tiny_model, scored.source, tokens)
        assert scored.hypothesis.tokens == tokens
        assert scored.hypothesis.token_log_probs == pytest.approx(expected, abs=1e-5)
        assert scored.hypothesis.score == pytest.approx(sum(expected) / len(expected) ** 0.5, abs=1e-4)


@pytest.mark.parametrize(("batch_tokens", "window"), [(1, 1), (20, 3), (10_000, 100)])
def test_batches_and_windows_change_nothing(
    tiny_model: TranslationModel, batch_tokens: int, window: int
) -> None:
    alone = [next(translator(tiny_model).score([pair])) for pair in PAIRS]
    together = translator(tiny_model, batch_tokens=batch_tokens, window=window).score(iter(PAIRS))
    for one, other in zip(together, alone, strict=True):
        assert (one.source, one.target) == (other.source, other.target)
        assert one.hypothesis is not None
        assert other.hypothesis is not None
        assert one.hypothesis.token_log_probs == pytest.approx(other.hypothesis.token_log_probs, abs=1e-5)


def test_no_more_than_a_window_is_read_ahead(tiny_model: TranslationModel) -> None:
    read = []
    stream = translator(tiny_model, window=2).score((read.append(pair), pair)[1] for pair in PAIRS)
    next(stream)
    assert read == PAIRS[:2]


def test_blank_sides_and_long_ones_are_told(tiny_model: TranslationModel) -> None:
    long = "Hund " * (MAX_PIECES + 1)
    pairs = [("", ""), (" ", "\u200b"), ("\u3000", "The dog."), (long, "dog"), ("Hund", long), ("Hund", " ")]
    found = list(translator(tiny_model).score(pairs))
    assert [one.unscored for one in found] == [None, None, "blank source", "too long", "too long", None]
    assert [one.hypothesis is None for one in found] == [False, False, True, True, True, False]
    assert found[1].hypothesis == Hypothesis("\u200b", 0.0, 0.0, [])
    [end] = log_probs_one_by_one(tiny_model, "Hund", [])
    assert found[5].hypothesis is not None
    assert found[5].hypothesis.token_log_probs == pytest.approx([end], abs=1e-5)


def test_as_long_as_learned_positions_reach(tiny_model: TranslationModel) -> None:
    config = replace(
        tiny_model.config,
        model=replace(tiny_model.config.model, positions="learned", max_positions=12),
        data=replace(tiny_model.config.data, max_length=11),
    )
    network = build_network(config, tiny_model.src_tokenizer, tiny_model.tgt_tokenizer).eval()
    learned = replace(tiny_model, config=config, network=network)
    src, tgt = ("".join(["ab", "x"][i % 2] for i in range(40)) for _ in "12")
    src, tgt = (
        next(text[:end] for end in range(len(text)) if len(tokenizer.encode(text[:end])) == 11)
        for text, tokenizer in ((src, learned.src_tokenizer), (tgt, learned.tgt_tokenizer))
    )
    pairs = [(src, tgt), (f"{src}x", "b"), ("a", f"{tgt}x"), ("a" * 20, "b"), ("a", "b" * 20)]
    found = list(translator(learned).score(pairs))
    assert [one.unscored for one in found] == [None, *["too long"] * 4]
    assert next(translator(tiny_model, learned).score([("a" * 20, "b")])).unscored == "too long"


def test_a_batch_without_enough_memory_is_halved_and_a_pair_that_does_not_fit_has_no_score(
    tiny_model: TranslationModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    scoring = translator(tiny_model)
    expected = list(scoring.score(PAIRS))
    encode = encoded.encode
    longest = len(tiny_model.src_tokenizer.encode(PAIRS[2][0]))

    def encode_few(network: Transformer, sources: Sequence[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        if len(sources) > 1 or len(sources[0]) >= longest:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return encode(network, sources)

    monkeypatch.setattr(encoded, "encode", encode_few)
    found = list(scoring.score(PAIRS))
    assert [one.unscored for one in found] == [None, None, "out of memory", None]
    for one, other in zip(found, expected, strict=True):
        if one.hypothesis and other.hypothesis:
            assert one.hypothesis.log_prob == pytest.approx(other.hypothesis.log_prob, abs=1e-4)


def test_an_ensemble_scores_with_the_mean_of_the_probabilities(tiny_model: TranslationModel) -> None:
    other = sibling(tiny_model, 7)
    for scored in translator(tiny_model, other).score(PAIRS[:2]):
        tokens = tiny_model.tgt_tokenizer.encode(scored.target)
        each = [log_probs_one_by_one(model, scored.source, tokens) for model in (tiny_model, other)]
        expected = [math.log((math.exp(p) + math.exp(q)) / 2) for p, q in zip(*each, strict=True)]
        assert scored.hypothesis is not None
        assert scored.hypothesis.token_log_probs == pytest.approx(expected, abs=1e-5)


def test_logits_in_blocks_are_those_of_the_whole(
    tiny_model: TranslationModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [one.hypothesis for one in translator(tiny_model).score(PAIRS)]
    monkeypatch.setattr("nmt.model.forced.LOGITS_AT_ONCE", 1)
    for one, other in zip(translator(tiny_model).score(PAIRS), expected, strict=True):
        assert one.hypothesis is not None
        assert other is not None
        assert one.hypothesis.token_log_probs == pytest.approx(other.token_log_probs, abs=1e-5)


def test_what_came_before_pairs_that_can_not_be_read_is_scored(tiny_model: TranslationModel) -> None:
    def pairs() -> Iterator[tuple[str, str]]:
        yield from PAIRS[:2]
        raise DataError("no pair")

    found = translator(tiny_model).score(pairs())
    assert [next(found).source for _ in range(2)] == [source for source, _ in PAIRS[:2]]
    with pytest.raises(DataError, match="no pair"):
        next(found)
