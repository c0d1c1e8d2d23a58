"""The soak finds nothing wrong with what is right, and every wrong that it looks for."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from nmt.corpus.sample import sample_dir

BENCHMARKS = Path(__file__).resolve().parents[2] / "recipes" / "benchmarks"
SENTENCES = [b"Der Hund.", b"Ja!", b"Die Katze sieht den Hund."]


@pytest.fixture
def soak(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("soak")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_hundreds_of_lines_come_back_as_promised(soak: ModuleType, tmp_path: Path) -> None:
    """A16"""
    text = (sample_dir() / "de-en" / "test.de").read_bytes().splitlines()
    model_dir = soak.make_model(tmp_path / "model", text)
    command = [sys.executable, "-m", "nmt.cli", "translate", "-m", str(model_dir), *soak.OPTIONS]
    command += ["--set", "decoding.window=50"]
    outcome = soak.soak(command, text[:50], 400, every=10, seed=1)
    assert outcome.problems == []
    assert outcome.kinds.total() == 400
    assert set(outcome.kinds) == {*soak.ODD, soak.SENTENCE}
    assert min(outcome.kinds.values()) > 2
    assert [sample.num_lines for sample in outcome.samples] == list(range(40, 401, 40))
    assert soak.growth(outcome.samples, 50.0) == []


ECHO = """
import sys
for number, line in enumerate(sys.stdin.buffer, 1):
    sys.stdout.buffer.write({})
    sys.stdout.flush()
"""


def talked_by(soak: ModuleType, answer: str) -> list[str]:
    """What is wrong with a program that answers so."""
    outcome = soak.soak([sys.executable, "-c", ECHO.format(answer)], SENTENCES, 60, every=3, seed=1)
    return [problem for problem in outcome.problems if "stderr" not in problem]


@pytest.mark.parametrize(
    ("answer", "problems"),
    [
        ("b'a\\n' if line.strip(b'\\t \\xa0\\n') else line", ["line 5, white space only: is not blank"]),
        (
            "b'ab\\n'[number == 7:] if len(line) > 9 else b'\\n'",
            ["line 7, sentence: is b'b', expected b'ab'"],
        ),
        ("line if number < 40 else b'' if number == 40 else line", ["59 lines came back, expected 60"]),
        ("b'\\n' * (1 + (number == 60))", ["1 lines too many"]),
        ("b'a\\xc2\\x85b\\n' if number == 3 else b'\\n'", ["line 3, sentence: has line ends in it"]),
        ("b'\\xff\\n' if number == 3 else b'\\n'", ["line 3, sentence: is not UTF-8"]),
    ],
)
def test_what_is_wrong_is_found(
    soak: ModuleType, monkeypatch: pytest.MonkeyPatch, answer: str, problems: list[str]
) -> None:
    monkeypatch.setattr(soak, "PATIENCE", 2)
    found = talked_by(soak, answer)
    assert [problem in " ".join(found) for problem in problems] == [True] * len(problems), found


def test_counts_on_stderr_are_exact(soak: ModuleType) -> None:
    kinds = soak.Counter({soak.SENTENCE: 1000, soak.LONG: 12, soak.NOT_UTF8: 3})
    said = "12 lines in all had to be cut\ninvalid UTF-8 on 3 lines (1)\n1,015 lines in 2,000.0 s, 9 lines/s"
    assert soak.unsaid(said, kinds) == []
    assert len(soak.unsaid(said, kinds + soak.Counter({soak.NOT_UTF8: 1}))) == 2


def test_memory_that_grows_in_the_second_half_is_told(soak: ModuleType) -> None:
    samples = [soak.Sample(number, 1.0, 0.0, peak) for number, peak in enumerate((90.0, 100.0, 100.0, 120.0))]
    assert soak.growth(samples, 30.0) == []
    assert soak.growth(samples, 16.0) == ["the second half needed 20.0 MB more, expected at most 16"]
