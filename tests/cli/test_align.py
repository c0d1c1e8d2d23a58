"""`nmt align` as the user types it, with a model made by hand that looks each piece up in the source."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from nmt.checkpoint import TranslationModel, build_network, publish_model
from nmt.config.schema import AlignmentConfig, Config, ModelConfig, TokenizerConfig
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


def test_layer_is_the_users_choice(run_nmt, model_dir, texts) -> None:
    result = run_nmt("align", "-m", model_dir, *texts, "--format", "jsonl", "--layer", "1")
    assert json.loads(result.lines[0])["layer"] == 1
    refused = run_nmt("align", "-m", model_dir, *texts, "--layer", "3")
    assert refused.exit_status == 2
    assert "--layer 3" in refused.stderr


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


def test_links_of_both_directions_are_combined(run_nmt, model_dir, texts) -> None:
    both = ["--reverse-model", model_dir, "--method", "intersection", "--format", "jsonl"]
    result = run_nmt("align", "-m", model_dir, *texts, *both)
    record = json.loads(result.lines[0])
    assert [[i, j] for i, j, _ in record["links"]] == [[0, 1], [1, 2], [2, 0]]
    assert (record["layer"], record["reverse_layer"], record["method"]) == (2, 2, "intersection")


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
    (tmp_path / "src").write_text("eins " * 2000 + "\neins\n")
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
        assert f"{model / name}: is in the model folder {model}; give another file to write" in refused.stderr
    assert {path: path.read_bytes() for path in model.iterdir()} == before
