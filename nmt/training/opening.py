"""How a run is opened: begun, resumed or refused by the first rank, and taken over from it by the others."""

import tempfile
import time
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nmt.config.schema import Config
from nmt.config.toml import load_config, to_toml
from nmt.errors import DataError
from nmt.files import write_bytes, write_text
from nmt.hardware import use_device
from nmt.model import Transformer
from nmt.training.data import TrainingData, data_hash, prepare
from nmt.training.distributed import Ranks
from nmt.training.freezing import Frozen, freeze, is_open
from nmt.training.initial import initial_network, initial_tokenizers, requested
from nmt.training.journal import Journal
from nmt.training.lock import locked
from nmt.training.manifest import INITIAL
from nmt.training.preparation import Tokenizers
from nmt.training.run import Run


@dataclass(frozen=True)
class Opened:
    """A run with all that it is made of, the same on every rank."""

    run: Run
    config: Config  # with everything that was measured
    data: TrainingData
    network: Transformer  # as it is before the first step
    device: torch.device
    config_hashes: tuple[str, ...]  # of every configuration that the run has had, that of now the last
    notes: tuple[str, ...] = ()  # what was measured, a sentence each


def open_run(
    config: Config,
    run: Run,
    *,
    ranks: Ranks,
    journal: Journal,
    restart: bool,
    allowed_changes: Collection[str],
    until: ExitStack,
) -> Opened:
    """Begin or resume a run, whose folder is locked `until` then.

    Raises DataError, ConfigError, ModelError and OutputError.
    """
    if not ranks.is_first:
        return _follow(ranks.from_first(dict), run, ranks, until)
    until.enter_context(locked(run.train_dir))
    until.callback(run.forget_unless_begun)  # so that bad text leaves no folder behind
    frozen = run.resume(config, allowed_changes) if run.is_begun and not restart else None
    options = frozen or config
    threads = ranks.threads(config.training.threads, frozen.training.threads if frozen else 0)
    device = ranks.place(use_device(options.training.device, threads=threads))
    run.clean_up()
    if frozen is not None:
        run.check_tokenizers(Tokenizers.load(run.train_dir, is_joint=frozen.tokenizer.joint).hashes)
    data = prepare(
        options,
        store_dir=run.corpus_dir,
        tokenizer_dir=run.train_dir if frozen else initial_tokenizers(options),
        hash=run.data_hash,
    )
    until.callback(data.close)
    journal.tell(data.report)
    if frozen is None or is_open(options):
        elapsed = time.perf_counter() - journal.booked
        now = freeze(options, data, device, elapsed=elapsed, num_ranks=ranks.world_size)
    else:
        now = Frozen(options, initial_network(options, data.tokenizers, device))
    config_hashes = _record(run, now.config, data, is_begun=frozen is not None)
    journal.record(data.report)
    opened = Opened(run, now.config, data, now.network, device, config_hashes, now.notes)
    ranks.from_first(lambda: _told(opened))
    return opened


def _record(run: Run, config: Config, data: TrainingData, *, is_begun: bool) -> tuple[str, ...]:
    """Write down what the run is; the hashes of all configurations it has had."""
    if not is_begun:
        run.discard()  # what there was, now that nothing speaks against a new run
        data.tokenizers.save(run.train_dir)
    return run.begin(config, data.tokenizers.hashes)


def _told(opened: Opened) -> dict[str, Any]:
    """What the other ranks have to know of a run, as JSON."""
    return {
        "requested": opened.run.requested,
        "data_hash": opened.run.data_hash,
        "config": to_toml(opened.config),
        "config_hashes": opened.config_hashes,
        "tokenizers": {name: data.decode("latin-1") for name, data in opened.data.tokenizers.files.items()},
    }


def _follow(told: dict[str, Any], run: Run, ranks: Ranks, until: ExitStack) -> Opened:
    """The run that the first rank has opened, on another rank: the text is found prepared, or made so."""
    with tempfile.TemporaryDirectory(prefix="nmt-rank-") as name:
        folder = Path(name)
        write_text(folder / "config.toml", told["config"])
        config = load_config(folder / "config.toml")
        for file_name, text in told["tokenizers"].items():
            write_bytes(folder / file_name, text.encode("latin-1"))
        threads = ranks.threads(told["requested"]["training.threads"], config.training.threads)
        device = ranks.place(use_device(config.training.device, threads=threads))
        found = data_hash(config)
        if found != told["data_hash"]:
            raise DataError(
                f"rank {ranks.rank}: the text is not that of rank 0 (hash {found[:12]}, expected "
                f"{told['data_hash'][:12]}); give every process the same files"
            )
        # the first rank's, if this is the same machine or the same disk
        data = prepare(config, store_dir=run.corpus_dir, is_shared=True, tokenizer_dir=folder, hash=found)
    until.callback(data.close)
    if requested(config, run.model_dir).get(INITIAL) != told["requested"].get(INITIAL):
        raise DataError(
            f"rank {ranks.rank}: {config.training.init_from} has other weights than on rank 0; "
            "give every process the same model to begin with"
        )
    run = Run(run.model_dir, told["requested"], told["data_hash"])
    network = initial_network(config, data.tokenizers, device)
    return Opened(run, config, data, network, device, tuple(told["config_hashes"]))
