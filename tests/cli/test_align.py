"""`nmt align` as the user types it, with a model made by hand that looks each piece up in the source."""

import io
import json
import os
import select
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nmt.alignment.link_files import read_links
from nmt.checkpoint import TranslationModel, build_network, load_model, publish_model
from nmt.config.schema import AlignmentConfig, Config, ModelConfig, TokenizerConfig
from nmt.files import decode_lines
from nmt.tokenizer import train_tokenizer

SOURCE = "eins zwei drei\n\nvier, eins\nzwei\n"
TARGET = "drei eins zwei\n\neins, vier\n\n"
LINKS = ["0-1 1-2 2-0", "", "0-2 1-1 2-0", ""]


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = ["eins", "zwei", "drei", "vier", "fünf", "eins, zwei,", "drei, vier,"]
    tokenizer = train_tokenizer(words * 20, TokenizerConfig(), vocab_size=400, exact=False, threads=1)
    sizes = ModelConfig(
        encoder_layers=1, decoder_layers=2, d_model=64, d_ff=64, num_heads=1, positions="rotary"
    )
    config = Config(model=sizes, alignment=AlignmentConfig(layer=2))
    torch.manual_seed(1)
    network = build_network(config, tokenizer, tokenizer).eval()
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if ".out_proj." in name:
                weight.zero_()  # nothing is added to the embeddings
            elif "query_proj.weight" in name or "key_value_proj.weight" in name:
                weight.copy_(torch.eye(64).repeat(len(weight) // 64, 1))
    folder = tmp_path_factory.mktemp("models") / "lookup"
    publish_model(TranslationModel(config, tokenizer, tokenizer, network, manifest={}), folder)
    return folder


@pytest.fixture
def texts(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "src").write_text(SOURCE)
    (tmp_path / "tgt").write_text(TARGET)
    return tmp_path / "src", tmp_path / "tgt"


def test_a_pipe_gets_one_pharaoh_line_for_each_pair(run_nmt, model_dir, texts) -> None:
    result = run_nmt("align", "-m", model_dir, *texts)
    assert result.exit_status == 0
    assert result.stderr.startswith("4 pairs in ")
    assert result.lines == LINKS


@pytest.mark.parametrize("is_source_piped", [True, False])
def test_one_side_may_come_from_stdin(run_nmt, model_dir, texts, is_source_piped) -> None:
    source, target = ("-", texts[1]) if is_source_piped else (texts[0], "-")
    stdin = SOURCE if is_source_piped else TARGET
    assert run_nmt("align", "-m", model_dir, source, target, stdin=stdin).lines == LINKS


def test_json_lines_say_whose_links_they_are(run_nmt, model_dir, texts, tmp_path) -> None:
    assert run_nmt("align", "-m", model_dir, *texts, "-o", tmp_path / "links.jsonl").stdout == ""
    records = [json.loads(line) for line in (tmp_path / "links.jsonl").read_text().splitlines()]
    assert [record["src"] for record in records] == SOURCE.splitlines()
    assert [" ".join(f"{i}-{j}" for i, j, _ in record["links"]) for record in records] == LINKS
    assert {(record["from"], record["layer"]) for record in records} == {("attention", 2)}


PAIRS = "eins zwei drei ||| drei eins zwei\n\nvier, eins ||| eins, vier\nzwei |||\n"


@pytest.mark.parametrize("path", ["-", "pairs", None])
def test_both_sides_may_stand_on_a_line(run_nmt, model_dir, tmp_path, path) -> None:
    (tmp_path / "pairs").write_text(PAIRS)
    given = {None: [], "-": ["-"], "pairs": [tmp_path / "pairs"]}[path]
    assert run_nmt("align", "-m", model_dir, *given, stdin=PAIRS).lines == LINKS


@pytest.mark.parametrize(("line", "number"), [("eins zwei", 0), ("eins ||| zwei ||| drei", 2)])
@pytest.mark.parametrize("is_piped", [True, False])
def test_a_line_that_is_no_pair_is_named_behind_the_links_before_it(
    run_nmt, model_dir, tmp_path, line, number, is_piped
) -> None:
    pairs = f"eins ||| eins\nzwei ||| zwei\n{line}\n"
    (tmp_path / "pairs").write_text(pairs)
    result = run_nmt("align", "-m", model_dir, "-" if is_piped else tmp_path / "pairs", stdin=pairs)
    assert (result.exit_status, result.lines) == (65, ["0-0", "0-0"])
    name = "stdin" if is_piped else tmp_path / "pairs"
    assert f"{name}:3: has ` ||| ` {number} times, expected once" in result.stderr


def test_json_objects_keep_their_fields(run_nmt, model_dir, tmp_path) -> None:
    objects = [
        '{"doc": 7, "src": "eins zwei drei", "tgt": "drei eins zwei", "links": "old"}',
        "",
        '{"src": "", "tgt": ""}',
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(f"{line}\n" for line in objects))
    assert run_nmt("align", "-m", model_dir, path).lines == [LINKS[0], "", ""]
    first, gap, last = run_nmt("align", "-m", model_dir, path, "--format", "jsonl").lines
    assert list(json.loads(first))[:4] == ["doc", "src", "tgt", "links"]
    assert [link[:2] for link in json.loads(first)["links"]] == [[0, 1], [1, 2], [2, 0]]
    assert (gap, json.loads(last)["links"]) == ("", [])


def test_a_line_of_json_that_is_no_pair_becomes_an_object_that_says_so(run_nmt, model_dir, tmp_path) -> None:
    good = '{"src": "eins", "tgt": "eins"}'
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join([good, "eins", '{"src": "a", "id": 7}', '{"src": "a", "tgt": 1}', good]))
    done = run_nmt("align", "-m", model_dir, path, "--format", "jsonl")
    assert done.exit_status == 0
    assert [link[:2] for at in (0, 4) for link in json.loads(done.lines[at])["links"]] == [[0, 0], [0, 0]]
    assert "not JSON" in json.loads(done.lines[1])["error"]
    no_text = "has no text in tgt; expected one"
    assert json.loads(done.lines[2]) == {"src": "a", "id": 7, "error": no_text}
    assert f"{path}:2: not JSON (Expecting value" in done.stderr
    assert "expected an object with texts in src and tgt" in done.stderr
    assert "5 pairs in" in done.stderr
    assert done.stderr.rstrip().endswith("; links: attention, decoder layer 2")
    assert f"{path}: nothing to link on 3 lines (2, 3, 4); --strict stops at the first" in done.stderr
    assert run_nmt("align", "-m", model_dir, path).lines == ["0-0", "", "", "", "0-0"]
    (tmp_path / "links.jsonl").write_text(done.stdout)
    read = run_nmt("symmetrize", tmp_path / "links.jsonl", tmp_path / "links.jsonl")
    assert (read.exit_status, read.lines) == (0, ["0-0:1", "", "", "", "0-0:1"])
    assert "links.jsonl: 3 lines with an error instead of links, taken for blank pairs" in read.stderr
    assert "lines with an error: 3" in run_nmt("info", tmp_path / "links.jsonl").lines
    refused = run_nmt("align", "-m", model_dir, path, "--strict")
    assert (refused.exit_status, refused.lines) == (65, ["0-0"])
    assert f"{path}:2: not JSON" in refused.stderr


@pytest.mark.parametrize("is_json", [False, True])
def test_a_pair_that_arrives_is_linked_before_the_next_is_written(start_nmt, model_dir, is_json) -> None:
    form = '{{"src": "{}", "tgt": "{}"}}\n' if is_json else "{} ||| {}\n"
    process = start_nmt("align", "-m", model_dir, *(["--input-format", "jsonl"] if is_json else []))
    for source, links in (("eins zwei", "0-0 1-1"), ("drei", "0-0")):
        process.stdin.write(form.format(source, source).encode())
        process.stdin.flush()
        assert select.select([process.stdout], [], [], 120)[0], "no answer"
        assert process.stdout.readline().decode() == f"{links}\n"
    process.stdin.close()
    assert process.stdout.read() == b""
    assert process.wait() == 0


ODD = [
    ("eins ||| zwei", "zwei ||| eins ||| drei"),
    ("שלום עולם", "مرحبا بالعالم"),
    ("e\u0301tude 👩‍👩‍👧", "👍🏽 n\u0303o"),
    ("私は学生です", "ฉันเป็นนักเรียน"),
    ("a\u2028b \u0085", "a\u2029b\x0b"),
    ("", "eins zwei"),
    ("eins zwei", ""),
    ("", ""),
]


def test_odd_text_makes_the_round_trip_in_every_format(run_nmt, model_dir, tmp_path) -> None:
    paths = tmp_path / "src", tmp_path / "tgt"
    for path, lines in zip(paths, zip(*ODD, strict=True), strict=True):
        path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    found = {}
    for ending in ("pharaoh", "jsonl", "talp", "naacl"):
        output = tmp_path / f"links.{ending}"
        assert run_nmt("align", "-m", model_dir, *paths, "-o", output).exit_status == 0
        lines = decode_lines(io.BytesIO(output.read_bytes()), ending)
        found[ending] = list(read_links(lines, name=ending, num_sentences=len(ODD)))
    soft = tmp_path / "links.soft"
    assert run_nmt("align", "-m", model_dir, *paths, "-o", soft).exit_status == 0
    lines = list(decode_lines(io.BytesIO(soft.read_bytes()), "soft"))
    assert [bool(line) for line in lines] == [all(pair) for pair in ODD]
    rows = list(read_links(lines, name="links.soft"))
    words = [(len(one.alignment.src_words), len(one.alignment.tgt_words)) for one in found["jsonl"]]
    assert [one.num_words for one in rows] == [each if all(each) else None for each in words]
    scores = run_nmt("align", "-m", model_dir, *paths, "--format", "pharaoh-scores").lines
    found["scores"] = list(read_links(scores, name="scores"))
    assert [(one.alignment.source, one.alignment.target) for one in found["jsonl"]] == ODD
    for sentences in found.values():
        assert len(sentences) == len(ODD)
        assert [one.links for one in sentences] == [one.links for one in found["jsonl"]]
    for one, other, gold in zip(found["jsonl"], found["scores"], found["talp"], strict=True):
        assert one.probabilities == other.probabilities
        assert gold.gold.sure == {link for link, p in one.probabilities.items() if p >= 0.5}
    assert [one.gold for one in found["naacl"]] == [one.gold for one in found["talp"]]
    assert len(run_nmt("align", "-m", model_dir, *paths, "--format", "soft").lines) == len(ODD)


def test_a_reader_that_goes_away_and_a_full_disk_end_it_in_one_line(
    run_nmt, start_nmt, model_dir, texts, tmp_path
) -> None:
    output = tmp_path / "links"
    fault = {"NMT_FAULT": "op=write,n=1,errno=ENOSPC,sticky=1"}
    full = run_nmt("align", "-m", model_dir, *texts, "-o", output, env=fault)
    assert (full.exit_status, output.exists()) == (74, False)
    assert full.stderr.count("\n") == 1
    read, write = os.pipe()
    os.close(read)
    gone = start_nmt("align", "-m", model_dir, *texts, stdout=write)
    os.close(write)
    assert (gone.wait(60), b"Traceback" in gone.stderr.read()) == (141, False)


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signals")
def test_an_interruption_keeps_whole_lines_and_pairs_are_read_as_they_come(
    start_nmt, model_dir, tmp_path
) -> None:
    process = start_nmt("align", "-m", model_dir, "-o", tmp_path / "links")
    part, window = tmp_path / "links.part", 2048
    process.stdin.write(PAIRS.splitlines(keepends=True)[0].encode() * 3 * window)
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    lines = part.read_text().split("\n")
    assert (lines.pop(), set(lines)) == ("", {LINKS[0]})
    assert f"keeps {len(lines):,} whole lines" in process.stderr.read().decode()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sure", "0.3"], "--sure is for talp and NAACL"),
        (["--method", "union"], "give --reverse-model"),
        (["--strict"], "--strict is for JSON lines"),
        (["--format", "soft", "--threshold", "0.1"], "leave out --threshold"),
    ],
)
def test_an_option_without_effect_is_refused(run_nmt, texts, tmp_path, options, message) -> None:
    refused = run_nmt("align", "-m", tmp_path / "no-model", *texts, *options)
    assert (refused.exit_status, message in refused.stderr, refused.stderr.count("\n")) == (2, True, 1)


