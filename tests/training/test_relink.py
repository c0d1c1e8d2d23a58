"""Links of a finished model are learnt anew: as in training, from any text, whole at every instant."""

import json
import shutil
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
import safetensors.torch

from nmt.alignment import align_pairs
from nmt.checkpoint import (
    ALIGN_HEAD,
    CONFIG,
    HMM,
    WEIGHTS,
    load_model,
    load_tensors,
    read_manifest,
    save_links,
    write_manifest,
)
from nmt.errors import ConfigError, DataError, Interrupted, ModelError, OutputError, StorageError, UsageError
from nmt.files import planned_fault, remove_file, write_bytes
from nmt.training.lock import locked
from nmt.training.relink import relink
from nmt.training.report import LinkingReport, NoteReport

ONE_THREAD = {"threads": 1}
PAIR = ("ba ke lo", "lo ke ba")


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    """A model of two decoder layers whose training has just ended, with pairs held out and one left out."""
    folder = tmp_path_factory.mktemp("relink")
    options = ("model.decoder_layers=2", "training.max_steps=4", "data.dev_src=", "data.dev_tgt=")
    return corpus.train(folder / "model", *options)


@pytest.fixture
def model_dir(trained, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(trained.model_dir, tmp_path / "model")
    return tmp_path / "model"


def contents(model_dir: Path, *names: str) -> list[bytes]:
    return [(model_dir / name).read_bytes() for name in names]


def links(model_dir: Path) -> tuple[str, str]:
    """Of a pair, with a word on where they come from."""
    model = load_model(model_dir, device="cpu", threads=1)
    source = "attention" if model.align_head is None else "head"
    (alignment,) = align_pairs(model, [PAIR], links_from=source)
    return str(alignment.origin), str(alignment.forward)


def forget_links(model_dir: Path) -> None:
    """Make the model one of a version that knew of no link models."""
    manifest = json.loads((model_dir / "manifest.json").read_bytes())
    for name in (ALIGN_HEAD, HMM):
        remove_file(model_dir / name)
        del manifest["files"][name]
    del manifest["alignment"], manifest["manifest_sha256"]
    (model_dir / "manifest.json").write_text(json.dumps(manifest))


def test_it_learns_what_training_has_learnt_and_the_same_again(trained, model_dir: Path) -> None:
    names = (ALIGN_HEAD, HMM, WEIGHTS, CONFIG)
    forget_links(model_dir)
    assert links(model_dir)[0].startswith("attention")
    for _ in range(2):
        reports = []
        end = relink(model_dir, {"training": ONE_THREAD}, on_report=reports.append)
        assert contents(model_dir, *names) == contents(trained.model_dir, *names)
    facts, before = read_manifest(model_dir)["alignment"], trained.manifest["alignment"]
    assert {**facts, "seconds": 0} == {**before, "seconds": 0}
    assert end.links_from == facts["from"] == "hmm"  # from so little text
    card = (model_dir / "README.md").read_text()
    assert "made by HMM aligners" in card
    assert "learnt from 59 pairs of the training text" in card
    note, *stages, last = reports
    assert isinstance(note, NoteReport)
    assert note.text == "59 of 60 pairs to learn links from; dropped: held out 1"
    assert [type(each) for each in stages] == [LinkingReport] * len(stages)
    assert (len(stages), last) == (6, end)


def test_a_head_of_other_weights_is_learnt_anew(trained, model_dir: Path) -> None:
    facts = {"facts": json.dumps({"layer": 1, "weights_sha256": "0"})}
    write_bytes(model_dir / ALIGN_HEAD, safetensors.torch.save(load_tensors(model_dir / ALIGN_HEAD), facts))
    manifest = read_manifest(trained.model_dir)
    write_manifest(model_dir, tuple(manifest["files"]), manifest)
    with pytest.raises(ModelError, match=r"is for other weights .* nmt train --align-head-only"):
        load_model(model_dir)
    relink(model_dir, {"training": ONE_THREAD})
    assert contents(model_dir, ALIGN_HEAD, HMM) == contents(trained.model_dir, ALIGN_HEAD, HMM)


def test_another_text_and_other_options_of_alignment(model_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "a.src").write_bytes(b"ba ke\n\nlo mu\nti \xff\n" + b"ba " * 300 + b"\nsa ne ro\n")
    (tmp_path / "a.tgt").write_text("ke ba\nro\nmu lo\nti\nba\nro ne sa\n")
    text = {"src": [str(tmp_path / "a.src")], "tgt": [str(tmp_path / "a.tgt")]}
    with pytest.raises(DataError, match=r"a\.src:4: byte 0xFF at column 4 is not UTF-8"):
        relink(model_dir, {"data": text, "training": ONE_THREAD})
    reports = []
    data = {**text, "invalid_utf8": "skip"}
    options = {"data": data, "alignment": {"head": False, "layer": 2}, "training": ONE_THREAD}
    end = relink(model_dir, options, on_report=reports.append)
    dropped = "dropped: not UTF-8 1, empty side 1, too long 1"
    assert reports[0].text == f"3 of 6 pairs to learn links from; {dropped}"
    assert (end.links_from, end.num_pairs, end.alignment_layer) == ("hmm", 3, 2)
    assert not (model_dir / ALIGN_HEAD).exists()
    model = load_model(model_dir, device="cpu", threads=1)
    assert (model.config.alignment.head, model.config.alignment.layer) == (False, 2)
    assert model.manifest["alignment"]["text"] == ["a.src", "a.tgt"]
    assert links(model_dir)[0] == "attention, decoder layer 2"
    card = (model_dir / "README.md").read_text()
    assert "made by HMM aligners. The HMM aligners learnt from 3 pairs of `a.src` and `a.tgt`." in card
    # the layer that was asked for stays, the head comes back
    assert relink(model_dir, {"training": ONE_THREAD}).alignment_layer == 2
    assert load_model(model_dir, device="cpu", threads=1).align_head.layer == 2


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"model": {"dropout": 0.2}}, ConfigError, r"^model\.dropout: is of no use to --align-head-only"),
        ({"data": {"dev_src": "a"}}, ConfigError, r"^data\.dev_src: is of no use"),
        ({"data": {"src": ["a"]}}, UsageError, "--src and --tgt go together"),
        ({"alignment": {"layer": 3}}, ConfigError, "alignment.layer is 3; decoder_layers is 2"),
    ],
)
def test_what_does_not_belong_here_is_refused(model_dir: Path, options, error, message) -> None:
    before = contents(model_dir, "manifest.json", ALIGN_HEAD)
    with pytest.raises(error, match=message):
        relink(model_dir, options)
    assert contents(model_dir, "manifest.json", ALIGN_HEAD) == before


