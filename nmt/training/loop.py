"""The training loop: steps, looks at the development set, checkpoints, and the finished model."""

import json
import math
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NoReturn

import torch
from torch import Tensor

from nmt.alignment.layer import choose_layer
from nmt.checkpoint import (
    WEIGHTS,
    TranslationModel,
    build_network,
    load_tensors,
    load_weights,
    newest,
    publish_model,
    save_model,
    with_alignment_layer,
)
from nmt.config import presets
from nmt.config.schema import Config
from nmt.corpus.batching import Batch
from nmt.errors import DivergedError, Interrupted, NmtError, StorageError
from nmt.files import append_text, write_text
from nmt.hardware import describe, peak_memory, use_device
from nmt.training.card import model_card
from nmt.training.data import TrainingData, data_hash, prepare
from nmt.training.evaluate import averaged, dev_loss, translate_dev
from nmt.training.gradient import Gradient, compute_gradient
from nmt.training.lock import locked
from nmt.training.manifest import facts_of_run, signature
from nmt.training.optimizer import learning_rate
from nmt.training.plan import SHARE_AT_END, freeze, is_open, replan
from nmt.training.report import EndReport, EvalReport, NoteReport, Report, StartReport, StepReport, as_line
from nmt.training.run import CARD, LOG, METRICS, Run, checkpoint_bytes, flat
from nmt.training.state import Origin, Progress, TrainState
from nmt.training.workers import make_workers

MOST_SKIPPED = 10  # updates in a row without a finite gradient before training gives up
MOST_NAMED = 10  # lines in one note