def test_a_target_that_was_forgotten_is_asked_for(run_nmt, model_dir, texts) -> None:
    refused = run_nmt("align", "-m", model_dir, texts[0])
    assert (refused.exit_status, "expected source ||| target on each line, or TGT" in refused.stderr) == (
        65,
        True,
    )


def test_layer_is_the_users_choice(run_nmt, model_dir, texts) -> None:
    result = run_nmt("align", "-m", model_dir, *texts, "--format", "jsonl", "--layer", "1")
    assert json.loads(result.lines[0])["layer"] == 1
    refused = run_nmt("align", "-m", model_dir, *texts, "--layer", "3")
    assert refused.exit_status == 2
    assert "--layer 3" in refused.stderr


def test_a_direction_that_there_is_not_is_refused(run_nmt, model_dir, texts) -> None:
    result = run_nmt("align", "-m", model_dir, *texts, "--to", "de")
    assert (result.exit_status, result.stdout) == (2, "")
    assert "translates in one direction only" in result.stderr


def test_soft_rows_sum_to_one(run_nmt, model_dir, texts) -> None:
    result = run_nmt("align", "-m", model_dir, *texts, "--format", "soft")
    assert len(result.lines) == 4
    rows = [[float(share) for share in row.split(",")] for row in result.lines[0].split()]
    assert [len(row) for row in rows] == [3, 3, 3]
    assert all(sum(row) == pytest.approx(1, abs=1e-4) for row in rows)


