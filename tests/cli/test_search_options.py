"""Options of `nmt translate` that say how to search: what a person types does what it says."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.alignment.linking import cut_pair, encode_pair
from nmt.alignment.text_aligner import train_text_aligner
from nmt.checkpoint import TranslationModel, save_model
from nmt.model.int8_linear import choose_largest_weight

needs_int8 = pytest.mark.skipif(not choose_largest_weight(), reason="no products of bytes on this processor")

Run = Callable[..., Any]

LINE = "Der Hund schläft."


@pytest.fixture
def translate(run_nmt: Run, tiny_model_dir: Path) -> Run:
    def run(*args: str | Path, **options: Any) -> Any:
        short = ("--set", "decoding.max_length_ratio=0.5", "--threads", "1", "-q")
        return run_nmt("translate", "-m", tiny_model_dir, *short, *args, **options)

    return run


def test_a_prefix_comes_first_and_words_are_required_or_forbidden(translate: Run) -> None:
    plain = translate(LINE).lines[0]
    assert translate("--prefix", "The", LINE).lines[0].startswith("The")
    assert "Hund" in translate("--require", "Hund", LINE).lines[0]
    word = plain.split()[0]
    assert word not in translate("--forbid", word, LINE).lines[0].split()


def test_a_shortlist_is_what_the_aligners_of_the_model_link(
    translate: Run, run_nmt: Run, tiny_model: TranslationModel, tmp_path: Path
) -> None:
    refused = translate("--shortlist", LINE)
    assert refused.exit_status == 2
    assert "has no HMM aligners, which a shortlist is made with; leave out --shortlist, or" in refused.stderr
    pair = cut_pair(encode_pair(tiny_model, LINE, "The dog."))
    sizes = tiny_model.src_tokenizer.vocab_size, tiny_model.tgt_tokenizer.vocab_size
    aligner = train_text_aligner([pair], vocab_sizes=sizes, is_joint=True)
    save_model(tiny_model, tmp_path / "linked", hmm=aligner.state())
    found = run_nmt(
        *("translate", "-m", tmp_path / "linked", "--shortlist", "--set", "decoding.shortlist_common=0", LINE)
    )
    assert found.exit_status == 0, found.stderr
    assert {*LINE, *"The dog."}.issuperset(found.lines[0])


def test_a_json_object_asks_for_its_own(translate: Run) -> None:
    asked = {"src": LINE, "prefix": "The", "require": ["Hund"], "forbid": ["Katze"]}
    wrong = [{"src": LINE, "require": "Hund"}, {"src": LINE, "prefix": 7}]
    done = translate(
        "--input-format", "jsonl", stdin="".join(json.dumps(each) + "\n" for each in (asked, *wrong))
    )
    first, second, third = map(json.loads, done.lines)
    assert first["tgt"].startswith("The")
    assert "Hund" in first["tgt"]
    assert first["require"] == ["Hund"]
    assert second["error"] == "require is not a list of texts; expected one"
    assert third["error"] == "prefix is not a text; expected one"


def test_what_can_not_be_had_names_the_line(translate: Run) -> None:
    done = translate("--require", "Hund", "--forbid", "Hund", "Ja!", LINE)
    assert done.exit_status == 65
    assert "arguments:1: " in done.stderr
    assert "Traceback" not in done.stderr


def test_samples_are_those_of_their_seed(translate: Run) -> None:
    drawn = translate("--sample", "3", "--seed", "4", "--temperature", "0.9", LINE).lines
    assert len(drawn) == 3
    assert all(line.startswith("0 ||| ") for line in drawn)
    beside = translate("--sample", "3", "--seed", "4", "--temperature", "0.9", "Ja!", LINE).lines[3:]
    assert [line.split(" ||| ")[1] for line in beside] == [line.split(" ||| ")[1] for line in drawn]
    assert translate("--sample", "3", "--seed", "5", LINE).lines != drawn


def test_the_sample_most_like_the_others_is_the_one_line(translate: Run) -> None:
    done = translate("--mbr", "--sample", "4", LINE)
    assert len(done.lines) == 1
    record = json.loads(translate("--mbr", "--sample", "4", "--format", "jsonl", LINE).lines[0])
    assert record["tgt"] == done.lines[0]
    utilities = [each["utility"] for each in record["hypotheses"]]
    assert utilities == sorted(utilities, reverse=True)
    assert len(utilities) == 4


def test_alternatives_are_likeliest_first(translate: Run) -> None:
    record = json.loads(translate("--alternatives", "4", "--prefix", "The", LINE).lines[0])
    assert (record["src"], record["prefix"]) == (LINE, "The")
    probabilities = [each["probability"] for each in record["alternatives"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert len(probabilities) == 4
    assert all(each["tgt"].startswith("The") for each in record["alternatives"])


def test_alternatives_of_json_lines_are_those_that_each_asks_for(translate: Run) -> None:
    objects = [
        {"src": LINE, "prefix": "The", "n": 7},
        {"src": LINE, "forbid": ["The"]},
        {"src": LINE, "forbid": [" "]},
        {"text": 3},
    ]
    stdin = "\n".join([json.dumps(objects[0]), "", *map(json.dumps, objects[1:])]) + "\n"
    options = ("--input-format", "jsonl", "--alternatives", "3")
    done = translate(*options, "--require", "Hund", stdin=stdin)
    assert done.exit_status == 0, done.stderr
    assert done.lines[1] == ""
    first, second, *others = (json.loads(line) for line in done.lines if line)
    assert (first["n"], first["id"], first["src"], first["prefix"]) == (7, 0, LINE, "The")
    assert first["alternatives"]
    for record, begins in ((first, True), (second, False)):
        for each in record["alternatives"]:
            assert each["tgt"].startswith("The") == begins
            assert "Hund" in each["tgt"]
    assert [each["error"].partition(";")[0] for each in others] == [
        "a forbidden phrase is blank",
        "text is not a text",
    ]
    assert "nothing to translate on 2 lines (4, 5)" in done.stderr
    refused = translate(*options, "--strict", stdin=stdin)
    assert (refused.exit_status, len(refused.lines)) == (65, 3)
    assert "stdin:4: a forbidden phrase is blank" in refused.stderr


def test_a_line_of_json_that_asks_for_what_can_not_be_had_says_so_and_the_others_go_on(
    translate: Run,
) -> None:
    impossible = {"src": LINE, "prefix": "The dog sleeps", "forbid": ["dog"]}
    stdin = "".join(json.dumps(each) + "\n" for each in ({"src": LINE}, impossible, {"src": "Ja!"}))
    done = translate("--input-format", "jsonl", stdin=stdin)
    assert done.exit_status == 0, done.stderr
    first, second, third = map(json.loads, done.lines)
    assert second == {**impossible, "id": 1, "error": second["error"]}
    assert second["error"].startswith("the prefix 'The dog sleeps' has a forbidden phrase in it")
    plain = translate("--format", "jsonl", LINE, "Ja!").lines
    assert [first["tgt"], third["tgt"]] == [json.loads(line)["tgt"] for line in plain]
    assert "nothing to translate on 1 line (2)" in done.stderr
    refused = translate("--input-format", "jsonl", "--strict", stdin=stdin)
    assert refused.exit_status == 65
    assert [json.loads(line)["tgt"] for line in refused.lines] == [first["tgt"]]  # what was done stays
    assert "stdin:2: the prefix 'The dog sleeps' has a forbidden phrase in it" in refused.stderr


def test_room_is_kept_for_a_word_behind_a_prefix_that_ends_with_a_space(translate: Run) -> None:
    long = "The cat sees the dog. " * 6
    line = translate("--prefix", long, "Ja!").lines[0]
    assert line.startswith(long)
    assert len(line) > len(long)


@pytest.mark.parametrize("options", [("--mbr",), ("--sample", "4")])
def test_drawn_translations_are_not_counted_twice(translate: Run, options: tuple[str, ...]) -> None:
    refused = translate(*options, "--nbest", "3", LINE)
    assert refused.exit_status == 2
    assert "--beam and --nbest are for a search, --sample draws" in refused.stderr


def test_scores_of_words_stand_in_json_lines_only(translate: Run) -> None:
    record = json.loads(translate("--word-scores", "--format", "jsonl", LINE).lines[0])
    scores = [score for *_, score in record["word_scores"]]
    assert 0 > sum(scores) > record["log_prob"]  # which also counts the end
    refused = translate("--word-scores", LINE)
    assert refused.exit_status == 2
    assert "--format jsonl" in refused.stderr


def test_a_model_with_itself_is_the_model(translate: Run, tiny_model_dir: Path) -> None:
    assert translate("-m", tiny_model_dir, LINE).stdout == translate(LINE).stdout


@pytest.mark.parametrize("precision", ["float32", "bfloat16", pytest.param("int8", marks=needs_int8)])
def test_every_precision_gives_a_line(translate: Run, precision: str) -> None:
    assert len(translate("--precision", precision, LINE, "Ja!").lines) == 2


def test_null_asks_for_nothing(translate: Run) -> None:
    line = json.dumps({"src": LINE, "prefix": None, "require": None, "forbid": None})
    record = json.loads(translate("--input-format", "jsonl", stdin=line).lines[0])
    assert record["tgt"] == translate(LINE).lines[0]


def test_words_are_forbidden_beside_those_that_always_are(translate: Run) -> None:
    for phrases in (("--forbid", "e"), ("--set", 'decoding.forbid=["e"]'), ("--forbid", "\U0001f600")):
        assert translate(*phrases, LINE).exit_status == 0
    done = translate("--set", 'decoding.forbid=["Katze"]', "--forbid", "Hund", "--require", "Katze", LINE)
    assert (done.exit_status, "has a forbidden one in it" in done.stderr) == (65, True)
    done = translate("--set", 'decoding.forbid=["Katze"]', "--forbid", "Hund", "--require", "Hund", LINE)
    assert (done.exit_status, "has a forbidden one in it" in done.stderr) == (65, True)


def test_bytes_that_are_no_text_are_mended_in_phrases_too(translate: Run) -> None:
    for option in ("--prefix", "--require", "--forbid"):
        assert translate(option, "\udcff", LINE).exit_status in (0, 65)


def test_what_a_score_does_not_ask_for_is_refused(translate: Run) -> None:
    for option in (("--beam", "2"), ("--prefix", "The"), ("--require", "x"), ("--precision", "int8")):
        done = translate("--score", "-", *option, stdin="Ja!\tYes!\n")
        assert (done.exit_status, "--score searches for nothing; leave" in done.stderr) == (
            2,
            True,
        )


def test_as_many_threads_as_there_can_be(translate: Run) -> None:
    done = translate("--threads", "99999999999", LINE)
    assert (done.exit_status, "--threads 99999999999: expected 0 to 4,096" in done.stderr) == (2, True)
