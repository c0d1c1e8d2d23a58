"""`nmt info` on models, tokenizers and text, as the user types it."""

import json
from pathlib import Path

import pytest

from nmt.config import AlignmentConfig, Config, DataConfig, TokenizerConfig, to_toml
from nmt.files import sha256_file
from nmt.training.lock import locked

CONFIG = Config(
    data=DataConfig(src=("train.de",), tgt=("train.en",)),
    tokenizer=TokenizerConfig(vocab_size=4000),
    alignment=AlignmentConfig(layer=2),
)


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    """A model folder as it lies on disk; `info` reads no weights, only their hash."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.toml").write_text(to_toml(CONFIG))
    (folder / "model.safetensors").write_bytes(bytes(1000))
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
        for path in sorted(folder.iterdir())
    }
    manifest = {
        "format": 1,
        "nmt_version": "0.1.0",
        "files": files,
        "data": {"pairs": 29_000, "kept": 28_900, "dropped": {"too long": 100}, "held_out": list(range(500))},
        "training": {"step": 8000, "stopped": "budget"},
        "dev": {"bleu": {"score": 39.126, "signature": "nrefs:1|case:mixed"}},
        "alignment": {"layer": 2, "from": "attention"},
        "parameters": 2_600_000,
        "signature": "nmt:0.1.0|seed:1",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_model_tells_what_it_is_and_that_its_files_are_whole(run_nmt, model_dir: Path) -> None:
    result = run_nmt("info", model_dir)
    assert result.exit_status == 0
    for line in (
        "languages: de, en",
        "trained on: train.de, train.en",
        "parameters: 2,600,000",
        "dev: bleu 39.13 nrefs:1|case:mixed",
        "alignment: layer 2, from attention",
        "data: pairs 29,000, kept 28,900, dropped (too long 100), held out 500",
        "training: step 8,000, stopped budget",
        "damaged: none",
        "signature: nmt:0.1.0|seed:1",
    ):
        assert line in result.lines


def test_json_and_table_say_the_same(run_nmt, model_dir: Path, monkeypatch) -> None:
    facts = json.loads(run_nmt("info", model_dir, "--json").stdout)
    assert facts["parameters"] == 2_600_000
    assert facts["dev"]["bleu"] == {"score": 39.126, "signature": "nrefs:1|case:mixed"}
    assert facts["damaged"] == []
    monkeypatch.setattr("nmt.cli.info.is_terminal", lambda: True)
    table = run_nmt("info", model_dir).stdout
    assert all(key.replace("_", " ") in table for key in facts)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "model.safetensors: missing, but listed in manifest.json"),
        (
            lambda path: path.write_bytes(bytes(999)),
            "not the file listed in manifest.json: 999 bytes, expected 1,000",
        ),
        (
            lambda path: path.write_bytes(b"\1" * 1000),
            "model.safetensors: damaged: not the file listed in manifest.json",
        ),
    ],
    ids=["missing", "short", "changed"],
)
def test_a_damaged_file_is_named_and_the_status_says_so(
    run_nmt, model_dir: Path, damage, message: str
) -> None:
    damage(model_dir / "model.safetensors")
    result = run_nmt("info", model_dir)
    assert result.exit_status == 65
    assert message in result.stderr
    assert message in result.stdout


def test_a_model_in_training_tells_its_newest_checkpoint(run_nmt, tmp_path: Path) -> None:
    for name in ("step-500", "step-1000", "step-1500.tmp"):
        (tmp_path / "run" / "train" / name).mkdir(parents=True)
    stopped = "model whose training was stopped, and goes on with the same nmt train command"
    result = run_nmt("info", tmp_path / "run")
    assert result.lines[0] == f"kind: {stopped}, none to use yet"
    assert "newest checkpoint: step-1000" in result.lines
    with locked(tmp_path / "run" / "train"):
        assert run_nmt("info", tmp_path / "run").lines[0] == "kind: model in training, none to use yet"
    assert run_nmt("info", tmp_path / "run").lines[0] == f"kind: {stopped}, none to use yet"


def test_what_a_training_that_was_refused_left_is_no_model(run_nmt, tmp_path: Path) -> None:
    (tmp_path / "run" / "train").mkdir(parents=True)
    (tmp_path / "run" / "train" / "lock").touch()
    result = run_nmt("info", tmp_path / "run")
    assert result.exit_status == 65
    assert "neither manifest.json nor a training in train/" in result.stderr


def test_of_a_model_in_training_the_best_one_so_far_is_described(run_nmt, model_dir: Path) -> None:
    run = model_dir.parent / "run"
    (run / "train").mkdir(parents=True)
    model_dir.rename(run / "train" / "best-500")
    with locked(run / "train"):
        result = run_nmt("info", run)
    assert result.lines[0] == "kind: model in training, the best so far"
    assert "parameters: 2,600,000" in result.lines
    assert "newest checkpoint: none yet" in result.lines


def test_a_text_file_is_counted(run_nmt, tmp_path: Path) -> None:
    text = tmp_path / "text.de"
    text.write_bytes("Das ist gut, oder?\r\n\nJa\u2028doch.\nkaputt \n".encode() + b"b\xe4d\n")
    facts = json.loads(run_nmt("info", text, "--json").stdout)
    assert (facts["lines"], facts["blank_lines"], facts["words"]) == (5, 1, 6 + 3 + 1 + 3)
    assert facts["longest_line"] == {"number": 1, "characters": 18}
    assert facts["invalid_utf8_lines"] == {"count": 1, "first": [5]}


LINKS = {
    "pharaoh": (
        "0-0 1-2\n\n2-1\n",
        {"sentences": 3, "sentences_without_links": 1, "links": 3, "first_word": 0},
    ),
    "pharaoh-scores": ("1-1:0.9 2-2\n", {"links": 2, "first_word": None}),
    "talp": ("1-1\n2p2 3-3\n", {"links": 3, "only_possible": 1, "first_word": None}),
    "soft": ("0.9,0.1 0.2,0.8 0.4,0.4\n", {"links": 2, "first_word": 0}),
    "naacl": (
        "1 1 1 S\n3 0 1 P\n",
        {"lines": 2, "sentences": 3, "links": 1, "first_word": 1, "links_of_no_word": 1},
    ),
    "jsonl": (
        '{"src": "a", "tgt": "b", "src_tokens": [[0, 1]], "tgt_tokens": [[0, 1]], "links": [[0, 0, 0.9]], '
        '"from": "head", "layer": 2}\n',
        {"links": 1, "first_word": 0, "whose": ["from: head, layer: 2"]},
    ),
}


@pytest.mark.parametrize("name", LINKS)
def test_a_file_of_links_tells_its_format_and_how_many_there_are(run_nmt, tmp_path: Path, name: str) -> None:
    text, expected = LINKS[name]
    (tmp_path / "links").write_text(text)
    facts = json.loads(run_nmt("info", tmp_path / "links", "--json").stdout)
    assert (facts["kind"], facts["format"]) == ("links", name)
    assert facts.items() >= expected.items()
    assert f"format: {name}" in run_nmt("info", tmp_path / "links").lines


def test_gold_whose_links_are_all_sure_is_told_by_its_name(run_nmt, tmp_path: Path) -> None:
    (tmp_path / "gold.talp").write_text("0-0 1-1\n")
    lines = run_nmt("info", tmp_path / "gold.talp").lines
    assert {"format: talp", "sentences: 1", "sentences without links: 0"} <= set(lines)


def test_sizes_have_units_and_json_has_bytes(run_nmt, model_dir: Path, tmp_path: Path) -> None:
    assert "model.safetensors 1.0 kB" in run_nmt("info", model_dir).stdout
    (tmp_path / "text").write_bytes((b"a" * 299 + b"\n") * 25_000)
    assert "size: 7.5 MB" in run_nmt("info", tmp_path / "text").lines
    assert json.loads(run_nmt("info", tmp_path / "text", "--json").stdout)["bytes"] == 7_500_000


def test_weights_are_no_text(run_nmt, tiny_model_dir: Path) -> None:
    result = run_nmt("info", tiny_model_dir / "model.safetensors")
    assert result.exit_status == 0
    assert result.lines[0].startswith("kind: weights")
    facts = json.loads(run_nmt("info", tiny_model_dir / "model.safetensors", "--json").stdout)
    manifest = json.loads((tiny_model_dir / "manifest.json").read_bytes())
    assert facts["bytes"] == manifest["files"]["model.safetensors"]["bytes"]
    assert 4 * facts["numbers"] < facts["bytes"]


def test_an_empty_file_has_no_lines(run_nmt, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert "lines: 0" in run_nmt("info", tmp_path / "empty").lines


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("missing", 2, "no such file or folder"),
        ("folder", 65, "not a model folder"),
        ("broken", 65, "manifest.json: damaged"),
    ],
)
def test_what_cannot_be_described_is_refused(
    run_nmt, tmp_path: Path, name: str, status: int, message: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text('{"format": ')
    result = run_nmt("info", tmp_path / name)
    assert result.exit_status == status
    assert message in result.stderr


@pytest.mark.parametrize(
    "files", [[], {"config.toml": 1}, {"config.toml": {"bytes": "many", "sha256": ""}}, None]
)
def test_a_manifest_without_a_list_of_files_is_damaged(run_nmt, model_dir: Path, files: object) -> None:
    rewrite(model_dir, files=files)
    result = run_nmt("info", model_dir)
    assert (result.exit_status, result.stdout) == (65, "")
    assert "manifest.json: damaged" in result.stderr


def test_what_the_manifest_lists_outside_the_folder_is_not_read(run_nmt, model_dir: Path) -> None:
    outside = model_dir.parent / "outside"
    outside.write_bytes(b"ours")
    rewrite(model_dir, files={"../outside": {"bytes": 4, "sha256": sha256_file(outside)}})
    result = run_nmt("info", model_dir)
    assert result.exit_status == 65
    assert "'../outside', which is not the name of a file in the folder" in result.stderr


def test_a_damaged_configuration_is_the_models_fault_and_not_the_users(run_nmt, model_dir: Path) -> None:
    (model_dir / "config.toml").write_text("[model]\nd_modle = 1\n")
    result = run_nmt("info", model_dir)
    assert result.exit_status == 65
    assert "unknown key 'd_modle'" in result.stderr


def rewrite(model_dir: Path, **facts: object) -> None:
    """Change what the manifest says."""
    path = model_dir / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def test_a_tokenizer_tells_its_size_and_hash(run_nmt, tiny_model_dir: Path) -> None:
    path = tiny_model_dir / "tokenizer.model"
    facts = json.loads(run_nmt("info", path, "--json").stdout)
    assert facts["kind"] == "tokenizer"
    assert facts["hash"] == sha256_file(path)
    assert facts["vocab_size"] > 4
