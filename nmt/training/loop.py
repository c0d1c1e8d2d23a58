"""The training loop: a run is opened, trained step by step with looks and checkpoints, and finished."""

import math
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

import torch

from nmt.checkpoint import TranslationModel, build_network, newest
from nmt.config import presets
from nmt.config.schema import Config
from nmt.errors import DivergedError, Interrupted, NmtError, OutputError, StorageError
from nmt.hardware import describe, use_device
from nmt.training.best import best_dir, look
from nmt.training.data import TrainingData, data_hash, prepare
from nmt.training.finish import choose, ended_before, write_finished
from nmt.training.journal import Journal, OnReport
from nmt.training.lock import locked
from nmt.training.manifest import facts_of_run, signature
from nmt.training.plan import SHARE_AT_END, freeze, is_open, replan
from nmt.training.report import EndReport, EvalReport, StartReport
from nmt.training.run import Run, checkpoint_bytes, flat
from nmt.training.state import Origin, Progress, TrainState
from nmt.training.step import take_step
from nmt.training.workers import make_workers


def train(
    config: Config,
    model_dir: Path,
    *,
    on_report: OnReport = lambda _: None,
    stop_signal: Callable[[], int] = lambda: 0,
    restart: bool = False,
    allowed_changes: Collection[str] = (),
) -> EndReport:
    """Train a model into a folder, or go on where an earlier call was stopped.

    `stop_signal` is asked after every step, while evaluating and before the model is written; a number other
    than zero saves and raises Interrupted with it.
    `allowed_changes` names options, as `training.max_steps`, that may differ from the run that is resumed.
    Raises DataError, ConfigError, OutputError, DivergedError and StorageError; what was saved stays whole.
    """
    started = time.perf_counter()
    run = Run(model_dir, flat(config), data_hash(config))
    run.check_place()
    if not restart and (manifest := run.finished_manifest()) is not None:
        if run.has_debris:
            with locked(run.train_dir):
                run.clean_up()
                run.forget_best()
        end = ended_before(manifest)
        on_report(end)
        return end
    with ExitStack() as stack:
        is_new = not run.is_begun
        if not is_new:
            stack.enter_context(locked(run.train_dir))
        frozen = run.resume(config, allowed_changes) if not is_new and not restart else None
        options = frozen or config
        device = use_device(options.training.device, threads=options.training.threads)
        data = prepare(options, tokenizer_dir=run.train_dir if frozen else None)
        if is_new:  # only now, so that bad text leaves no folder behind
            stack.enter_context(locked(run.train_dir))
            if run.is_begun:
                raise OutputError(f"{model_dir}: another process began to train there meanwhile; try again")
        run.clean_up()
        journal = Journal(run.train_dir, on_report, started=started)
        trainer = _Trainer(run, data, device, journal, stop_signal)
        trainer.start(options, is_begun=frozen is not None)
        return trainer.run_to_end()


