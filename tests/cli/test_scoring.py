"""`nmt translate --score` as a user types it: the scores that the translations were found with."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

SOURCES = ["Der Hund schläft.", "", "Ja!"]
TARGETS = ["The dog is sleeping.", "", "Yes, a cat!"]


@pytest.fixture
def score(run_nmt: Run, tiny_model_dir: Path) -> Run:
    def run(*args: str | Path, **options: Any) -> Any:
        return run_nmt("translate", "-m", tiny_model_dir, "--threads", "1", "--score", *args, **options)

    return run


def lines_of(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


@pytest.fixture
def targets(tmp_path: Path) -> Path:
    path = tmp_path / "targets"
    path.write_text(lines_of(*TARGETS), encoding="utf-8")
    return path


def test_two_files_and_lines_with_a_tab_have_the_same_scores(
    score: Run, targets: Path, tmp_path: Path
) -> None:
    beside = score(targets, stdin=lines_of(*SOURCES))
    assert beside.exit_status == 0, beside.stderr
    assert "3 lines in" in beside.stderr
    assert len(beside.lines) == 3
    assert float(beside.lines[1]) == 0.0
    assert all(float(line) < 0 for line in (beside.lines[0], beside.lines[2]))
    pairs = [f"{src}\t{tgt}" if src else "" for src, tgt in zip(SOURCES, TARGETS, strict=True)]
    assert score("-", stdin=lines_of(*pairs)).stdout == beside.stdout
    (tmp_path / "in").write_text(lines_of(*SOURCES), encoding="utf-8")
    output = tmp_path / "out"
    assert score(targets, "-i", tmp_path / "in", "-o", output).stdout == ""
    assert output.read_text(encoding="utf-8") == beside.stdout


def test_json_lines_have_the_pair_with_its_scores(score: Run, targets: Path) -> None:
    plain = score(targets, "--quiet", stdin=lines_of(*SOURCES))
    records = [json.loads(line) for line in score(targets, "--format", "jsonl", *SOURCES).lines]
    assert [record["id"] for record in records] == [0, 1, 2]
    assert [(record["src"], record["tgt"]) for record in records] == list(zip(SOURCES, TARGETS, strict=True))
    assert [f"{record['score']:.6f}" for record in records] == plain.lines
    assert records[0]["log_prob"] < records[0]["score"] < 0
    assert plain.stderr == ""


def test_json_objects_have_the_scores_of_two_files_and_keep_their_fields(score: Run, targets: Path) -> None:
    expected = [json.loads(line) for line in score(targets, "--format", "jsonl", *SOURCES).lines]
    objects = [{"src": src, "tgt": tgt, "by": "me"} for src, tgt in zip(SOURCES, TARGETS, strict=True)]
    bad = [{"id": "x", "src": "Ja!"}, {"src": "Ja!", "tgt": 1}]
    text = lines_of(*map(json.dumps, [*objects, *bad]), "", "no JSON")
    found = score("-", "--input-format", "jsonl", stdin=text)
    assert (found.exit_status, found.lines[5]) == (0, "")
    records = [json.loads(line) for line in (*found.lines[:5], found.lines[6])]
    assert records[:3] == [{"src": one["src"], "tgt": one["tgt"], "by": "me"} | one for one in expected]
    lacking = "has no text in tgt; expected one"
    assert records[3] == bad[0] | {"error": lacking}
    assert [record.get("error", "")[:10] for record in records] == [
        "",
        "",
        "",
        *2 * ["has no tex"],
        "not JSON (",
    ]
    assert f"stdin:4: {lacking}; there is nothing to score" in found.stderr
    plain = score("-", "--input-format", "jsonl", "--format", "text", stdin=text)
    assert plain.lines == [*(f"{record['score']:.6f}" for record in expected), *4 * [""]]
    strict = score("-", "--input-format", "jsonl", "--strict", stdin=text)
    assert (strict.exit_status, f"stdin:4: {lacking}" in strict.stderr) == (65, True)
    assert score(targets, "--input-format", "jsonl", stdin=text).exit_status == 2


def test_a_pair_without_a_score_gives_an_empty_line_and_is_told(score: Run) -> None:
    pairs = lines_of("\tThe dog.", f"Hund\t{'dog ' * 1100}", "Ja!\tYes!")
    plain = score("-", stdin=pairs)
    assert plain.exit_status == 0
    assert [bool(line) for line in plain.lines] == [False, False, True]
    assert "blank source, without a score: 1 line" in plain.stderr
    assert "too long, without a score: 1 line" in plain.stderr
    record = json.loads(score("-", "--format", "jsonl", stdin=pairs).lines[0])
    assert (record["score"], record["unscored"]) == (None, "blank source")


def test_what_does_not_fit_together_is_refused(score: Run, targets: Path, tmp_path: Path) -> None:
    fewer = score(targets, "-o", tmp_path / "out", stdin=lines_of(*SOURCES[:2]))
    assert fewer.exit_status == 65
    assert "2 lines" in fewer.stderr
    assert not (tmp_path / "out").exists()
    untabbed = score("-", stdin=lines_of("Ja!\tYes!", "Nein!"))
    assert untabbed.exit_status == 65
    assert "stdin:2: 0 tabs, expected SOURCE, one tab and TARGET" in untabbed.stderr
    assert score(targets, "--align", *SOURCES).exit_status == 2
    assert score(tmp_path / "missing", *SOURCES).exit_status != 0