@pytest.mark.parametrize(("tokens", "num_words"), [("punct", 3), ("space", 2)])
def test_tokens_say_what_a_word_is(run_nmt, model_dir, texts, tokens, num_words) -> None:
    result = run_nmt("align", "-m", model_dir, *texts, "--tokens", tokens, "--format", "jsonl")
    assert len(json.loads(result.lines[2])["src_tokens"]) == num_words


def test_a_threshold_adds_links(run_nmt, model_dir, texts) -> None:
    result = run_nmt("align", "-m", model_dir, *texts, "--threshold", "0.0001")
    assert len(result.lines[0].split()) > 3


def test_a_terminal_gets_tables(run_nmt, model_dir, texts, monkeypatch) -> None:
    monkeypatch.setattr("nmt.cli.align.is_terminal", lambda: True)
    result = run_nmt("align", "-m", model_dir, *texts, env={"COLUMNS": "80"})
    assert result.exit_status == 0
    assert "attention, decoder layer 2" in result.stdout
    assert "drei" in result.stdout
    assert result.stdout.count("no link") == 1


def test_tables_in_a_pipe_have_no_legend(run_nmt, model_dir, texts) -> None:
    result = run_nmt("align", "-m", model_dir, *texts, "--format", "table")
    assert "attention, decoder layer 2" in result.stdout
    assert "no link" not in result.stdout


