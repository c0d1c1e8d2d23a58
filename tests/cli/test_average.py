"""The mean of checkpoints and of models, as the program makes it, against the mean taken here."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.alignment import origin_of_links
from nmt.checkpoint import (
    TranslationModel,
    build_align_head,
    build_network,
    load_model,
    load_tensors,
    publish_model,
    save_model,
    serialize,
    weights,
    write_manifest,
)
from nmt.files import sha256_file, write_bytes
from nmt.tokenizer import train_tokenizer


@pytest.fixture
def run_dir(tiny_model: TranslationModel, tmp_path: Path) -> Path:
    """A finished run with an align head and three checkpoints, with 1, 2 and 6 times the model's weights."""
    config = tiny_model.config
    sizes = tiny_model.src_tokenizer.vocab_size, tiny_model.tgt_tokenizer.vocab_size
    head = build_align_head(config, layer=2, vocab_sizes=sizes)
    links = {"layer": 2, "from": "head", "pairs": 9_000, "chosen": True, "text": ["other.de"], "seconds": 3.0}
    manifest = {"signature": "s", "alignment": links, "data": {"pairs": 7}}
    model = replace(tiny_model, align_head=head, manifest=manifest)
    save_model(model, tmp_path / "run", hmm={"keys": torch.arange(3)})
    for step, scale in ((9, 1), (10, 2), (100, 6)):
        folder = tmp_path / "run" / "train" / f"step-{step}"
        folder.mkdir(parents=True)
        scaled = {name: scale * tensor for name, tensor in weights(tiny_model.network).items()}
        write_bytes(folder / "weights.safetensors", serialize(scaled))
        write_manifest(folder, ("weights.safetensors",), {"tokenizer_hash": tiny_model.tokenizer_hash})
    return tmp_path / "run"


@pytest.mark.parametrize(("options", "scale"), [((), 3.0), (("--last", "2"), 4.0)])
def test_it_is_the_mean_of_the_last_checkpoints(
    options, scale, run_dir: Path, tiny_model, run_nmt, tmp_path
) -> None:
    ended = run_nmt("average", run_dir, *options, "-o", tmp_path / "mean")
    assert ended.exit_status == 0, ended.stderr
    assert "step-10, step-100" in ended.stderr
    assert f"nmt train --align-head-only --out {tmp_path / 'mean'}" in ended.stderr
    found = load_tensors(tmp_path / "mean" / "model.safetensors")
    expected = {name: scale * tensor for name, tensor in weights(tiny_model.network).items()}
    torch.testing.assert_close(found, expected)
    mean = load_model(tmp_path / "mean")
    assert mean.align_head is None
    kept = {"layer": 2, "pairs": 9_000, "chosen": True, "text": ["other.de"], "from": "hmm"}
    assert mean.manifest["alignment"] == kept
    assert mean.manifest["data"] == {"pairs": 7}
    assert mean.manifest["signature"] == f"s|mean:{len(mean.manifest['training']['averaged'])}"
    card = (tmp_path / "mean" / "README.md").read_text()
    assert "the mean of those of" in card
    assert "are made by HMM aligners. The HMM aligners learnt from 9,000 pairs" in card
    for folder, source in ((run_dir, "head"), (tmp_path / "mean", "hmm")):
        assert origin_of_links(load_model(folder), "auto").source == source
        told = json.loads(run_nmt("info", folder, "--json").stdout)["alignment"]
        assert (told["from"], told["pairs"]) == (source, 9_000)


def test_an_empty_folder_that_one_stands_in_can_take_the_mean(
    tiny_model_dir, run_nmt, tmp_path, monkeypatch
) -> None:
    (tmp_path / "mean").mkdir()
    monkeypatch.chdir(tmp_path / "mean")
    ended = run_nmt("average", tiny_model_dir, tiny_model_dir, "-o", ".")
    assert ended.exit_status == 0, ended.stderr
    assert load_model(tmp_path / "mean").config.model == load_model(tiny_model_dir).config.model


