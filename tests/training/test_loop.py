"""Training learns; it is stopped and goes on to the bit; it survives, and it refuses."""

import json
import multiprocessing
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from nmt.checkpoint import ALIGN_HEAD, HMM, load_model, load_tensors, newest
from nmt.decoding import Translator
from nmt.errors import (
    ConfigError,
    DataError,
    DivergedError,
    Interrupted,
    ModelError,
    OutputError,
    ResourceError,
    StorageError,
)
from nmt.files import planned_fault
from nmt.tokenizer import Tokenizer
from nmt.training import data, freezing, gradient, loop, opening, run, train
from nmt.training.best import Look, look
from nmt.training.data import prepare
from nmt.training.finish import ended_before
from nmt.training.gradient import make_workers
from nmt.training.lock import is_locked, locked
from nmt.training.loss import BatchLoss, batch_loss
from nmt.training.report import (
    EvalReport,
    LinkingReport,
    NoteReport,
    Report,
    StartReport,
    StepReport,
    as_line,
)

SHAKY = (
    "model.dropout=0.2",
    "training.consistency=simcut",
    "tokenizer.sampling_alpha=0.3",
    "training.micro_batch=80",
    "training.schedule=cosine",
    "training.metric=loss",
)
"""Everything random or remembered at once; an epoch has about five batches."""


@pytest.fixture(scope="session")
def whole(corpus, tmp_path_factory):
    """A run that nothing stopped."""
    return corpus.train(tmp_path_factory.mktemp("whole") / "model", *SHAKY)


@pytest.fixture(scope="session")
def half(corpus, tmp_path_factory) -> Path:
    """The folder of a run that was stopped after step 6 of 12; copy it before you go on."""
    model_dir = tmp_path_factory.mktemp("half") / "model"
    with pytest.raises(Interrupted, match="saved step 6; the same command goes on from there"):
        corpus.train(model_dir, *SHAKY, stop_signal=stop_at(8))  # two questions were asked at an evaluation
    return model_dir


