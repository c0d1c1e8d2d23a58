"""Alternatives: what may come next, against the network run over the whole prefix again and again."""

import re
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nmt.checkpoint import TranslationModel, build_network
from nmt.config import DecodingConfig
from nmt.decoding import RequestError, Translator
from nmt.decoding.lines import without_line_ends
from nmt.tokenizer import BOS_ID, EOS_ID, SPACE, train_tokenizer

LINE = "Die kleine Katze sieht den großen Hund im Garten."
PREFIXES = ["", "The little cat sees the b", "Der Hund ありがとう"]


def translator(model: TranslationModel, **options: object) -> Translator:
    options = {"beam_size": 1, "max_length_ratio": 0.01, **options}
    return Translator(model, DecodingConfig(**options))  # type: ignore[arg-type]


def log_probs_along(model: TranslationModel, tokens: list[int]) -> Tensor:
    """Of what may come at each place of these tokens, and after them."""
    source = torch.tensor([[*model.src_tokenizer.encode(LINE), EOS_ID]])
    with torch.no_grad():
        target = torch.tensor([[BOS_ID, *tokens]])
        states = model.network.decode(target, model.network.encode(source)).states
        return model.network.logits(states)[0].log_softmax(-1)


def greedy(model: TranslationModel, tokens: list[int], *, limit: int, banned: list[int]) -> list[int]:
    """These tokens and the likeliest ones that follow, until EOS."""
    tokens = list(tokens)
    while tokens[-1:] != [EOS_ID] and len(tokens) < limit:
        log_probs = log_probs_along(model, tokens)[-1]
        log_probs[banned] = -torch.inf
        tokens.append(int(log_probs.argmax()))
    return [token for token in tokens if token != EOS_ID]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_pieces_and_completions_are_those_of_brute_force(tiny_model: TranslationModel, prefix: str) -> None:
    one = translator(tiny_model)
    tokenizer = tiny_model.tgt_tokenizer
    forced, banned = tokenizer.encode(prefix), list(one.rules.banned)
    log_probs = log_probs_along(tiny_model, forced)[-1]
    log_probs[banned] = -torch.inf
    expected = log_probs.topk(4)
    found = one.alternatives(LINE, prefix, count=4)
    assert [each.piece for each in found] == [tokenizer.piece(id) for id in expected.indices.tolist()]
    assert [each.probability for each in found] == pytest.approx(expected.values.exp().tolist(), rel=1e-4)
    limit = len(forced) + 20
    for each, token in zip(found, expected.indices.tolist(), strict=True):
        tokens = greedy(tiny_model, [*forced, token], limit=limit, banned=banned)
        assert each.translation.tokens == tokens
        assert each.translation.text == without_line_ends(tokenizer.decode(tokens))
        log_probs = log_probs_along(tiny_model, tokens)[range(len(tokens) + 1), [*tokens, EOS_ID]]
        assert each.translation.log_prob == pytest.approx(float(log_probs.sum()), abs=1e-3)


@pytest.mark.parametrize("beam_size", [1, 4])
def test_without_a_prefix_one_of_them_is_the_translation(
    tiny_model: TranslationModel, beam_size: int
) -> None:
    one = translator(tiny_model, beam_size=beam_size)
    best = one.translate([LINE])[0].hypotheses[0]
    every = one.alternatives(LINE, count=tiny_model.tgt_tokenizer.vocab_size)
    tokens = [tiny_model.tgt_tokenizer.piece(best.tokens[0])]
    [same] = [each for each in every if [each.piece] == tokens]
    assert same.translation.score >= best.score - 1e-5
    assert sum(each.probability for each in every) <= 1 + 1e-5


def test_all_of_them_together_are_all_that_may_be_generated(tiny_model: TranslationModel) -> None:
    one = translator(tiny_model)
    tokenizer = tiny_model.tgt_tokenizer
    every = one.alternatives(LINE, "The", count=10**6)
    banned = {tokenizer.piece(id) for id in one.rules.banned}
    pieces = {tokenizer.piece(id) for id in range(tokenizer.vocab_size)}
    assert {each.piece for each in every} == pieces - banned
    assert [each.probability for each in every] == sorted((each.probability for each in every), reverse=True)
    [end] = [each for each in every if each.piece == "</s>"]
    assert (end.word, end.translation.text) == ("", "The")


