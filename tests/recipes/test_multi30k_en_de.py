"""The paper-comparable score of the Multi30k recipe stands on the very text that the literature scores."""

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "recipes" / "multi30k-en-de"
MULTI30K = Path(os.environ.get("NMT_DATA", ROOT.parent / "shared" / "data")) / "multi30k"


@pytest.fixture(scope="module")
def paper() -> ModuleType:
    spec = importlib.util.spec_from_file_location("paper_score", RECIPE / "paper_score.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not MULTI30K.is_dir(), reason="needs the Multi30k corpus")
@pytest.mark.parametrize("test_set", ["test2016", "test2017"])
def test_our_normalisation_equals_the_published_files_byte_for_byte(paper: ModuleType, test_set: str) -> None:
    normalize = paper.paper_normalizer("de")
    raw = (MULTI30K / f"{test_set}.de").read_bytes().decode().removesuffix("\n").split("\n")
    ours = "".join(normalize(line) + "\n" for line in raw).encode()
    assert ours == (MULTI30K / f"{test_set}.lc.norm.tok.de").read_bytes()


def test_paper_form_is_lowercased_normalised_tokenised_and_escaped(paper: ModuleType) -> None:
    normalize = paper.paper_normalizer("de")
    assert normalize("Ein T-Shirt, auf dem „Hallo“ steht.") == (
        "ein t-shirt , auf dem &quot; hallo &quot; steht ."
    )


def test_paper_score_ignores_case_and_kinds_of_quotes_and_says_so(paper: ModuleType) -> None:
    reference = ["Ein Mann liest das „Tagblatt“ von heute."]
    same = paper.paper_score(['ein Mann liest das "Tagblatt" von heute.'], [reference], language="de")
    assert same.value == pytest.approx(100.0)
    assert same.signature.startswith("text:lc+normpunct+moses.de|sacremoses:")
    assert "tok:none" in same.signature


def test_identity_scores_100_on_both_scales(
    paper: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tmp_path / "text.de"
    text.write_text("Ein Hund läuft über die Wiese.\nZwei Männer sitzen im Boot.\n", encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["paper_score.py", str(text), str(text)])
    paper.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["BLEU", "100.00"],
        ["chrF2", "100.00"],
        ["paper-BLEU", "100.00"],
    ]


def test_line_counts_that_differ_are_refused(
    paper: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hyp.de").write_text("eins\n")
    (tmp_path / "ref.de").write_text("eins\nzwei\n")
    monkeypatch.setattr("sys.argv", ["paper_score.py", str(tmp_path / "hyp.de"), str(tmp_path / "ref.de")])
    with pytest.raises(SystemExit) as stop:
        paper.main()
    assert stop.value.code == 65
    assert "hyp.de has 1 line," in capsys.readouterr().err
