"""The alignment recipe: its text, links on the tokens of the gold, the tables' arithmetic."""

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

from nmt.alignment import Alignment
from nmt.alignment.origin import Origin
from nmt.corpus.links import GoldLinks
from nmt.errors import DataError

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("NMT_DATA", ROOT.parent / "shared" / "data"))
SCRIPTS = ("settings", "prepare", "baselines", "compare", "variants", "ablation", "speed", "link_gold")


@pytest.fixture(scope="module")
def recipe() -> Iterator[SimpleNamespace]:
    """The scripts of the recipe, which import each other as scripts in a folder do."""
    folder = str(ROOT / "recipes" / "alignment")
    sys.path.insert(0, folder)
    modules: dict[str, ModuleType] = {name: importlib.import_module(name) for name in SCRIPTS}
    yield SimpleNamespace(**modules)
    sys.path.remove(folder)
    for name in SCRIPTS:
        del sys.modules[name]


GOLD = ["0-0 1-1", "0-0 1p1"]


def write_settings(recipe: SimpleNamespace, out: Path) -> None:
    """Two settings: `small-2` with two pairs, `other` with one."""
    for name, gold in (("small-2", GOLD), ("other", ["0-0"])):
        setting = recipe.settings.Setting(out / name, ("ja", "en"))
        setting.create()
        setting.write("gold.talp", gold)
        setting.write("train.ja", ["ab cd"] * 3)
        setting.write("train.en", ["x y"] * 3)


def test_gold_pairs_are_moved_to_the_front_each_once(recipe: SimpleNamespace) -> None:
    pairs = [("a", "A"), ("b", "B"), ("c", "C"), ("b", "B")]
    assert recipe.prepare.gold_first(pairs, [("b", "B")]) == [
        ("b", "B"),
        ("a", "A"),
        ("c", "C"),
        ("b", "B"),
    ]
    with pytest.raises(DataError, match="1 gold pairs are not in the training text"):
        recipe.prepare.gold_first(pairs, [("d", "D")])


def test_japanese_loses_its_spaces_but_those_between_latin_words(recipe: SimpleNamespace) -> None:
    assert (
        recipe.prepare.unspaced(" 2003年 吉田　玉男 Where the Falls』") == "2003年吉田玉男where the falls』"
    )


def test_endings_of_regular_words_are_split_off_as_the_gold_has_them(recipe: SimpleNamespace) -> None:
    def word(surface: str, base: str, part: str, kind: str) -> SimpleNamespace:
        return SimpleNamespace(surface=surface, feature=SimpleNamespace(orthBase=base, pos1=part, cType=kind))

    split = recipe.prepare.split_ending
    assert split(word("書い", "書く", "動詞", "五段-カ行")) == ["書", "い"]
    assert split(word("する", "する", "動詞", "サ行変格")) == ["する"]
    assert split(word("なかっ", "ない", "形容詞", "形容詞")) == ["な", "かっ"]
    assert split(word("考え", "考える", "動詞", "下一段-ア行")) == ["考え"]
    assert split(word("京都", "京都", "名詞", "")) == ["京都"]


@pytest.mark.skipif(not (DATA / "kyoto-ja-en").is_dir(), reason="needs the Kyoto corpus")
def test_english_is_cut_into_words_as_the_gold_is(recipe: SimpleNamespace) -> None:
    gold = (DATA / "kyoto-ja-en" / "dev.en").read_text(encoding="utf-8").splitlines()
    cut = recipe.prepare.moses("en")
    # a cut line can be cut again, unless it has an apostrophe or a full stop that was part of a word
    plain = [line for line in gold if "'" not in line and "." not in line[:-2]][:50]
    assert [cut(line) for line in plain] == plain
    assert (
        cut("It isn't Taira's \"Mt. Fuji\" (a mt.), or?")
        == "it isn 't taira 's \" mt . fuji \" ( a mt . ) , or ?"
    )


