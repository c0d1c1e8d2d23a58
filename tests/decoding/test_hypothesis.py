"""Scores of words: sums over their pieces, of which none is lost and none counted twice."""

import math

import pytest

from nmt.checkpoint import TranslationModel
from nmt.config import DecodingConfig
from nmt.corpus.words import words
from nmt.decoding import Hypothesis, Sentence, Translator
from nmt.decoding.hypothesis import join_log_probs, word_log_probs

SOURCES = ["Der Hund schläft.", "Die Katze, die den Hund im Garten sieht, schläft nicht.", "Ja!", ""]


def test_a_word_has_the_log_prob_of_its_pieces_together() -> None:
    #       The dog's here .
    text, pieces = "The dogs here.", [(0, 3), (4, 7), (7, 8), (8, 8), (9, 12), (12, 14)]
    found = Hypothesis(
        text, -1.0, -6.5, [10, 11, 12, 13, 14, 15], (-1, -2, -0.5, -0.25, -1, -1, -0.75), tuple(pieces)
    )
    scores = {text[slice(*word.span)]: word.log_prob for word in found.word_scores()}
    # the lone space counts for `here`, and the piece `e.` half for it and half for the full stop
    assert scores == {"The": -1, "dogs": -2.5, "here": -0.25 - 1 - 0.5, ".": -0.5}
    assert [word.log_prob for word in found.word_scores("space")] == [-1, -2.5, -2.25]
    assert [word.log_prob for word in found.word_scores("piece")] == [-1, -2, -0.5, -0.25, -1, -1]


@pytest.mark.parametrize("place", [0, 4, 8, 9])
def test_a_piece_in_no_word_counts_for_the_next_or_else_the_last(place: int) -> None:
    found = word_log_probs([-1, -2, -4], [(0, 3), (5, 8), (place, place)], words=[(0, 3), (5, 8)])
    assert found == ([-5, -2] if place == 0 else [-1, -6])


def test_no_words_have_no_scores() -> None:
    assert word_log_probs([-1.0], [(0, 0)], words=[]) == []
    assert Hypothesis("", 0.0, 0.0, []).word_scores() == []


def test_parts_are_joined_without_losing_an_end() -> None:
    assert join_log_probs([(-1, -2, -4)]) == (-1, -2, -4)
    assert join_log_probs([(-1, -2), (-4, -8, -16), (-32,)]) == (-1, -6, -8, -48)


@pytest.mark.parametrize("max_length", [200, 4])
def test_scores_of_words_and_of_the_end_are_the_log_prob_of_the_translation(
    tiny_model: TranslationModel, max_length: int
) -> None:
    translator = Translator(tiny_model, DecodingConfig(beam_size=2, max_length_ratio=0.01), nbest=2)
    translator.longest = max_length  # lines are translated in parts
    for translation in translator.translate(SOURCES):
        assert (translation.num_parts > 1) == (max_length == 4 and len(translation.source) > 3)
        for each in translation.hypotheses:
            assert len(each.token_log_probs) == len(each.tokens) + bool(translation.num_parts)
            assert math.fsum(each.token_log_probs) == pytest.approx(each.log_prob, abs=1e-4)
            assert len(each.token_spans) == len(each.tokens)
            found = each.word_scores()
            assert [each.text[slice(*word.span)] for word in found] == words(each.text)
            if found:
                ends = each.token_log_probs[-1]
                assert math.fsum(word.log_prob for word in found) + ends == pytest.approx(
                    each.log_prob, abs=1e-4
                )


def test_the_spans_of_a_translation_in_parts_are_those_of_its_text(tiny_model: TranslationModel) -> None:
    translator = Translator(tiny_model, DecodingConfig(beam_size=1, max_length_ratio=0.01))
    translator.longest = 4
    [translation] = translator.translate(SOURCES[:1])
    [hypothesis] = translation.hypotheses
    assert translation.num_parts > 1
    starts = [start for start, _ in hypothesis.token_spans]
    assert starts == sorted(starts)
    assert hypothesis.token_spans[-1][1] == len(hypothesis.text)
    parts = [hypothesis.text[start:end] for start, end in dict.fromkeys(hypothesis.token_spans)]
    assert "".join(parts).replace(" ", "") == hypothesis.text.replace(" ", "")


def test_a_translation_in_halves_has_the_log_prob_of_every_token(tiny_model: TranslationModel) -> None:
    translator = Translator(tiny_model, DecodingConfig(beam_size=2, max_length_ratio=0.01))
    source = tiny_model.src_tokenizer.encode(SOURCES[1])
    [found] = translator.engine._find_in_halves(Sentence(source, max_length=20), translator.rules)
    assert found.num_parts == 2
    assert len(found.token_log_probs) == len(found.tokens) + 1
    assert math.fsum(found.token_log_probs) == pytest.approx(found.log_prob, abs=1e-4)
