"""The benchmarks count what engines tell of, choose the best settings of a peer, compare round by round."""

import json
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from nmt.checkpoint import TranslationModel

BENCHMARKS = Path(__file__).resolve().parents[2] / "recipes" / "benchmarks"
EOLE_LINE = (
    "[2026 INFO] Step  3/1000000; acc: 0.0; sents:      97; bsz: 2686/2821/97; 4323/4541 tok/s;      3 sec;\n"
)
FAIRSEQ_LINE = '2026 | INFO | train_inner | {"wps": "12695.5", "ups": "3.77", "wpb": "3369", "bsz": "184"}\n'
NMT_LINE = "step 3/1,000,000  epoch 1  loss 8.706  lr 3.75e-07  18,710 tokens/s  0:04, 46:52:24 left\n"


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("engines")


@pytest.fixture
def training(engines: ModuleType) -> ModuleType:
    assert engines.__file__ == str(BENCHMARKS / "engines.py")
    return import_module("training")


def test_every_product_that_is_measured_is_the_same_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    products = import_module("products")
    torch.manual_seed(1)
    linear, x = nn.Linear(64, 48), torch.randn(5, 64)
    with torch.inference_mode():
        layers = products.layers(linear)
        assert {"torch's linear", "for one row"} <= layers.keys()
        for layer in layers.values():
            torch.testing.assert_close(layer(x), linear(x), rtol=0.05, atol=0.05)
    monkeypatch.setattr(products, "SECONDS", 1e-3)
    assert all(rate > 0 for rate in products.measure(layers, x, flops=2 * 5 * 64 * 48))


@pytest.mark.parametrize(
    ("name", "line", "tokens"), [("Eole", EOLE_LINE, 2821), ("Fairseq", FAIRSEQ_LINE, 3369)]
)
def test_target_tokens_are_read_from_a_peers_line(
    engines: ModuleType, tmp_path: Path, name: str, line: str, tokens: int
) -> None:
    engine = getattr(engines, name)(tmp_path)
    log = engines.Log(tmp_path, started=0.0, step_lines=[line], step_times=[1.0], peak_bytes=0)
    assert engine.step_tokens(log) == [tokens]


def test_our_tokens_are_the_pace_times_the_time_between_reports(engines: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    records = [{"report": "data"}]
    records += [
        {"report": "step", "step": step, "seconds": 2.5 * step, "tokens_per_second": tokens / 2.5}
        for step, tokens in enumerate((4000, 3000, 2000), start=1)
    ]
    (tmp_path / "train" / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records))
    log = engines.Log(
        tmp_path, started=0.0, step_lines=[NMT_LINE] * 3, step_times=[1.0, 2.0, 3.0], peak_bytes=0
    )
    assert engines.Nmt.step_pattern.search(NMT_LINE)
    assert engines.Nmt(reconstruction=0.0).step_tokens(log) == [0, 3000, 2000]


def test_cost_of_a_token_is_six_per_weight_where_attention_looks_at_nothing_but_itself(
    engines: ModuleType, training: ModuleType, tmp_path: Path
) -> None:
    size = engines.Size(num_layers=1, d_model=8, d_ff=16, num_heads=2)
    corpus = engines.Corpus(tmp_path, tmp_path, tmp_path, src_lengths=(1, 1), tgt_lengths=(1, 1))
    weights = (4 + 8) * 8 * 8 + 2 * (2 * 8 * 16) + 8 * engines.VOCAB_SIZE
    assert training.flops_per_token(size, corpus) == 6 * weights + 3 * 12 * 8


def test_a_shorter_warm_up_leads_to_the_same_learning_rate(engines: ModuleType) -> None:
    assert engines.__file__ == str(BENCHMARKS / "engines.py")
    quality = import_module("quality")

    def highest_rate(options: dict[str, Any]) -> float:
        """Of the schedule of Vaswani et al. (2017), but for the width."""
        return options["learning_rate"] * options["warmup_steps"] ** -0.5

    short = quality.short_warmup(580)
    assert short["warmup_steps"] == 58
    assert highest_rate(short) == pytest.approx(highest_rate(quality.PUBLISHED))
    assert quality.short_warmup(1)["warmup_steps"] == 1


@pytest.fixture
def translation(engines: ModuleType) -> ModuleType:
    assert engines.__file__ == str(BENCHMARKS / "engines.py")
    return import_module("translation")


def reading(translation: ModuleType, engine: str, number: int, **facts: Any) -> Any:
    """Four sentences by an engine in a round."""
    row = translation.Row(facts.pop("mode", "throughput"), 5, engine)
    known = {"settings": {}, "version": "1", "load_seconds": 0.5, "seconds": [2.0], "num_lines": 4}
    known |= {"num_tokens": 40, "imported_bytes": 10**6, "peak_bytes": 3 * 10**6}
    return translation.Reading(row=row, round=number, **(known | facts))


def test_batches_are_of_like_lengths_the_longest_first(translation: ModuleType) -> None:
    assert translation.ENGINE.stem == "translation_engine"
    batches = import_module("translation_engine").batches
    assert list(batches([3, 9, 1, 9, 5], 2)) == [[1, 3], [4, 0], [2]]


