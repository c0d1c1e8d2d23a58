"""`nmt demo --quick`: all that the demo shows, with a tiny model and a part of the corpus."""

import json
import re
import shutil
from pathlib import Path

import pytest

from nmt.corpus.sample import sample_dir

LEGEND = "∅ no link"
TINY = """
tokenizer = {vocab_size = 400}
model = {encoder_layers = 1, decoder_layers = 2, d_model = 32, d_ff = 64, num_heads = 2}
training = {precision = "float32", batch_tokens = 400}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working folder, with 200 pairs of each of the sample texts and a configuration of a tiny model."""
    folder = tmp_path_factory.mktemp("demo")
    corpus = Path(shutil.copytree(sample_dir() / "de-en", folder / "sample" / "de-en"))
    for path in (*corpus.glob("train.*"), *corpus.glob("test.*")):
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:200]))
    (corpus / "demo.toml").write_text(TINY)
    return folder


@pytest.fixture
def demo(run_nmt, folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr("nmt.corpus.sample.sample_dir", lambda: folder / "sample")
    monkeypatch.setenv("COLUMNS", "100")
    return lambda *args: run_nmt("demo", "--quick", "--threads", "1", *args)


@pytest.fixture
def first(demo):
    """The demo in the folder `one`, run when the first test asks for it; later it only shows its results."""
    done = demo("--out", "one")
    assert done.exit_status == 0, done.stderr
    return done


def test_it_shows_scores_three_tables_and_what_to_try_next(first, folder: Path, parse_nmt) -> None:
    done = first
    assert re.search(r"^BLEU \d+\.\d\d  nrefs:1\|case:mixed", done.stdout, re.MULTILINE)
    assert re.search(r"^AER  \d\.\d\d\d  against gold links", done.stdout, re.MULTILINE)
    assert [line.split()[0] for line in done.lines if re.match(r"sentence ", line)] == ["sentence"] * 3
    assert done.stdout.count(LEGEND) == 1
    commands = [line.strip() for line in done.lines if line.startswith("  nmt ")]
    assert len(commands) == 6
    for command in commands:
        parse_nmt(command)
    assert (folder / "one" / "manifest.json").exists()


@pytest.mark.usefixtures("first")
def test_it_is_the_same_every_time(demo, folder: Path) -> None:
    assert demo("--out", "two").exit_status == 0
    one, two = (json.loads((folder / name / "summary.json").read_bytes()) for name in ("one", "two"))
    assert one.keys() >= {"bleu", "aer", "seconds", "tokens_per_second", "model"}
    for key in ("bleu", "aer", "links_from", "alignment_layer", "steps"):
        assert one[key] == two[key]
    for name in ("model.safetensors", "test.hyp.en", "test.links"):
        assert (folder / "one" / name).read_bytes() == (folder / "two" / name).read_bytes()


@pytest.mark.usefixtures("first")
def test_again_it_trains_no_more_and_says_the_same(demo, folder: Path) -> None:
    before = json.loads((folder / "one" / "summary.json").read_bytes())
    done = demo("--out", "one", "--json", "--quiet")
    assert (done.exit_status, done.stderr) == (0, "")
    assert json.loads(done.stdout) == before == json.loads((folder / "one" / "summary.json").read_bytes())
