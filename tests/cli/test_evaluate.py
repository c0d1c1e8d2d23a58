"""`nmt evaluate` gives what `nmt translate` and `nmt score` give one after the other."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

SHORT = ("--set", "decoding.max_length_ratio=0.01")
SOURCE = "Der Hund schläft.\n\nDie Katze sieht den Hund im Garten.\n"
REFERENCE = "The dog sleeps.\n\nThe cat sees the dog in the garden.\n"


@pytest.fixture
def test_set(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "test.de").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "test.en").write_text(REFERENCE, encoding="utf-8")
    return tmp_path / "test.de", tmp_path / "test.en"


def test_it_scores_what_translate_writes(
    run_nmt: Run, tiny_model_dir: Path, test_set, tmp_path: Path
) -> None:
    source, reference = test_set
    model = ("-m", tiny_model_dir, *SHORT, "--beam", "1")
    result = run_nmt("evaluate", *model, source, reference, "-o", tmp_path / "kept.en")
    assert result.exit_status == 0, result.stderr
    translated = run_nmt("translate", *model, "-i", source, "-o", tmp_path / "translated.en")
    assert translated.exit_status == 0, translated.stderr
    assert (tmp_path / "kept.en").read_bytes() == (tmp_path / "translated.en").read_bytes()
    assert result.lines == run_nmt("score", tmp_path / "kept.en", reference).lines
    assert "3 lines in" in result.stderr
    assert "beam 1" in result.stderr


def test_json_says_which_model_and_search_the_score_is_of(
    run_nmt: Run, tiny_model_dir: Path, test_set
) -> None:
    model = ("-m", tiny_model_dir, *SHORT, "--beam", "2")
    result = run_nmt("evaluate", *model, *test_set, "--json", "--quiet", "--metric", "ter")
    facts = json.loads(result.stdout)
    assert (facts["model"], facts["beam_size"], facts["lines"]) == (str(tiny_model_dir), 2, 3)
    assert facts["scores"][0]["metric"] == "TER"
    assert result.stderr == ""


def test_counts_are_checked_before_a_model_is_loaded(run_nmt: Run, test_set, tmp_path: Path) -> None:
    """A19"""
    result = run_nmt("evaluate", "-m", tmp_path / "no-model", test_set[0], "-", stdin="The dog sleeps.\n")
    assert result.exit_status == 65
    assert "test.de has 3 lines, stdin has 1" in result.stderr


def test_translations_and_scores_are_not_mixed(run_nmt: Run, test_set, tmp_path: Path) -> None:
    result = run_nmt("evaluate", "-m", tmp_path / "no-model", *test_set, "-o", "-")
    assert (result.exit_status, result.stdout) == (2, "")
    assert "--output - would mix translations into the scores; give a file" in result.stderr


def test_the_translations_do_not_overwrite_the_reference(
    run_nmt: Run, tiny_model_dir: Path, test_set
) -> None:
    result = run_nmt("evaluate", "-m", tiny_model_dir, *test_set, "-o", test_set[1])
    assert result.exit_status == 73
    assert test_set[1].read_text(encoding="utf-8") == REFERENCE
