"""Shows on a person's own configuration that a training that is killed ends as one that is not."""

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from nmt.checkpoint import TOKENIZER, WEIGHTS, newest
from nmt.config.schema import Config
from nmt.config.toml import load_config
from nmt.corpus.reading import Pair, read_pairs
from nmt.files import NOT_UTF8, sha256_file, write_text
from nmt.training.curves import read_metrics
from nmt.training.data import read_paths
from nmt.training.loop import train
from nmt.training.report import NoteReport, Report, StepReport

SAMPLE_PAIRS, DEV_PAIRS = 1000, 50
NUM_STEPS, EVAL_STEPS = 12, 5
KILLED_IN = (3, 8, 11)  # steps that were done but not saved when the process was killed


@dataclass(frozen=True)
class ResumeCheck:
    """What came out of a run without a stop, and of one that was killed three times."""

    num_steps: int
    killed_in: tuple[int, ...]
    weights: tuple[str, str]  # SHA-256 of the finished weights of both
    is_same_model: bool
    is_same_curve: bool  # loss and learning rate of every step, every development score

    @property
    def is_same(self) -> bool:
        """Whether nothing tells one from the other."""
        return self.is_same_model and self.is_same_curve


def verify_resume(config: Config, *, on_report: Callable[[Report], None] = lambda _: None) -> ResumeCheck:
    """Train twelve steps on the first 1,000 pairs twice, once with `kill -9` in three of them, and compare.

    Model and training are those of `config`, the vocabulary is one that the sample has text for. Everything
    is written into a temporary folder. Raises what `train` raises.
    """
    with tempfile.TemporaryDirectory(prefix="nmt-verify-resume-") as name:
        folder = Path(name)
        whole_dir, killed_dir = folder / "whole", folder / "killed"
        sample = _sample(config, folder)
        on_report(NoteReport(f"{NUM_STEPS} steps without a stop"))
        train(sample, whole_dir, on_report=on_report)
        measured = load_config(whole_dir / "config.toml")  # precision and threads are chosen only once
        if measured.tokenizer.joint:
            measured = replace(
                measured, tokenizer=replace(measured.tokenizer, model=str(whole_dir / TOKENIZER))
            )
        for step in KILLED_IN:
            on_report(NoteReport(f"the same, killed in step {step}"))
            _train_in_a_process(measured, killed_dir, kill_in=step)
        on_report(NoteReport("the same, to the end"))
        train(measured, killed_dir, on_report=on_report)
        weights = sha256_file(whole_dir / WEIGHTS), sha256_file(killed_dir / WEIGHTS)
        return ResumeCheck(
            num_steps=NUM_STEPS,
            killed_in=KILLED_IN,
            weights=weights,
            is_same_model=weights[0] == weights[1],
            is_same_curve=_curve(whole_dir) == _curve(killed_dir),
        )


def _sample(config: Config, folder: Path) -> Config:
    """The configuration for a short run on the beginning of the text."""
    data = config.data
    src, tgt = _write_pairs(islice(read_paths(data), SAMPLE_PAIRS), folder / "train")
    src_lang, tgt_lang = data.languages if data.bidirectional else ("", "")
    sample = replace(data, src=(src,), tgt=(tgt,), weights=(), src_lang=src_lang, tgt_lang=tgt_lang)
    if data.dev_src:
        dev = read_pairs([Path(data.dev_src)], [Path(data.dev_tgt)], on_invalid=data.invalid_utf8)
        dev_src, dev_tgt = _write_pairs(islice(dev, DEV_PAIRS), folder / "dev")
        sample = replace(sample, dev_src=dev_src, dev_tgt=dev_tgt)
    return replace(
        config,
        data=sample,
        tokenizer=replace(config.tokenizer, vocab_size=0),
        training=replace(
            config.training,
            max_steps=NUM_STEPS,
            max_epochs=0,
            budget=0.0,
            patience=0,
            eval_steps=EVAL_STEPS,
            report_steps=1,
            save_seconds=0.0,
            dev_sentences=DEV_PAIRS,
        ),
    )


def _write_pairs(pairs: Iterable[Pair], stem: Path) -> tuple[str, str]:
    """Write those that are UTF-8 into two files, and return their names."""
    whole = [pair for pair in pairs if NOT_UTF8 not in pair]
    src_path, tgt_path = stem.with_suffix(".src"), stem.with_suffix(".tgt")
    write_text(src_path, "".join(f"{src}\n" for src, _ in whole))
    write_text(tgt_path, "".join(f"{tgt}\n" for _, tgt in whole))
    return str(src_path), str(tgt_path)


def _train_in_a_process(config: Config, model_dir: Path, *, kill_in: int) -> None:
    process = multiprocessing.get_context("spawn").Process(
        target=_train_and_die, args=(config, model_dir, kill_in)
    )
    process.start()
    process.join()
    assert newest(model_dir / "train", "step"), f"no checkpoint before step {kill_in}"
    assert process.exitcode, f"ended before step {kill_in}"


def _train_and_die(config: Config, model_dir: Path, kill_in: int) -> None:
    def on_report(report: Report) -> None:
        if isinstance(report, StepReport) and report.step == kill_in:
            os.kill(os.getpid(), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)

    train(config, model_dir, on_report=on_report)


def _curve(model_dir: Path) -> list[dict[str, object]]:
    times = {"seconds", "seconds_left", "tokens_per_second"}
    records = read_metrics(model_dir)
    return [{key: value for key, value in record.items() if key not in times} for record in records]