@pytest.fixture
def half_done(half, tmp_path) -> Path:
    """A copy of it."""
    return shutil.copytree(half, tmp_path / "model")


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`fault("op=write,n=3,errno=ENOSPC")` lets an operation fail from now on."""

    def plan_it(text: str) -> None:
        planned_fault.cache_clear()
        monkeypatch.setenv("NMT_FAULT", text)

    return plan_it


def stop_at(question: int) -> Callable[[], int]:
    """A signal that is there from the n-th time on that it is asked for, after a step, while
    evaluating, and before and after choosing the layer.
    """
    asked = iter(range(1, 1_000_000))
    return lambda: 2 if next(asked) >= question else 0


def assert_same(found, whole) -> None:
    """The same model and the same reports, byte for byte, and nothing left behind."""
    assert found.weights == whole.weights
    assert found.curve == whole.curve
    assert found.leftovers == []
    assert not newest(found.model_dir / "train", "best")
    assert without_times(found.manifest) == without_times(whole.manifest)


def without_times(manifest: dict) -> dict:
    measured = {"seconds", "tokens_per_second", "peak_memory"}
    training = {key: value for key, value in manifest["training"].items() if key not in measured}
    alignment = {key: value for key, value in manifest["alignment"].items() if key not in measured}
    return {**manifest, "training": training, "alignment": alignment, "manifest_sha256": ""}


def state_of(checkpoint: Path) -> dict:
    return json.loads((checkpoint / "state.json").read_bytes())


def damage(checkpoint: Path) -> None:
    path = checkpoint / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-7] + b"damaged")


# It learns and tells


@pytest.fixture(scope="session")
def learnt(large_corpus, tmp_path_factory):
    """A model that has learnt to say sentences backwards."""
    return large_corpus.train(
        tmp_path_factory.mktemp("learnt") / "model",
        "model.encoder_layers=2",
        "model.decoder_layers=2",
        "model.d_model=32",
        "model.d_ff=64",
        "model.positions=rotary",
        "model.dropout=0.0",
        "training.batch_tokens=512",
        "training.max_steps=250",
        "training.eval_steps=125",
        "training.report_steps=50",
        "training.warmup_steps=20",
        "training.schedule=cosine",
    )


def test_it_learns_to_say_sentences_backwards(learnt) -> None:
    assert learnt.reports[-1].bleu > 90
    translator = Translator(load_model(learnt.model_dir, device="cpu", threads=1), learnt.config.decoding)
    assert translator.translate(["ba ke lo mu"])[0].text == "mu lo ke ba"


def test_metrics_are_json_and_the_log_is_plain_lines(learnt) -> None:
    kinds = [record["report"] for record in learnt.metrics]
    steps = ["data", *["choice"] * 3, "start", *["step"] * 2, "eval", *["step"] * 3, "eval"]
    assert kinds == [*steps, *["linking"] * 6, "end"]
    assert learnt.metrics[-1]["bleu"] == learnt.reports[-1].bleu
    log = (learnt.model_dir / "train" / "log.txt").read_text(encoding="utf-8")
    assert log == "".join(f"{as_line(report)}\n" for report in learnt.reports)
    assert "\x1b" not in log


def test_every_report_reads_well(learnt) -> None:
    lines = [as_line(report) for report in learnt.reports]
    assert lines[0] == "data: 1,000 of 1,000 pairs to train on, 20 development pairs"
    assert re.fullmatch(
        r"training begins: 5\d,\d{3} parameters, CPU, 1 thread, float32; up to 250 steps", lines[4]
    )
    assert re.fullmatch(
        r"step 50/250  epoch 5  loss \d\.\d{3}  lr 9\.\d\de-03  [\d,]+ tokens/s  \d:\d\d, \d:\d\d left",
        lines[5],
    )
    assert re.fullmatch(
        r"step 125  dev loss \d\.\d{3}  dev BLEU [\d.]+ \(nrefs:1\|.*\)  best so far", lines[7]
    )
    assert lines[-1].startswith("done: all planned steps were done; best at step ")
    assert re.search(
        r"; links from HMM aligners, learnt in \d:\d\d; took \d:\d\d and \d\.\d GB of memory$",
        lines[-1],
    )


def test_the_sample_is_a_development_sentence_with_its_links(learnt, large_corpus) -> None:
    sample = learnt.of(EvalReport)[-1].sample
    sources = (large_corpus.folder / "dev.src").read_text().splitlines()
    assert sample.reference == " ".join(reversed(sample.alignment.source.split()))
    assert sample.alignment.source in sources
    assert sample.alignment.links


# It is stopped and goes on


@pytest.mark.parametrize("question", [1, 5, 7, 16, 19])
def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(question, corpus, whole, tmp_path) -> None:
    """After step 1; in the evaluation of step 4; after step 5, which ends an epoch; in the last
    evaluation; before choosing the layer.
    """
    model_dir = tmp_path / "model"
    with pytest.raises(Interrupted) as interrupted:
        corpus.train(model_dir, *SHAKY, stop_signal=stop_at(question))
    assert interrupted.value.exit_status == 130
    assert_same(corpus.train(model_dir, *SHAKY), whole)


def test_a_run_that_is_stopped_while_the_head_is_trained_ends_as_if_it_had_not_been(
    corpus, whole, tmp_path
) -> None:
    told: list[Report] = []

    def stop() -> int:
        return 2 if isinstance(told[-1], LinkingReport) and "align head" in told[-1].doing else 0

    with pytest.raises(Interrupted, match="saved step 12; the same command goes on"):
        train(corpus.config(*SHAKY), tmp_path / "model", on_report=told.append, stop_signal=stop)
    assert not (tmp_path / "model" / "manifest.json").exists()
    assert_same(corpus.train(tmp_path / "model", *SHAKY), whole)


def test_the_end_writes_what_links_are_made_with(corpus, whole, tmp_path) -> None:
    model = load_model(whole.model_dir, device="cpu", threads=1)
    assert (model.align_head.layer, model.hmm_path) == (1, whole.model_dir / HMM)
    assert whole.manifest["files"].keys() >= {ALIGN_HEAD, HMM}
    assert (whole.manifest["alignment"]["from"], whole.manifest["alignment"]["layer"]) == ("hmm", 1)
    without = corpus.train(tmp_path / "model", "alignment.head=false", "training.max_steps=1")
    assert HMM in without.manifest["files"]  # which link better, where the text is small
    assert ALIGN_HEAD not in without.manifest["files"]
    assert without.manifest["alignment"]["from"] == "hmm"


def test_a_run_that_is_stopped_all_the_time_ends_as_if_it_had_not_been(corpus, whole, tmp_path) -> None:
    for _ in range(20):  # some of them while links are learnt, which begins anew
        with pytest.raises(Interrupted):
            corpus.train(tmp_path / "model", *SHAKY, stop_signal=stop_at(3))
    assert_same(corpus.train(tmp_path / "model", *SHAKY), whole)


def test_workers_side_by_side_end_alike_every_time(corpus, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(gradient, "LEAST_TOKENS", 50)
    asked = (*SHAKY, "training.threads=3", "training.micro_batch=20")  # three workers with three parts each
    whole = corpus.train(tmp_path / "whole", *asked)
    assert make_workers(torch.device("cpu"), whole.config.training).num_workers == 3
    with pytest.raises(Interrupted):
        corpus.train(tmp_path / "model", *asked, stop_signal=stop_at(3))
    assert_same(corpus.train(tmp_path / "model", *asked), whole)


def test_a_run_that_is_stopped_in_and_after_its_last_evaluation_tells_of_that_once(
    corpus, whole, tmp_path
) -> None:
    for question in (17, 4):  # decoding for step 12; then, after doing it anew, before writing the model
        with pytest.raises(Interrupted, match="saved step 12; the same command goes on") as interrupted:
            corpus.train(tmp_path / "model", *SHAKY, stop_signal=stop_at(question))
        assert interrupted.value.exit_status == 130
        assert not (tmp_path / "model" / "manifest.json").exists()
    assert_same(corpus.train(tmp_path / "model", *SHAKY), whole)


def test_resuming_says_from_where_and_keeps_what_was_measured(corpus, half_done, monkeypatch) -> None:
    monkeypatch.setattr(opening, "freeze", None)
    resumed = corpus.train(half_done, *SHAKY)
    (start,) = resumed.of(StartReport)
    assert start.step == 6
    assert as_line(start).startswith("training goes on from step 6: ")
    assert start.config.training.precision == "float32"


@pytest.mark.parametrize("n", [12, 98, 180, 290])
def test_a_run_that_was_killed_ends_as_if_it_had_not_been(n, corpus, whole, killable, tmp_path) -> None:
    """At the n-th operation on a file; the next test takes all of them."""
    model_dir = tmp_path / "model"
    assert killable(corpus.options(*SHAKY), model_dir, fault=f"op=any,n={n},kill=9") == -9
    assert_same(corpus.train(model_dir, *SHAKY), whole)


@pytest.mark.slow
def test_a_run_may_be_killed_at_any_operation_on_a_file(corpus, whole, killable, tmp_path) -> None:
    options = corpus.options(*SHAKY)
    for n in range(1, 10_000):
        model_dir = tmp_path / str(n)
        exit_status = killable(options, model_dir, fault=f"op=any,n={n},kill=9")
        assert_same(corpus.train(model_dir, *SHAKY), whole)
        shutil.rmtree(model_dir)
        if exit_status == 0:
            break
        assert exit_status == -9
    assert n > 290


def test_what_did_not_fit_into_memory_is_remembered(corpus, tmp_path, monkeypatch) -> None:
    """A batch in other parts draws other dropout, so that they belong to the state."""
    fail_above(monkeypatch, 60)
    whole = corpus.train(tmp_path / "whole", *SHAKY)
    notes = [note.text for note in whole.of(NoteReport)]
    assert [note.endswith("batches are computed in 4 parts from here on") for note in notes] == [True]
    with pytest.raises(Interrupted):
        corpus.train(tmp_path / "model", *SHAKY, stop_signal=stop_at(7))
    resumed = corpus.train(tmp_path / "model", *SHAKY)
    assert not resumed.of(NoteReport)
    assert_same(resumed, whole)


def test_a_pair_that_does_not_fit_alone_is_named_and_counted(
    make_corpus, pairs, tmp_path, monkeypatch
) -> None:
    good = list(dict.fromkeys(pairs(40)))[:30]
    long = ("ba ke lo mu ti sa " * 5, "sa ti mu lo ke ba " * 5)
    corpus = make_corpus([("", "empty"), *good[:5], long, *good[5:]])
    longest = int(prepare(corpus.config()).corpus.tgt_lengths.max())
    fail_above(monkeypatch, longest)  # with EOS the long one has one more
    options = ("training.batch_tokens=4096", "training.max_epochs=2", "training.max_steps=99")
    with pytest.raises(Interrupted):
        corpus.train(tmp_path / "model", *options, stop_signal=stop_at(1))
    done = corpus.train(tmp_path / "model", *options)
    notes = [record["text"] for record in done.metrics if record["report"] == "note"]
    assert len(notes) == 2  # one in each epoch
    assert re.fullmatch(
        r"1 pair of up to \d+ source and \d+ target pieces left out, too large for memory even alone: "
        r"line 7 of the training text",
        notes[0],
    )
    assert done.manifest["training"]["left_out"] == 2
    assert "memory: 2 pairs" in (done.model_dir / "README.md").read_text()


def test_the_text_is_prepared_once_and_what_was_made_of_it_goes_with_the_end(
    corpus, half_done, whole, monkeypatch
) -> None:
    assert (half_done / "train" / "corpus" / "corpus.json").exists()
    monkeypatch.setattr(data, "make_corpus", None)
    assert_same(corpus.train(half_done, *SHAKY), whole)
    assert not (half_done / "train" / "corpus").exists()


@pytest.mark.parametrize("name", ["src.tokens", "corpus.json"])
def test_a_prepared_text_that_is_damaged_is_made_anew(name, corpus, half_done, whole) -> None:
    path = half_done / "train" / "corpus" / name
    path.write_bytes(path.read_bytes()[:-2])
    assert_same(corpus.train(half_done, *SHAKY), whole)


def test_processes_that_cut_the_text_change_nothing(corpus, whole, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(data, "FEWEST_SHARED", 0)
    with pytest.raises(Interrupted):
        corpus.train(tmp_path / "model", *SHAKY, stop_signal=stop_at(8))
    assert not multiprocessing.active_children()
    assert_same(corpus.train(tmp_path / "model", *SHAKY), whole)


def test_the_death_of_a_process_that_cuts_the_text_ends_it_and_it_can_go_on(
    corpus, whole, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(data, "FEWEST_SHARED", 0)

    def kill_them() -> int:
        for process in multiprocessing.active_children():
            process.kill()
        return 0

    with pytest.raises(ResourceError, match="has died, as when memory runs out; the same command") as died:
        corpus.train(tmp_path / "model", *SHAKY, stop_signal=kill_them)
    assert died.value.exit_status == 75
    assert_same(corpus.train(tmp_path / "model", *SHAKY), whole)


# What it finds damaged, changed, finished, or in use


def test_a_damaged_checkpoint_gives_way_to_the_one_before(corpus, whole, half_done) -> None:
    damage(half_done / "train" / "step-6")
    resumed = corpus.train(half_done, *SHAKY)
    (note,) = resumed.of(NoteReport)
    assert note.text.startswith("checkpoint step-6 can not be used (")
    assert note.text.endswith("using step 4")
    assert_same(resumed, whole)


def test_a_checkpoint_of_another_run_gives_way_too(corpus, whole, half_done, tmp_path) -> None:
    other = corpus.train(tmp_path / "other", *SHAKY, "training.seed=2")
    shutil.copytree(other.model_dir / "train" / "step-12", half_done / "train" / "step-12")
    resumed = corpus.train(half_done, *SHAKY)
    (note,) = resumed.of(NoteReport)
    assert re.search(r"step-12: is of another run: its config hash is \w{12}, expected ", note.text)
    assert note.text.endswith("using step 6")
    assert_same(resumed, whole)


def test_the_checkpoints_of_one_run_remain_its_own_though_an_option_changes(corpus, half_done) -> None:
    changed = (*SHAKY, "training.max_steps=14", "model.dropout=0.1")
    allowed = ["training.max_steps", "model.dropout"]
    with pytest.raises(Interrupted):
        corpus.train(half_done, *changed, allowed_changes=allowed, stop_signal=stop_at(1))
    damage(half_done / "train" / "step-7")
    resumed = corpus.train(half_done, *SHAKY, allowed_changes=allowed)
    assert resumed.of(StartReport)[0].step == 6


def test_with_all_checkpoints_damaged_it_lists_them_and_stops(corpus, half_done) -> None:
    for checkpoint in newest(half_done / "train", "step"):
        damage(checkpoint)
    with pytest.raises(
        ModelError, match=r"step-6 can not be used .*step-4 can not be used .*--restart begins anew"
    ):
        corpus.train(half_done, *SHAKY)
    assert len(newest(half_done / "train", "step")) == 2


def test_another_option_is_refused_unless_it_is_allowed(corpus, half_done) -> None:
    changed = (*SHAKY, "training.max_steps=14", "training.label_smoothing=0.2")
    with pytest.raises(ConfigError, match=r"label_smoothing: 0.1 → 0.2; training.max_steps: 12 → 14; give"):
        corpus.train(half_done, *changed)
    with pytest.raises(ConfigError, match=r"other options: training.label_smoothing: 0.1 → 0.2; give"):
        corpus.train(half_done, *changed, allowed_changes=["training.max_steps"])
    allowed = ["training.max_steps", "training.label_smoothing"]
    with pytest.raises(Interrupted):
        corpus.train(half_done, *changed, allowed_changes=allowed, stop_signal=stop_at(1))
    done = corpus.train(half_done, *changed)  # it is what the run consists of now
    assert done.reports[-1].step == 14
    assert load_model(half_done, device="cpu", threads=1).config.training.label_smoothing == 0.2


def test_a_run_of_a_version_that_had_fewer_options_is_resumed(corpus, half_done) -> None:
    path = half_done / "train" / "run.json"
    record = json.loads(path.read_bytes())
    del record["requested"]["decoding.on_long"]
    path.write_text(json.dumps(record))
    with pytest.raises(ConfigError, match=r"other options: decoding.on_long: split → error; give"):
        corpus.train(half_done, *SHAKY, "decoding.on_long=error")
    assert corpus.train(half_done, *SHAKY).reports[-1].step == 12


def test_other_text_and_another_tokenizer_are_refused(make_corpus, pairs, tmp_path) -> None:
    corpus = make_corpus(pairs(30))
    with pytest.raises(Interrupted):
        corpus.train(tmp_path / "model", stop_signal=stop_at(1))
    tokenizer = tmp_path / "model" / "train" / "tokenizer.model"
    whole = tokenizer.read_bytes()
    tokenizer.write_bytes(whole.replace(b"\xe2\x96\x81ba", b"\xe2\x96\x81bo"))
    with pytest.raises(ModelError, match=r"the tokenizer does not match the model \(hash was "):
        corpus.train(tmp_path / "model")
    tokenizer.write_bytes(whole)
    make_corpus(pairs(31))
    with pytest.raises(DataError, match=r"the data hash differs \(was \w{12}, now \w{12}\)"):
        corpus.train(tmp_path / "model")
    assert newest(tmp_path / "model" / "train", "step")


def test_a_finished_model_is_not_read_for_again_nor_overwritten(corpus, whole, tmp_path, monkeypatch) -> None:
    model_dir = shutil.copytree(whole.model_dir, tmp_path / "model")
    monkeypatch.setattr(opening, "prepare", None)
    (end,) = corpus.train(model_dir, *SHAKY).reports
    first = whole.reports[-1]
    assert end == replace(
        first,
        stopped="finished before at step 12, nothing to do",
        seconds=round(first.seconds, 1),
        tokens_per_second=round(first.tokens_per_second, 1),
        peak_memory=whole.manifest["training"]["peak_memory"],
        agreement={layer: round(rate, 4) for layer, rate in first.agreement.items()},
        link_seconds=round(first.link_seconds, 1),
    )
    assert min(end.loss, end.epochs) > 0
    assert (end.links_from, end.link_pairs) == ("hmm", 60)
    for allowed in ([], ["training.max_steps"]):
        with pytest.raises(
            OutputError,
            match=r"finished model of another configuration \(training.max_steps: 12 → 90\), "
            r"which can not be trained further here; --restart replaces it by a new one, or give another",
        ):
            corpus.train(model_dir, *SHAKY, "training.max_steps=90", allowed_changes=allowed)
    assert (model_dir / "model.safetensors").read_bytes() == whole.weights


def test_of_a_model_that_was_finished_before_all_is_told_that_its_manifest_tells(whole) -> None:
    manifest = whole.manifest
    manifest["training"] |= {"step": 12, "best_step": 8}
    manifest["dev"] |= {
        "bleu": {"score": 2.0, "signature": "a|b"},
        "bleu_by_direction": {"de-en": 1.5, "en-de": 2.5},
        "tuning": {"length_penalty": 0.6},
    }
    links = {"layer": 5, "from": "head", "pairs": 7, "seconds": 8.9, "agreement": {"1": 0.25, "5": 0.75}}
    end = ended_before({**manifest, "alignment": links})
    assert (end.step, end.best_step) == (12, 8)
    assert (end.bleu, end.signature, end.bleu_by_direction) == (2.0, "a|b", {"de-en": 1.5, "en-de": 2.5})
    assert end.tuning == {"length_penalty": 0.6}
    assert (end.alignment_layer, end.links_from, end.link_pairs, end.link_seconds) == (5, "head", 7, 8.9)
    assert end.agreement == {1: 0.25, 5: 0.75}
    del manifest["training"]["peak_memory"], links["pairs"], links["seconds"]  # of an older version
    end = ended_before({**manifest, "alignment": links})
    assert (end.peak_memory, end.link_pairs, end.link_seconds) == (0, 0, 0)


def test_of_many_differences_the_text_and_a_few_options_are_named(
    corpus, large_corpus, whole, tmp_path
) -> None:
    model_dir = shutil.copytree(whole.model_dir, tmp_path / "model")
    with pytest.raises(OutputError) as refused:
        large_corpus.train(model_dir, "training.max_steps=90", "training.seed=5")
    named = re.search(r"another configuration \((.*)\), which", str(refused.value))
    assert named is not None
    first, *options, more = named.group(1).split("; ")
    assert first == "other text"
    assert all(re.fullmatch(r"[a-z.]+_?[a-z_]*: .+ → .+", option) for option in options)
    assert len(options) == 4
    assert re.fullmatch(r"and \d+ more", more)
    assert not corpus.train(model_dir, *SHAKY).of(StepReport)


def test_what_is_part_of_the_weights_can_not_change_and_the_run_goes_on_as_before(
    corpus, half_done, whole
) -> None:
    for change in ("model.d_model=32", "tokenizer.type=bpe"):
        with pytest.raises(ConfigError, match=r"--override .* → .*: can not change in a training"):
            corpus.train(half_done, *SHAKY, change, allowed_changes=[change.partition("=")[0]])
    assert_same(corpus.train(half_done, *SHAKY), whole)


def test_the_optimizer_can_change(corpus, half_done) -> None:
    changed = ("training.optimizer=adamw",)
    done = corpus.train(half_done, *SHAKY, *changed, allowed_changes=["training.optimizer"])
    assert done.reports[-1].stopped == "all planned steps were done"
    assert state_of(newest(half_done / "train", "step")[-1])["step"] == done.reports[-1].step


def test_half_written_files_go_but_for_those_of_others(corpus, half_done) -> None:
    own = [half_done / "model.safetensors.part", half_done / "hmm.safetensors.part"]
    of_others = half_done / "translation.de.part"  # that `nmt translate` was stopped in
    for path in (*own, of_others):
        path.write_text("eins\n")
    corpus.train(half_done, *SHAKY)
    assert not any(path.exists() for path in own)
    assert of_others.read_text() == "eins\n"


@pytest.mark.parametrize("is_gone", [True, False])
def test_text_that_changes_before_links_are_learnt_is_an_error_and_nothing_is_lost(
    make_corpus, pairs, tmp_path, is_gone
) -> None:
    corpus = make_corpus(pairs(40))
    path = Path(corpus.config().data.src[0])
    before = path.read_bytes()

    def change(report: Report) -> None:
        if isinstance(report, EvalReport) and report.step == report.max_steps:
            path.unlink() if is_gone else path.write_bytes(b"".join(before.splitlines(keepends=True)[::-1]))

    found = "is gone" if is_gone else "has changed"
    with pytest.raises(DataError, match=f"{path}: {found} since training began; restore it, and the same"):
        train(corpus.config(), tmp_path / "model", on_report=change)
    path.write_bytes(before)
    done = corpus.train(tmp_path / "model")
    assert done.reports[-1].stopped == "all planned steps were done"
    assert not done.of(StepReport)


def test_text_that_was_only_touched_is_the_same(make_corpus, pairs, tmp_path) -> None:
    corpus = make_corpus(pairs(40))
    path = Path(corpus.config().data.src[0])

    def touch(report: Report) -> None:
        if isinstance(report, EvalReport):
            os.utime(path, ns=(1, report.step))

    train(corpus.config(), tmp_path / "model", on_report=touch)
    assert load_model(tmp_path / "model")


def test_restart_begins_anew(corpus, whole, tmp_path) -> None:
    model_dir = shutil.copytree(whole.model_dir, tmp_path / "model")
    done = corpus.train(model_dir, "training.max_steps=3", restart=True)
    assert done.reports[-1].step == 3
    assert [record["step"] for record in done.curve] == [3, 3]
    assert done.manifest["requested"]["training.max_steps"] == 3


def test_only_one_trainer_works_in_a_folder(corpus, half_done) -> None:
    with locked(half_done / "train"), pytest.raises(OutputError, match=r"model: locked by pid \d+ on host"):
        corpus.train(half_done, *SHAKY)


def test_a_folder_that_was_made_for_nothing_is_removed_and_one_that_was_there_is_not(tmp_path) -> None:
    (tmp_path / "there").mkdir()
    for name in ("there", "new"):
        with locked(tmp_path / name / "model" / "train"):
            assert is_locked(tmp_path / name / "model" / "train")
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


def test_a_model_that_is_not_there_yet_is_told_from_a_folder_that_is_none(corpus, tmp_path) -> None:
    with pytest.raises(Interrupted):
        corpus.train(tmp_path / "model", stop_signal=stop_at(1))
    with pytest.raises(ModelError, match=r"no model yet: .* the same nmt train command goes on with it$"):
        load_model(tmp_path / "model", device="cpu", threads=1)


@pytest.mark.parametrize("restart", [False, True])
def test_files_of_somebody_else_are_not_overwritten(corpus, tmp_path, restart: bool) -> None:
    for name in ("README.md", "config.toml"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(OutputError) as refused:
        corpus.train(tmp_path, restart=restart)
    assert str(refused.value) == (
        f"{tmp_path}: holds config.toml, README.md, which would be overwritten, but no model and no run to "
        "resume; remove these files, or give another folder"
    )
    assert (tmp_path / "README.md").read_text() == "mine"


# What goes wrong on the way


def test_a_gradient_that_is_not_finite_is_skipped(corpus, tmp_path, monkeypatch) -> None:
    spoil_gradients(monkeypatch, first=3, last=3)
    done = corpus.train(tmp_path / "model", "training.report_steps=1")
    notes = [as_line(each) for each in done.of(NoteReport)]
    assert notes == ["note: the gradient of step 3 is not finite; update skipped (1 in a row)"]
    assert [each.step for each in done.of(StepReport)] == [1, 2, *range(4, 13)]
    assert all(
        tensor.isfinite().all() for tensor in load_tensors(done.model_dir / "model.safetensors").values()
    )


def test_gradients_that_stay_infinite_end_it_and_leave_the_last_checkpoint(
    corpus, tmp_path, monkeypatch
) -> None:
    spoil_gradients(monkeypatch, first=6, last=99)
    model_dir = tmp_path / "model"
    with pytest.raises(DivergedError, match=r"no finite gradient in 10 steps up to step 15") as diverged:
        corpus.train(model_dir, "training.max_steps=99")
    assert diverged.value.__notes__ == [
        "last good checkpoint: step-12; try --restart with --set training.learning_rate=0.005"
    ]
    assert load_tensors(model_dir / "train" / "step-12" / "weights.safetensors")


@pytest.mark.parametrize("rate", ["1e30", "100"])
def test_a_learning_rate_far_too_high_is_noticed(corpus, tmp_path, rate: str) -> None:
    with pytest.raises(DivergedError, match="training diverged") as diverged:
        corpus.train(tmp_path / "model", f"training.learning_rate={rate}", "training.max_steps=99")
    assert "try --restart with --set training.learning_rate=0.11" in diverged.value.__notes__[0]
    for checkpoint in newest(tmp_path / "model" / "train", "step"):
        assert load_tensors(checkpoint / "weights.safetensors")
        assert load_tensors(checkpoint / "average.safetensors")


def spoil_gradients(monkeypatch: pytest.MonkeyPatch, *, first: int, last: int) -> None:
    """Let the loss of these training steps, counted from 1, be no number."""
    steps = iter(range(1, 1_000_000))

    def spoilt(network, batch, **options) -> BatchLoss:
        loss = batch_loss(network, batch, **options)
        if first <= next(steps) <= last:
            return BatchLoss(loss.objective * float("nan"), loss.nll * float("nan"), loss.num_tokens)
        return loss

    monkeypatch.setattr(gradient, "batch_loss", spoilt)


def fail_above(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Let memory end, after the work was done, for batches of more than so many tokens."""

    def limited(network, batch, **options) -> BatchLoss:
        loss = batch_loss(network, batch, **options)
        if batch.num_tokens > most:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return loss

    monkeypatch.setattr(gradient, "batch_loss", limited)