def test_models_are_averaged_if_they_are_alike(tiny_model, tiny_model_dir, run_nmt, tmp_path) -> None:
    torch.manual_seed(2)
    network = build_network(tiny_model.config, tiny_model.src_tokenizer, tiny_model.tgt_tokenizer)
    publish_model(replace(tiny_model, network=network), tmp_path / "other")
    ended = run_nmt("average", tiny_model_dir, tmp_path / "other", "-o", tmp_path / "mean", "--json")
    assert ended.exit_status == 0, ended.stderr
    assert json.loads(ended.stdout)["of"] == [str(tiny_model_dir), str(tmp_path / "other")]
    found = load_tensors(tmp_path / "mean" / "model.safetensors")
    for name, tensor in weights(network).items():
        torch.testing.assert_close(found[name], (tensor + weights(tiny_model.network)[name]) / 2)
    files = [folder / "model.safetensors" for folder in (tiny_model_dir, tmp_path / "other")]
    members = json.loads((tmp_path / "mean" / "manifest.json").read_bytes())["training"]["averaged"]
    assert [each["sha256"] for each in members] == [sha256_file(path) for path in files]


@pytest.mark.parametrize(
    ("section", "options", "message"),
    [
        (
            "model",
            {"norm": "rms", "dropout": 0.3},
            "model.norm: layer → rms; expected models of the same sizes",
        ),
        ("data", {"context": 1}, "data.context: 0 → 1; "),
        ("data", {"src_lang": "nl"}, "data.src_lang:  → nl; "),
        ("data", {"bidirectional": True}, "data.bidirectional: False → True; "),
    ],
)
def test_models_that_mean_something_else_are_refused(
    section: str, options: dict[str, Any], message: str, tiny_model, tiny_model_dir, run_nmt, tmp_path
) -> None:
    part = replace(getattr(tiny_model.config, section), **options)
    config = replace(tiny_model.config, **{section: part})
    network = build_network(config, tiny_model.src_tokenizer, tiny_model.tgt_tokenizer)
    publish_model(replace(tiny_model, config=config, network=network), tmp_path / "other")
    ended = run_nmt("average", tiny_model_dir, tmp_path / "other", "-o", tmp_path / "none")
    assert (ended.exit_status, message in ended.stderr) == (65, True), ended.stderr
    assert f"other: can not be averaged with {tiny_model_dir}: " in ended.stderr
    assert not (tmp_path / "none").exists()


def test_another_tokenizer_is_refused(tiny_model, tiny_model_dir, run_dir, run_nmt, tmp_path) -> None:
    config, num_pieces = tiny_model.config.tokenizer, tiny_model.src_tokenizer.vocab_size
    text = ["eine andere Katze", "another cat", "Haus und Garten", "house and garden"] * 50
    tokenizer = train_tokenizer(text, config, vocab_size=num_pieces, exact=False)
    network = build_network(tiny_model.config, tokenizer, tokenizer)
    other = replace(tiny_model, src_tokenizer=tokenizer, tgt_tokenizer=tokenizer, network=network)
    publish_model(other, tmp_path / "other")
    ended = run_nmt("average", tiny_model_dir, tmp_path / "other", "-o", tmp_path / "none")
    assert (ended.exit_status, "another tokenizer; expected" in ended.stderr) == (65, True), ended.stderr
    folder = run_dir / "train" / "step-10"
    write_manifest(folder, ("weights.safetensors",), {"tokenizer_hash": other.tokenizer_hash})
    ended = run_nmt("average", run_dir, "-o", tmp_path / "none")
    assert ended.exit_status == 65
    assert "step-10: is of another run than the model in" in ended.stderr
    assert not (tmp_path / "none").exists()


def test_it_refuses_what_it_can_not_average(run_dir: Path, tiny_model_dir, run_nmt, tmp_path) -> None:
    for arguments, status, message in (
        ((run_dir, "--last", "4"), 2, "has 3 checkpoints in train/, expected at least 4"),
        ((tiny_model_dir,), 2, "has 0 checkpoints in train/, expected at least 2"),
        (
            (tmp_path / "nowhere",),
            2,
            "nowhere: no such folder; expected the run whose checkpoints to average",
        ),
        ((run_dir, tiny_model_dir, "--last", "2"), 2, "--last is for the checkpoints of one run"),
    ):
        ended = run_nmt("average", *arguments, "-o", tmp_path / "mean")
        assert (ended.exit_status, message in ended.stderr) == (status, True), ended.stderr
    shutil.copytree(tiny_model_dir, tmp_path / "mean")
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "notes.txt").touch()
    for place, message in (
        ("mean", "is in the model folder"),
        ("mean/inside", "is in the model folder"),
        ("used", "is there already"),
    ):
        ended = run_nmt("average", run_dir, "-o", tmp_path / place)
        assert (ended.exit_status, message in ended.stderr) == (73, True)
