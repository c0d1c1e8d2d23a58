"""The length penalty is the one that ranks hypotheses best on the development set, and else stays."""

from dataclasses import replace

import pytest

from nmt.config.schema import DecodingConfig
from nmt.decoding import Hypothesis, Translation, Translator
from nmt.evaluation import score
from nmt.training import tuning
from nmt.training.report import NoteReport
from nmt.training.tuning import bleu, rescored

TINY_TEXT = ["Der Hund schläft.", "Die kleine Katze sieht den großen Hund im Garten."]


def hypothesis(text: str, log_prob: float, *, default: float = 1.0, coverage: float = 0.0) -> Hypothesis:
    tokens = list(range(len(text.split())))
    return Hypothesis(text, log_prob / (len(tokens) + 1) ** default + coverage, log_prob, tokens)


def test_another_penalty_ranks_as_worked_by_hand() -> None:
    """With the end, 2 and 5 tokens: -2 and -3 at 0, -1 and -0.6 at 1."""
    beam = (hypothesis("a", -2.0), hypothesis("a b c d", -3.0, coverage=-0.1))
    assert [rescored(each, 0.0, 1.0) for each in beam] == pytest.approx([-2.0, -3.1])
    assert [rescored(each, 1.0, 1.0) for each in beam] == pytest.approx([-1.0, -0.7])
    found = [Translation("x", beam, num_parts=1)]
    assert bleu(found, ["a b c d"], 1.0, 1.0) == pytest.approx(100)
    assert bleu(found, ["a b c d"], 0.0, 1.0) == score(["a"], [["a b c d"]])[0].value


def test_every_part_of_a_line_has_an_end(tiny_model) -> None:
    data = replace(tiny_model.config.data, max_length=20)
    short = replace(tiny_model, config=replace(tiny_model.config, data=data))
    line = " ".join(TINY_TEXT)
    one, other = (
        Translator(short, DecodingConfig(beam_size=1, length_penalty=penalty)).translate([line, ""])
        for penalty in (0.5, 2.0)
    )
    assert one[0].num_parts > 1
    for before, after in zip(one, other, strict=True):
        (hypothesis,), (expected,) = before.hypotheses, after.hypotheses
        assert rescored(hypothesis, 2.0, 0.5, num_parts=before.num_parts) == pytest.approx(expected.score)


def test_what_was_chosen_is_the_models_from_then_on(corpus, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tuning, "FEWEST_PAIRS", 10)
    short_is_best = {penalty: 10 - penalty for penalty in tuning.GRID}
    monkeypatch.setattr(tuning, "bleu", lambda _hypotheses, _references, penalty, _: short_is_best[penalty])
    done = corpus.train(tmp_path / "model", "training.tune_length_penalty=true", "decoding.beam_size=2")
    assert "length_penalty = 0.0" in (tmp_path / "model" / "config.toml").read_text()
    facts = done.manifest["dev"]["tuning"]
    assert (facts["length_penalty"], facts["default"], facts["num_pairs"]) == (0.0, 1.0, 10)
    assert any(
        "length penalty 0 instead of 1: BLEU 10.00 instead of 9.00" in each.text
        for each in done.of(NoteReport)
    )
    again = corpus.train(tmp_path / "model", "training.tune_length_penalty=true", "decoding.beam_size=2")
    assert "nothing to do" in again.reports[-1].stopped
    assert again.reports[-1].tuning == facts


def test_a_full_beam_holds_the_same_hypotheses_whatever_the_penalty(tiny_model) -> None:
    found = [
        Translator(tiny_model, DecodingConfig(beam_size=3, length_penalty=penalty), nbest=3).translate(
            TINY_TEXT
        )
        for penalty in (0.0, 2.0)
    ]
    for one, other in zip(*found, strict=True):
        assert {each.text for each in one.hypotheses} == {each.text for each in other.hypotheses}
        rescored_best = max(one.hypotheses, key=lambda each: rescored(each, 2.0, 0.0))
        assert rescored_best.text == other.text


def test_a_trifle_changes_nothing() -> None:
    assert tuning.choose({0.4: 20.04, 1.0: 20.0, 1.2: 19.0}, 1.0) == 1.0
    assert tuning.choose({0.4: 20.06, 1.0: 20.0, 1.2: 20.06, 2.0: 20.06}, 1.0) == 1.2


def test_too_few_pairs_choose_nothing(corpus, tmp_path) -> None:
    done = corpus.train(tmp_path / "model", "training.tune_length_penalty=true", "alignment.head=false")
    assert "tuning" not in done.manifest["dev"]
    assert any("the length penalty stays: too few" in each.text for each in done.of(NoteReport))
