"""CTranslate2, given our weights, scores and translates as we do."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.checkpoint import TranslationModel, build_network, load_model, weights
from nmt.config import DecodingConfig, ModelConfig, TokenizerConfig
from nmt.corpus.sample import sample_dir
from nmt.decoding import Translator
from nmt.errors import UsageError
from nmt.files import read_lines
from nmt.interop.ctranslate2 import LEAST_POSITIONS, _num_positions, export_ctranslate2
from nmt.tokenizer import BOS_ID, EOS_ID, train_tokenizer

ctranslate2 = pytest.importorskip("ctranslate2")

GERMAN = ["Der Hund schläft.", "Die kleine Katze sieht den großen Hund im Garten.", "Wir gehen morgen."]
ENGLISH = ["The dog is sleeping.", "The cat sees the dog in the garden.", "We are going home tomorrow."]
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "more encoder layers": {"encoder_layers": 4, "decoder_layers": 1},
    "norms after the sum": {"norm_position": "post"},
    "RMSNorm": {"norm": "rms"},
    "RMSNorm after the sum": {"norm": "rms", "norm_position": "post"},
    "GELU": {"activation": "gelu"},
    "SwiGLU": {"activation": "silu", "gated": True},
    "rotary": {"positions": "rotary"},
    "learned positions": {"positions": "learned", "max_positions": 256},
    "no biases": {"bias": False},
    "source untied": {"tied_embeddings": "target"},
    "all untied": {"tied_embeddings": "none"},
    "all at once": {
        "norm": "rms",
        "activation": "gelu",
        "gated": True,
        "positions": "rotary",
        "bias": False,
        "tied_embeddings": "none",
    },
}


def with_options(model: TranslationModel, **options: Any) -> TranslationModel:
    """A model of random weights, each far enough from zero to count."""
    config = replace(model.config, model=replace(model.config.model, **options))
    torch.manual_seed(2)
    network = build_network(config, model.src_tokenizer, model.tgt_tokenizer).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return replace(model, config=config, network=network)


@pytest.fixture
def wordy_model(tiny_model: TranslationModel) -> TranslationModel:
    """A model of random weights that does not say the same for ever."""
    model = with_options(tiny_model, tied_embeddings="none")
    with torch.no_grad():
        bias, output = model.network.decoder_norm.bias, model.network.out_proj.weight
        output *= 3
        output[EOS_ID] += 4 * bias / bias.square().sum()  # adds so much to every logit of the end
    return model


def exported(model: TranslationModel, folder: Path, **options: Any) -> Any:
    """The model in CTranslate2."""
    export_ctranslate2(model, folder, **options)
    return ctranslate2.Translator(str(folder), intra_threads=1, compute_type="float32")


def cut(model: TranslationModel, lines: list[str]) -> list[list[str]]:
    tokenizer = model.src_tokenizer
    return [[tokenizer.piece(id) for id in tokenizer.encode(line)] for line in lines]


@torch.inference_mode()
def log_probs(model: TranslationModel, src: str, tgt: str, longest: int | None = None) -> list[float]:
    """What our network gives to each piece of a translation and to its end."""
    src_ids, tgt_ids = model.src_tokenizer.encode(src)[:longest], model.tgt_tokenizer.encode(tgt)
    states = model.network(torch.tensor([[*src_ids, EOS_ID]]), torch.tensor([[BOS_ID, *tgt_ids]]))
    rows = model.network.logits(states)[0].log_softmax(-1)
    return [float(row[id]) for row, id in zip(rows, [*tgt_ids, EOS_ID], strict=True)]


def by_ctranslate2(model: TranslationModel, engine: Any, lines: list[str], decoding: DecodingConfig) -> Any:
    """What CTranslate2 makes of lines by our rules."""
    rules = Translator(model, decoding).rules
    return engine.translate_batch(
        cut(model, lines),
        beam_size=rules.beam_size,
        length_penalty=rules.length_penalty,
        suppress_sequences=[[model.tgt_tokenizer.piece(id)] for id in rules.banned],
        min_decoding_length=0,
        max_batch_size=64,
        return_attention=True,
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_gives_each_piece_the_same_probability(
    variant: str, tiny_model: TranslationModel, tmp_path: Path
) -> None:
    model = with_options(tiny_model, **VARIANTS[variant])
    results = exported(model, tmp_path / "model").score_batch(cut(model, GERMAN), cut(model, ENGLISH))
    for src, tgt, result in zip(GERMAN, ENGLISH, results, strict=True):
        assert result.log_probs == pytest.approx(log_probs(model, src, tgt), abs=1e-3)


def test_the_variants_are_of_every_option_of_a_model() -> None:
    options = {name for variant in VARIANTS.values() for name in variant}
    sizes = {"d_model", "d_ff", "num_heads", "dropout", "attention_dropout", "activation_dropout"}
    assert options | sizes | {"qk_norm"} == set(ModelConfig.__dataclass_fields__)


def test_what_it_has_no_network_for_is_refused(tiny_model: TranslationModel, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"model.qk_norm, which CTranslate2 has not"):
        export_ctranslate2(with_options(tiny_model, qk_norm=True), tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_vocabulary_for_each_language(tiny_model: TranslationModel, tmp_path: Path) -> None:
    config = TokenizerConfig(joint=False)
    tokenizers = {
        side: train_tokenizer(lines, config, vocab_size=290, exact=False, threads=1)
        for side, lines in (("src", GERMAN), ("tgt", ENGLISH))
    }
    model = replace(
        tiny_model,
        config=replace(
            tiny_model.config, tokenizer=config, model=ModelConfig(1, 1, 32, 64, 2, tied_embeddings="none")
        ),
        src_tokenizer=tokenizers["src"],
        tgt_tokenizer=tokenizers["tgt"],
    )
    model = with_options(model)
    engine = exported(model, tmp_path / "model")
    target = [tokenizers["tgt"].piece(id) for id in tokenizers["tgt"].encode(ENGLISH[0])]
    [result] = engine.score_batch(cut(model, GERMAN[:1]), [target])
    assert result.log_probs == pytest.approx(log_probs(model, GERMAN[0], ENGLISH[0]), abs=1e-3)
    assert run_readme(tmp_path / "model").strip()


@pytest.mark.parametrize("beam_size", [1, 4])
def test_a_search_finds_the_same(beam_size: int, wordy_model: TranslationModel, tmp_path: Path) -> None:
    decoding, lines = DecodingConfig(beam_size=beam_size), GERMAN + ENGLISH
    ours = Translator(wordy_model, decoding).translate(lines)
    theirs = by_ctranslate2(wordy_model, exported(wordy_model, tmp_path / "model"), lines, decoding)
    piece = wordy_model.tgt_tokenizer.piece
    expected = [[piece(id) for id in each.hypotheses[0].tokens] for each in ours]
    assert [each.hypotheses[0] for each in theirs] == expected
    assert len({tuple(each) for each in expected}) > 3


def test_its_attention_is_that_of_the_layer_that_links_are_read_from(
    wordy_model: TranslationModel, tmp_path: Path
) -> None:
    engine = exported(wordy_model, tmp_path / "model")
    [result] = by_ctranslate2(wordy_model, engine, GERMAN[1:2], DecodingConfig(beam_size=1))
    [ours] = Translator(wordy_model, DecodingConfig(beam_size=1)).translate(GERMAN[1:2])
    network, layer = wordy_model.network, wordy_model.config.model.alignment_layer - 1
    encoder_out = network.encode(torch.tensor([[*wordy_model.src_tokenizer.encode(GERMAN[1]), EOS_ID]]))
    tgt_tokens = torch.tensor([[BOS_ID, *ours.hypotheses[0].tokens]])
    expected = network.decode(tgt_tokens, encoder_out, attention_layers=[layer]).attention[layer][0].mean(0)
    found = torch.tensor(result.attention[0])  # without the ends of both sides
    assert len(found) == len(result.hypotheses[0])
    torch.testing.assert_close(found, expected[: len(found), :-1], atol=1e-4, rtol=0)


def test_positions_reach_as_far_as_the_longest_source_it_takes(
    tiny_model: TranslationModel, tmp_path: Path
) -> None:
    model = with_options(tiny_model, positions="learned", max_positions=256)  # beyond, the last one repeats
    long_line = "der Hund " * LEAST_POSITIONS
    engine = exported(model, tmp_path / "model")
    [result] = engine.score_batch(cut(model, [long_line]), cut(model, ENGLISH[:1]))
    expected = log_probs(model, long_line, ENGLISH[0], longest=LEAST_POSITIONS - 1)  # and EOS
    assert result.log_probs == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_source_of_the_greatest_length_has_a_place_for_each_piece(
    tiny_model: TranslationModel, bidirectional: bool
) -> None:
    data = replace(tiny_model.config.data, max_length=LEAST_POSITIONS, bidirectional=bidirectional)
    model = replace(tiny_model, config=replace(tiny_model.config, data=data))
    assert _num_positions(model) == LEAST_POSITIONS + 1 + bidirectional  # EOS, and a tag


def test_quantized_weights_are_smaller_and_close_and_ours_stay_as_they_are(
    tiny_model: TranslationModel, tmp_path: Path
) -> None:
    model = with_options(tiny_model)
    before = {name: tensor.clone() for name, tensor in weights(model.network).items()}
    whole = exported(model, tmp_path / "whole").score_batch(cut(model, GERMAN), cut(model, ENGLISH))
    small = exported(model, tmp_path / "small", quantization="int8")
    for one, other in zip(whole, small.score_batch(cut(model, GERMAN), cut(model, ENGLISH)), strict=True):
        assert other.log_probs == pytest.approx(one.log_probs, abs=0.5)
        assert other.log_probs != one.log_probs
    sizes = [(tmp_path / name / "model.bin").stat().st_size for name in ("small", "whole")]
    assert sizes[0] < 0.8 * sizes[1]
    for name, tensor in weights(model.network).items():
        assert torch.equal(tensor, before[name]), name


def test_the_program_writes_a_folder_whose_readme_works(
    tiny_model_dir: Path, tmp_path: Path, run_nmt
) -> None:
    folder = tmp_path / "exported"
    result = run_nmt("export", "--to", "ctranslate2", "-m", tiny_model_dir, "-o", folder)
    assert (result.exit_status, result.stdout, result.stderr) == (0, "", "")
    files = {"README.md", "config.json", "model.bin", "shared_vocabulary.json", "tokenizer.model"}
    assert {path.name for path in folder.iterdir()} == files
    assert [path.name for path in tmp_path.iterdir()] == ["exported"]
    assert json.loads((folder / "config.json").read_bytes())["add_source_eos"] is True
    assert run_readme(folder).strip()


def run_readme(folder: Path) -> str:
    """What the example in the README prints, started in its folder."""
    [code] = re.findall("```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_a_model_folder_is_no_place_for_another_one(tiny_model_dir: Path, run_nmt) -> None:
    result = run_nmt("export", "--to", "ctranslate2", "-m", tiny_model_dir, "-o", tiny_model_dir / "ct2")
    assert (result.exit_status, "is in the model folder" in result.stderr) == (73, True)
    assert not (tiny_model_dir / "ct2").exists()


def test_what_is_there_is_not_overwritten(tiny_model_dir: Path, tmp_path: Path, run_nmt) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").touch()
    args = ("export", "--to", "ctranslate2", "-m", tiny_model_dir, "-o")
    for path in (tmp_path / "folder", tmp_path / "folder" / "mine"):
        result = run_nmt(*args, path)
        assert result.exit_status == 73
        assert (
            result.stderr
            == f"error: {path}: is there already; expected a new or an empty folder to write into\n"
        )
    (tmp_path / "empty").mkdir()
    assert run_nmt(*args, tmp_path / "empty").exit_status == 0


def test_a_folder_that_could_not_be_finished_is_not_there(
    tiny_model_dir: Path, tmp_path: Path, run_nmt
) -> None:
    args = ("export", "--to", "ctranslate2", "-m", tiny_model_dir, "-o", tmp_path / "model")
    result = run_nmt(*args, env={"NMT_FAULT": "op=fsync,n=1,errno=ENOSPC,sticky=1"})
    assert (result.exit_status, (tmp_path / "model").exists()) == (74, False)
    assert result.stderr.endswith("No space left on device\n")
    assert run_nmt(*args).exit_status == 0
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_missing_package_is_named(
    tiny_model: TranslationModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(UsageError, match=re.escape("pip install 'nmt[ctranslate2]'")):
        export_ctranslate2(tiny_model, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("beam_size", [1, 5])
def test_a_trained_model_translates_a_test_set_the_same(
    beam_size: int, trained_dir: Path, tmp_path: Path
) -> None:
    model = load_model(trained_dir, device="cpu")
    lines = list(read_lines(sample_dir() / "de-en" / "test.de"))
    decoding = DecodingConfig(beam_size=beam_size)
    ours = Translator(model, decoding).translate(lines)
    theirs = by_ctranslate2(model, exported(model, tmp_path / "model"), lines, decoding)
    piece = model.tgt_tokenizer.piece
    same = [
        [piece(id) for id in one.hypotheses[0].tokens] == other.hypotheses[0]
        for one, other in zip(ours, theirs, strict=True)
    ]
    assert sum(same) >= 0.99 * len(lines)


@pytest.fixture(scope="module")
def trained_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was trained on the sample corpus for a minute or two."""
    corpus, model_dir = sample_dir() / "de-en", tmp_path_factory.mktemp("trained") / "model"
    files = {"src": "train.de", "tgt": "train.en", "dev-src": "dev.de", "dev-tgt": "dev.en"}
    command = [sys.executable, "-m", "nmt.cli", "train", str(corpus / "demo.toml"), "--out", str(model_dir)]
    command += [part for option, name in files.items() for part in (f"--{option}", str(corpus / name))]
    subprocess.run([*command, "--set", "training.max_steps=500"], check=True, capture_output=True)
    return model_dir
