"""`nmt symmetrize` as the user types it."""

from pathlib import Path

import pytest


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


def test_output_goes_to_a_file(run_nmt, files, tmp_path) -> None:
    result = run_nmt("symmetrize", *files, "--method", "union", "-o", tmp_path / "both")
    assert (result.exit_status, result.stdout) == (0, "")
    assert (tmp_path / "both").read_text().splitlines()[2] == "0-0 1-0"


def test_different_line_counts_are_both_named(run_nmt, files, tmp_path) -> None:
    (tmp_path / "short").write_text("0-0\n")
    result = run_nmt("symmetrize", files[0], tmp_path / "short", "-o", tmp_path / "both")
    assert result.exit_status == 65
    assert "fwd has 3 lines" in result.stderr
    assert "short has 1 line" in result.stderr
    assert not (tmp_path / "both").exists()


def test_a_pipe_that_ends_too_early_is_noticed(run_nmt, files) -> None:
    result = run_nmt("symmetrize", "-", files[1], stdin="0-0\n")
    assert result.exit_status == 65
    assert "stdin has 1 line" in result.stderr


def test_damaged_links_are_named_with_their_place(run_nmt, files) -> None:
    files[0].write_text("0-0\n1:1\n\n")
    result = run_nmt("symmetrize", *files)
    assert result.exit_status == 65
    assert "fwd:2: '1:1' is not a link" in result.stderr


def test_an_input_is_never_overwritten(run_nmt, files) -> None:
    result = run_nmt("symmetrize", *files, "-o", files[0])
    assert result.exit_status == 73
    assert files[0].read_text().startswith("0-0 1-1")
