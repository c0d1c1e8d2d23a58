"""When a run looks at the development set, and when it ends: by steps, by passes, or by a budget of time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nmt.config.schema import Config, TrainingConfig
from nmt.training.data import SAMPLE_PAIRS
from nmt.training.report import DataReport
from nmt.training.state import Progress
from nmt.training.tuning import LOOKS

SHARE_FOR_STEPS = 0.85  # of a budget, as long as no evaluation was timed
SHARE_AT_END = 0.04  # of a budget, kept for writing the model and for what is not planned
SHARE_FOR_LINKS = 0.09  # of a budget, for what links are made with
SHARE_FOR_LOOKS = 0.1  # of the time spent in steps, for evaluations, before there is another one
SEEN_FOR_LINKS = 0.06  # of the pairs trained on, each time counted, that links are learnt from without one
HMM_SECONDS, HMM_TOKENS = 0.0035, 20  # HMM aligners, on a slow machine, for a pair of up to so many tokens
HEAD_SHARE = 0.25  # of the time of training on a pair: the align head
FEWEST_LINK_PAIRS = 7_000  # that links are learnt from, if there are as many, however short the training
FEWEST_IN_BUDGET = 200


def planned_steps(max_steps: int, max_epochs: int, steps_per_epoch: int) -> int:
    """So many steps are done, with a limit of epochs about."""
    return min(max_steps, (max_epochs or max_steps) * steps_per_epoch)


@dataclass(frozen=True)
class LinkPlan:
    """From how many pairs links are to be learnt after training, and about how long that takes."""

    num_pairs: int
    seconds: float


def plan_links(
    training: TrainingConfig,
    *,
    num_pairs: int,
    epochs: float,
    num_tokens: int,
    train_seconds: float,
    most: int,
    has_head: bool,
    num_directions: int = 1,
) -> LinkPlan:
    """Of so many pairs, trained on in so many epochs, target tokens and seconds, at `most` so many.

    In an epoch each pair is there once in every direction, of which links are learnt in one.
    Without a budget the pairs depend on counts alone, so that the same training learns the same links.
    """
    num_seen = max(1.0, epochs * num_pairs * num_directions)
    num_computed = num_seen * (1 if training.consistency == "none" else 2)
    length = max(1.0, num_tokens / num_seen / HMM_TOKENS)  # links of longer pairs take the square of it
    pair_seconds = HMM_SECONDS * length**2 + has_head * HEAD_SHARE * train_seconds / num_computed
    fit = max(FEWEST_LINK_PAIRS, round(SEEN_FOR_LINKS * epochs * num_pairs))
    if training.budget:
        fit = max(FEWEST_IN_BUDGET, int(SHARE_FOR_LINKS * training.budget / pair_seconds))
    planned = min(num_pairs, fit, most)
    return LinkPlan(planned, planned * pair_seconds)


def affords_look(progress: Progress) -> bool:
    """Whether evaluations have not taken too much of the time so far for another one."""
    return progress.other_seconds <= SHARE_FOR_LOOKS * progress.train_seconds


def replan(
    progress: Progress,
    training: TrainingConfig,
    *,
    most: int,
    end_seconds: float = 0.0,
    all_looks: bool = True,
) -> int:
    """Steps that fit into the budget at the pace so far, with evaluations and the end; at `most` so many.

    Without `all_looks` there are only evaluations that it affords.
    """
    step_seconds = progress.train_seconds / progress.step
    look_seconds = step_seconds * training.eval_steps * (1 / SHARE_FOR_STEPS - 1)
    if progress.num_evaluations:
        look_seconds = progress.other_seconds / progress.num_evaluations
    left = training.budget * (1 - SHARE_AT_END) - end_seconds - progress.seconds - look_seconds
    seconds_each = look_seconds / training.eval_steps
    if not all_looks:
        seconds_each = min(seconds_each, SHARE_FOR_LOOKS * step_seconds)
    more_steps = int(left / (step_seconds + seconds_each))
    return min(most, progress.step + max(0, more_steps))


class Timetable:
    """What a run does next, as far as it has come, and the steps that its budget has room for."""

    def __init__(
        self,
        config: Config,
        progress: Progress,
        report: DataReport,
        *,
        num_batches: int,
        requested: Mapping[str, Any],
    ) -> None:
        training = config.training
        self.training, self.progress, self.report = training, progress, report
        self.has_head = config.alignment.head
        self.num_directions = 1 + config.data.bidirectional
        self.num_batches = num_batches  # of an epoch
        self._limit: int = requested["training.max_steps"]
        self._most_steps = planned_steps(self._limit, training.max_epochs, num_batches)
        self._makes_all_looks = not training.budget or bool(requested["training.eval_steps"])

    @property
    def epochs(self) -> float:
        """Passes over the data so far."""
        return self.progress.epoch - 1 + min(1.0, self.progress.batch / self.num_batches)

    def is_look_due(self) -> bool:
        """Whether to look at the development set now."""
        is_affordable = self._makes_all_looks or affords_look(self.progress)
        return is_affordable and self.progress.step % self.training.eval_steps == 0

    def reason_to_stop(self) -> str:
        """Why no step follows, in words; empty if one does."""
        progress, training = self.progress, self.training
        if training.max_epochs and progress.epoch > training.max_epochs:
            return f"{training.max_epochs} epochs were done"
        is_cut_short = progress.max_steps < self._most_steps
        if progress.step >= (progress.max_steps if is_cut_short else self._limit):
            return "all planned steps were done"
        if training.patience and progress.num_stale >= training.patience:
            name = {"bleu": "dev BLEU", "loss": "dev loss"}[training.metric]
            return f"no better {name} in {training.patience} evaluations"
        time_left = (1 - SHARE_AT_END) * training.budget - progress.seconds
        if training.budget and progress.step and time_left < self._seconds_at_end():
            return "the time was used up"
        return ""

    def plan(self) -> None:
        """Set the steps to do: as many as were asked for, but with a budget no more than fit into it.

        Epochs can have some more than the first one promises.
        """
        progress, training = self.progress, self.training
        if not training.budget:
            progress.max_steps = self._most_steps
        elif 0 < progress.step < progress.max_steps:
            progress.max_steps = replan(
                progress,
                training,
                most=self._most_steps,
                end_seconds=self._seconds_at_end(),
                all_looks=self._makes_all_looks,
            )
        progress.max_steps = max(progress.max_steps, progress.step)

    def plan_links(self) -> LinkPlan:
        """What learning links will take, if training ends now."""
        return plan_links(
            self.training,
            num_pairs=self.report.num_kept,
            epochs=self.epochs * self.report.num_in_epoch / self.report.num_kept,
            num_tokens=self.progress.num_tokens,
            train_seconds=self.progress.train_seconds,
            most=SAMPLE_PAIRS,
            has_head=self.has_head,
            num_directions=self.num_directions,
        )

    def _seconds_at_end(self) -> float:
        """What learning links and tuning will take, if training ends now."""
        progress, seconds = self.progress, self.plan_links().seconds
        if self.training.tune_length_penalty:
            seconds += LOOKS * progress.other_seconds / max(1, progress.num_evaluations)
        return seconds