def test_no_text_no_model_and_a_model_in_training_are_told(corpus, model_dir: Path, tmp_path: Path) -> None:
    config = (model_dir / CONFIG).read_text()
    moved = config.replace(str(corpus.folder / "train.tgt"), "gone.tgt").encode()
    manifest = json.loads((model_dir / "manifest.json").read_bytes())
    (model_dir / CONFIG).write_bytes(moved)
    manifest["files"][CONFIG] = {"bytes": len(moved), "sha256": sha256(moved).hexdigest()}
    del manifest["manifest_sha256"]
    (model_dir / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match=r"config\.toml: its training text gone\.tgt is not there; give"):
        relink(model_dir, {"training": ONE_THREAD})
    with pytest.raises(UsageError, match="no such folder"):
        relink(tmp_path / "none", {})
    assert not (tmp_path / "none").exists()
    remove_file(model_dir / "manifest.json")
    with pytest.raises(ModelError, match="there is no model yet"):
        relink(model_dir, {"training": ONE_THREAD})


def test_a_signal_leaves_the_model_as_it_was_and_one_at_a_time(model_dir: Path) -> None:
    before = contents(model_dir, "manifest.json", ALIGN_HEAD, HMM, CONFIG, "README.md")
    calls = iter(range(100))
    with pytest.raises(Interrupted, match="as it was") as stopped:
        relink(model_dir, {"training": ONE_THREAD}, stop_signal=lambda: 2 if next(calls) > 70 else 0)
    assert stopped.value.exit_status == 130
    with locked(model_dir / "train"), pytest.raises(OutputError, match="locked by pid"):
        relink(model_dir, {"training": ONE_THREAD})
    assert contents(model_dir, "manifest.json", ALIGN_HEAD, HMM, CONFIG, "README.md") == before


def test_a_disk_that_fails_at_any_operation_leaves_a_whole_model(
    model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_dir, root = tmp_path / "other", tmp_path / "failed"
    shutil.copytree(model_dir, other_dir)
    layer = 3 - read_manifest(model_dir)["alignment"]["layer"]
    relink(other_dir, {"training": ONE_THREAD, "alignment": {"layer": layer}})
    model = load_model(other_dir, device="cpu", threads=1)
    hmm = load_tensors(model.hmm_path)
    is_saved, number = False, 0
    while not is_saved:
        number += 1
        shutil.copytree(model_dir, root / str(number))
        with monkeypatch.context() as patch, suppress(StorageError):
            patch.setenv("NMT_FAULT", f"op=any,n={number},errno=EIO,sticky=1")
            planned_fault.cache_clear()
            save_links(model, root / str(number), hmm=hmm)
            is_saved = True
    folders = sorted(root.iterdir(), key=lambda folder: int(folder.name))
    found = [links(folder) for folder in folders]
    old, new = links(model_dir), links(other_dir)
    kinds = ["old" if each == old else "new" if each == new else each[0].split(",")[0] for each in found]
    assert len(kinds) > 15
    assert kinds == sorted(kinds, key=["old", "attention", "new"].index)
    assert set(kinds) == {"old", "attention", "new"}
    folder = folders[len(folders) // 2]
    assert "next_files" in read_manifest(folder)
    relink(folder, {"training": ONE_THREAD, "alignment": {"layer": layer}})  # the same again makes it whole
    assert links(folder) == new
    assert "next_files" not in read_manifest(folder)