def test_links_of_both_directions_are_combined(run_nmt, model_dir, texts, tmp_path) -> None:
    model = load_model(model_dir, device="cpu", threads=1)

    def combine(reverse: AlignmentConfig, *options: str):
        back = tmp_path / "back"
        shutil.rmtree(back, ignore_errors=True)
        publish_model(replace(model, config=replace(model.config, alignment=reverse)), back)
        both = ("--reverse-model", back, "--method", "intersection", "--format", "jsonl")
        return run_nmt("align", "-m", model_dir, *texts, *both, *options)

    record = json.loads(combine(AlignmentConfig(layer=1)).lines[0])
    assert [[i, j] for i, j, _ in record["links"]] == [[0, 1], [1, 2], [2, 0]]
    assert (record["layer"], record["reverse_layer"], record["method"]) == (2, 1, "intersection")
    # threshold and source are each model's own, unless they are asked for
    strict = AlignmentConfig(layer=2, threshold=1.0)
    assert json.loads(combine(strict).lines[0])["links"] == []
    assert json.loads(combine(strict, "--threshold", "0.1").lines[0])["links"] == record["links"]
    refused = combine(AlignmentConfig(layer=2, source="head"))
    assert (refused.exit_status, "back: has no align head" in refused.stderr) == (2, True)