def test_tokens_of_the_gold_are_found_in_a_line_with_other_spaces(recipe: SimpleNamespace) -> None:
    spans = recipe.settings.token_spans
    assert spans("日本の寺 ab", "日本 の 寺a b", where="") == ((0, 2), (2, 3), (3, 6), (6, 7))
    assert spans("a bc", "a bc", where="") == ((0, 1), (2, 4))
    with pytest.raises(DataError, match=r"gold 1: after 2 characters the training text has 'c'.* 'd'"):
        spans("abc", "ab d", where="gold 1")


def test_links_are_counted_on_the_tokens_of_the_gold() -> None:
    # pieces ab, c and xy; tokens a, bc and x, y
    links = torch.tensor([[0.8, 0.2]])
    alignment = Alignment(
        "abc", "xy", ((0, 2), (2, 3)), ((0, 2),), links, torch.tensor([[0.9, 0.7]]), Origin("head", 1)
    )
    b = (0.45 / 2 + 0.35) / 1.5  # of bc for x: half of ab and c, each for x by half
    found = alignment.words((((0, 1), (1, 3)), ((0, 1), (1, 2)))).links
    assert found == pytest.approx(
        {(i, j): p for i, p in ((0, 2 * 0.4 * 0.45 / 0.85), (1, 2 * 0.6 * b / (0.6 + b))) for j in (0, 1)}
    )


def test_tables_hold_every_set_and_all_together(
    recipe: SimpleNamespace,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_settings(recipe, tmp_path)
    opened = {setting.name: setting for setting in recipe.settings.open_settings(tmp_path)}
    for name, links in (("small-2", [{(0, 0)}, {(0, 0)}]), ("other", [{(0, 0)}])):
        opened[name].write_links("eflomal", links)
    opened["small-2"].write_links("head", [{(0, 0), (1, 1)}, {(0, 0), (1, 1)}])
    opened["other"].write_links("head", [{(0, 1)}])
    opened["other"].write_links("hmm", [{(0, 0)}])
    monkeypatch.setattr(
        "sys.argv", ["compare.py", str(tmp_path), "head", f"hmm={tmp_path}/SETTING/hmm.links"]
    )
    recipe.compare.main()
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["gold", "pairs", "head", "hmm", "eflomal", "systran-align"]
    # small-2 has 3 sure links: eflomal 1 - (2 + 2) / (2 + 3); with other 1 - (3 + 3) / (3 + 4);
    # head finds all, one of them only possible: 1 - (3 + 4) / (4 + 3); with other 1 - (3 + 4) / (5 + 4)
    assert [[cell[:5] for cell in row] for row in rows[2:5]] == [
        ["other", "1", "1.000", "0.000", "0.000", "–"],
        ["small", "2", "0.000", "–", "0.200", "–"],
        ["small", "3", "0.222", "–", "0.143", "–"],
    ]
    assert rows[6][:2] == ["minus eflomal", "head"]
    assert rows[8][1].startswith("+1.000 [+1.000, +1.000]")
    assert rows[9][1].startswith("-0.200")


def test_baselines_count_with_their_best_links(recipe: SimpleNamespace) -> None:
    gold = [GoldLinks(frozenset({(0, 0)}), frozenset())]
    result = recipe.baselines.Result({"forward": [{(0, 1)}], "union": [{(0, 1), (0, 0)}]}, 1.0)
    assert result.best(gold) == "union"


@pytest.mark.parametrize(("package", "aligner"), [("eflomal", "eflomal"), ("systran_align", "systran-align")])
def test_baselines_find_the_words_that_always_go_together(
    recipe: SimpleNamespace, package: str, aligner: str
) -> None:
    pytest.importorskip(package)
    pairs = [("a b", "A B"), ("b c", "B C"), ("c a", "C A"), ("", "A"), ("a", "A")] * 20
    src_lines, tgt_lines = map(list, zip(*pairs, strict=True))
    result = recipe.baselines.ALIGNERS[aligner](src_lines, tgt_lines, count=4)
    assert next(reversed(result.links.values())) == [{(0, 0), (1, 1)}] * 3 + [set()]
