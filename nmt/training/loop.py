"""The training loop: a run is opened, trained step by step with looks and checkpoints, and finished."""

import copy
import math
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from torch import Tensor

from nmt.checkpoint import TranslationModel, newest
from nmt.config import presets
from nmt.config.schema import Config
from nmt.errors import DivergedError, Interrupted, NmtError, StorageError
from nmt.hardware import describe
from nmt.training.best import Look, best_dir, look
from nmt.training.choices import choices
from nmt.training.data import data_hash
from nmt.training.distributed import Ranks, join
from nmt.training.finish import end_of, ended_before, link_best, write_finished
from nmt.training.gradient import ComputeGradient, compute_gradient, make_workers, parts_each
from nmt.training.initial import requested
from nmt.training.journal import Journal, OnReport
from nmt.training.links import LinkModels
from nmt.training.lock import locked
from nmt.training.manifest import facts_of_run, signature
from nmt.training.opening import Opened, open_run
from nmt.training.plan import Timetable
from nmt.training.replicas import SharedGradient, needs_shards
from nmt.training.report import ChoiceReport, EndReport, EvalReport, LinkingReport, StartReport
from nmt.training.run import Run, checkpoint_bytes
from nmt.training.state import Origin, Progress, TrainState
from nmt.training.step import take_step
from nmt.training.tensorboard import with_events
from nmt.training.tuning import Tuning, tune_length_penalty
from nmt.training.working import WorkingNetwork


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
    with join(config.training, stop_signal=stop_signal) as ranks, ExitStack() as until_then:
        run = Run(model_dir, requested(config, model_dir), data_hash(config) if ranks.is_first else "")
        journal = Journal(run.train_dir, on_report, ranks=ranks, started=started)
        manifest = ranks.from_first(lambda: _finished(run, restart=restart))
        if manifest is not None:
            end = ended_before(manifest)
            journal.tell(end)
            return end
        if config.training.tensorboard:
            journal.on_report = with_events(on_report, model_dir)
        opened = open_run(
            config,
            run,
            ranks=ranks,
            journal=journal,
            restart=restart,
            allowed_changes=allowed_changes,
            until=until_then,
        )
        return _Trainer(opened, journal, ranks, stop_signal).run_to_end()


def _finished(run: Run, *, restart: bool) -> dict[str, Any] | None:
    """The manifest of the finished model, if that is what there is; OutputError if nothing may be written."""
    run.check_place()
    manifest = None if restart else run.finished_manifest()
    if manifest is not None and run.has_debris:
        with locked(run.train_dir):
            run.clean_up()
            run.forget_what_made_it()
    return manifest


