"""`nmt aer` as the user types it."""

import json
from pathlib import Path

import pytest

from nmt.alignment.formats import Origin, format_record
from nmt.alignment.merge import WordAlignment


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "links").write_text("0-0 1-1 2-2 2-3\n")
    (tmp_path / "gold.talp").write_text("0-0 1-1 2p2\n")
    (tmp_path / "src").write_text("das Haus .\n")
    (tmp_path / "tgt").write_text("the house . .\n")
    return tmp_path / "links", tmp_path / "gold.talp"


def test_a_pipe_gets_plain_lines(run_nmt, files) -> None:
    result = run_nmt("aer", *files)
    assert result.exit_status == 0
    values = dict(line.split("\t") for line in result.lines)
    assert values["AER"].startswith("0.1667 [")
    assert (values["precision"], values["recall"], values["F1"]) == ("0.7500", "1.0000", "0.8571")
    assert values["links"] == "4"
    assert values["signature"] == "pairs:1|sure:2|possible:3|base:0|bootstrap:1000|seed:12345"


def test_json_holds_the_same_numbers(run_nmt, files) -> None:
    facts = json.loads(run_nmt("aer", *files, "--json").stdout)
    assert facts["aer"] == pytest.approx(1 / 6, abs=1e-6)
    assert facts["aer_interval"] == [facts["aer"], facts["aer"]]