@pytest.mark.parametrize(
    "text",
    [
        "op=write,n=9,errno=ENOSPC",
        "op=write,n=26,errno=ENOSPC,sticky=1",
        "op=fsync,n=20",
        "op=rename,n=18",
    ],
)
def test_a_disk_that_fails_ends_it_with_the_path_and_a_good_checkpoint(
    text, corpus, whole, half_done, fault, monkeypatch
) -> None:
    fault(text)
    with pytest.raises(StorageError, match=r"failed: (No space left on device|Input/output error)") as failed:
        corpus.train(half_done, *SHAKY)
    assert str(failed.value).startswith(str(half_done))
    assert failed.value.__notes__[-1].startswith("last good checkpoint: step-")
    monkeypatch.delenv("NMT_FAULT")
    assert_same(corpus.train(half_done, *SHAKY), whole)


def test_a_disk_too_small_for_the_checkpoints_is_noticed_before_the_first_step(
    corpus, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(run.shutil, "disk_usage", lambda _: SimpleNamespace(free=10_000))
    with pytest.raises(StorageError, match=r"no space left on device: checkpoints need about 1 MB, 0 MB are"):
        corpus.train(tmp_path / "model")


# When it ends


def test_it_stops_without_a_better_score(corpus, tmp_path) -> None:
    done = corpus.train(
        tmp_path / "model",
        "training.learning_rate=1e-9",
        "training.metric=loss",
        "training.ema_decay=0",
        "training.eval_steps=1",
        "training.patience=2",
        "training.max_steps=1000",
        "model.dropout=0.9",
    )
    end = done.reports[-1]
    assert end.stopped == "no better dev loss in 2 evaluations"
    assert end.step == end.best_step + 2
    assert newest(done.model_dir / "train", "step")[-1].name == f"step-{end.step}"


def test_it_stops_after_so_many_epochs_having_counted_every_real_target_token(corpus, tmp_path) -> None:
    done = corpus.train(tmp_path / "model", "training.max_epochs=2", "training.max_steps=1000")
    end = done.reports[-1]
    assert end.stopped == "2 epochs were done"
    assert end.epochs == 2.0
    tokenizer = Tokenizer.load(done.model_dir / "tokenizer.model")
    num_tokens = sum(len(tokenizer.encode(line)) + 1 for line in corpus.lines("train.tgt"))
    state = state_of(newest(done.model_dir / "train", "step")[-1])
    assert state["num_tokens"] == 2 * num_tokens
    assert end.tokens_per_second == pytest.approx(2 * num_tokens / state["train_seconds"])


def test_a_schedule_ends_with_the_last_epoch(corpus, tmp_path) -> None:
    options = ("training.max_epochs=8", "training.max_steps=1000", "training.warmup_steps=4")
    done = corpus.train(tmp_path / "model", *options, "training.schedule=linear", "training.report_steps=1")
    steps = done.of(StepReport)
    num_steps = len(steps)
    assert num_steps > 20
    assert {each.max_steps for each in steps} == {num_steps}
    assert steps[0].seconds_left > steps[-1].seconds_left == 0
    warmup, peak = num_steps // 10, max(each.learning_rate for each in steps)
    assert steps[0].learning_rate == pytest.approx(peak / warmup)
    assert steps[-1].learning_rate == pytest.approx(peak / (num_steps + 1 - warmup))


@pytest.mark.parametrize("promised", [2, 5])
def test_epochs_are_done_whatever_number_of_batches_the_first_one_promised(
    corpus, tmp_path, monkeypatch, promised
) -> None:
    monkeypatch.setattr(data.TrainingData, "num_batches", lambda *_: promised)  # there are three
    options = ("training.max_epochs=4", "training.max_steps=1000", "training.report_steps=1")
    done = corpus.train(tmp_path / "model", *options)
    steps, end = done.of(StepReport), done.reports[-1]
    assert (end.stopped, end.step, len(steps)) == ("4 epochs were done", 12, 12)
    assert [each.max_steps for each in steps] == [max(4 * promised, each.step) for each in steps]


def test_a_budget_is_kept_and_its_schedule_ends_with_it(large_corpus, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(freezing, "FEWEST_STEPS", 5)  # a busy machine has time for few
    budget = ("training.budget=4", "training.max_steps=100000", "training.eval_steps=0")
    done = large_corpus.train(tmp_path / "model", *budget, "training.report_steps=1")
    end, state = done.reports[-1], state_of(newest(done.model_dir / "train", "step")[-1])
    assert end.stopped in ("all planned steps were done", "the time was used up")
    overhead = state["setup_seconds"] + state["other_seconds"] / state["num_evaluations"]
    assert 3 < end.seconds < 5 + 2 * overhead
    planned = [each.max_steps for each in done.of(StepReport)]
    assert len(set(planned)) > 1  # anew, as the pace shows
    assert end.step >= 0.9 * planned[-1]
    rates = [each.learning_rate for each in done.of(StepReport)]
    assert rates[-1] < 0.3 * max(rates)


@pytest.mark.parametrize("asked", [0, 3])
def test_with_a_budget_only_evaluations_that_were_asked_for_take_more_than_a_tenth(
    large_corpus, tmp_path, monkeypatch, asked
) -> None:
    def slow_look(*_: object, **known: Any) -> Look:
        time.sleep(0.5)
        return look(*_, **known)

    monkeypatch.setattr(loop, "look", slow_look)
    options = ("training.budget=60", "training.max_steps=30", f"training.eval_steps={asked}")
    steps = [each.step for each in large_corpus.train(tmp_path / "model", *options).of(EvalReport)]
    if asked:
        assert steps == list(range(3, 31, 3))
    else:
        assert steps[0] == 3
        assert steps[-1] == 30
        assert len(steps) < 6


def test_a_resumed_budget_goes_on_counting_and_may_be_changed(large_corpus, tmp_path) -> None:
    model_dir = tmp_path / "model"
    with pytest.raises(Interrupted):
        large_corpus.train(model_dir, "training.budget=900", stop_signal=stop_at(3))
    state = state_of(model_dir / "train" / "step-3")
    before = state["setup_seconds"] + state["train_seconds"] + state["other_seconds"]
    started = time.perf_counter()
    done = large_corpus.train(model_dir, f"training.budget={before + 1}", allowed_changes=["training.budget"])
    end = done.reports[-1]
    assert end.seconds == pytest.approx(before + time.perf_counter() - started, abs=1)
    assert end.stopped in ("all planned steps were done", "the time was used up")


def test_a_budget_too_short_to_learn_anything_is_refused_with_the_time_it_takes(corpus, tmp_path) -> None:
    asked = ("training.max_steps=100000", "training.eval_steps=0")
    with pytest.raises(ConfigError, match=r"budget: 0\.01 s have room for 0 steps of ") as error:
        corpus.train(tmp_path / "model", "training.budget=0.01", *asked)
    assert "at least 50" in str(error.value)
    assert not (tmp_path / "model").exists()


def test_what_is_there_stays_until_nothing_speaks_against_a_new_run(corpus, whole, tmp_path) -> None:
    model_dir = shutil.copytree(whole.model_dir, tmp_path / "model")
    with pytest.raises(ConfigError, match="expected at least 50"):
        corpus.train(
            model_dir,
            "training.budget=0.01",
            "training.max_steps=9999",
            "training.eval_steps=0",
            restart=True,
        )
    assert_same(corpus.train(model_dir, *SHAKY), whole)


def test_a_budget_allows_no_more_steps_than_were_asked_for(corpus, tmp_path) -> None:
    end = corpus.train(tmp_path / "model", "training.budget=60").reports[-1]
    assert (end.step, end.stopped) == (12, "all planned steps were done")


# What is measured


@pytest.mark.parametrize(("half_seconds", "chosen"), [(0.08, "bfloat16"), (0.095, "float32")])
def test_the_precision_is_measured_once_and_kept(half_seconds, chosen, corpus, tmp_path, monkeypatch) -> None:
    measured = []

    def measure(_network, _batches, training) -> float:
        measured.append(training.precision)
        return {"float32": 0.1, "bfloat16": half_seconds}[training.precision]

    monkeypatch.setattr(freezing, "measure_step", measure)
    monkeypatch.setattr(freezing, "cost_of_bfloat16", lambda: 1.0)
    model_dir = tmp_path / "model"
    with pytest.raises(Interrupted):
        corpus.train(model_dir, "training.precision=auto", stop_signal=stop_at(1))
    assert measured == ["float32", "bfloat16"]
    done = corpus.train(model_dir, "training.precision=auto", "training.threads=1")
    assert measured == ["float32", "bfloat16"]
    (start,) = done.of(StartReport)
    config = load_model(model_dir, device="cpu", threads=1).config
    assert start.config.training.precision == config.training.precision == chosen
    assert "a step takes 0.1 s in float32" in (model_dir / "train" / "log.txt").read_text()


def test_a_step_is_not_measured_where_products_in_bfloat16_are_slow(corpus, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(freezing, "cost_of_bfloat16", lambda: 2.0)
    monkeypatch.setattr(freezing, "measure_step", lambda *_: pytest.fail("measured a step"))
    done = corpus.train(tmp_path / "model", "training.precision=auto", "training.max_steps=3")
    (start,) = done.of(StartReport)
    assert start.config.training.precision == "float32"
    assert start.notes == ("products take 2.0 times as long in bfloat16 as in float32",)


def test_open_dropout_is_chosen_by_the_passes_and_kept(corpus, tmp_path) -> None:
    model_dir = tmp_path / "model"
    options = "training.batch_tokens=4000", "training.max_steps=20"  # all the text in a batch, 20 passes
    done = corpus.train(model_dir, "model.dropout=auto", *options)
    assert load_model(model_dir, device="cpu", threads=1).config.model.dropout == 0.2
    assert done.weights == corpus.train(tmp_path / "asked", "model.dropout=0.2", *options).weights


def test_measuring_changes_nothing(corpus, tmp_path) -> None:
    """Neither a weight nor a random number: with `auto` the same comes out as with what it chose."""
    measured = corpus.train(tmp_path / "model", *SHAKY, "training.precision=auto", "training.max_steps=3")
    (start,) = measured.of(StartReport)
    chosen = f"training.precision={start.config.training.precision}"
    assert (
        measured.weights == corpus.train(tmp_path / "plain", *SHAKY, "training.max_steps=3", chosen).weights
    )