def test_a_model_of_one_direction_is_not_its_own_reverse(run_nmt, model_dir, texts) -> None:
    refused = run_nmt("align", "-m", model_dir, *texts, "--reverse-model", model_dir)
    assert (refused.exit_status, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    assert f"--reverse-model {model_dir}: is the model of --model" in refused.stderr


def test_different_line_counts_are_both_named_before_anything_is_done(run_nmt, texts, tmp_path) -> None:
    texts[1].write_text("eins\n")
    result = run_nmt("align", "-m", tmp_path / "no-model", *texts, "-o", tmp_path / "links")
    assert result.exit_status == 65
    assert "src has 4 lines" in result.stderr
    assert "tgt has 1 line" in result.stderr
    assert not (tmp_path / "links").exists()


def test_a_pipe_that_ends_too_early_leaves_no_file(run_nmt, model_dir, texts, tmp_path) -> None:
    result = run_nmt("align", "-m", model_dir, "-", texts[1], "-o", tmp_path / "links", stdin="eins\n")
    assert result.exit_status == 65
    assert "stdin has 1 line" in result.stderr
    assert not (tmp_path / "links").exists()


def test_stdin_for_both_sides_is_refused(run_nmt, model_dir) -> None:
    result = run_nmt("align", "-m", model_dir, "-", "-")
    assert result.exit_status == 2
    assert "given twice" in result.stderr


def test_a_model_that_is_not_there_is_named(run_nmt, texts, tmp_path) -> None:
    result = run_nmt("align", "-m", tmp_path / "nowhere", *texts)
    assert result.exit_status == 2
    assert "nowhere" in result.stderr


def test_a_text_that_is_not_there_is_named_before_the_model_is_loaded(run_nmt, texts, tmp_path) -> None:
    result = run_nmt("align", "-m", tmp_path / "no-model", texts[0], tmp_path / "nowhere")
    assert result.exit_status == 2
    assert "nowhere: no such file" in result.stderr


def test_an_output_that_can_not_be_written_is_named(run_nmt, model_dir, texts, tmp_path) -> None:
    assert run_nmt("align", "-m", model_dir, *texts, "-o", tmp_path / "no" / "links").exit_status == 73
    assert run_nmt("align", "-m", model_dir, *texts, "-o", texts[0]).exit_status == 73
    assert run_nmt("align", "-m", model_dir, *texts, "-o", model_dir).exit_status == 73


def test_a_pair_that_is_too_long_keeps_its_line(run_nmt, model_dir, tmp_path) -> None:
    (tmp_path / "src").write_text("eins" * 2000 + "\neins\n")
    (tmp_path / "tgt").write_text("eins\neins\n")
    result = run_nmt("align", "-m", model_dir, tmp_path / "src", tmp_path / "tgt")
    assert result.lines == ["", "0-0"]
    assert "warning: too long, without links: 1 pair\n" in result.stderr


@pytest.mark.parametrize("name", ["tokenizer.model", "notes.txt"])
def test_nothing_is_written_into_a_model_folder(
    name: str, run_nmt, tiny_model_dir: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_model_dir, model)
    text = tmp_path / "a"
    text.write_text("Der Hund\n", encoding="utf-8")
    before = {path: path.read_bytes() for path in model.iterdir()}
    for command in (
        ("align", "-m", model, text, text),
        ("evaluate", "-m", model, text, text),
        ("translate", "-m", model, "-i", text),
        ("tokenizer", "train", text),
    ):
        refused = run_nmt(*command, "-o", model / name)
        assert refused.exit_status == 73, command
        told = f"{model / name}: is in the model folder {model}; give another place to write"
        assert told in refused.stderr
    assert {path: path.read_bytes() for path in model.iterdir()} == before