class _Trainer:
    """One run at work: a model, its state, and when it looks, saves and stops.

    Every rank does the same, and knows the same of progress and time; the first one alone looks at the
    development set, writes and reports, while the others wait for what comes of it.
    """

    def __init__(
        self, opened: Opened, journal: Journal, ranks: Ranks, stop_signal: Callable[[], int]
    ) -> None:
        self.run = opened.run
        self.data = opened.data
        self.config, self.training = opened.config, opened.config.training
        self.device = opened.device
        self.journal = journal
        self.ranks = ranks
        self.stop_signal = stop_signal
        self.signal = 0  # the one that is heeded
        self._make_state(opened)
        problems = self.state.load_newest(self.run.train_dir)
        self.timetable = Timetable(
            self.config,
            self.progress,
            self.data.report,
            num_batches=self.data.num_batches(self.training),
            requested=self.run.requested,
        )
        self._go_back()
        journal.book(self.progress, "setup_seconds")
        self.last_save = journal.booked
        self.timetable.plan()
        num_parameters = sum(parameter.numel() for parameter in self.model.network.parameters())
        if ranks.is_first:
            self._check_space(num_parameters)
        for problem in problems:
            journal.note(f"{problem}; using step {self.progress.step:,}")
        if not self.progress.step:
            steps_per_epoch = self.timetable.num_batches
            told = choices(self.config, self.data.report, self.run.requested, steps_per_epoch=steps_per_epoch)
            for line in told:
                journal.report(ChoiceReport(line))
        journal.report(
            StartReport(
                config=self.config,
                num_parameters=num_parameters,
                device=describe(self.device, count=ranks.world_size),
                step=self.progress.step,
                max_steps=self.progress.max_steps,
                notes=opened.notes,
            )
        )

    def _make_state(self, opened: Opened) -> None:
        """The model as it is evaluated, the state that is trained, and what computes the gradient."""
        network, training, ranks = opened.network, self.training, self.ranks
        num_parameters = sum(parameter.numel() for parameter in network.parameters())
        in_shards = ranks.world_size > 1 and needs_shards(training, num_parameters, self.device)
        whole_network = copy.deepcopy(network) if in_shards and ranks.is_first else network
        tokenizers = self.data.src_tokenizer, self.data.tgt_tokenizer
        self.model = TranslationModel(self.config, *tokenizers, whole_network, manifest={})
        num_sharers = ranks.world_size
        self.compute_gradient: ComputeGradient
        if ranks.world_size > 1:
            self.compute_gradient = SharedGradient(network, training, ranks, in_shards=in_shards)
        else:
            working = WorkingNetwork(network, training.precision)
            workers = make_workers(self.device, training)
            self.compute_gradient = partial(compute_gradient, working, training=training, workers=workers)
            num_sharers = workers.num_workers
        self.num_parts = parts_each(training, num_sharers)
        run_signature = signature(self.model, self.data)
        origin = Origin(self.model.tokenizer_hash, opened.config_hashes, run_signature)
        self.state = TrainState(network, training, Progress(max_steps=training.max_steps), origin, ranks)

    def _go_back(self) -> None:
        """Remove what an earlier part of the run left of steps after the checkpoint."""
        progress = self.progress
        if self.ranks.is_first:
            self.run.forget_after(progress.step, is_evaluated=progress.evaluated_step == progress.step)
        if not self.ranks.from_first(best_dir(self.run.train_dir, progress).exists):
            # somebody removed it: let the next evaluation find another one
            progress.best_value, progress.evaluated_step = -math.inf, 0

    @property
    def progress(self) -> Progress:
        """How far the run has come."""
        return self.state.progress

    def run_to_end(self) -> EndReport:
        """Train until there is a reason to stop, then write the model."""
        self.state.network.train()
        try:
            if self.progress.step and self.timetable.is_look_due():
                self._evaluate_once()  # the run was stopped before it was done
            while not (reason := self.timetable.reason_to_stop()):
                self._train_epoch()
            self._evaluate_once()
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
                compute_gradient=self.compute_gradient,
                num_parts=self.num_parts,
                on_note=self.journal.note,
            )
            progress.batch += 1
            self.journal.book(progress, "train_seconds")

            # once in a while: say where we are, look at the development set, save
            if progress.step % training.report_steps == 0:
                self.timetable.plan()
                self.journal.report_steps(progress, learning_rate=self.state.learning_rate)
            if self.timetable.is_look_due():
                self._evaluate()
            elif self.journal.booked - self.last_save > training.save_seconds:
                self._save()
            if self._is_stopped():
                self._interrupt()
            if self.timetable.reason_to_stop():
                return
        progress.epoch += 1
        progress.batch = 0

    def _evaluate_once(self) -> None:
        if self.progress.evaluated_step != self.progress.step:
            self._evaluate()

    def _evaluate(self) -> None:
        """Look at the development set, and save everything; a signal stops it, to be done anew."""
        progress = self.progress
        average = self.state.whole_average()
        found = self._look(average) if self.ranks.is_first else None
        self.signal = self.ranks.most(self.signal)
        if self.signal:
            self._interrupt()
        vars(progress).update(self.ranks.from_first(lambda: asdict(progress)))
        self.journal.book(progress, "other_seconds")
        self.timetable.plan()
        if found is not None:
            self.journal.report(
                EvalReport(
                    step=progress.step,
                    max_steps=progress.max_steps,
                    epoch=progress.epoch,
                    loss=found.loss,
                    bleu=found.bleu,
                    bleu_by_direction=found.bleu_by_direction,
                    signature=found.signature,
                    is_best=found.is_best,
                    seconds=progress.seconds,
                    sample=found.sample,
                )
            )
        self._save()  # last: what is in a checkpoint was reported

    def _look(self, average: list[Tensor]) -> Look | None:
        """What there is to see on the development set; nothing if a signal came meanwhile."""
        try:
            return look(
                self.model,
                self.data,
                average=average,
                progress=self.progress,
                train_dir=self.run.train_dir,
                facts=self._facts,
                on_progress=self._heed_signal,
            )
        except _EvaluationStopped:
            return None

    def _save(self) -> None:
        self.journal.book(self.progress, "other_seconds")
        self.state.save(self.run.train_dir, keep=self.training.keep_checkpoints)
        if self.ranks.is_first:
            self.run.forget_superseded()
        self.journal.book(self.progress, "other_seconds")
        self.last_save = self.journal.booked

    def _heed_signal(self, _: int) -> None:
        """While evaluating, stop at once."""
        self.signal = self.stop_signal()
        if self.signal:
            raise _EvaluationStopped

    def _is_stopped(self) -> bool:
        """Whether a signal has come to any of the ranks."""
        self.signal = self.ranks.most(self.signal or self.stop_signal())
        return self.signal > 0

    def _interrupt(self) -> NoReturn:
        """Save and leave."""
        self._save()
        self._leave()

    def _leave(self) -> NoReturn:
        """Leave what is saved already."""
        raise Interrupted(
            f"saved step {self.progress.step}; the same command goes on from there", self.signal
        )

    def _finish(self, reason: str) -> EndReport:
        """Learn what links are made with, and write the best weights as the finished model.

        The last step is saved by now, so that a signal, heeded all the time, loses no more than that.
        """
        if self._is_stopped():
            self._leave()
        links = self._link() if self.ranks.is_first else None
        tuning = self._tune() if links is not None and self.training.tune_length_penalty else None
        if self._is_stopped():
            self._leave()
        self.journal.book(self.progress, "other_seconds")
        return end_of(self.ranks.from_first(lambda: asdict(self._write(links, tuning, reason))))

    def _link(self) -> LinkModels | None:
        """What links are made with; nothing if a signal came meanwhile."""
        try:
            return link_best(
                self.model,
                self.data,
                run=self.run,
                progress=self.progress,
                num_pairs=self.timetable.plan_links().num_pairs,
                on_progress=self._heed_signal,
                on_stage=lambda doing: self.journal.report(LinkingReport(doing)),
            )
        except _EvaluationStopped:
            return None

    def _tune(self) -> Tuning | None:
        """The length penalty that is best for the best weights; nothing if a signal came meanwhile."""
        try:
            tuning = tune_length_penalty(self.model, self.data, on_progress=self._heed_signal)
        except _EvaluationStopped:
            return None
        self.journal.note(str(tuning or "the length penalty stays: too few development pairs, or no beam"))
        return tuning

    def _write(self, links: LinkModels | None, tuning: Tuning | None, reason: str) -> EndReport:
        assert links is not None, "the first rank has learnt them"
        end = write_finished(
            self.model,
            links,
            tuning,
            run=self.run,
            progress=self.progress,
            stopped=reason,
            epochs=round(self.timetable.epochs, 2),
            facts=self._facts,
        )
        self.journal.report(end)
        return end

    def _facts(self, model: TranslationModel, end: EndReport | None = None) -> dict[str, Any]:
        return facts_of_run(
            model,
            self.data,
            self.progress,
            epochs=round(self.timetable.epochs, 2),
            requested=self.run.requested,
            end=end,
        )

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
