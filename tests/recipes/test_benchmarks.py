"""The benchmark of training counts the tokens that engines tell of, and knows what a token costs."""

import json
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

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