class _Trainer:
    """One run at work: a model, its state, and when it looks, saves and stops."""

    model: TranslationModel
    state: TrainState

    def __init__(
        self,
        run: Run,
        data: TrainingData,
        device: torch.device,
        journal: Journal,
        stop_signal: Callable[[], int],
    ) -> None:
        self.run = run
        self.data = data
        self.device = device
        self.journal = journal
        self.stop_signal = stop_signal
        self.last_save = time.perf_counter()

    def start(self, config: Config, *, is_begun: bool) -> None:
        """Build the network; freeze what is measured, restore the newest checkpoint."""
        self.journal.tell(self.data.report)
        hashes = [self.data.src_tokenizer.hash, self.data.tgt_tokenizer.hash]
        torch.manual_seed(config.training.seed)
        network = build_network(config, self.data.src_tokenizer, self.data.tgt_tokenizer).to(self.device)
        notes: list[str] = []
        if not is_begun or is_open(config.training):
            elapsed = time.perf_counter() - self.journal.booked
            config, notes = freeze(config, network, self.data, elapsed=elapsed)
        if is_begun:
            self.run.check_tokenizers(hashes)
        else:
            self.run.discard()  # what there was, now that nothing speaks against a new run
            self.data.save_tokenizers(self.run.train_dir)
        self.journal.record(self.data.report)
        config_hashes = self.run.begin(config, hashes)
        self.config, self.training = config, config.training
        self.model = TranslationModel(
            config, self.data.src_tokenizer, self.data.tgt_tokenizer, network, manifest={}
        )
        self.workers = make_workers(self.device, self.training)
        self.num_batches = self.data.num_batches(self.training)
        origin = Origin(self.model.tokenizer_hash, config_hashes, signature(self.model, self.data))
        self.state = TrainState(network, self.training, Progress(max_steps=self.training.max_steps), origin)
        problems = self.state.load_newest(self.run.train_dir)
        self.run.forget_after(
            self.progress.step, is_evaluated=self.progress.evaluated_step == self.progress.step
        )
        if not best_dir(self.run.train_dir, self.progress).exists():
            # somebody removed it: let the next evaluation find another one
            self.progress.best_value, self.progress.evaluated_step = -math.inf, 0
        self.journal.book(self.progress, "setup_seconds")
        self._plan()
        num_parameters = sum(parameter.numel() for parameter in network.parameters())
        self._check_space(num_parameters)
        for problem in problems:
            self.journal.note(f"{problem}; using step {self.progress.step:,}")
        self.journal.report(
            StartReport(
                config=config,
                num_parameters=num_parameters,
                device=describe(self.device),
                step=self.progress.step,
                max_steps=self.progress.max_steps,
                notes=tuple(notes),
            )
        )

    @property
    def progress(self) -> Progress:
        """How far the run has come."""
        return self.state.progress

    def run_to_end(self) -> EndReport:
        """Train until there is a reason to stop, then write the model."""
        self.model.network.train()
        try:
            if self.progress.step and self.progress.step % self.training.eval_steps == 0:
                self._evaluate_once()  # the run was stopped before it was done
            while not (reason := self._reason_to_stop()):
                self._train_epoch()
            self._evaluate_once()
        except _EvaluationStopped:
            self._interrupt()
        except (StorageError, DivergedError) as error:
            error.add_note(f"last good checkpoint: {self._last_checkpoint()}; {self._advice(error)}")
            raise
        return self._finish(reason)

    def _train_epoch(self) -> None:
        """Steps to the end of the epoch, or to a reason to stop."""
        progress, training = self.progress, self.training
        for lines, batch in self.data.train_batches(
            training, epoch=progress.epoch, start=progress.batch, device=self.device
        ):
            take_step(
                self.state,
                batch,
                lines=lines,
                training=training,
                workers=self.workers,
                on_note=self.journal.note,
            )
            progress.batch += 1
            self.journal.book(progress, "train_seconds")

            # once in a while: say where we are, look at the development set, save
            if progress.step % training.report_steps == 0:
                self._plan()
                self.journal.report_steps(progress, learning_rate=self.state.learning_rate)
            if progress.step % training.eval_steps == 0:
                self._evaluate()
            elif time.perf_counter() - self.last_save > training.save_seconds:
                self._save()
            if self.stop_signal():
                self._interrupt()
            if self._reason_to_stop():
                return
        progress.epoch += 1
        progress.batch = 0

    def _evaluate_once(self) -> None:
        if self.progress.evaluated_step != self.progress.step:
            self._evaluate()

    def _evaluate(self) -> None:
        """Look at the development set, and save everything."""
        progress = self.progress
        found = look(
            self.model,
            self.data,
            average=self.state.average,
            progress=progress,
            train_dir=self.run.train_dir,
            facts=self._facts,
            on_progress=self._heed_signal,
        )
        self.journal.book(progress, "other_seconds")
        self._plan()
        self.journal.report(
            EvalReport(
                step=progress.step,
                max_steps=progress.max_steps,
                epoch=progress.epoch,
                loss=found.loss,
                bleu=found.bleu,
                signature=found.signature,
                is_best=found.is_best,
                seconds=progress.seconds,
                sample=found.sample,
            )
        )
        self._save()  # last: what is in a checkpoint was reported

    def _save(self) -> None:
        self.journal.book(self.progress, "other_seconds")
        self.state.save(self.run.train_dir, keep=self.training.keep_checkpoints)
        self.run.forget_superseded()
        self.last_save = time.perf_counter()
        self.journal.book(self.progress, "other_seconds")

    def _heed_signal(self, _: int) -> None:
        """While evaluating: stop at once; it is done anew after resuming."""
        if self.stop_signal():
            raise _EvaluationStopped

    def _interrupt(self) -> NoReturn:
        """Save and leave."""
        self._save()
        self._leave()

    def _leave(self) -> NoReturn:
        """Leave what is saved already."""
        raise Interrupted(
            f"saved step {self.progress.step}; the same command goes on from there", self.stop_signal()
        )

    def _reason_to_stop(self) -> str:
        progress, training = self.progress, self.training
        if progress.step >= progress.max_steps:
            return "all planned steps were done"
        if training.max_epochs and progress.epoch > training.max_epochs:
            return f"{training.max_epochs} epochs were done"
        if training.patience and progress.num_stale >= training.patience:
            name = {"bleu": "dev BLEU", "loss": "dev loss"}[training.metric]
            return f"no better {name} in {training.patience} evaluations"
        if training.budget and progress.step and progress.seconds > (1 - SHARE_AT_END) * training.budget:
            return "the time was used up"
        return ""

    def _plan(self) -> None:
        """Steps to do: as many as were asked for, but with a budget no more than fit into it."""
        progress, training = self.progress, self.training
        most = self.run.requested["training.max_steps"]
        if not training.budget:
            progress.max_steps = most
        elif 0 < progress.step < progress.max_steps:
            progress.max_steps = replan(progress, training, most=most)

    def _finish(self, reason: str) -> EndReport:
        """Choose the alignment layer and write the best weights as the finished model.

        The last step is saved by now, so that a signal, heeded before and after the choice, loses nothing.
        """
        if self.stop_signal():
            self._leave()
        choice = choose(self.model, self.data, run=self.run, progress=self.progress)
        if self.stop_signal():
            self._leave()
        self.journal.book(self.progress, "other_seconds")
        end = write_finished(
            self.model,
            choice,
            run=self.run,
            progress=self.progress,
            stopped=reason,
            epochs=self._epochs(),
            facts=self._facts,
        )
        self.journal.report(end)
        return end

    def _facts(self, model: TranslationModel, end: EndReport | None = None) -> dict[str, Any]:
        return facts_of_run(
            model, self.data, self.progress, epochs=self._epochs(), requested=self.run.requested, end=end
        )

    def _epochs(self) -> float:
        """Passes over the data so far."""
        return round(self.progress.epoch - 1 + min(1.0, self.progress.batch / self.num_batches), 2)

    def _check_space(self, num_parameters: int) -> None:
        """Refuse to begin if the checkpoints will not fit on the disk."""
        num_more = 0 if self.progress.step else self.training.keep_checkpoints
        self.run.check_space(checkpoint_bytes(num_parameters, num_more))

    def _last_checkpoint(self) -> str:
        saved = newest(self.run.train_dir, "step")
        return saved[-1].name if saved else "none"

    def _advice(self, error: NmtError) -> str:
        if isinstance(error, StorageError):
            return "when that is mended, the same command goes on"
        usual = presets.learning_rate(self.config.model.d_model)
        rate = min(usual, self.training.learning_rate / 2)
        return f"try --restart with --set training.learning_rate={rate:.2g}"


class _EvaluationStopped(Exception):
    """A signal came during an evaluation."""
