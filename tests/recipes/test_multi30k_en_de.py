"""The paper-comparable score of the Multi30k recipe stands on the very text that the literature scores."""

import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from nmt.config import Config, from_dict, override, to_toml
from nmt.evaluation import score

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "recipes" / "multi30k-en-de"
MULTI30K = Path(os.environ.get("NMT_DATA", ROOT.parent / "shared" / "data")) / "multi30k"


def load(name: str) -> ModuleType:
    """A script of the recipe as a module."""
    spec = importlib.util.spec_from_file_location(name, RECIPE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def paper() -> ModuleType:
    return load("paper_score")


@pytest.fixture(scope="module")
def trials(paper: ModuleType) -> ModuleType:  # noqa: ARG001 the one imports the other
    return load("trials")


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


# Trials


@pytest.mark.parametrize("path", sorted(RECIPE.glob("*s.toml")), ids=lambda path: path.stem)
def test_every_option_of_a_trial_is_one(trials: ModuleType, path: Path) -> None:
    plan = trials.Plan.read(path)
    for name in plan.trials:
        config = from_dict(override({}, plan.options_of(name)))
        assert isinstance(config, Config)
    assert plan.average.keys() <= plan.trials.keys()


@pytest.mark.parametrize("budget", ["", "20m"])
def test_a_trial_is_trained_by_the_clock_or_by_steps_and_translated_once(
    trials: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: str
) -> None:
    (tmp_path / "test2016.de").write_text("Ein Hund.\n", encoding="utf-8")
    called: list[tuple[str, ...]] = []

    def nmt(*arguments: str) -> None:
        called.append(arguments)
        if arguments[0] == "translate":
            Path(arguments[-1]).write_text("Ein Hund.\n", encoding="utf-8")

    monkeypatch.setattr(trials, "nmt", nmt)
    rows = {"plain": ["model.norm=rms"], "mean": []}
    plan = trials.Plan(1, ["model.dropout=0.1"], rows, budget=budget, average={"mean": 5})
    trial = trials.Trial(tmp_path / "plain-3", "plain")
    for _ in range(2):
        trial.run(tmp_path, tmp_path, plan, 3)
    train, translate = called
    assert ("--budget" in train) == bool(budget)
    assert [train[i + 1] for i, each in enumerate(train) if each == "--set"][1:] == [
        "model.dropout=0.1",
        "model.norm=rms",
    ]
    assert train[train.index("--seed") + 1] == "3"
    assert (translate[translate.index("-m") + 1], translate[-1]) == (str(trial.folder), str(trial.output))

    trials.Trial(tmp_path / "mean-3", "mean").run(tmp_path, tmp_path, plan, 3)
    _, average, translate = called[2:]
    mean = str(tmp_path / "mean-3.mean")
    assert average == ("average", str(tmp_path / "mean-3"), "--last", "5", "-o", mean)
    assert translate[translate.index("-m") + 1] == mean


def test_a_model_of_other_options_is_not_taken_for_that_of_a_trial(
    trials: ModuleType, tmp_path: Path
) -> None:
    stored = from_dict(override({}, ["alignment.head=false", "model.norm=rms", "training.max_steps=7"]))
    (tmp_path / "rms-1").mkdir()
    (tmp_path / "rms-1" / "config.toml").write_text(to_toml(stored), encoding="utf-8")
    trial = trials.Trial(tmp_path / "rms-1", "rms")
    trial.check(trials.Plan(1, ["training.max_steps=7"], {"rms": ["model.norm=rms"]}))
    for steps, norm in ((8, "rms"), (7, "layer")):
        plan = trials.Plan(1, [f"training.max_steps={steps}"], {"rms": [f"model.norm={norm}"]})
        with pytest.raises(SystemExit, match="rms-1: was trained with other options; remove it, or give"):
            trial.check(plan)


def test_the_table_has_means_and_deviations_and_the_chance_of_a_difference(
    trials: ModuleType, tmp_path: Path
) -> None:
    reference = [f"Der Hund Nummer {number} läuft über die grüne Wiese ." for number in range(50)]
    worse = [line.replace("läuft über", "steht auf") for line in reference]
    done: dict[str, dict[int, object]] = {"plain": {}, "other": {}}
    for name, seed, lines, steps in (
        ("plain", 1, worse, 100),
        ("plain", 2, worse, 120),
        ("other", 1, reference, 90),
        ("other", 2, worse[:25] + reference[25:], 90),
    ):
        trial = trials.Trial(tmp_path / f"{name}-{seed}", name)
        trial.folder.mkdir()
        trial.output.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        facts = {"training": {"step": steps}, "dev": {"loss": 1.5}}
        (trial.folder / "manifest.json").write_text(json.dumps(facts), encoding="utf-8")
        done[name][seed] = trial

    def rows(against: str) -> list[list[str]]:
        lines = [*trials.table(done, reference, against=against)][2:4]
        return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]

    plain, other = rows("plain")
    assert [row[5] for row in rows("other")] == ["0.001", ""]
    assert plain[:4] == ["`plain`", "2", "110 ± 14", "1.500 ± 0.000"]
    assert plain[5] == ""
    assert other[5] == "0.001"
    same, half = (score(lines, [reference])[0].value for lines in (reference, worse[:25] + reference[25:]))
    assert other[4] == f"{(same + half) / 2:.2f} ± {(same - half) / 2**0.5:.2f}"