def test_a_terminal_gets_a_table(run_nmt, files, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("nmt.cli.aer.is_terminal", lambda: True)
    texts = ["--src", tmp_path / "src", "--tgt", tmp_path / "tgt"]
    result = run_nmt("aer", *files, *texts, "--errors", "3")
    assert "AER" in result.stdout
    assert "wrong" in result.stdout


def test_reverse_turns_the_links(run_nmt, files) -> None:
    links, gold = files
    links.write_text("0-0 1-1 2-2 3-2\n")
    assert run_nmt("aer", links, gold, "--reverse").lines[0].startswith("AER\t0.1667")


def test_errors_are_named_by_word(run_nmt, files, tmp_path) -> None:
    texts = ["--src", tmp_path / "src", "--tgt", tmp_path / "tgt"]
    result = run_nmt("aer", *files, *texts, "--errors", "3")
    assert result.lines[-2:] == ["error\tcount\tsource\ttarget", "wrong\t1\t.\t."]


def test_tokens_of_no_text_are_refused(run_nmt, files) -> None:
    result = run_nmt("aer", *files, "--tokens", "space")
    assert (result.exit_status, "--tokens cuts --src and --tgt" in result.stderr) == (2, True)


def test_errors_without_words_are_refused(run_nmt, files) -> None:
    result = run_nmt("aer", *files, "--errors", "3")
    assert result.exit_status == 2
    assert "--src and --tgt" in result.stderr


def test_records_bring_words_and_origin_with_them(run_nmt, files) -> None:
    alignment = WordAlignment("a b", "x y", ((0, 1), (2, 3)), ((0, 1), (2, 3)), {(0, 0): 1.0, (0, 1): 1.0})
    links, gold = files
    links.write_text(format_record(alignment, Origin("attention", 2)) + "\n")
    gold.write_text("1-1 2-2\n")
    result = run_nmt("aer", links, gold, "--errors", "2")
    values = dict(line.split("\t", 1) for line in result.lines)
    assert values["AER"].startswith("0.5000")
    assert values["origin"] == "from: attention, layer: 2"
    assert "base:1" in values["signature"]
    assert (values["missing"], values["wrong"]) == ("1\tb\ty", "1\ta\ty")


def test_gold_counted_from_one_is_never_guessed_without_words(run_nmt, files) -> None:
    files[1].write_text("1-1 2-2 3p3\n")
    result = run_nmt("aer", *files)
    assert result.exit_status == 65
    assert "--gold-base" in result.stderr
    assert run_nmt("aer", *files, "--gold-base", "1").lines[0].startswith("AER\t0.1667")


def test_gold_without_links_asks_for_nothing_but_links(run_nmt, files) -> None:
    for path in files:
        path.write_text("\n\n")
    result = run_nmt("aer", *files)
    assert (result.exit_status, result.stdout, result.stderr.count("\n")) == (65, "", 1)
    assert "the gold links hold no sure link" in result.stderr


def test_links_past_the_words_hint_at_the_direction(run_nmt, files, tmp_path) -> None:
    files[0].write_text("3-2\n")
    result = run_nmt("aer", *files, "--src", tmp_path / "src", "--tgt", tmp_path / "tgt")
    assert result.exit_status == 65
    assert "link 3-2 points past" in result.stderr
    assert "--reverse" in result.stderr


def test_links_to_compare_with_point_to_words_too(run_nmt, files, tmp_path) -> None:
    (tmp_path / "other").write_text("0-0 3-1\n")
    texts = ["--src", tmp_path / "src", "--tgt", tmp_path / "tgt"]
    result = run_nmt("aer", *files, *texts, "--compare", tmp_path / "other")
    assert result.exit_status == 65
    assert "other:1: link 3-1 points past the last of 3 source or 4 target words" in result.stderr
    assert "write OTHER with the source first" in result.stderr


def test_links_that_count_from_one_are_noticed(run_nmt, files, tmp_path) -> None:
    links, gold = files
    assert "no link has" not in run_nmt("aer", *files).stderr
    links.write_text("1-1 2-2 3-3\n")
    result = run_nmt("aer", *files)
    assert result.exit_status == 0
    assert "links: no link has the first word, 0; links count words from 0 here" in result.stderr
    result = run_nmt("aer", *files, "--src", tmp_path / "src", "--tgt", tmp_path / "tgt")
    assert result.exit_status == 65
    assert result.stderr.endswith("no link has the first word, 0: count words from 0, not from 1\n")
    zero = tmp_path / "zero.links"
    zero.write_text("0-0\n")
    compared = run_nmt("aer", zero, gold, "--compare", links).stderr
    assert "warning: " in compared
    assert "/links: no link has the first word" in compared
    assert "zero.links: no link has" not in compared
    gold.write_text("1-1 2-2\n")
    assert "no link has" not in run_nmt("aer", *files, "--gold-base", "0").stderr


def test_links_that_fit_exchanged_sides_hint_at_that(run_nmt, files, tmp_path) -> None:
    exchanged = run_nmt("aer", *files, "--src", tmp_path / "tgt", "--tgt", tmp_path / "src")
    assert exchanged.exit_status == 65
    assert "fit once the sides are exchanged: exchange --src and --tgt, or give --reverse" in exchanged.stderr
    files[0].write_text("9-9\n")
    neither = run_nmt("aer", *files, "--src", tmp_path / "src", "--tgt", tmp_path / "tgt")
    assert "is another --tokens meant" in neither.stderr


def test_gold_that_counts_from_zero_is_not_read_as_counting_from_one(run_nmt, files) -> None:
    result = run_nmt("aer", *files, "--gold-base", "1")
    assert result.exit_status == 65
    assert (
        "gold.talp:1: '0-0' links a word 0; expected words counted from 1; give --gold-base 0"
        in result.stderr
    )


def test_everything_that_can_be_asked_for_has_a_plain_form_a_table_and_json(
    run_nmt, files, tmp_path, monkeypatch
) -> None:
    (tmp_path / "other").write_text("0-0 1-1 2-2\n")
    asked = ["--src", tmp_path / "src", "--tgt", tmp_path / "tgt", "--compare", tmp_path / "other"]
    asked += ["--by-length", "--worst", "2", "--errors", "1"]
    plain = run_nmt("aer", *files, *asked)
    assert plain.lines[5:10] == [
        "sure\t2",
        "possible\t3",
        "AER of OTHER\t0.0000",
        "difference\t+0.1667 [+0.1667, +0.1667]",
        "p value\t0.0020",
    ]
    assert plain.lines[12:] == [
        "words\tpairs\tAER\tprecision\trecall\tF1\tlinks",
        "0-10\t1\t0.1667\t0.7500\t1.0000\t0.8571\t4",
        "sentence\tAER\tkind\tsource\ttarget",
        "1\t0.1667\twrong\t.\t.",
        "error\tcount\tsource\ttarget",
        "wrong\t1\t.\t.",
    ]
    facts = json.loads(run_nmt("aer", *files, *asked, "--json").stdout)
    assert (facts["sure"], facts["possible"], facts["compared"]["p_value"]) == (2, 3, 0.001998)
    assert facts["worst"] == [{"number": 1, "aer": 0.166667, "wrong": [[".", "."]], "missing": []}]
    assert facts["by_length"][0]["pairs"] == 1
    monkeypatch.setattr("nmt.cli.aer.is_terminal", lambda: True)
    table = run_nmt("aer", *files, *asked).stdout
    assert all(word in table for word in ("difference", "words", "sentence", "error"))


def test_possible_links_may_be_ignored(run_nmt, files) -> None:
    assert run_nmt("aer", *files, "--ignore-possible").lines[0].startswith("AER\t0.3333")


def test_rows_of_naacl_are_gold_counted_from_one(run_nmt, files) -> None:
    links, gold = files
    links.write_text("0-0 1-1 2-2 2-3\n\n0-0\n")
    gold.write_text("0001 1 1 S\n0001 2 2 S\n0001 3 3 P\n0001 3 0 S\n0003 1 1\n")
    result = run_nmt("aer", "-", gold, stdin=links.read_bytes())
    assert (result.exit_status, result.stderr.count("1 link of no word, left out")) == (0, 1)
    assert "pairs:3|sure:3|possible:4|base:1|" in result.stdout
    assert result.lines[4] == "links\t5"
    assert run_nmt("aer", links, gold, "--gold-base", "0").exit_status == 2


def test_rows_that_can_be_of_naacl_or_soft_are_told_by_others_or_asked_for(run_nmt, files) -> None:
    links, gold = files
    gold.write_text("0-0\n0-0\n")
    for text, found in (("1 1 1\n2 1 1\n", 2), ("1 1 1\n0.9,0.1\n", 4)):
        links.write_text(text)
        assert json.loads(run_nmt("aer", *files, "--json").stdout)["links"] == found
    links.write_text("1 1 1\n1 1 1\n")
    asked = run_nmt("aer", *files)
    assert (asked.exit_status, asked.stderr.count("\n")) == (65, 1)
    assert "ends in .naacl or .soft" in asked.stderr


def test_soft_rows_of_marian_have_the_ends_of_the_sentences(run_nmt, files, tmp_path) -> None:
    files[0].write_text("0.9,0.1,0,0 0,0.9,0.1,0 0,0,0.9,0.1 0,0,0.9,0.1 0,0,0,1\n")
    texts = ["--src", tmp_path / "src", "--tgt", tmp_path / "tgt"]
    assert json.loads(run_nmt("aer", *files, *texts, "--json").stdout)["links"] == 4
    shown = run_nmt("show", *texts[1::2], files[0])
    assert (shown.exit_status, shown.stdout.count("\tlink\t")) == (0, 4)


def test_gold_that_fits_exchanged_sides_is_named(run_nmt, files, tmp_path) -> None:
    files[0].write_text("\n")
    files[1].write_text("1-1 3-4\n")
    exchanged = run_nmt("aer", *files, "--src", tmp_path / "tgt", "--tgt", tmp_path / "src")
    assert exchanged.exit_status == 65
    assert "gold.talp: the links fit the words only once the sides are exchanged" in exchanged.stderr


def test_different_line_counts_are_both_named(run_nmt, files) -> None:
    files[1].write_text("0-0\n0-0\n")
    result = run_nmt("aer", *files)
    assert result.exit_status == 65
    assert "links has 1 line" in result.stderr
    assert "gold.talp has 2 lines" in result.stderr


def test_gold_without_sure_links_is_refused(run_nmt, files) -> None:
    files[1].write_text("0p0\n")
    result = run_nmt("aer", *files)
    assert result.exit_status == 65
    assert "no sure link" in result.stderr


def test_a_file_that_is_not_there_is_a_usage_error(run_nmt, files, tmp_path) -> None:
    assert run_nmt("aer", tmp_path / "nowhere", files[1]).exit_status == 2
