"""`nmt show` as the user types it."""

import json
import re
from pathlib import Path

import pytest

SOURCE = "Er ruft an.\nDas Haus ist alt.\nNein!\n"
TARGET = "He calls.\nThe house is old.\nNo!\n"
LINKS = "0-0:1 1-1:0.97 2-1:0.4 3-2:1\n0-0:1 1-1:1 2-2:1 3-3:1 4-4:1\n1-1:1\n"
GOLD = "0-0 1-1 2-1 3-2\n0-0 1-1 2-2 3-3 4-4\n0-0 1-1\n"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    for name, text in (("s.de", SOURCE), ("s.en", TARGET), ("s.links", LINKS), ("s.talp", GOLD)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return [tmp_path / name for name in ("s.de", "s.en", "s.links")]


def captions(result) -> list[str]:
    return [line for line in result.lines if line[:1].isdigit()]


def test_each_pair_is_a_table_and_the_signs_are_explained_once(run_nmt, files) -> None:
    result = run_nmt("show", *files, "--no-plain")
    assert (result.exit_status, result.stderr) == (0, "")
    assert result.lines[:4] == [
        "1  Er ruft an.",
        "He   calls      .",
        "━━━  ━━━━━━╌╌╌  ━━",
        "Er₁  ruft₂ an₃  .₄",
    ]
    assert captions(result) == ["1  Er ruft an.", "2  Das Haus ist alt.", "3  Nein!"]
    assert result.stdout.count("no link") == 1


def test_a_grid_is_drawn_on_request(run_nmt, files) -> None:
    assert "calls   ·  ██ ▒▒ ·" in run_nmt("show", *files, "--grid").lines


def test_the_worst_pairs_come_first_by_doubt_and_by_error_rate_where_there_is_gold(
    run_nmt, files, tmp_path
) -> None:
    doubtful = run_nmt("show", *files, "--worst", "2", "--no-plain")
    assert captions(doubtful) == ["3, doubt 0.50  Nein!", "1, doubt 0.09  Er ruft an."]
    wrong = run_nmt("show", *files, "--worst", "1", "--no-plain", "--diff", tmp_path / "s.talp")
    assert captions(wrong) == [
        "3, AER 0.33, 1 both, 0 only here, 1 only there  Nein!",
        "1 pair: 1 both, 0 only here, 1 only there, AER 0.333",
    ]
    assert "−Nein₁" in wrong.stdout
    assert "− only in s.talp" in wrong.stdout


def test_gold_links_in_naacl_are_those_in_talp(run_nmt, files, tmp_path) -> None:
    gold = [
        (number, link.split("-")) for number, line in enumerate(GOLD.splitlines(), 1) for link in line.split()
    ]
    rows = [f"{number} {int(i) + 1} {int(j) + 1} S\n" for number, (i, j) in gold]
    (tmp_path / "gold.wpt").write_text("".join(rows))
    results = [run_nmt("show", *files, "--diff", tmp_path / name) for name in ("gold.wpt", "s.talp")]
    assert [result.exit_status for result in results] == [0, 0]
    assert results[0].stdout == results[1].stdout


def test_links_are_gold_where_one_is_only_possible_also_in_a_pipe(run_nmt, files, tmp_path) -> None:
    gold = GOLD.replace("3-2", "3p2")
    (tmp_path / "s.talp").write_text(gold)
    named = run_nmt("show", *files, "--diff", tmp_path / "s.talp")
    assert "AER" in named.stdout
    assert run_nmt("show", *files, "--diff", "-", stdin=gold).stdout == named.stdout
    assert "AER" not in run_nmt("show", *files, "--diff", "-", stdin=GOLD).stdout


def test_what_a_sentence_says_makes_links_no_gold(run_nmt, tmp_path) -> None:
    words = {"src": "1p2 a", "tgt": "1p2 a", "src_tokens": [[0, 3], [4, 5]], "tgt_tokens": [[0, 3], [4, 5]]}
    (tmp_path / "text").write_text("1p2 a\n")
    (tmp_path / "links.jsonl").write_text(json.dumps({**words, "links": [[0, 0, 0.9]]}) + "\n")
    paths = [tmp_path / name for name in ("text", "text", "links.jsonl")]
    result = run_nmt("show", *paths, "--diff", paths[2])
    assert (result.exit_status, result.stderr) == (0, "")
    assert "AER" not in result.stdout


def test_another_file_of_links_is_compared_like_gold_without_calling_it_so(run_nmt, files, tmp_path) -> None:
    (tmp_path / "o.links").write_text("0-0 1-1:0.9 3-2:0.1\n0-0:0.8 0-1:0.6\n\n")
    options = ("--diff", tmp_path / "o.links", "--min-prob", "0.3")
    result = run_nmt("show", *files, *options)
    assert [line for line in result.lines if line.startswith("2")][2:] == [
        "2\tinfo\tdifference 0.71, 1 both, 4 only here, 1 only there",
        "2\tboth\tThe\tDas\t1.00",
        "2\tonly-there\thouse\tDas\t0.60",
        "2\tonly-here\thouse\tHaus\t1.00",
        "2\tonly-here\tis\tist\t1.00",
        "2\tonly-here\told\talt\t1.00",
        "2\tonly-here\t.\t.\t1.00",
    ]
    assert result.lines[-1] == "total\tinfo\t3 pairs: 3 both, 7 only here, 1 only there, difference 0.571"
    assert "only in o.links" in run_nmt("show", *files, *options, "--no-plain").stdout


def test_in_a_pipe_each_link_is_a_line_of_fields(run_nmt, files) -> None:
    assert run_nmt("show", *files, "--pair", "1", "--min-prob", "0.9").lines == [
        "1\tsource\tEr ruft an.",
        "1\ttarget\tHe calls.",
        "1\tlink\tHe\tEr\t1.00",
        "1\tlink\tcalls\truft\t0.97",
        "1\tlink\t.\t.\t1.00",
        "1\tunlinked\t∅\tan",
        "",
    ]
    assert run_nmt("show", *files, "--pair", "4").exit_status == 2


def test_links_without_probabilities_are_shown_as_such_in_every_view(run_nmt, files, tmp_path) -> None:
    files[2].write_text("0-0 1-1 2-1 3-2\n0-0\n\n")
    table = run_nmt("show", *files, "--no-plain").stdout
    assert "═══  ═════════  ══\nEr₁  ruft₂ an₃  .₄" in table
    assert "══ link, p not known" in table
    assert "p ≥" not in table
    assert "calls   ·  ■■ ■■ ·" in run_nmt("show", *files, "--grid").stdout
    assert "1\tlink\tHe\tEr\n" in run_nmt("show", *files).stdout
    assert run_nmt("show", *files, "--word", "calls").lines[0] == "count\tin-target\tcalls\tan\t1"
    words = run_nmt("show", *files, "--word", "calls", "--no-plain").stdout
    assert ("mean p" in words, "1.00" in words) == (False, False)
    run_nmt("show", *files, "--html", tmp_path / "page.html", "--svg", tmp_path / "pair.svg")
    assert '"links":[[0,0,true,null]' in (tmp_path / "page.html").read_text()
    assert 'stroke-opacity="0.77"' in (tmp_path / "pair.svg").read_text()
    refused = run_nmt("show", *files, "--min-prob", "0.5")
    assert (refused.exit_status, refused.stdout) == (2, "")
    assert "s.links:1 have no probabilities" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_what_a_word_is_linked_to_is_counted_and_shown_in_context(run_nmt, files) -> None:
    plain = run_nmt("show", *files, "--word", ".")
    assert plain.lines == [
        "count\tin-source\t.\t.\t2\t1.00",
        "count\tin-target\t.\t.\t2\t1.00",
        "",
        "1\tin-source\tEr ruft an\t.\t\t.",
        "1\tin-target\tHe calls\t.\t\t.",
        "2\tin-source\tDas Haus ist alt\t.\t\t.",
        "2\tin-target\tThe house is old\t.\t\t.",
    ]
    drawn = run_nmt("show", *files, "--word", "NO", "--no-plain")
    assert re.search("in the target +no link +1", drawn.stdout)
    assert drawn.lines[-3:-1] == ["3".ljust(36) + "[No]!", " " * 36 + "∅ Nein!"]


def test_several_words_that_stand_together_are_linked_as_one(run_nmt, files) -> None:
    plain = run_nmt("show", *files, "--word", "ruft AN")
    assert plain.lines == [
        "count\tin-source\truft an\tcalls\t1\t0.97",
        "",
        "1\tin-source\tEr\truft an\t.\tcalls",
    ]
    assert "0.97" in run_nmt("show", *files, "--word", "ruft an", "--no-plain").stdout
    assert run_nmt("show", *files, "--word", "an ruft").stdout == ""


def test_only_pairs_with_the_word_are_shown_and_it_stands_out(run_nmt, files, tmp_path) -> None:
    result = run_nmt("show", *files, "--word", "haus", "--no-plain", "--diff", tmp_path / "s.talp")
    assert captions(result)[0] == "2, AER 0.00, 5 both, 0 only here, 0 only there  Das Haus ist alt."
    assert "[house]" in result.stdout
    assert "[Haus]₂" in result.stdout
    nothing = run_nmt("show", *files, "--word", "Katze")
    assert (nothing.exit_status, nothing.stdout) == (0, "")
    assert nothing.stderr == "no pair holds 'Katze'\n"


def record(**changes) -> str:
    values = {
        "src": "Er ruft an.",
        "tgt": "He calls.",
        "src_tokens": [[0, 2], [3, 7], [8, 10], [10, 11]],
        "tgt_tokens": [[0, 2], [3, 8], [8, 9]],
        "links": [[0, 0, 1.0], [1, 1, 0.97], [2, 1, 0.4], [3, 2, 1.0]],
        "from": "attention",
        "layer": 2,
    }
    return json.dumps(values | changes) + "\n"


def test_json_lines_bring_their_own_words_and_say_where_the_links_are_from(run_nmt, tmp_path) -> None:
    for name, text in (("s.de", "Er ruft an.\n"), ("s.en", "He calls.\n"), ("s.jsonl", record())):
        (tmp_path / name).write_text(text, encoding="utf-8")
    result = run_nmt("show", *(tmp_path / name for name in ("s.de", "s.en", "s.jsonl")), "--no-plain")
    assert result.lines[0] == "1, from: attention, layer: 2  Er ruft an."
    assert result.lines[2] == "━━━  ━━━━━━╌╌╌  ━━"


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ("0-0\n0-9\n0-0\n", "s.links:2: link 0-9 points past the last of 5 source or 5 target words"),
        ("0-0\n0:0\n0-0\n", "s.links:2: '0:0' is not a link"),
        ("0-0\n0-0:.\n0-0\n", "s.links:2: '0-0:.' holds no probability"),
        ("0-0\n0-0\n", "s.links has 2 lines"),
        (record() + record() + "0-0\n", "s.links:2: the record is about other sentences"),
        ("{}\n\n\n", "s.links:1: not an alignment record"),
    ],
)
def test_links_that_do_not_fit_are_refused(run_nmt, files, links: str, message: str) -> None:
    files[2].write_text(links)
    result = run_nmt("show", *files)
    assert result.exit_status == 65
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_gold_links_past_the_last_word_are_left_out_with_a_warning(run_nmt, files, tmp_path) -> None:
    (tmp_path / "s.talp").write_text(GOLD.replace("0-0 1-1\n", "0-0 1-1 7p8\n"))
    result = run_nmt("show", *files, "--diff", tmp_path / "s.talp")
    assert result.exit_status == 0
    assert "on 1 lines a gold link points past the last word" in result.stderr


