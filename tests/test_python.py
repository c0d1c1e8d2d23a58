"""`from nmt import Translator`: cheap until it is used, true to README and docstrings, safe for threads."""

import doctest
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

import nmt
from nmt.checkpoint import TranslationModel
from nmt.config import DecodingConfig
from nmt.decoding import Translator
from nmt.errors import ConfigError, UsageError

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
LINES = ["Der Hund schläft.", "", "Ja!", "Die Katze sieht den Hund.", "Wir gehen nach Hause."]


@pytest.fixture
def folder(tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with the model under the names that the examples use."""
    threads = torch.get_num_threads()
    for name in ("my-model", "demo-model"):
        (tmp_path / name).symlink_to(tiny_model_dir)
    (tmp_path / "input.de").write_text("Der Hund\n\nJa!\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    torch.set_num_threads(threads)


def test_nothing_is_imported_before_it_is_needed(tiny_model_dir: Path) -> None:
    """torch, and what takes longer still: its compiler, which nobody needs who translates."""
    program = (
        "import nmt, sys; assert 'torch' not in sys.modules; "
        "from nmt import Translator; assert 'torch' in sys.modules; "
        "Translator.load(sys.argv[1], align=True).translate(['Ja!']); "
        "assert 'torch._dynamo' not in sys.modules; print(Translator.__module__)"
    )
    command = [sys.executable, "-c", program, str(tiny_model_dir)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "nmt.decoding.translator\n"
    assert nmt.Translator is Translator
    with pytest.raises(AttributeError, match="module 'nmt' has no attribute 'Translater'"):
        nmt.Translater  # noqa: B018


@pytest.mark.usefixtures("folder")
def test_the_example_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    [example] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 2 + 3


@pytest.mark.usefixtures("folder")
def test_the_examples_of_the_docstrings_run() -> None:
    names = {"Translator": Translator, "translator": Translator.load("demo-model", beam_size=2, threads=1)}
    tests = doctest.DocTestFinder(recurse=True).find(Translator, globs=names)
    runner = doctest.DocTestRunner()
    assert sum(runner.run(test).attempted for test in tests) >= 9
    assert runner.summarize(verbose=False).failed == 0


@pytest.mark.usefixtures("folder")
def test_options_are_those_of_the_model_but_for_those_given() -> None:
    translator = Translator.load(Path("my-model"), threads=1, beam_size=3, nbest=3, length_penalty=0.5)
    assert translator.config == DecodingConfig(beam_size=3, length_penalty=0.5)
    assert translator.model.path == Path("my-model")
    assert len(translator.translate(LINES[:1])[0].hypotheses) == 3
    both = Translator.load("my-model", "demo-model", threads=1)
    assert len(both.models) == 2
    assert both.config == DecodingConfig()


@pytest.mark.usefixtures("folder")
def test_what_can_not_be_loaded_is_named() -> None:
    with pytest.raises(ConfigError, match=r"decoding.*beam.*beam_size"):
        Translator.load("my-model", beam=3)
    with pytest.raises(ConfigError, match=r"decoding\.beam_size"):
        Translator.load("my-model", beam_size="wide")
    with pytest.raises(UsageError, match="missing: no such folder"):
        Translator.load("missing")
    with pytest.raises(UsageError, match="no model to load"):
        Translator.load()


@pytest.fixture
def three_cores() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_cores")
def test_threads_that_share_a_translator_get_what_each_would_get_alone(tiny_model: TranslationModel) -> None:
    config = DecodingConfig(beam_size=4, max_length_ratio=0.01)
    translator = Translator(tiny_model, config, align=True)
    requests = [LINES[number:] * 3 for number in range(4)] + [LINES[:1]] * 4  # with and without workers
    alone = [translator.translate(request) for request in requests]
    with ThreadPoolExecutor(len(requests)) as pool:
        together = list(pool.map(translator.translate, requests))
    assert torch.get_num_threads() == 3  # given back, whoever was last
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == 3
    for some, others in zip(together, alone, strict=True):
        for one, other in zip(some, others, strict=True):
            assert (one.source, one.text) == (other.source, other.text)
            assert one.hypotheses[0].score == pytest.approx(other.hypotheses[0].score, abs=1e-5)
            torch.testing.assert_close(one.alignment.forward, other.alignment.forward)
