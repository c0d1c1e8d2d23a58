"""Scores agree with sacreBLEU's own program, and what cannot be scored is refused."""

import subprocess
import sys
from pathlib import Path

import pytest

from nmt.errors import DataError
from nmt.evaluation import Scoring, compare, looks_tokenized, score

HYPOTHESES = [
    "The cat sits on the mat.",
    "",
    "He did not see the Apple tree in the garden.",
    "It's raining, again!",
]
REFERENCES = [
    "The cat is sitting on the mat.",
    "A dog barks.",
    "He did not see the apple tree in the garden.",
    "It is raining again!",
]
OTHER_REFERENCES = [
    "A cat sits on the mat.",
    "Dogs bark.",
    "He has not seen the apple tree in the garden.",
    "It's raining again!",
]


def _write(path: Path, lines: list[str]) -> str:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("flags", [[], ["-lc"], ["-tok", "char"]], ids=["default", "lowercase", "char"])
def test_scores_and_signatures_equal_those_of_the_sacrebleu_program(tmp_path: Path, flags: list[str]) -> None:
    scoring = Scoring(
        metrics=("bleu", "chrf", "ter"),
        tokenize="char" if "char" in flags else "13a",
        lowercase="-lc" in flags,
    )
    ours = score(HYPOTHESES, [REFERENCES, OTHER_REFERENCES], scoring)
    references = [_write(tmp_path / "ref1", REFERENCES), _write(tmp_path / "ref2", OTHER_REFERENCES)]
    chrf_flags = ["--chrf-lowercase"] if "-lc" in flags else []
    program = [sys.executable, "-m", "sacrebleu", *references, "-i", _write(tmp_path / "hyp", HYPOTHESES)]
    options = ["-m", "bleu", "chrf", "ter", "-w", "6", "-f", "text", *flags, *chrf_flags]
    theirs = subprocess.run([*program, *options], capture_output=True, text=True, check=True).stdout
    for each in ours:
        assert f"{each.metric}|{each.signature} = {each.value:.6f}" in theirs


def test_identical_text_scores_100_and_needs_no_edits() -> None:
    bleu, chrf, ter = score(REFERENCES, [REFERENCES], Scoring(metrics=("bleu", "chrf", "ter")))
    assert (bleu.metric, chrf.metric, ter.metric) == ("BLEU", "chrF2", "TER")
    assert bleu.value == pytest.approx(100)
    assert chrf.value == pytest.approx(100)
    assert ter.value == 0
    assert ter.detail == "0 edits"


def test_blank_hypotheses_score_zero() -> None:
    scores = score(["", " "], [["A dog barks.", "Yes."]], Scoring(metrics=("bleu", "chrf", "ter")))
    assert [each.value for each in scores] == [0, 0, 100]


def test_a_second_reference_never_lowers_the_matches() -> None:
    one = score(HYPOTHESES, [REFERENCES])[0]
    two = score(HYPOTHESES, [REFERENCES, OTHER_REFERENCES])[0]
    assert two.value > one.value
    assert two.signature.startswith("nrefs:2|")


def test_a_worse_translation_of_many_lines_is_significantly_worse() -> None:
    references = [f"The {number} dogs run over the green field." for number in range(200)]
    worse = [
        line.replace("dogs run", "cats sit") if number % 2 else line for number, line in enumerate(references)
    ]
    bleu, ter = compare(
        references, worse, [references], scoring=Scoring(metrics=("bleu", "ter")), resamples=200
    )
    assert bleu.p_value < 0.05
    assert bleu.difference < 0 < ter.difference
    assert not bleu.is_better
    assert not ter.is_better
    assert "bs:200|seed:12345" in bleu.signature


def test_comparing_a_translation_with_itself_finds_no_difference() -> None:
    (bleu,) = compare(HYPOTHESES, HYPOTHESES, [REFERENCES], resamples=100)
    assert bleu.difference == 0
    assert bleu.p_value == 1


def test_counts_that_differ_are_refused_with_both_names_and_counts() -> None:
    with pytest.raises(
        DataError, match="the hypothesis has 4 lines, reference 1 has 4 lines, reference 2 has 3"
    ):
        score(HYPOTHESES, [REFERENCES, OTHER_REFERENCES[:3]])


def test_nothing_is_not_a_score() -> None:
    with pytest.raises(DataError, match="0 lines"):
        score([], [[]])


@pytest.mark.parametrize(
    "line",
    ["The cat , it seems , sits .", "der hund bel@@ lt", "▁The ▁cat", "he said &quot; no &quot;"],
    ids=["moses", "bpe", "pieces", "escaped"],
)
def test_tokenised_text_is_noticed(line: str) -> None:
    assert looks_tokenized([line])


@pytest.mark.parametrize(
    "line",
    [
        "The cat, it seems, sits.",
        "Il dit : « Non ! »",
        "3.5 Mio. Euro ...",
        "猫が、座る。",
        "",
        "no marks at all",
    ],
)
def test_raw_text_is_not_taken_for_tokenised(line: str) -> None:
    assert not looks_tokenized([line])