def test_gold_that_counts_from_one_is_found_out_or_asked_for(run_nmt, files, tmp_path) -> None:
    from_one = "1-1 2-2 3-2 4-3\n1-1 2-2 3-3 4-4 5-5\n1-1 2-2\n"
    paths = tmp_path / "s.talp", tmp_path / "t.talp"
    paths[1].write_text(from_one)
    zero, one = (run_nmt("show", *files, "--diff", path) for path in paths)
    assert (zero.exit_status, zero.stdout, one.stderr) == (0, one.stdout, "")
    paths[1].write_text("1-1\n1-1\n\n")
    asked = run_nmt("show", *files, "--diff", paths[1])
    assert (asked.exit_status, "give --gold-base" in asked.stderr) == (65, True)
    assert "1\tboth\tHe\tEr" in run_nmt("show", *files, "--diff", paths[1], "--gold-base", "1").stdout


@pytest.mark.parametrize(
    "options",
    [
        ["--grid", "--plain"],
        ["--word", ""],
        ["--word", " "],
        ["--svg", "a.svg", "--grid"],
        ["--html", "a.html", "--no-plain"],
        ["--gold-base", "1"],
        ["--diff", "LINKS", "--gold-base", "1"],
    ],
)
def test_an_option_without_effect_is_refused(run_nmt, files, options) -> None:
    refused = run_nmt("show", *files, *(files[2] if each == "LINKS" else each for each in options))
    assert (refused.exit_status, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)


