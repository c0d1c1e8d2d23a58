"""A model folder loads as it was saved, or is refused with what is wrong; a kill leaves no half of one."""

import inspect
import json
import os
import pickle
import random
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from nmt import __version__, checkpoint
from nmt.alignment import align_pairs
from nmt.checkpoint import (
    ALIGN_HEAD,
    CONFIG,
    DIGEST,
    HMM,
    MANIFEST,
    SRC_TOKENIZER,
    TGT_TOKENIZER,
    TOKENIZER,
    WEIGHTS,
    TranslationModel,
    build_align_head,
    build_network,
    expected_shapes,
    load_tensors,
    load_weights,
    newest,
    publish_model,
    read_manifest,
    save_links,
    save_model,
    with_alignment_layer,
    write_manifest,
)
from nmt.checkpoint.links import HEAD_VERSION
from nmt.config import Config, ModelConfig, TokenizerConfig, load_config, to_toml
from nmt.errors import ConfigError, ModelError, StorageError, UsageError
from nmt.tokenizer import train_tokenizer

FILES = (CONFIG, WEIGHTS, TOKENIZER, MANIFEST)
SOURCE, TARGET = torch.tensor([[10, 60, 20, 3], [50, 3, 0, 0]]), torch.tensor([[2, 40, 30], [2, 9, 11]])


@pytest.fixture
def folder(tiny_model_dir: Path, tmp_path: Path) -> Path:
    """A copy of a whole model, to be damaged."""
    return Path(shutil.copytree(tiny_model_dir, tmp_path / "model"))


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(1)


def load(path: Path) -> TranslationModel:
    return checkpoint.load_model(path, device="cpu", threads=1)


@torch.no_grad()
def logits(model: TranslationModel) -> Tensor:
    return model.network.logits(model.network(SOURCE, TARGET))


def assert_same(found: TranslationModel, expected: TranslationModel) -> None:
    assert torch.equal(logits(found), logits(expected))
    assert found.config == expected.config
    assert found.src_tokenizer.data == expected.src_tokenizer.data
    assert found.tgt_tokenizer.data == expected.tgt_tokenizer.data


def seal(folder: Path, **facts: Any) -> None:
    """A manifest that fits the files as they are now, as one who means harm would write it."""
    names = sorted(path.name for path in folder.iterdir() if path.name != MANIFEST)
    write_manifest(folder, tuple(names), facts)


def edit_manifest(folder: Path, **facts: Any) -> None:
    manifest = json.loads((folder / MANIFEST).read_bytes()) | facts
    del manifest[DIGEST]
    (folder / MANIFEST).write_text(json.dumps(manifest))


def edit_config(folder: Path, old: str, new: str) -> None:
    text = (folder / CONFIG).read_text()
    assert old in text
    (folder / CONFIG).write_text(text.replace(old, new))
    seal(folder)


# Saved and loaded


@pytest.mark.parametrize("save", [save_model, publish_model])
def test_a_saved_model_loads_with_the_same_logits_to_the_bit(
    tiny_model: TranslationModel, tmp_path: Path, save: Callable[[TranslationModel, Path], None]
) -> None:
    save(replace(tiny_model, manifest={"parameters": 5, "dev": {"bleu": 39.1}}), tmp_path / "model")
    model = load(tmp_path / "model")
    assert_same(model, tiny_model)
    assert model.path == tmp_path / "model"
    assert model.device == torch.device("cpu")
    assert not model.network.training
    assert (model.manifest["parameters"], model.manifest["dev"]) == (5, {"bleu": 39.1})
    assert sorted(os.listdir(tmp_path)) == ["model"]
    assert sorted(os.listdir(tmp_path / "model")) == sorted(FILES)


