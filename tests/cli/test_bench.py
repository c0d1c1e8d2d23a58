"""`nmt bench` as the user types it, with a tiny model and short measurements."""

import json

import pytest

COMMAND = (
    *("bench", "--preset", "tiny", "--threads", "1", "--device", "cpu"),
    *(
        "--set",
        "model.d_model=16",
        "--set",
        "model.encoder_layers=1",
        "--set",
        "model.decoder_layers=1",
        "--set",
        "tokenizer.vocab_size=300",
        "--set",
        "training.batch_tokens=300",
        "--set",
        "decoding.batch_tokens=300",
    ),
)


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure what takes no time."""
    small = {"ROUND_SECONDS": 0.001, "TRAINING_SECONDS": 0.05, "COPIED_BYTES": 2**16}
    for name, value in {"SQUARES": {"cpu": (64,)}, **small}.items():
        monkeypatch.setattr(f"nmt.training.bench.{name}", value)


def test_json_holds_every_number(run_nmt) -> None:
    done = run_nmt(*COMMAND, "--json", "--precision", "float32", "--quiet")
    assert (done.exit_status, done.stderr) == (0, "")
    facts = json.loads(done.stdout)
    (rate,) = facts["training"]
    assert rate["precision"] == "float32"
    assert {"source", "target", "attention", "output", "reconstruction"} == rate["flops_per_token"].keys()
    assert rate["tokens_per_second"] > 0
    assert facts["profile"] == []


def test_a_pipe_gets_plain_lines(run_nmt) -> None:
    done = run_nmt(*COMMAND, "--profile")
    assert done.exit_status == 0
    names = [line.partition(": ")[0] for line in done.lines]
    assert names[:3] == ["device", "products, float32", "products, bfloat16"]
    assert {"training, float32", "translating, greedy", "translating, beam 5"} <= set(names)
    assert "step, matrix products" in names
    assert done.stderr.splitlines()[0] == "measuring: products of matrices"
    assert "\x1b" not in done.stdout


def test_a_terminal_gets_a_table_with_groups(run_nmt, monkeypatch) -> None:
    monkeypatch.setattr("nmt.cli.bench.is_terminal", lambda: True)
    done = run_nmt(*COMMAND, "--precision", "float32")
    assert any(line.startswith("training, float32  ") for line in done.lines)
    assert "" in [line.strip() for line in done.lines]