def test_gold_on_other_words_than_the_record_is_refused(run_nmt, tmp_path) -> None:
    for name, text in (
        ("s.de", "Er ruft an.\n"),
        ("s.en", "He calls.\n"),
        ("s.jsonl", record()),
        ("g", "0-0\n"),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
    files = [tmp_path / name for name in ("s.de", "s.en", "s.jsonl")]
    result = run_nmt("show", *files, "--diff", tmp_path / "g", "--tokens", "space")
    assert result.exit_status == 65
    assert "the words of the record are not those of --tokens space" in result.stderr


def test_the_table_is_as_wide_as_the_window_and_has_no_colour_if_not_wanted(nmt_process, files) -> None:
    source, target, links = files
    source.write_text("wort " * 40 + "\n")
    target.write_text("word " * 40 + "\n")
    links.write_text(" ".join(f"{i}-{i}" for i in range(40)) + "\n")
    result = nmt_process("show", *files, env={"COLUMNS": "100", "NO_COLOR": "1", "FORCE_COLOR": "1"})
    assert 60 < max(map(len, (line for line in result.lines if "═" in line)))
    assert "\x1b[3" not in result.stdout.replace("\x1b[3m", "")


def test_pictures_of_the_first_pair_and_a_page_of_all_are_files(run_nmt, files, tmp_path) -> None:
    page, svg, png = (tmp_path / f"s.{ending}" for ending in ("html", "svg", "png"))
    result = run_nmt("show", *files, "--html", page, "--svg", svg, "--png", png, "--pair", "2")
    assert (result.exit_status, result.stdout) == (0, "")
    assert result.stderr == f"{page}: 1 pair\n"
    assert "Haus" in page.read_text(encoding="utf-8")
    assert ">Haus</text>" in svg.read_text(encoding="utf-8")
    assert png.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("name", "status"), [("-", 2), ("s.svg", 73)])
def test_a_picture_and_a_page_have_each_their_file(run_nmt, files, tmp_path, name, status) -> None:
    path = name if name == "-" else tmp_path / name
    result = run_nmt("show", *files, "--svg", path, "--html", path)
    assert (result.exit_status, result.stdout) == (status, "")
    assert len(result.stderr.splitlines()) == 1
    assert not Path(path).exists()


def test_a_page_is_not_written_over_an_input(run_nmt, files) -> None:
    result = run_nmt("show", *files, "--html", files[0])
    assert result.exit_status == 73
    assert files[0].read_text(encoding="utf-8") == SOURCE
