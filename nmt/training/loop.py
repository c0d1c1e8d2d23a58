"""The training loop: steps, looks at the development set, checkpoints, and the finished model."""

import json
import math
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from nmt.alignment.layer import choose_layer
from nmt.checkpoint import (
    WEIGHTS,
    TranslationModel,
    build_network,
    load_tensors,
    load_weights,
    newest,
    publish,
    save_model,
    with_alignment_layer,
)
from nmt.config.schema import Config
from nmt.corpus.batching import Batch
from nmt.errors import DivergedError, Interrupted
from nmt.files import append_text, remove_dir, write_text
from nmt.hardware import describe, use_device
from nmt.training.card import model_card
from nmt.training.data import TrainingData, data_hash, prepare
from nmt.training.evaluate import averaged, evaluate
from nmt.training.lock import locked
from nmt.training.loss import batch_loss
from nmt.training.manifest import facts_of_run
from nmt.training.optimizer import learning_rate
from nmt.training.plan import freeze, replan
from nmt.training.report import EndReport, EvalReport, NoteReport, Report, StartReport, StepReport, as_line
from nmt.training.run import LOG, METRICS, Run, flat
from nmt.training.state import Progress, TrainState

MOST_SKIPPED = 10  # updates in a row without a finite gradient before training gives up