def test_a_word_goes_to_the_next_space(tiny_model: TranslationModel) -> None:
    for each in translator(tiny_model).alternatives(LINE, "The little", count=300):
        rest = each.translation.text.removeprefix("The little")
        assert rest.lstrip().startswith(each.word)
        assert rest.lstrip()[len(each.word) :][:1] in ("", " ")
        if each.piece[0] == SPACE and each.piece != SPACE:
            assert each.word.startswith(each.piece[1:])


def test_after_a_space_a_new_word_begins(tiny_model: TranslationModel) -> None:
    one = translator(tiny_model)
    every = one.alternatives(LINE, "The little", count=10**6)
    new = one.alternatives(LINE, "The little ", count=10**6)
    begin = [each.piece for each in every if each.piece[0] == SPACE and each.piece != SPACE]
    assert [each.piece for each in new] == begin
    assert 10 < len(new) < len(every)
    assert one.alternatives(LINE, " ") == one.alternatives(LINE)
    same = {each.piece: each.translation for each in every}
    for each in new:  # only the next piece has to begin a word; there is room for one more behind a space
        assert each.translation.text.startswith(same[each.piece].text)


def test_what_is_forbidden_and_required_holds_for_them_too(tiny_model: TranslationModel) -> None:
    one = translator(tiny_model, max_length_ratio=2.0)
    free = one.alternatives(LINE, "The little ", count=20)
    forbidden = next(each.word for each in free if each.word.isalpha())
    found = one.alternatives(LINE, "The little ", count=20, forbid=[forbidden], require=["house"])
    assert len(found) > 10  # of some no translation is found that has it
    for each in found:
        words = re.findall(r"\w+", each.translation.text)
        assert forbidden not in words
        assert "house" in words
        assert each.piece != "</s>"
    assert any(forbidden in each.translation.text for each in free)
    for_all = translator(tiny_model, max_length_ratio=2.0, forbid=(forbidden,))
    both = (
        each.alternatives(LINE, "The little ", require=["house"], forbid=also)
        for each, also in ((for_all, []), (one, [forbidden]))
    )
    assert next(both) == next(both)
    with pytest.raises(RequestError, match="line 1: the required phrase 'house' has a forbidden one in it"):
        one.alternatives(LINE, require=["house"], forbid=["house"])


def test_samples_do_not_matter(tiny_model: TranslationModel) -> None:
    sampling = translator(tiny_model, samples=4, mbr=True)
    assert sampling.alternatives(LINE) == translator(tiny_model).alternatives(LINE)


def test_a_blank_line_has_none(tiny_model: TranslationModel) -> None:
    assert translator(tiny_model).alternatives(" \t") == ()


def test_a_line_that_would_be_split_is_refused(tiny_model: TranslationModel) -> None:
    for on_long in ("split", "error"):
        with pytest.raises(RequestError, match="pieces, expected at most 200"):
            translator(tiny_model, on_long=on_long).alternatives("Der Hund schläft. " * 60)


def test_a_prefix_may_be_longer_than_translations_but_not_than_the_positions(
    tiny_model: TranslationModel,
) -> None:
    one = translator(tiny_model)
    long = "The cat sees the dog. " * 6
    assert one.alternatives("Ja!", long)[0].translation.text.startswith(long.strip())
    config = replace(
        tiny_model.config,
        data=replace(tiny_model.config.data, max_length=30),
        model=replace(tiny_model.config.model, positions="learned", max_positions=32),
    )
    torch.manual_seed(1)
    network = build_network(config, tiny_model.src_tokenizer, tiny_model.tgt_tokenizer).eval()
    learned = translator(replace(tiny_model, config=config, network=network))
    assert learned.alternatives("Ja!", "The cat")
    with pytest.raises(RequestError, match=r"line 1: prefix .* take \d+ pieces, expected at most 31"):
        learned.alternatives("Ja!", long)


def test_a_prefix_of_characters_without_pieces_is_refused(tiny_model: TranslationModel) -> None:
    config = replace(tiny_model.config.tokenizer, byte_fallback=False)
    tokenizer = train_tokenizer(["a b c"], config, vocab_size=10, exact=False, threads=1)
    with pytest.raises(RequestError, match="line 1: the prefix 'a d' has characters that the model can not"):
        translator(replace(tiny_model, tgt_tokenizer=tokenizer)).alternatives("Ja!", "a d")
