"""`nmt score` as the user types it."""

import json
from pathlib import Path

import pytest

REFERENCE = "The cat sits on the mat.\nA dog barks.\nIt is raining again today.\n"
HYPOTHESIS = "The cat sits on a mat.\nA dog barks.\nIt rains again today.\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "hyp.en").write_text(HYPOTHESIS)
    (tmp_path / "ref.en").write_text(REFERENCE)
    return tmp_path / "hyp.en", tmp_path / "ref.en"


def test_a_pipe_gets_one_plain_line_for_each_metric(run_nmt, files) -> None:
    result = run_nmt("score", *files, "--metric", "bleu,chrf,ter")
    assert result.exit_status == 0
    assert [line.split()[0] for line in result.lines] == ["BLEU", "chrF2", "TER"]
    assert result.lines[0].split()[2].startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert result.stderr == ""


def test_stdin_scores_as_the_file_does(run_nmt, files) -> None:
    hypothesis, reference = files
    assert (
        run_nmt("score", "-", reference, stdin=HYPOTHESIS).lines
        == run_nmt("score", hypothesis, reference).lines
    )


def test_json_holds_value_signature_and_details(run_nmt, files) -> None:
    facts = json.loads(run_nmt("score", *files, "--json", "--lowercase").stdout)
    assert facts["lines"] == 3
    assert facts["scores"][0]["metric"] == "BLEU"
    assert "case:lc" in facts["scores"][0]["signature"]


def test_compare_prints_both_scores_their_difference_and_p(run_nmt, files) -> None:
    hypothesis, reference = files
    result = run_nmt("score", hypothesis, reference, "--compare", reference, "--metric", "bleu")
    header, (metric, baseline, system, difference, p, signature) = (line.split("\t") for line in result.lines)
    assert header == ["metric", str(hypothesis), str(reference), "difference", "p", "signature"]
    assert (metric, system) == ("BLEU", "100.00")
    assert float(difference) == pytest.approx(float(system) - float(baseline), abs=0.011)
    assert 0 < float(p) <= 1
    assert "bs:1000|seed:12345" in signature


def test_a_terminal_gets_a_table_with_every_signature_in_full(run_nmt, files, monkeypatch) -> None:
    monkeypatch.setattr("nmt.cli.score.is_terminal", lambda: True)
    hypothesis, reference = files
    scores = run_nmt("score", *files, "--metric", "bleu,ter", env={"COLUMNS": "60"})
    assert "lower is better" in scores.stdout
    assert "nrefs:1|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:" in scores.stdout
    assert "may be chance" in run_nmt("score", hypothesis, reference, "--compare", hypothesis).stdout


def test_counts_that_differ_are_refused_and_no_score_is_printed(run_nmt, files, tmp_path: Path) -> None:
    """A19"""
    (tmp_path / "short.en").write_text("The cat sits on the mat.\n")
    result = run_nmt("score", files[0], tmp_path / "short.en")
    assert (result.exit_status, result.stdout) == (65, "")
    assert "hyp.en has 3 lines" in result.stderr
    assert "short.en has 1" in result.stderr


def test_tokenised_text_is_warned_about_unless_that_is_what_is_scored(run_nmt, files, tmp_path: Path) -> None:
    """A20"""
    (tmp_path / "tok.en").write_text("The cat sits on a mat .\nA dog barks .\nIt rains again today .\n")
    assert "tok.en looks tokenised" in run_nmt("score", tmp_path / "tok.en", files[1]).stderr
    assert run_nmt("score", tmp_path / "tok.en", files[1], "--tokenize", "none").stderr == ""


def test_carriage_returns_blank_lines_and_odd_separators_keep_the_lines_together(
    run_nmt, tmp_path: Path
) -> None:
    (tmp_path / "hyp").write_bytes("A dog barks.\r\n\r\nYes\u2028no\u0085.\x0c\r\n".encode())
    (tmp_path / "ref").write_text("A dog barks.\n\nYes no.\n")
    result = run_nmt("score", tmp_path / "hyp", tmp_path / "ref")
    assert result.exit_status == 0


def test_invalid_utf8_is_scored_with_a_warning_that_names_the_line(run_nmt, files) -> None:
    result = run_nmt("score", "-", files[1], stdin=b"The cat sits on the mat.\nA dog b\xe4rks.\nIt rains.\n")
    assert result.exit_status == 0
    assert "stdin: invalid UTF-8 on 1 line, first on line 2" in result.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--metric", "blue"], "unknown metric 'blue'; did you mean 'bleu'?"),
        (["--metric", "comet"], "choose from bleu, chrf, ter"),
        (["--compare", "missing.en"], "missing.en: no such file"),
    ],
)
def test_mistakes_on_the_command_line_are_named(run_nmt, files, args: list[str], message: str) -> None:
    result = run_nmt("score", *files, *args)
    assert result.exit_status == 2
    assert message in result.stderr


def test_stdin_cannot_be_given_twice(run_nmt) -> None:
    result = run_nmt("score", "-", "-", stdin=HYPOTHESIS)
    assert result.exit_status == 2
    assert "stdin can be read only once" in result.stderr
