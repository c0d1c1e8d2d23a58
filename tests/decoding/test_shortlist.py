"""Translations of few tokens: those that the source brings, that all may have, and that are asked for."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from nmt.alignment import Lexicon, load_lexicon
from nmt.checkpoint import TranslationModel
from nmt.config import DecodingConfig
from nmt.decoding import Found, Rules, Sentence
from nmt.decoding.demands import Demands, Required
from nmt.decoding.engine import Engine
from nmt.decoding.rules import Sampling
from nmt.decoding.shortlist import Shortlist, likeliest
from nmt.tokenizer import BOS_ID, EOS_ID

BANNED = (0, 1, BOS_ID)
LINES = ["Der Hund schläft.", "Ja!", "Die kleine Katze sieht den Hund.", "Wir gehen", "Apfelbaum im Garten"]


@pytest.fixture
def few(linked_model: TranslationModel) -> Shortlist:
    """A shortlist with hardly anything that all sentences share."""
    return Shortlist.of(linked_model, linked_model.direction(), size=3, num_common=7, banned=BANNED)


def sentences(model: TranslationModel, **options: Any) -> list[Sentence]:
    return [Sentence(model.src_tokenizer.encode(line), max_length=7, **options) for line in LINES]


def find(
    model: TranslationModel,
    shortlist: Shortlist | None,
    some: Sequence[Sentence],
    *,
    num_models: int = 1,
    **options: Any,
) -> list[list[Found]]:
    rules = Rules(BOS_ID, EOS_ID, **{"banned": BANNED, "beam_size": 3, "nbest": 2, **options})
    return Engine([model] * num_models, DecodingConfig(batch_rows=12), shortlist).find(some, rules)


def assert_same(found: list[list[Found]], expected: list[list[Found]]) -> None:
    for some, others in zip(found, expected, strict=True):
        assert [one.tokens for one in some] == [one.tokens for one in others]
        assert [one.log_prob for one in some] == pytest.approx([one.log_prob for one in others], abs=1e-4)


def test_the_likeliest_translations_of_a_table_that_was_worked_by_hand() -> None:
    lexicon = Lexicon(
        src=torch.tensor([4, 4, 4, 6, 7, 7]),
        tgt=torch.tensor([5, 6, 8, 6, 9, 5]),
        probs=torch.tensor([0.2, 0.5, 0.3, 0.9, 0.4, 0.4]),
        from_nowhere=torch.zeros(10),
    )
    expected = torch.full((8, 2), EOS_ID)
    expected[4], expected[6, 0], expected[7] = torch.tensor([6, 8]), 6, torch.tensor([9, 5])
    assert torch.equal(likeliest(lexicon, 2, num_src=8), expected)
    assert likeliest(lexicon, 100, num_src=8).size(1) == 3
    empty = Lexicon(lexicon.src[:0], lexicon.tgt[:0], lexicon.probs[:0], lexicon.from_nowhere)
    assert likeliest(empty, 2, num_src=8).shape == (8, 0)


def test_a_sentence_may_have_what_its_source_brings_and_what_is_asked_for(
    linked_model: TranslationModel, few: Shortlist
) -> None:
    assert few.shared[0] == EOS_ID
    assert len({*few.shared.tolist()} - {*BANNED}) == 8
    source = linked_model.src_tokenizer.encode("Der Hund schläft.")
    lexicon, allowed = load_lexicon(linked_model, linked_model.direction()), {*source}
    for id in source:
        known = [(float(p), int(t)) for p, t in zip(lexicon.probs, lexicon.tgt, strict=True)]
        own = [each for each, src in zip(known, lexicon.src.tolist(), strict=True) if src == id]
        allowed |= {token for _, token in sorted(own, key=lambda each: -each[0])[:3]}
    expected = sorted(allowed - {*few.shared.tolist(), *BANNED})
    assert few.own(Sentence(source, 7)).tolist() == expected
    others = [id for id in range(4, 300) if id not in allowed and id not in few.shared.tolist()][:3]
    asked = Sentence(source, 7, prefix=(others[0],), demands=Demands((Required(tuple(others[1:])),)))
    assert few.own(asked).tolist() == sorted([*expected, *others])


@pytest.mark.parametrize("beam_size", [1, 4])
def test_a_shortlist_of_all_tokens_changes_nothing(
    linked_model: TranslationModel, few: Shortlist, beam_size: int
) -> None:
    others = [id for id in range(linked_model.tgt_tokenizer.vocab_size) if id != EOS_ID]
    whole = replace(few, shared=torch.tensor([EOS_ID, *others]))
    options = {"beam_size": beam_size, "nbest": beam_size, "banned": ()}
    for some in (sentences(linked_model), sentences(linked_model, prefix=(7,), min_length=4)):
        expected = find(linked_model, None, some, **options)
        assert_same(find(linked_model, whole, some, **options), expected)
    sampled = {"sampling": Sampling(), "banned": ()}
    assert_same(find(linked_model, whole, some, **sampled), find(linked_model, None, some, **sampled))


def test_a_line_alone_is_the_line_among_others_and_has_what_is_asked_for(
    linked_model: TranslationModel, few: Shortlist
) -> None:
    demands = Demands((Required((20, 21)),))
    some = sentences(linked_model)
    some[1], some[3] = replace(some[1], prefix=(300, 301)), replace(some[3], demands=demands)
    for options in ({}, {"beam_size": 1, "nbest": 1}, {"no_repeat_ngram": 2}):
        found = find(linked_model, few, some, **options)
        assert_same(found, [find(linked_model, few, [one], **options)[0] for one in some])
        for one, of_one in zip(some, found, strict=True):
            allowed = {*few.shared.tolist(), *few.own(one).tolist()}
            assert all(allowed.issuperset(each.tokens) for each in of_one)
            assert all(tuple(each.tokens[: len(one.prefix)]) == one.prefix for each in of_one)
        assert all((20, 21) in zip(one.tokens, one.tokens[1:], strict=False) for one in found[3])


def test_models_of_an_ensemble_have_the_same_tokens_wherever_sentences_come_and_go(
    linked_model: TranslationModel, few: Shortlist
) -> None:
    some = [replace(one, max_length=2 + number % 6) for number, one in enumerate(6 * sentences(linked_model))]
    expected = [find(linked_model, few, [one])[0] for one in some]
    assert_same(find(linked_model, few, some, num_models=2), expected)


def test_log_p_is_of_what_may_come_in_the_sentence(linked_model: TranslationModel, few: Shortlist) -> None:
    some, network = sentences(linked_model), linked_model.network
    for sentence, (best, _) in zip(some, find(linked_model, few, some), strict=True):
        columns = torch.cat([few.shared, few.own(sentence)])
        with torch.no_grad():
            encoded = network.encode(torch.tensor([[*sentence.source, EOS_ID]]))
            logits = network.logits(network.decode(torch.tensor([[BOS_ID, *best.tokens]]), encoded).states)
        places = [columns.tolist().index(token) for token in (*best.tokens, EOS_ID)]
        log_probs = logits[0][:, columns].log_softmax(-1)[range(len(places)), places]
        assert best.token_log_probs == pytest.approx(log_probs.tolist(), abs=1e-4)