OnReport = Callable[[Report], None]
Account = Literal["setup_seconds", "train_seconds", "other_seconds"]


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
                run.forget_what_made_it()
        end = _nothing_to_do(manifest)
        on_report(end)
        return end
    with ExitStack() as stack:
        stack.enter_context(run.locked())
        frozen = run.resume(config, allowed_changes) if run.is_begun and not restart else None
        options = frozen or config
        device = use_device(options.training.device, threads=options.training.threads)
        run.clean_up()
        data = prepare(
            options,
            store_dir=run.corpus_dir,
            tokenizer_dir=run.train_dir if frozen else None,
            hash=run.data_hash,
        )
        stack.callback(data.close)
        trainer = _Trainer(run, data, device, started, on_report=on_report, stop_signal=stop_signal)
        trainer.start(options, is_begun=frozen is not None)
        return trainer.run_to_end()


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
        self.booked = started  # the moment up to which time was booked
        self.last_save = time.perf_counter()

    def start(self, config: Config, *, is_begun: bool) -> None:
        """Build the network; freeze what is measured, restore the newest checkpoint."""
        self.on_report(self.data.report)
        hashes = [self.data.src_tokenizer.hash, self.data.tgt_tokenizer.hash]
        torch.manual_seed(config.training.seed)
        network = build_network(config, self.data.src_tokenizer, self.data.tgt_tokenizer).to(self.device)
        notes: list[str] = []
        if not is_begun or is_open(config.training):
            config, notes = freeze(config, network, self.data, elapsed=time.perf_counter() - self.booked)
        if is_begun:
            self.run.check_tokenizers(hashes)
        else:
            self.run.discard()  # what there was, now that nothing speaks against a new run
            self.data.save_tokenizers(self.run.train_dir)
        self._record(self.data.report)
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
        if not self._best_dir().exists():  # somebody removed it: let the next evaluation find another one
            self.progress.best_value, self.progress.evaluated_step = -math.inf, 0
        self._book("setup_seconds")
        self._plan()
        num_parameters = sum(parameter.numel() for parameter in network.parameters())
        self._check_space(num_parameters)
        for problem in problems:
            self._report(NoteReport(f"{problem}; using step {self.progress.step:,}"))
        self._report(
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
            self._step(batch, lines)
            progress.batch += 1
            self._book("train_seconds")

            # once in a while: say where we are, look at the development set, save
            if progress.step % training.report_steps == 0:
                self._report_steps()
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

    def _step(self, batch: Batch, lines: Tensor) -> None:
        """One update from one batch, whose pairs (B,) stand on these lines of the text."""
        state, progress, training = self.state, self.progress, self.training
        num_parts = max(training.accumulation, progress.num_parts)
        gradient = compute_gradient(
            state.network,
            batch,
            training=training,
            workers=self.workers,
            step=progress.step,
            num_parts=num_parts,
        )
        norm = torch.nn.utils.clip_grad_norm_(state.network.parameters(), training.clip_norm or math.inf)
        progress.step += 1
        progress.num_tokens += batch.num_tokens
        if gradient.num_parts > num_parts or gradient.left_out:
            self._say_what_did_not_fit(gradient, batch, lines)
        if not math.isfinite(norm):
            self._skip_update()
            return
        progress.num_skipped = 0
        progress.first_loss = progress.first_loss or gradient.nll / batch.num_tokens
        progress.window_nll += gradient.nll
        progress.window_tokens += batch.num_tokens
        rate = learning_rate(progress.step, training, max_steps=progress.max_steps)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        state.optimizer.step()
        state.average.update(progress.step)

    def _skip_update(self) -> None:
        progress = self.progress
        progress.num_skipped += 1
        self._report(
            NoteReport(
                f"the gradient of step {progress.step:,} is not finite; "
                f"update skipped ({progress.num_skipped} in a row)"
            )
        )
        if progress.num_skipped >= MOST_SKIPPED:
            raise DivergedError(
                f"training diverged: no finite gradient in {progress.num_skipped} steps "
                f"up to step {progress.step:,}"
            )

    def _say_what_did_not_fit(self, gradient: Gradient, batch: Batch, lines: Tensor) -> None:
        if gradient.left_out:
            count = len(gradient.left_out)
            self.progress.num_left_out += count
            named = ", ".join(f"{line:,}" for line in lines[list(gradient.left_out[:MOST_NAMED])].tolist())
            named += ", …" if count > MOST_NAMED else ""
            text = (
                f"{count:,} pair{'s' if count > 1 else ''} of up to {batch.src_tokens.size(1):,} source and "
                f"{batch.tgt_out.size(1):,} target pieces left out, too large for memory even alone: "
                f"line{'s' if count > 1 else ''} {named} of the training text"
            )
        else:
            self.progress.num_parts = gradient.num_parts
            text = (
                f"a batch of {batch.num_tokens:,} tokens does not fit into memory; "
                f"batches are computed in {gradient.num_parts * self.workers.num_workers} parts from here on"
            )
        self._report(NoteReport(text))

    def _evaluate_once(self) -> None:
        if self.progress.evaluated_step != self.progress.step:
            self._evaluate()

    def _evaluate(self) -> None:
        """Score the averaged weights; keep them if they are the best so far; save everything."""
        progress, training = self.progress, self.training
        with averaged(self.model.network, self.state.average):
            loss = dev_loss(self.model, self.data, on_progress=self._heed_signal)
            self._refuse_divergence(loss)
            number = progress.step // training.eval_steps
            dev = translate_dev(self.model, self.data, number=number, on_progress=self._heed_signal)
            is_best = self._is_best(dev.bleu, loss)
            if is_best:
                progress.best_value = dev.bleu if training.metric == "bleu" else -loss
                progress.best_step = progress.step
                progress.bleu, progress.loss, progress.signature = dev.bleu, loss, dev.signature
                self._keep_best()
        progress.num_stale = 0 if is_best else progress.num_stale + 1
        progress.num_evaluations += 1
        progress.evaluated_step = progress.step
        self._book("other_seconds")
        self._plan()
        self._report(
            EvalReport(
                step=progress.step,
                max_steps=progress.max_steps,
                epoch=progress.epoch,
                loss=loss,
                bleu=dev.bleu,
                signature=dev.signature,
                is_best=is_best,
                seconds=progress.seconds,
                sample=dev.sample,
            )
        )
        self._save()  # last: what is in a checkpoint was reported

    def _refuse_divergence(self, loss: float) -> None:
        """DivergedError if the model is far worse than guessing, and than it was at the start."""
        worst = math.log(2) + max(math.log(self.data.tgt_tokenizer.vocab_size), self.progress.first_loss)
        if not loss <= worst:  # nor if it is not a number
            raise DivergedError(
                f"training diverged: dev loss {loss:.4g} at step {self.progress.step:,}; "
                f"guessing gives {math.log(self.data.tgt_tokenizer.vocab_size):.4g}"
            )

    def _is_best(self, bleu: float, loss: float) -> bool:
        """Whether the dev scores are better than those before; of equal BLEU the smaller loss is."""
        if self.training.metric == "loss":
            return -loss > self.progress.best_value
        return (bleu, -loss) > (self.progress.best_value, -self.progress.loss)

    def _keep_best(self) -> None:
        """Write the model as it is into `best-N`, whole."""
        folder = self._best_dir()
        model = replace(self.model, manifest=self._facts())
        if not folder.exists():  # from before the run was killed
            publish_model(model, folder)

    def _best_dir(self) -> Path:
        return self.run.train_dir / f"best-{self.progress.best_step}"

    def _save(self) -> None:
        self._book("other_seconds")
        self.state.save(self.run.train_dir, keep=self.training.keep_checkpoints)
        self.run.forget_superseded()
        self.last_save = time.perf_counter()
        self._book("other_seconds")

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
        """Choose the alignment layer and write the best weights as the finished model, manifest last.

        The last step is saved by now, so that a signal, heeded before and after the choice, loses nothing.
        """
        progress, run = self.progress, self.run
        if self.stop_signal():
            self._leave()
        weights_path = self._best_dir() / WEIGHTS
        load_weights(self.model.network, load_tensors(weights_path), name=str(weights_path))
        self.model.network.eval()
        choice = choose_layer(self.model, self.data.sample_pairs())
        if self.stop_signal():
            self._leave()
        self.model = with_alignment_layer(self.model, self.config.alignment.layer or choice.layer)
        self._book("other_seconds")
        end = EndReport(
            step=progress.step,
            epochs=self._epochs(),
            stopped=reason,
            best_step=progress.best_step,
            bleu=progress.bleu,
            signature=progress.signature,
            loss=progress.loss,
            tokens_per_second=progress.tokens_per_second,
            seconds=progress.seconds,
            peak_memory=peak_memory(self.device),
            alignment_layer=self.model.config.alignment.layer,
            agreement={layer: 1 - rate for layer, rate in enumerate(choice.error_rates, start=1)},
        )
        model = replace(self.model, manifest=self._facts(end))
        write_text(run.model_dir / CARD, model_card(model.config, model.manifest))
        save_model(model, run.model_dir)
        run.forget_what_made_it()
        self._report(end)
        return end

    def _facts(self, end: EndReport | None = None) -> dict[str, Any]:
        return facts_of_run(
            self.model, self.data, self.progress, epochs=self._epochs(), requested=self.run.requested, end=end
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

    # Time and reports

    def _book(self, account: Account) -> None:
        """Book the time since the last booking."""
        now = time.perf_counter()
        spent, self.booked = now - self.booked, now
        setattr(self.progress, account, getattr(self.progress, account) + spent)
        if account == "train_seconds":
            self.progress.window_seconds += spent

    def _report_steps(self) -> None:
        """Report the steps since the last report; if all of them were skipped there is nothing to tell."""
        progress = self.progress
        self._plan()
        if progress.window_tokens:
            pace = (progress.train_seconds + progress.other_seconds) / progress.step
            self._report(
                StepReport(
                    step=progress.step,
                    max_steps=progress.max_steps,
                    epoch=progress.epoch,
                    loss=progress.window_nll / progress.window_tokens,
                    learning_rate=self.state.optimizer.param_groups[0]["lr"],
                    tokens_per_second=progress.window_tokens / progress.window_seconds,
                    seconds=progress.seconds,
                    seconds_left=pace * (progress.max_steps - progress.step),
                )
            )
        progress.window_nll, progress.window_tokens, progress.window_seconds = 0.0, 0, 0.0

    def _report(self, report: Report) -> None:
        """Write it into `train/`, and tell the caller."""
        self._record(report)
        self.on_report(report)

    def _record(self, report: Report) -> None:
        """Write it into `train/`: numbers to metrics.jsonl, a line to log.txt."""
        append_text(self.run.train_dir / LOG, as_line(report) + "\n")
        record = {"report": type(report).__name__.removesuffix("Report").lower()}
        record |= {key: value for key, value in vars(report).items() if key not in ("config", "sample")}
        line = json.dumps(record, ensure_ascii=False, allow_nan=False)
        append_text(self.run.train_dir / METRICS, line + "\n")


class _EvaluationStopped(Exception):
    """A signal came during an evaluation."""


def _nothing_to_do(manifest: dict[str, Any]) -> EndReport:
    """The end of a run that ended before."""
    training, bleu = manifest["training"], manifest["dev"]["bleu"]
    return EndReport(
        step=training["step"],
        epochs=training["epoch"],
        stopped=f"finished before at step {training['step']:,}, nothing to do",
        best_step=training["best_step"],
        bleu=bleu["score"],
        signature=bleu["signature"],
        loss=manifest["dev"]["loss"],
        tokens_per_second=training["tokens_per_second"],
        seconds=training["seconds"],
        peak_memory=training.get("peak_memory", 0),  # which older versions did not note
        alignment_layer=manifest["alignment"]["layer"],
        agreement={int(layer): rate for layer, rate in manifest["alignment"]["agreement"].items()},
    )
