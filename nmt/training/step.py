"""One step of the optimiser: gradient, clipping, rate; what is skipped, and what did not fit into memory."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from nmt.config.schema import TrainingConfig
from nmt.corpus.batching import Batch
from nmt.errors import DivergedError
from nmt.training.distributed import whole
from nmt.training.gradient import ComputeGradient, Gradient
from nmt.training.optimizer import learning_rate
from nmt.training.state import Progress, TrainState

MOST_SKIPPED = 10  # updates in a row without a finite gradient before training gives up
MOST_NAMED = 10  # lines in one note

OnNote = Callable[[str], None]


def take_step(
    state: TrainState,
    batch: Batch,
    *,
    lines: Tensor,
    training: TrainingConfig,
    compute_gradient: ComputeGradient,
    num_parts: int,
    on_note: OnNote,
) -> None:
    """One update from one batch, whose pairs (B,) stand on these lines of the text.

    Each worker or rank computes its share in `num_parts` parts, or in more since memory ran out.
    Raises DivergedError after ten updates in a row without a finite gradient.
    """
    progress = state.progress
    num_parts = max(num_parts, progress.num_parts)
    gradient = compute_gradient(batch, step=progress.step, num_parts=num_parts)
    state.anchor.add_gradient()
    norm = torch.nn.utils.clip_grad_norm_(state.network.parameters(), training.clip_norm or math.inf)
    progress.step += 1
    progress.num_tokens += batch.num_tokens
    if gradient.left_out:
        progress.num_left_out += len(gradient.left_out)
        on_note(_left_out(gradient, batch, lines))
    elif gradient.num_parts > num_parts:
        progress.num_parts = gradient.num_parts
        on_note(
            f"a batch of {batch.num_tokens:,} tokens does not fit into memory; "
            f"batches are computed in {gradient.num_parts * gradient.num_workers} parts from here on"
        )
    if not math.isfinite(whole(norm)):
        _skip_update(progress, on_note)
        return
    progress.num_skipped = 0
    progress.first_loss = progress.first_loss or gradient.nll / batch.num_tokens
    progress.window_nll += gradient.nll
    progress.window_divergence += gradient.divergence
    progress.window_tokens += batch.num_tokens
    rate = learning_rate(progress.step, training, max_steps=progress.max_steps)
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    state.optimizer.step()
    state.average.update(progress.step)


def _skip_update(progress: Progress, on_note: OnNote) -> None:
    progress.num_skipped += 1
    on_note(
        f"the gradient of step {progress.step:,} is not finite; "
        f"update skipped ({progress.num_skipped} in a row)"
    )
    if progress.num_skipped >= MOST_SKIPPED:
        raise DivergedError(
            f"training diverged: no finite gradient in {progress.num_skipped} steps "
            f"up to step {progress.step:,}"
        )


def _left_out(gradient: Gradient, batch: Batch, lines: Tensor) -> str:
    """Which pairs are too large, in words."""
    count = len(gradient.left_out)
    named = ", ".join(f"{line:,}" for line in lines[list(gradient.left_out[:MOST_NAMED])].tolist())
    named += ", …" if count > MOST_NAMED else ""
    return (
        f"{count:,} pair{'s' if count > 1 else ''} of up to {batch.src_tokens.size(1):,} source and "
        f"{batch.tgt_out.size(1):,} target pieces left out, too large for memory even alone: "
        f"line{'s' if count > 1 else ''} {named} of the training text"
    )