OnReport = Callable[[Report], None]


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

    `stop_signal` is asked after every step; a number other than zero saves and raises Interrupted with it.
    `allowed_changes` names options, as `training.max_steps`, that may differ from the run that is resumed.
    Raises DataError, ConfigError, OutputError, DivergedError and StorageError; what was saved stays whole.
    """
    started = time.perf_counter()
    device = use_device(config.training.device, threads=config.training.threads)
    run = Run(model_dir, flat(config), data_hash(config))
    if not restart and (manifest := run.finished_manifest()) is not None:
        return _nothing_to_do(manifest)
    frozen = run.resume(config, allowed_changes) if run.is_begun and not restart else None
    data = prepare(frozen or config, tokenizer_dir=run.train_dir if frozen else None)
    run.make_folder()
    with locked(run.train_dir):
        if restart:
            run.discard()
        run.clean_up()
        on_report(data.report)
        trainer = _Trainer(run, data, device, started, on_report=on_report, stop_signal=stop_signal)
        trainer.start(config, frozen)
        return trainer.run_to_end()


@dataclass
class _Window:
    """What happened since the last report."""

    nll: float = 0.0
    num_tokens: int = 0
    started: float = field(default_factory=time.perf_counter)


class _Trainer:
    """One run at work: a model, its state, and the places where it reports and saves."""

    model: TranslationModel
    state: TrainState

    def __init__(
        self,
        run: Run,
        data: TrainingData,
        device: torch.device,
        started: float,
        *,
        on_report: OnReport,
        stop_signal: Callable[[], int],
    ) -> None:
        self.run = run
        self.data = data
        self.device = device
        self.on_report = on_report
        self.stop_signal = stop_signal
        self.clock = started  # when `progress.seconds` was last brought up to date
        self.last_save = time.perf_counter()

    def start(self, config: Config, frozen: Config | None) -> None:
        """Build the network; freeze what is measured, or restore the newest checkpoint."""
        seed = config.training.seed
        torch.manual_seed(seed)
        network = build_network(config, self.data.src_tokenizer, self.data.tgt_tokenizer).to(self.device)
        notes: list[str] = []
        if frozen is None:
            frozen, notes = freeze(config, network, self.data, elapsed=time.perf_counter() - self.clock)
            self.data.save_tokenizers(self.run.train_dir)
            self.run.begin(frozen)
        torch.manual_seed(seed)  # measuring drew random numbers
        self.config, self.training = frozen, frozen.training
        self.model = TranslationModel(
            frozen, self.data.src_tokenizer, self.data.tgt_tokenizer, network, manifest={}
        )
        self.state = TrainState(network, self.training, Progress(max_steps=self.training.max_steps))
        notes += [
            f"{problem}; using an earlier one" for problem in self.state.load_newest(self.run.train_dir)
        ]
        if not self.training.budget:
            self.progress.max_steps = self.training.max_steps
        self.run.forget_after(self.progress.step)
        num_parameters = sum(parameter.numel() for parameter in network.parameters())
        step, max_steps = self.progress.step, self.progress.max_steps
        self._report(
            StartReport(frozen, num_parameters, describe(self.device), step, max_steps, tuple(notes))
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
        return self._finish(reason)

    def _train_epoch(self) -> None:
        """Steps to the end of the epoch, or to a reason to stop."""
        progress, training = self.progress, self.training
        window = _Window()
        for batch in self.data.train_batches(
            training, epoch=progress.epoch, start=progress.batch, device=self.device
        ):
            self._step(batch, window)
            progress.batch += 1

            # once in a while: say where we are, look at the development set, save
            if progress.step % training.report_steps == 0:
                window = self._report_steps(window)
            if progress.step % training.eval_steps == 0:
                self._count_time(window)
                self._evaluate()
                window = _Window()
            elif time.perf_counter() - self.last_save > training.save_seconds:
                self._count_time(window)
                self._save()
                window = _Window()
            if self.stop_signal():
                self._count_time(window)
                self._interrupt()
            if self._reason_to_stop():
                self._count_time(window)
                return
        self._count_time(window)
        progress.epoch += 1
        progress.batch = 0

    def _step(self, batch: Batch, window: _Window) -> None:
        """One update from one batch, in as many parts as `accumulation` says."""
        state, training = self.state, self.training
        state.optimizer.zero_grad()
        for part in batch.split(training.accumulation):
            loss = batch_loss(
                state.network, part, label_smoothing=training.label_smoothing, precision=training.precision
            )
            torch.autograd.backward(loss.smoothed / batch.num_tokens)  # by the tokens of the whole batch
            window.nll += float(loss.nll)
        window.num_tokens += batch.num_tokens

        norm = torch.nn.utils.clip_grad_norm_(state.network.parameters(), training.clip_norm or math.inf)
        self.progress.step += 1
        self.progress.num_tokens += batch.num_tokens
        if not math.isfinite(norm):
            self._skip_update()
            return
        self.progress.num_skipped = 0
        rate = learning_rate(self.progress.step, training, max_steps=self.progress.max_steps)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        state.optimizer.step()
        state.average.update(self.progress.step)

    def _skip_update(self) -> None:
        self.progress.num_skipped += 1
        step, num_skipped = self.progress.step, self.progress.num_skipped
        self._report(
            NoteReport(f"the gradient of step {step} is not finite; update skipped ({num_skipped} in a row)")
        )
        if num_skipped >= MOST_SKIPPED:
            saved = newest(self.run.train_dir, "step")
            raise DivergedError(
                f"training diverged: no finite gradient in {num_skipped} steps up to step {step}; "
                f"last good checkpoint: {saved[-1].name if saved else 'none'}; "
                f"try --restart with --set training.learning_rate={self.training.learning_rate / 2:g}"
            )

    def _evaluate_once(self) -> None:
        if self.progress.evaluated_step != self.progress.step:
            self._evaluate()

    def _evaluate(self) -> None:
        """Score the averaged weights; keep them if they are the best so far; save everything."""
        progress, training = self.progress, self.training
        number = progress.step // training.eval_steps
        with averaged(self.model.network, self.state.average):
            result = evaluate(self.model, self.data, number=number, on_progress=self._heed_signal)
            value = result.bleu if training.metric == "bleu" else -result.loss
            is_best = value > progress.best_value
            if is_best:
                progress.best_value, progress.best_step = value, progress.step
                progress.bleu, progress.loss, progress.signature = result.bleu, result.loss, result.signature
                self._keep_best()
        progress.num_stale = 0 if is_best else progress.num_stale + 1
        progress.evaluated_step = progress.step
        self._count_time()
        if training.budget:
            progress.max_steps = replan(progress, training)
        self._save()
        self._report(
            EvalReport(
                step=progress.step,
                max_steps=progress.max_steps,
                epoch=progress.epoch,
                loss=result.loss,
                bleu=result.bleu,
                signature=result.signature,
                is_best=is_best,
                seconds=progress.seconds,
                sample=result.sample,
            )
        )

    def _keep_best(self) -> None:
        """Write the model as it is into `best-N`, whole, then remove the one before."""
        folder = self.run.train_dir / f"best-{self.progress.step}"
        model = self._with_facts()
        if not folder.exists():
            publish(folder, lambda tmp_dir: save_model(model, tmp_dir))
        for old in newest(self.run.train_dir, "best")[:-1]:
            remove_dir(old)

    def _save(self) -> None:
        self.state.save(self.run.train_dir, keep=self.training.keep_checkpoints)
        self.last_save = time.perf_counter()

    def _heed_signal(self, _: int) -> None:
        """While decoding the development set: stop at once; it is decoded anew after resuming."""
        if self.stop_signal():
            raise _EvaluationStopped

    def _interrupt(self) -> None:
        """Save and leave."""
        self._count_time()
        self._save()
        step = self.progress.step
        raise Interrupted(f"saved step {step}; the same command goes on from there", self.stop_signal())

    def _reason_to_stop(self) -> str:
        progress, training = self.progress, self.training
        if progress.step >= progress.max_steps:
            return "the last planned step was done"
        if training.max_epochs and progress.epoch > training.max_epochs:
            return f"{training.max_epochs} epochs were done"
        if training.patience and progress.num_stale >= training.patience:
            return f"no better {training.metric} in {training.patience} evaluations"
        return ""

    def _finish(self, reason: str) -> EndReport:
        """Choose the alignment layer and write the best weights as the finished model, manifest last."""
        progress, run = self.progress, self.run
        best = newest(run.train_dir, "best")[-1]
        load_weights(self.model.network, load_tensors(best / WEIGHTS), name=str(best / WEIGHTS))
        self.model.network.eval()
        choice = choose_layer(self.model, self.data.sample_pairs())
        self.model = with_alignment_layer(self.model, self.config.alignment.layer or choice.layer)
        agreement = {layer: 1 - rate for layer, rate in enumerate(choice.error_rates, start=1)}
        self._count_time()
        end = EndReport(
            step=progress.step,
            epoch=progress.epoch,
            stopped=reason,
            best_step=progress.best_step,
            bleu=progress.bleu,
            signature=progress.signature,
            loss=progress.loss,
            tokens_per_second=progress.num_tokens / max(progress.train_seconds, 1e-9),
            seconds=progress.seconds,
            alignment_layer=self.model.config.alignment.layer,
            agreement=agreement,
        )
        model = self._with_facts(end)
        write_text(run.model_dir / "README.md", model_card(model.config, model.manifest))
        save_model(model, run.model_dir)
        for folder in newest(run.train_dir, "best"):
            remove_dir(folder)
        self._report(end)
        return end

    def _with_facts(self, end: EndReport | None = None) -> TranslationModel:
        facts = facts_of_run(self.model, self.data, self.progress, requested=self.run.requested, end=end)
        return TranslationModel(
            self.model.config, self.model.src_tokenizer, self.model.tgt_tokenizer, self.model.network, facts
        )

    # Time and reports

    def _count_time(self, window: _Window | None = None) -> None:
        """Bring the clocks of the progress up to now; time since `window` opened was spent in steps."""
        now = time.perf_counter()
        self.progress.seconds += now - self.clock
        self.clock = now
        if window is not None:
            self.progress.train_seconds += now - window.started
            window.started = now

    def _report_steps(self, window: _Window) -> _Window:
        progress = self.progress
        seconds = time.perf_counter() - window.started
        self._count_time(window)
        share = max(progress.step, 1) / progress.max_steps
        self._report(
            StepReport(
                step=progress.step,
                max_steps=progress.max_steps,
                epoch=progress.epoch,
                loss=window.nll / max(window.num_tokens, 1),
                learning_rate=self.state.optimizer.param_groups[0]["lr"],
                tokens_per_second=window.num_tokens / seconds,
                seconds=progress.seconds,
                seconds_left=progress.seconds / share * (1 - share),
            )
        )
        return _Window()

    def _report(self, report: Report) -> None:
        """Tell the caller, and write it into `train/`: numbers to metrics.jsonl, a line to log.txt."""
        append_text(self.run.train_dir / LOG, as_line(report) + "\n")
        record: dict[str, Any] = {"report": type(report).__name__.removesuffix("Report").lower()}
        record |= {key: value for key, value in asdict(report).items() if key not in ("config", "sample")}
        append_text(self.run.train_dir / METRICS, json.dumps(record, ensure_ascii=False) + "\n")
        self.on_report(report)


class _EvaluationStopped(Exception):
    """A signal came while the development set was being decoded."""


def _nothing_to_do(manifest: dict[str, Any]) -> EndReport:
    """The end of a run that ended before."""
    training, bleu = manifest["training"], manifest["dev"]["bleu"]
    return EndReport(
        step=training["step"],
        epoch=training["epoch"],
        stopped="nothing to do: finished before",
        best_step=training["best_step"],
        bleu=bleu["score"],
        signature=bleu["signature"],
        loss=manifest["dev"]["loss"],
        tokens_per_second=training["tokens_per_second"],
        seconds=training["seconds"],
        alignment_layer=manifest["alignment"]["layer"],
        agreement={int(layer): rate for layer, rate in manifest["alignment"]["agreement"].items()},
    )