@pytest.mark.parametrize("tied", ["target", "none"])
def test_each_language_may_have_its_own_tokenizer(tied: str, tmp_path: Path) -> None:
    config = Config(
        model=ModelConfig(
            encoder_layers=1, decoder_layers=1, d_model=16, d_ff=8, num_heads=2, tied_embeddings=tied
        ),
        tokenizer=TokenizerConfig(joint=False),
    )
    tokenizers = [
        train_tokenizer([text], config.tokenizer, vocab_size=size, exact=False)
        for text, size in (("das Haus und der Garten", 290), ("the house in the garden", 280))
    ]
    network = build_network(config, *tokenizers).eval()
    model = TranslationModel(config, *tokenizers, network, manifest={})
    save_model(model, tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted((CONFIG, WEIGHTS, MANIFEST, SRC_TOKENIZER, TGT_TOKENIZER))
    found = load(tmp_path)
    assert_same(found, model)
    assert found.src_tokenizer.hash != found.tgt_tokenizer.hash
    assert found.tokenizer_hash == model.tokenizer_hash
    other = replace(found, tgt_tokenizer=found.src_tokenizer)
    assert other.tokenizer_hash == found.src_tokenizer.hash != found.tokenizer_hash
    assert logits(found).size(-1) == found.tgt_tokenizer.vocab_size


def test_a_joint_tokenizer_is_read_once(folder: Path) -> None:
    model = load(folder)
    assert model.src_tokenizer is model.tgt_tokenizer


def test_weights_are_looked_at_on_one_core(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that loading does not wait, hundreds of times, for a core that another program has."""
    seen: list[int] = []
    is_finite = torch.Tensor.isfinite

    def watched(tensor: torch.Tensor) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return is_finite(tensor)

    monkeypatch.setattr(torch.Tensor, "isfinite", watched)
    num_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        tensors = load_tensors(folder / WEIGHTS)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(num_threads)
    assert seen == [1] * len(tensors)


def test_weights_that_were_looked_at_leave_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[torch.Tensor] = []
    monkeypatch.setattr("nmt.checkpoint.tensors.hand_back_pages", left.extend)
    tensors = load_tensors(folder / WEIGHTS)
    assert list(map(id, left)) == list(map(id, tensors.values()))


def test_shared_embeddings_are_saved_once_and_shared_again(folder: Path) -> None:
    tensors = load_tensors(folder / WEIGHTS)
    assert "tgt_embedding.weight" in tensors
    assert not {"src_embedding.weight", "out_proj.weight"} & tensors.keys()
    network = load(folder).network
    assert network.src_embedding is network.tgt_embedding
    assert network.out_proj.weight is network.tgt_embedding.weight
    stored = sum(tensor.numel() for tensor in tensors.values())
    assert stored == sum(parameter.numel() for parameter in network.parameters())


def test_a_loaded_model_can_be_changed_and_saved_again(folder: Path, tmp_path: Path) -> None:
    """Its manifest comes along, but not the hashes of the files it had."""
    edit_manifest(folder, nmt_version="0.0.1", dev={"bleu": 12.5})
    model = with_alignment_layer(load(folder), 2)
    save_model(model, tmp_path / "again")
    again = load(tmp_path / "again")
    assert_same(again, model)
    assert again.config.alignment.layer == 2
    assert again.manifest["dev"] == {"bleu": 12.5}
    assert again.manifest["nmt_version"] == __version__


def test_an_alignment_layer_that_is_not_there_is_refused(tiny_model: TranslationModel) -> None:
    with pytest.raises(ConfigError, match=r"alignment\.layer is 4; decoder_layers is 3"):
        with_alignment_layer(tiny_model, 4)


def test_a_link_in_the_folder_is_followed(folder: Path, tiny_model: TranslationModel) -> None:
    (folder / WEIGHTS).rename(folder.parent / "elsewhere")
    (folder / WEIGHTS).symlink_to(folder.parent / "elsewhere")
    assert_same(load(folder), tiny_model)


def test_a_run_in_progress_gives_its_newest_best_model(tiny_model: TranslationModel, tmp_path: Path) -> None:
    train_dir = tmp_path / "run" / "train"
    for number, layer in ((90, 1), (1000, 2), (200, 3)):
        save_model(with_alignment_layer(tiny_model, layer), train_dir / f"best-{number}")
    for name in ("best-2000.tmp", "best-x", "best-²", "step-3000"):
        (train_dir / name).mkdir()
    assert [path.name for path in newest(train_dir, "best")] == ["best-90", "best-200", "best-1000"]
    assert load(tmp_path / "run").config.alignment.layer == 2
    save_model(tiny_model, tmp_path / "run")
    assert load(tmp_path / "run").config.alignment.layer == 0


def test_the_expected_shapes_are_those_of_the_network(tiny_model: TranslationModel) -> None:
    network, size = tiny_model.network, tiny_model.src_tokenizer.vocab_size
    expected = [(name, parameter.shape) for name, parameter in network.named_parameters()]
    assert sorted(expected_shapes(tiny_model.config.model, size, size)) == sorted(expected)


# Damaged


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short_anywhere_is_refused(name: str, folder: Path) -> None:
    data = (folder / name).read_bytes()
    for sixteenth in range(16):
        (folder / name).write_bytes(data[: len(data) * sixteenth // 16])
        with pytest.raises(ModelError, match=rf"{name}: damaged"):
            load(folder)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, TOKENIZER])
def test_a_file_with_any_byte_changed_is_refused(name: str, folder: Path) -> None:
    draw = random.Random(name)
    data = (folder / name).read_bytes()
    for _ in range(100):
        place = draw.randrange(len(data))
        changed = bytes([data[place] ^ draw.randrange(1, 256)])
        (folder / name).write_bytes(data[:place] + changed + data[place + 1 :])
        with pytest.raises(ModelError, match=rf"{name}: damaged"):
            load(folder)


def test_a_manifest_with_any_byte_changed_is_refused_unless_it_says_the_same(folder: Path) -> None:
    seal(folder, dev={"bleu": {"score": 39.1}}, data={"pairs": 29_000}, signature="nmt:0.1.0|seed:1")
    draw = random.Random(MANIFEST)
    data = (folder / MANIFEST).read_bytes()
    facts = {name: fact for name, fact in json.loads(data).items() if name != DIGEST}
    num_refused = 0
    for _ in range(100):
        place = draw.randrange(len(data))
        changed = bytes([data[place] ^ draw.randrange(1, 256)])
        (folder / MANIFEST).write_bytes(data[:place] + changed + data[place + 1 :])
        try:
            found = load(folder).manifest
        except ModelError:
            num_refused += 1
        else:
            assert facts.items() <= found.items()  # white space, or the name of the hash itself
    assert num_refused >= 95


def test_a_manifest_without_its_own_hash_is_taken(folder: Path, tiny_model: TranslationModel) -> None:
    edit_manifest(folder, dev={"bleu": 1.0})
    assert_same(load(folder), tiny_model)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, TOKENIZER])
def test_a_missing_file_is_named(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError, match=rf"{name}: missing, but listed in manifest\.json"):
        load(folder)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, TOKENIZER])
def test_a_file_that_the_manifest_does_not_vouch_for_is_not_read(name: str, folder: Path) -> None:
    (folder / name).rename(folder.parent / "aside")
    seal(folder)
    (folder.parent / "aside").rename(folder / name)
    with pytest.raises(ModelError, match=f"manifest.json: does not list {name}"):
        load(folder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"format": 1}',
        '{"format": 1, "files": []}',
        '{"format": 1, "files": {"a": 1}}',
    ],
)
def test_json_that_is_no_manifest_is_damaged(text: str, folder: Path) -> None:
    (folder / MANIFEST).write_text(text)
    with pytest.raises(ModelError, match=r"manifest\.json: damaged"):
        load(folder)


def test_endlessly_nested_json_is_damaged(folder: Path) -> None:
    (folder / MANIFEST).write_text("[" * 100_000)
    with pytest.raises(ModelError, match=r"manifest\.json: damaged"):
        load(folder)


@pytest.mark.parametrize("name", ["../outside", "train/../../outside", "/etc/hostname", "..", ""])
def test_the_manifest_may_name_only_files_in_the_folder(name: str, folder: Path) -> None:
    shutil.copy(folder / CONFIG, folder.parent / "outside")
    files = json.loads((folder / MANIFEST).read_bytes())["files"]
    edit_manifest(folder, files=files | {name: files[CONFIG]})
    with pytest.raises(ModelError, match=r"not the name of a file in the folder|missing, but listed"):
        load(folder)


def test_a_newer_format_is_refused_with_who_wrote_it(folder: Path) -> None:
    edit_manifest(folder, format=2, nmt_version="9.1", files="in another way")
    with pytest.raises(ModelError, match=rf"format 2, written by nmt 9\.1; nmt {__version__} reads format 1"):
        load(folder)


def test_what_is_no_model_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere: no such folder; expected a model folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"no manifest\.json; expected a model folder made by nmt train"):
        load(tmp_path)
    (tmp_path / "train").mkdir()
    with pytest.raises(ModelError, match=r"no manifest\.json"):
        load(tmp_path)


# Whole, but wrong or meant to harm


class Payload:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("harmed",)


def test_pickles_are_never_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    for path in (Path("model.pt"), folder / WEIGHTS):
        path.write_bytes(pickle.dumps(Payload()))
    with pytest.raises(ModelError, match=r"model\.pt: is a file, expected a model folder.*never loaded"):
        load(Path("model.pt"))
    seal(folder)
    with pytest.raises(ModelError, match=r"model\.safetensors: not a valid safetensors file"):
        load(folder)
    assert not Path("harmed").exists()


def container(header: object, num_bytes: int = 8, size: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + bytes(num_bytes)


def tensor(first: int, last: int, shape: list[int], dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [first, last]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 7,
        container({}, 0, size=10**6),
        container({}, 0, size=2**63),
        container({}, 0, size=200 * 2**20),
        container(b"{" * 1000),
        container([]),
        container({"a": tensor(0, 4, [1]), "b": tensor(0, 8, [2])}),
        container({"a": tensor(0, 4, [1])}),
        container({"a": tensor(4, 8, [1])}),
        container({"a": tensor(0, 8, [3])}),
        container({"a": tensor(8, 0, [2])}),
        container({"a": tensor(-8, 0, [2])}),
        container({"a": tensor(0, 8, [2**62, 2**62])}),
        container({"a": tensor(0, 8, [-2])}),
        container({"a": tensor(0, 8, [2], "F99")}),
        container(b'{"a": %s, "a": %s}' % ((json.dumps(tensor(0, 8, [2])).encode(),) * 2)),
    ],
    ids=[
        "empty",
        "seven bytes",
        "header beyond the end",
        "header beyond all",
        "header of 200 MB",
        "header not JSON",
        "header a list",
        "overlap",
        "rest",
        "hole",
        "size and shape differ",
        "backwards",
        "negative",
        "overflow",
        "negative shape",
        "unknown type",
        "twice",
    ],
)
def test_an_abused_container_is_refused(data: bytes, folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(data)
    seal(folder)
    with pytest.raises(ModelError, match=r"model\.safetensors: (not a valid|the weights do not fit)"):
        load(folder)


def change_weights(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = safetensors.torch.load_file(folder / WEIGHTS)
    change(tensors)
    (folder / WEIGHTS).write_bytes(safetensors.torch.save(tensors))
    seal(folder)


def test_tensors_missing_extra_and_misshapen_are_named(folder: Path) -> None:
    def change(tensors: dict[str, Tensor]) -> None:
        del tensors["encoder.1.feed_forward.out_proj.bias"]
        tensors["decoder.7.norm.weight"] = torch.ones(3)
        tensors["decoder_norm.weight"] = torch.ones(2, 32)

    change_weights(folder, change)
    with pytest.raises(ModelError, match=r"the weights do not fit config\.toml") as refusal:
        load(folder)
    assert str(refusal.value).split(": ")[-1].split("; ") == [
        "encoder.1.feed_forward.out_proj.bias is missing",
        "decoder_norm.weight is (2, 32), expected (32,)",
        "decoder.7.norm.weight is not of this model",
    ]


def test_of_many_differences_the_first_five_are_named(folder: Path) -> None:
    change_weights(folder, lambda tensors: [tensors.pop(name) for name in list(tensors) if "decoder" in name])
    with pytest.raises(ModelError) as refusal:
        load(folder)
    assert str(refusal.value).count(" is missing") == 5
    assert "decoder.0.attention.in_proj.weight is missing" in str(refusal.value)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_refused(number: float, folder: Path) -> None:
    change_weights(folder, lambda tensors: tensors["decoder.1.cross_residual.norm.bias"].fill_(number))
    with pytest.raises(
        ModelError, match=r"decoder\.1\.cross_residual\.norm\.bias holds a number that is not"
    ):
        load(folder)


@pytest.mark.parametrize(
    ("dtype", "message"),
    [
        (torch.int64, r"encoder_norm\.bias is of torch\.int64, expected torch\.float32"),
        (torch.float64, r"encoder_norm\.bias is of torch\.float64, expected torch\.float32"),
        (torch.float8_e4m3fn, r"model\.safetensors: not a valid safetensors file"),
    ],
    ids=str,
)
def test_weights_of_another_type_are_refused(dtype: torch.dtype, message: str, folder: Path) -> None:
    change_weights(folder, lambda tensors: tensors.update({"encoder_norm.bias": torch.zeros(32).to(dtype)}))
    with pytest.raises(ModelError, match=message):
        load(folder)


def test_tensors_that_do_not_fit_leave_the_network_as_it_was(folder: Path) -> None:
    model = load(folder)
    before = logits(model)
    tensors = {name: tensor * 2 for name, tensor in load_tensors(folder / WEIGHTS).items()}
    tensors["encoder_norm.bias"] = torch.zeros(5)
    with pytest.raises(ModelError, match=r"here: the weights do not fit"):
        load_weights(model.network, tensors, name="here")
    assert torch.equal(logits(model), before)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("d_model = 32", "d_modle = 32", r"unknown key 'd_modle'; did you mean 'd_model'\?"),
        ("d_model = 32", 'd_model = "32"', "model.d_model: found '32', expected an integer"),
        ("d_model = 32", "d_model = 1_000_000_000", "model.d_model is 1000000000; expected 1 to 65536"),
        ("num_heads = 2", "num_heads = 5", "not divisible by num_heads"),
        ("d_model = 32", "d_model = ", "not valid TOML"),
        ("d_model = 32", "d_model = " + "[" * 100_000, "model: "),
        ("d_model = 32", "d_model = " + "9" * 5000, "model: "),
    ],
    ids=["key", "type", "huge", "heads", "toml", "nested", "digits"],
)
def test_a_config_that_makes_no_sense_is_refused(old: str, new: str, message: str, folder: Path) -> None:
    edit_config(folder, old, new)
    with pytest.raises(ModelError, match=message):
        load(folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("d_model = 32", "d_model = 65536"),
        ("d_ff = 64", "d_ff = 65536"),
        ("encoder_layers = 2", "encoder_layers = 65536"),
        ("decoder_layers = 3", "decoder_layers = 65536"),
        ('positions = "sinusoidal"', 'positions = "learned"'),
    ],
)
def test_numbers_in_the_config_allocate_nothing_before_they_fit_the_weights(
    old: str, new: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit_config(folder, "max_positions = 1024", "max_positions = 65536")
    edit_config(folder, old, new)
    monkeypatch.setattr(checkpoint, "build_network", lambda *_: pytest.fail("a network was built"))
    with pytest.raises(ModelError, match=r"model\.safetensors: the weights do not fit config\.toml"):
        load(folder)


def test_another_tokenizer_of_the_same_size_is_refused(folder: Path, tiny_model: TranslationModel) -> None:
    size = tiny_model.src_tokenizer.vocab_size
    other = train_tokenizer(["ganz andere Wörter"] * 9, TokenizerConfig(), vocab_size=size, exact=False)
    (folder / TOKENIZER).write_bytes(other.data)
    with pytest.raises(ModelError, match=r"tokenizer\.model: damaged: not the file listed"):
        load(folder)


def test_a_tokenizer_of_another_size_does_not_fit_the_weights(folder: Path) -> None:
    other = train_tokenizer(["ein"], TokenizerConfig(), vocab_size=270, exact=False)
    (folder / TOKENIZER).write_bytes(other.data)
    seal(folder)
    with pytest.raises(ModelError, match=r"tgt_embedding\.weight is \(\d+, 32\), expected \(\d+, 32\)"):
        load(folder)


# What links are made with


@pytest.fixture
def linking(tiny_model: TranslationModel, folder: Path) -> TranslationModel:
    """The model in the folder, that has an align head and HMM aligners now."""
    sizes = (tiny_model.src_tokenizer.vocab_size,) * 2
    head = build_align_head(tiny_model.config, layer=2, vocab_sizes=sizes).eval()
    head.threshold = 0.42
    save_links(replace(load(folder), align_head=head), folder, hmm={"keys": torch.arange(3)})
    return load(folder)


def test_the_head_and_the_hmm_aligners_load_as_they_were_saved(
    linking: TranslationModel, folder: Path, tmp_path: Path
) -> None:
    save_model(linking, tmp_path / "again", hmm=load_tensors(folder / HMM))
    again = load(tmp_path / "again")
    assert_same(again, linking)
    for model, place in ((linking, folder), (again, tmp_path / "again")):
        assert model.align_head is not None
        assert (model.align_head.layer, model.align_head.threshold) == (2, 0.42)
        assert not model.align_head.training
        assert model.hmm_path == place / HMM
        assert torch.equal(load_tensors(place / HMM)["keys"], torch.arange(3))
        assert model.manifest["files"].keys() == {*FILES, ALIGN_HEAD, HMM} - {MANIFEST}
    assert (tmp_path / "again" / ALIGN_HEAD).read_bytes() == (folder / ALIGN_HEAD).read_bytes()
    save_links(replace(linking, align_head=None), folder, hmm={"keys": torch.arange(3)})
    assert load(folder).align_head is None


@pytest.mark.usefixtures("linking")
def test_a_head_for_other_weights_is_refused_with_what_to_do(folder: Path) -> None:
    change_weights(folder, lambda tensors: tensors["encoder_norm.bias"].add_(1))
    with pytest.raises(
        ModelError,
        match=r"align\.safetensors: is for other weights than model\.safetensors; train it again: nmt train ",
    ):
        load(folder)


@pytest.mark.usefixtures("linking")
@pytest.mark.parametrize("name", [ALIGN_HEAD, HMM])
def test_what_links_are_made_with_is_missing_or_damaged(name: str, folder: Path) -> None:
    data = (folder / name).read_bytes()
    (folder / name).unlink()
    with pytest.raises(ModelError, match=rf"{name}: missing, but listed in manifest\.json"):
        load(folder)
    (folder / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ModelError, match=rf"{name}: damaged: not the file listed"):
        load(folder)


def change_head(
    folder: Path, change: Callable[[dict[str, Tensor]], object], facts: dict[str, object]
) -> None:
    path = folder / ALIGN_HEAD
    with safetensors.safe_open(path, framework="pt") as file:
        told = json.loads(file.metadata()["facts"]) | facts
    tensors = safetensors.torch.load_file(path)
    change(tensors)
    path.write_bytes(safetensors.torch.save(tensors, {"facts": json.dumps(told)}))
    seal(folder)


@pytest.mark.usefixtures("linking")
@pytest.mark.parametrize(
    ("change", "facts", "message"),
    [
        (lambda tensors: tensors.pop("offset_bias"), {}, "do not fit .*: offset_bias is missing"),
        (lambda tensors: tensors.update(offset_bias=torch.ones(2)), {}, r"offset_bias is \(2,\), expected"),
        (lambda tensors: tensors.update(odd=torch.ones(2)), {}, "odd is not of this model"),
        (
            lambda tensors: tensors["offset_bias"].fill_(float("nan")),
            {},
            "offset_bias holds a number that is",
        ),
        (lambda _: None, {"layer": 4}, "is for decoder layer 4, expected one of 1 to 3"),
        (lambda _: None, {"layer": "x"}, "is for decoder layer 'x', expected one of 1 to 3"),
        (lambda _: None, {"layer": None}, "is for decoder layer None, expected one of 1 to 3"),
        (lambda _: None, {"weights_sha256": None}, "is for other weights"),
    ],
    ids=["missing", "misshapen", "odd", "not finite", "no layer", "no number", "none", "no weights"],
)
def test_a_head_that_does_not_fit_is_refused(
    change: Callable[[dict[str, Tensor]], object],
    facts: dict[str, object],
    message: str,
    folder: Path,
) -> None:
    change_head(folder, change, facts)
    with pytest.raises(ModelError, match=rf"align\.safetensors: .*{message}"):
        load(folder)


@pytest.mark.usefixtures("linking")
@pytest.mark.parametrize("name", [ALIGN_HEAD, HMM])
def test_a_file_to_make_links_with_that_is_none_is_refused(name: str, folder: Path) -> None:
    (folder / name).write_bytes(b"nothing of the kind")
    seal(folder)
    with pytest.raises(ModelError, match=rf"{name}: not a valid safetensors file"):
        list(align_pairs(load(folder), [("Der Hund", "The dog")], links_from="hmm"))


def test_hmm_aligners_of_another_kind_are_refused(linking: TranslationModel) -> None:
    with pytest.raises(
        ModelError, match=r"hmm\.safetensors: not HMM aligners of this version and model; train them again"
    ):
        list(align_pairs(linking, [("Der Hund", "The dog")], links_from="hmm"))


# As the user meets it


@pytest.mark.parametrize(
    ("damage", "status", "message"),
    [
        (lambda folder: (folder / WEIGHTS).write_bytes(b"short"), 65, "model.safetensors: damaged"),
        (lambda folder: (folder / TOKENIZER).unlink(), 65, "tokenizer.model: missing"),
        (lambda folder: (folder / MANIFEST).unlink(), 65, "no manifest.json"),
        (lambda folder: (folder / MANIFEST).write_text("{"), 65, "manifest.json: damaged"),
        (shutil.rmtree, 2, "no such folder"),
    ],
    ids=["damaged", "file missing", "no manifest", "manifest damaged", "no folder"],
)
def test_translate_names_the_damage_in_one_line(
    run_nmt, folder: Path, damage: Callable[[Path], object], status: int, message: str
) -> None:
    damage(folder)
    result = run_nmt("translate", "-m", folder, "--threads", "1", "Hallo")
    assert result.exit_status == status
    assert message in result.stderr
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1


@pytest.mark.usefixtures("linking")
def test_a_model_with_an_older_head_translates_and_is_told_how_to_link_again(run_nmt, folder: Path) -> None:
    options = ("-m", folder, "--threads", "1", "--set", "decoding.max_length_ratio=0.1")
    before = run_nmt("translate", *options, "Hallo")
    change_head(folder, lambda _: None, {"version": HEAD_VERSION - 1})
    after = run_nmt("translate", *options, "Hallo")
    assert (after.exit_status, after.stdout) == (0, before.stdout)
    message = (
        f"align.safetensors: is of version {HEAD_VERSION - 1}, expected {HEAD_VERSION}; train it again: "
        f"nmt train --align-head-only --out {folder}\n"
    )
    for command in (("translate", *options, "--align", "Hallo"), ("align", "-m", folder, "--threads", "1")):
        refused = run_nmt(*command, stdin="Hallo ||| Hello\n")
        assert (refused.exit_status, refused.stdout, refused.stderr.count("\n")) == (65, "", 1)
        assert refused.stderr.endswith(message)


def test_info_describes_what_was_saved(run_nmt, folder: Path) -> None:
    assert "damaged: none" in run_nmt("info", folder).lines
    (folder / WEIGHTS).write_bytes(b"short")
    assert run_nmt("info", folder).exit_status == 65


# Killed


def save_and_kill(model_dir: Path, root: Path) -> None:
    """Save a changed model into `root/publish_model/N` and over the old one in `root/save_model/N`.

    Each is done in a process of its own that is killed at the N-th operation on files; the last one lives.
    """
    model = checkpoint.with_alignment_layer(checkpoint.load_model(model_dir, device="cpu", threads=1), 2)
    for act in (checkpoint.publish_model, checkpoint.save_model):
        status, number = -9, 0
        while status == -9:
            number += 1
            target = root / act.__name__ / str(number) / "model"
            target.parent.mkdir(parents=True)
            if act is checkpoint.save_model:
                shutil.copytree(model_dir, target)
            child = os.fork()
            if not child:
                os.environ["NMT_FAULT"] = f"op=any,kill=9,n={number}"
                act(model, target)
                os._exit(0)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kill_9_at_any_operation_leaves_a_whole_model_or_none(tiny_model_dir: Path, tmp_path: Path) -> None:
    imports = "import os, shutil, sys\nfrom pathlib import Path\nfrom nmt import checkpoint\n"
    call = "save_and_kill(*map(Path, sys.argv[1:]))"
    script = imports + inspect.getsource(save_and_kill) + call
    subprocess.run([sys.executable, "-c", script, tiny_model_dir, tmp_path], check=True)
    old = load(tiny_model_dir)
    new = with_alignment_layer(old, 2)

    targets = [tmp_path / "publish_model" / str(number) / "model" for number in range(1, 100)]
    targets = [target for target in targets if target.parent.exists()]
    published = [target.exists() for target in targets]
    assert 25 < published.index(True) < len(targets) == published.index(True) + published.count(True)
    publish_model(new, targets[published.index(True) - 1])  # over what was killed before its rename
    for target in targets[published.index(True) - 1 :]:
        assert_same(load(target), new)
        assert os.listdir(target.parent) == ["model"]

    saved = sorted((tmp_path / "save_model").iterdir(), key=lambda folder: int(folder.name))
    assert len(saved) > 20
    layers = [load(folder / "model").config.alignment.layer for folder in saved if is_whole(folder / "model")]
    assert layers == [0] * layers.count(0) + [2] * layers.count(2)
    assert 1 <= layers.count(0) <= 2  # the old manifest goes before anything else
    assert 1 <= layers.count(2) <= 3


def is_whole(folder: Path) -> bool:
    if (folder / MANIFEST).exists():
        return True
    with pytest.raises(ModelError, match=r"no manifest\.json"):
        load(folder)
    return False


def test_publishing_over_a_model_fails_and_leaves_it(folder: Path, tiny_model: TranslationModel) -> None:
    with pytest.raises(StorageError, match="model: rename failed"):
        publish_model(with_alignment_layer(tiny_model, 3), folder)
    assert_same(load(folder), tiny_model)


def test_the_saved_config_is_the_whole_one(folder: Path, tiny_model: TranslationModel) -> None:
    assert load_config(folder / CONFIG) == tiny_model.config
    assert (folder / CONFIG).read_text() == to_toml(tiny_model.config)
    assert read_manifest(folder)["files"].keys() == {CONFIG, WEIGHTS, TOKENIZER}
