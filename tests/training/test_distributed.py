"""Several ranks, real processes over gloo, against one; and how they end when one of them does."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from nmt.checkpoint import load_tensors, newest
from nmt.config.toml import from_dict, to_toml
from nmt.errors import UsageError
from nmt.training.distributed import Ranks, join

WAIT = 120  # seconds until a test gives up
RANDOM = (
    "model.dropout=0.2",
    "tokenizer.sampling_alpha=0.3",
    "training.consistency=simcut",
    "training.optimizer=muon",
    "training.report_steps=1",
)


@dataclass(frozen=True)
class Ended:
    """How the ranks ended, and what they said."""

    statuses: list[int]
    said: list[str]

    @property
    def last_lines(self) -> list[str]:
        """The last line of those that said anything."""
        return [text.splitlines()[-1] for text in self.said if text]


Launch = Callable[..., Ended]


@pytest.fixture(scope="session")
def launch(fork_nmt, tmp_path_factory: pytest.TempPathFactory) -> Launch:
    """`launch(config, model_dir)` trains on two ranks; none of them lives longer than two minutes."""
    folder = tmp_path_factory.mktemp("ranks")

    def start(
        config, model_dir: Path, *argv: str, num_ranks: int = 2, fault="", send=0, to=1, after=""
    ) -> Ended:
        (folder / "config.toml").write_text(to_toml(config))
        command = ("train", folder / "config.toml", "--out", model_dir, *argv)
        logs = [folder / f"log.{rank}" for rank in range(num_ranks)]
        env, ranks = where_to_meet(num_ranks), []
        for rank, log in enumerate(logs):
            own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "NMT_FAULT": fault if rank == 0 else ""}
            with log.open("wb") as stderr:
                ranks.append(fork_nmt(*command, env={**env, **own}, stderr=stderr))
        end = time.monotonic() + WAIT
        while send and after not in logs[0].read_text() and time.monotonic() < end:
            time.sleep(0.002)
        if send:
            ranks[to].send_signal(send)
        for process in ranks:
            with suppress(TimeoutError):
                process.wait(max(0, end - time.monotonic()))
        return Ended([process.end() for process in ranks], [log.read_text() for log in logs])

    return start


def where_to_meet(num_ranks: int) -> dict[str, str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    count = str(num_ranks)
    return {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": count,
        "LOCAL_WORLD_SIZE": count,
    }


def curve_of(model_dir: Path) -> list[tuple]:
    lines = (model_dir / "train" / "metrics.jsonl").read_text().splitlines()
    records = [record for record in map(json.loads, lines) if record["report"] in ("step", "eval")]
    return [(record["step"], record["loss"], record.get("bleu")) for record in records]


@pytest.fixture(scope="session")
def in_two_parts(corpus, tmp_path_factory) -> Path:
    """The folder of a run of one process that computes every batch in two parts."""
    model_dir = tmp_path_factory.mktemp("parts") / "model"
    return corpus.train(model_dir, *RANDOM, "training.micro_batch=80").model_dir


@pytest.mark.parametrize("batch_tokens", [160, 7])  # the latter is one pair in most batches
def test_two_ranks_are_one_process_that_computes_two_parts_to_the_bit(
    corpus, in_two_parts, batch_tokens, launch, tmp_path
) -> None:
    """The same order, the same pieces, the same dropout, and no pair in two shares."""
    whole_dir, size = in_two_parts, f"training.batch_tokens={batch_tokens}"
    if batch_tokens != 160:
        whole_dir = corpus.train(tmp_path / "whole", *RANDOM, "training.micro_batch=4", size).model_dir
    ended = launch(corpus.config(*RANDOM, size), tmp_path / "model")
    assert ended.statuses == [0, 0]
    assert "2 x CPU, 1 thread" in ended.said[0]
    assert ended.said[1] == ""
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == (
        whole_dir / "model.safetensors"
    ).read_bytes()
    assert curve_of(tmp_path / "model") == curve_of(whole_dir)


def test_three_ranks_on_thirds_of_the_batches_are_one_on_the_whole(corpus, launch, tmp_path) -> None:
    """And nothing is done with weights that only the reconstruction would have a use for."""
    smooth = ("model.dropout=0", "training.adam_epsilon=1e-3", "training.reconstruction=0")
    whole = corpus.train(tmp_path / "whole", *smooth)
    assert launch(corpus.config(*smooth), tmp_path / "model", num_ranks=3).statuses == [0, 0, 0]
    assert_close(tmp_path / "model", whole.model_dir)


def test_ranks_in_shards_are_one_that_has_all_and_goes_on_with_what_they_saved(
    corpus, launch, tmp_path
) -> None:
    smooth = (
        "training.optimizer=adamw",
        "model.dropout=0",
        "model.qk_norm=true",
        "training.adam_epsilon=1e-3",
        "training.report_steps=1",
    )
    whole = corpus.train(tmp_path / "whole", *smooth)
    config = corpus.config(*smooth, "training.sharding=full")
    ended = launch(config, tmp_path / "model", send=signal.SIGTERM, after="step 5/")
    assert ended.statuses == [143, 143]
    assert ended.last_lines[0].startswith("saved step ")
    assert ended.said[1] == ""
    assert newest(tmp_path / "model" / "train", "step")
    ended = launch(config, tmp_path / "model")
    assert ended.statuses == [0, 0]
    assert "training goes on from step " in ended.said[0]
    assert_close(tmp_path / "model", whole.model_dir)


@pytest.mark.parametrize("sharding", ["none", "full"])
def test_ranks_in_bfloat16_learn_as_one_process_does(corpus, launch, tmp_path, sharding) -> None:
    """With weights of float32 and gradients that are summed in it."""
    asked = (
        "training.optimizer=adamw",
        "model.dropout=0",
        "training.precision=bfloat16",
        "training.report_steps=1",
        "training.max_steps=8",
    )
    whole = corpus.train(tmp_path / "whole", *asked)
    assert launch(corpus.config(*asked, f"training.sharding={sharding}"), tmp_path / "model").statuses == [
        0,
        0,
    ]
    found, expected = (
        [loss for _, loss, _ in curve_of(folder)] for folder in (tmp_path / "model", whole.model_dir)
    )
    assert found == pytest.approx(expected, rel=0.01)


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_ranks(corpus, launch, tmp_path) -> None:
    asked = (
        *RANDOM,
        "training.optimizer=adamw",
        "training.sharding=full",
        "training.adam_epsilon=1e-3",
        "model.dropout=0",
    )
    ended = launch(corpus.config(*asked), tmp_path / "model", send=signal.SIGINT, to=0, after="step 3/")
    assert ended.statuses == [130, 130]
    assert ended.last_lines[0].startswith("saved step ")
    done = corpus.train(tmp_path / "model", *asked)
    assert_close(done.model_dir, corpus.train(tmp_path / "whole", *asked).model_dir)


def test_a_rank_that_is_killed_ends_the_other_and_the_restarted_run_ends_alike(
    corpus, in_two_parts, launch, tmp_path
) -> None:
    config, model_dir = corpus.config(*RANDOM), tmp_path / "model"
    ended = launch(config, model_dir, send=signal.SIGKILL, after="step 6/")
    assert ended.statuses == [75, -9]
    assert ended.last_lines == [
        "error: rank 1 of 2 is gone, killed or cut off; "
        "start again, the training goes on from the last checkpoint"
    ]
    assert newest(model_dir / "train", "step")[-1].name == "step-4"
    assert launch(config, model_dir).statuses == [0, 0]
    assert (model_dir / "model.safetensors").read_bytes() == (in_two_parts / "model.safetensors").read_bytes()


def test_the_first_rank_killed_ends_the_other(corpus, launch, tmp_path) -> None:
    """Though what they would leave notes in goes with it."""
    ended = launch(corpus.config(*RANDOM), tmp_path / "model", send=signal.SIGKILL, to=0, after="step 6/")
    assert ended.statuses == [-9, 75]
    assert ended.said[1].startswith("error: rank 0 of 2 is gone, killed or cut off; start again")


def test_text_that_is_no_text_ends_all_with_one_message(make_corpus, pairs, launch, tmp_path) -> None:
    corpus = make_corpus(pairs(30))
    with (corpus.folder / "train.src").open("ab") as file:
        file.write(b"\xff\n")
    with (corpus.folder / "train.tgt").open("ab") as file:
        file.write(b"ba\n")
    ended = launch(corpus.config(), tmp_path / "model")
    assert ended.statuses == [65, 65], ended.said
    assert "byte 0xFF at column 1 is not UTF-8" in ended.said[0]
    assert ended.said[1] == ""


def test_a_full_disk_ends_all_with_one_message_and_a_finished_model_without_any(
    corpus, launch, tmp_path
) -> None:
    config, model_dir = corpus.config(*RANDOM), tmp_path / "model"
    ended = launch(config, model_dir, fault="op=write,n=46,errno=ENOSPC,sticky=1")
    assert ended.statuses == [74, 74]
    assert "No space left on device; last good checkpoint: step-" in ended.last_lines[0]
    assert ended.said[1] == ""
    assert launch(config, model_dir).statuses == [0, 0]
    again = launch(config, model_dir)
    assert again.statuses == [0, 0]
    assert "finished before at step 12, nothing to do" in again.said[0]


@pytest.mark.slow
def test_torchrun_starts_a_killed_run_again_which_ends_alike(corpus, in_two_parts, tmp_path) -> None:
    (tmp_path / "config.toml").write_text(to_toml(corpus.config(*RANDOM)))
    killed_once = tmp_path / "killed.py"
    killed_once.write_text(
        "import os, sys\n"
        "if os.environ['RANK'] == '0' and os.environ['TORCHELASTIC_RESTART_COUNT'] == '0':\n"
        "    os.environ['NMT_FAULT'] = 'op=any,n=220,kill=9'\n"
        "from nmt.cli.main import main\n"
        "main(sys.argv[1:])\n"
    )
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--max-restarts=1"]
    train = [str(killed_once), "train", str(tmp_path / "config.toml"), "--out", str(tmp_path / "model")]
    done = subprocess.run([*launcher, "--standalone", *train], timeout=300, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "training goes on from step " in done.stderr
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == (
        in_two_parts / "model.safetensors"
    ).read_bytes()


def assert_close(found_dir: Path, expected_dir: Path) -> None:
    """The same weights but for rounding, and the same losses."""
    found, expected = (load_tensors(each / "model.safetensors") for each in (found_dir, expected_dir))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    losses = [[loss for _, loss, _ in curve_of(each)][-2:] for each in (found_dir, expected_dir)]
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-5, atol=1e-5)


# One process


def test_one_process_needs_nobody(monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    with join(from_dict({}).training, stop_signal=lambda: 0) as ranks:
        assert type(ranks) is Ranks
        assert ranks.is_first
        assert ranks.sum(0.1) == 0.1
        assert ranks.from_first(lambda: "asked") == "asked"


def test_an_environment_that_is_not_whole_is_refused(monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    training = from_dict({}).training
    with (
        pytest.raises(UsageError, match=r"RANK and MASTER_ADDR and MASTER_PORT not set; start .* torchrun"),
        join(training, stop_signal=lambda: 0),
    ):
        pass
