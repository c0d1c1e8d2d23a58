"""`nmt symmetrize` as the user types it."""

import json
from pathlib import Path

import pytest

from nmt.alignment.formats import Origin, format_record
from nmt.alignment.merge import WordAlignment


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "fwd").write_text("0-0 1-1 3-3 5-5\n\n0-0\n")
    (tmp_path / "rev").write_text("0-0 1-0 3-3 5-6\n\n1-0\n")
    return tmp_path / "fwd", tmp_path / "rev"


@pytest.mark.parametrize(
    ("method", "first"),
    [
        ("intersection", "0-0 3-3"),
        ("union", "0-0 1-0 1-1 3-3 5-5 5-6"),
        ("grow-diag", "0-0 1-0 1-1 3-3"),
        ("grow-diag-strict", "0-0 1-1 3-3"),
    ],
)
def test_one_line_out_for_each_line_in(run_nmt, files, method, first) -> None:
    result = run_nmt("symmetrize", *files, "--method", method)
    assert result.exit_status == 0
    assert len(result.lines) == 3
    assert result.lines[:2] == [first, ""]


def test_reverse_turns_the_links_of_the_second_file(run_nmt, files) -> None:
    forward, _ = files
    result = run_nmt(
        "symmetrize", "-", forward, "--reverse", "--method", "intersection", stdin="0-1 3-3\n\n\n"
    )
    assert result.lines == ["3-3", "", ""]


def test_what_is_sure_is_asked_only_where_it_can_be_told(run_nmt, files) -> None:
    refused = run_nmt("symmetrize", *files, "--sure", "0.3")
    assert (refused.exit_status, "--sure is for talp and NAACL" in refused.stderr) == (2, True)


def test_output_goes_to_a_file(run_nmt, files, tmp_path) -> None:
    result = run_nmt("symmetrize", *files, "--method", "union", "-o", tmp_path / "both")
    assert (result.exit_status, result.stdout) == (0, "")
    assert (tmp_path / "both").read_text().splitlines()[2] == "0-0 1-0"


def test_probabilities_of_both_become_their_mean(run_nmt, files) -> None:
    forward, reverse = files
    forward.write_text("0-0:0.9 1-1:0.5\n\n0-0:1\n")
    reverse.write_text("0-0:0.7\n\n0-0\n")
    union = ["--method", "union"]
    assert run_nmt("symmetrize", *files, *union).lines == ["0-0:0.8 1-1:0.25", "", "0-0"]
    assert run_nmt("symmetrize", *files, *union, "--format", "pharaoh").lines[0] == "0-0 1-1"
    assert run_nmt("symmetrize", *files, *union, "--format", "talp").lines[0] == "0-0 1p1"
    assert run_nmt("symmetrize", *files, *union, "--format", "naacl").lines == [
        "1 1 1 S",
        "1 2 2 P",
        "3 1 1 S",
    ]


def test_files_of_different_formats_go_together(run_nmt, files, tmp_path) -> None:
    forward, reverse = files
    texts = ("a ||| b \u2028", "שלום 👍🏽")
    words = WordAlignment(*texts, ((0, 1), (2, 5)), ((0, 4), (5, 7)), {(0, 0): 1.0, (1, 1): 0.5})
    forward.write_text(format_record(words, Origin("attention", 2)) + "\n\n", encoding="utf-8")
    reverse.write_text("0001 1 1 S\n0001 2 2 P 0.7\n0001 1 0 S\n")
    result = run_nmt("symmetrize", *files, "--method", "union", "-o", tmp_path / "both.jsonl")
    assert "rev: 1 link of no word, left out" in result.stderr
    line, blank = (tmp_path / "both.jsonl").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    record = json.loads(line)
    assert blank == ""
    assert (record["src"], record["tgt"], record["links"]) == (*texts, [[0, 0, 1.0], [1, 1, 0.75]])
    assert (record["from"], record["method"]) == ("symmetrize", "union")


def test_soft_rows_are_read_and_not_written(run_nmt, files, tmp_path) -> None:
    (tmp_path / "s.soft").write_text("0.98,0.02 0.1,0.9\n\n1 0.2\n")
    result = run_nmt("symmetrize", tmp_path / "s.soft", tmp_path / "s.soft")
    assert result.lines == ["0-0:0.98 1-1:0.9", "", "0-0:1"]
    refused = run_nmt("symmetrize", *files, "-o", tmp_path / "both.soft")
    assert (refused.exit_status, (tmp_path / "both.soft").exists()) == (2, False)


def test_rows_of_more_sentences_than_there_are_lines_are_refused(run_nmt, files) -> None:
    files[1].write_text("2 1 1 S\n4 1 1 S\n")
    result = run_nmt("symmetrize", *files)
    assert result.exit_status == 65
    assert "rev:2: a link of sentence 4; expected at most 3" in result.stderr
    piped = run_nmt("symmetrize", "-", files[1], stdin=files[0].read_bytes())
    assert piped.exit_status == 65
    assert "rev: has links of more sentences than stdin has lines" in piped.stderr
    files[1].write_text("2 1 1 S\n")
    assert run_nmt("symmetrize", "-", files[1], "--method", "union", stdin="\n\n0-1\n").lines == [
        "",
        "0-0",
        "0-1",
    ]


def test_possible_links_stay_possible_where_no_side_is_sure(run_nmt, files, tmp_path) -> None:
    forward, reverse = files
    forward.write_text("0p0 1-1\n0-0 1p2\n")
    reverse.write_text("0-0 1p1 2-1\n0-0 1p2\n")
    options = ["--method", "union", "--format"]
    assert run_nmt("symmetrize", *files, *options, "talp").lines == ["0-0 1-1 2-1", "0-0 1p2"]
    rows = tmp_path / "both.naacl"
    rows.write_text(run_nmt("symmetrize", *files, *options, "naacl").stdout)
    assert "2 2 3 P" in rows.read_text()
    assert run_nmt("symmetrize", rows, rows, *options, "talp").lines == ["0-0 1-1 2-1", "0-0 1p2"]


@pytest.mark.parametrize("command", [("symmetrize", "-", "-"), ("show", "FILE", "-", "FILE", "--diff", "-")])
def test_stdin_is_read_once_whatever_the_format(run_nmt, files, command) -> None:
    names = [files[0] if name == "FILE" else name for name in command]
    result = run_nmt(*names, stdin="1 1 1 S\n")
    assert (result.exit_status, result.stdout) == (2, "")
    assert "- is given twice" in result.stderr