def test_the_slowest_of_a_hundred_sentences_is_left_out(translation: ModuleType) -> None:
    assert translation.percentile_99([float(n) for n in range(101)]) == 99.0
    assert translation.percentile_99([7.0]) == 7.0


def test_an_engine_of_ours_has_a_name_and_options(translation: ModuleType) -> None:
    engine = translation.our_engine("wide:decoding.beam_size=9,decoding.window=7", Path("m"))
    assert engine.name == "nmt wide"
    assert engine.settings["options"] == ["decoding.beam_size=9", "decoding.window=7"]
    assert translation.our_engine("default", Path("m")).settings["options"] == []


def test_a_peer_has_as_many_threads_as_we_in_workers_of_one_or_one_of_all(translation: ModuleType) -> None:
    choices = translation.peer_engine("int8", Path("m"), threads=4, python=Path("python")).choices
    layouts = {(each["inter_threads"], each["intra_threads"]) for each in choices["throughput"]}
    assert layouts == {(4, 1), (1, 4)}
    assert {each["intra_threads"] for each in choices["latency"]} == {1, 4}
    one = translation.peer_engine("int8", Path("m"), threads=1, python=Path("python")).choices
    assert (len(one["throughput"]), len(one["latency"])) == (3, 1)


def test_the_best_settings_are_the_fastest_ones(translation: ModuleType) -> None:
    for mode in translation.MODES:
        trials = [
            reading(translation, "peer", 0, mode=mode, seconds=[seconds], settings={"batch_size": size})
            for size, seconds in ((32, 3.0), (64, 1.0), (128, 2.0))
        ]
        assert translation.best_settings(trials) == {"batch_size": 64}


def test_engines_are_compared_round_by_round(translation: ModuleType) -> None:
    readings = [
        reading(translation, name, number, seconds=[seconds])
        for number, (ours, theirs) in enumerate(((1.0, 2.0), (2.0, 2.0), (2.0, 8.0)), start=1)
        for name, seconds in (("nmt default", ours), ("peer", theirs))
    ]
    bleu = {each.row: 31.4 for each in readings}
    _, _, ours, theirs = translation.table(readings, "throughput", ["peer"], bleu)
    assert ours == "| 5 | nmt default |  | 2.0 [2.0–4.0] | 2.00 [1.00–4.00] | 31.40 | 40 | 3 | 1 | 0.5 |"
    assert " | 2.0 [0.5–2.0] | 1.00 | " in theirs


def test_latency_is_told_as_median_and_99th_percentile(translation: ModuleType) -> None:
    one = reading(translation, "nmt default", 1, mode="latency", seconds=[0.1, 0.2, 0.3, 9.3])
    title, _, line = translation.table([one], "latency", [], {one.row: 0.0})
    assert "median ms | 99th ms" in title
    assert "| 250.0 | 9030.0 |" in line


def test_equal_translations_are_counted_for_each_pair_of_engines(translation: ModuleType) -> None:
    ours, theirs = (translation.Row("throughput", 5, name) for name in ("nmt default", "peer"))
    [line] = translation.agreements({ours: ["a", "b", "c"], theirs: ["a", "x", "c"]}, ["peer"])
    assert line == "throughput, beam 5: 2 of 3 translations of nmt default are those of peer"


def test_lines_that_are_not_translated_whole_are_left_out(
    translation: ModuleType, tiny_model: TranslationModel, tmp_path: Path
) -> None:
    (tmp_path / "src").write_text("Der Hund.\n\n" + "Hund " * 300 + "\nDie Katze.\n")
    (tmp_path / "ref").write_text("1\n2\n3\n4\n")
    text = translation.read_text(tiny_model, tmp_path / "src", tmp_path / "ref")
    assert (text.sources, text.references) == (["Der Hund.", "Die Katze."], ["1", "4"])
    assert text.num_left_out == 2


def test_both_engines_do_the_same_job(
    translation: ModuleType, tiny_model_dir: Path, tiny_model: TranslationModel, tmp_path: Path
) -> None:
    pytest.importorskip("ctranslate2")
    engine = import_module("translation_engine")
    export = import_module("nmt.interop.ctranslate2").export_ctranslate2
    export(tiny_model, tmp_path / "model")
    job = {"threads": 1, "beam_size": 2, "length_penalty": 1.0, "max_length_ratio": 1.0, "extra_length": 20}
    peer = translation.peer_engine("float32", tmp_path / "model", threads=1, python=Path("python"))
    ours = translation.our_engine("default", tiny_model_dir)
    lines = ["Der Hund schläft.", "Die kleine Katze sieht den Hund.", "Wir gehen nach Hause."]
    for settings in (ours.settings, peer.settings | peer.choices["throughput"][0]):
        texts, num_tokens = engine.ENGINES[settings["engine"]](job | settings).translate(lines)
        assert len(texts) == len(lines)
        assert num_tokens >= len(lines)
