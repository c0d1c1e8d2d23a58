"""The two directions of the HMM aligner: what one knows, and the links that it expects."""

# B pairs, V ids, E entries of the lexicon, R reach of a step.
# A direction explains the ids of one line, at T positions, by those of the other, at S positions: its states.

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

NULL_SHARE = 0.2
"""Share of the positions that no position of the other line explains, before looking at them."""
DIAGONAL = 4.0
"""How strongly Model 1 prefers the diagonal (Dyer et al., 2013)."""
REACH = 8
"""Steps are told apart up to this length."""


@dataclass(frozen=True)
class Direction:
    """What one direction knows: which ids come from which, and how its states follow each other."""

    lexicon: Tensor  # (E,): probability of the id that comes out, given that of the state
    null: Tensor  # (V,): of an id that comes from nowhere
    mass: Tensor  # (V,): how often each id was a state, as the logarithm of what its lexicon was divided by
    steps: Tensor  # (2R + 1,): from a state to the next
    first: Tensor  # (R + 1,): of the first state, from the start of the line
    last: Tensor  # (R + 1,): of the last one, from the end of the line


@dataclass(frozen=True)
class Expected:
    """What a direction expects of a batch."""

    links: Tensor  # (T, B, S): probability that the state explains the position
    null: Tensor  # (T, B): that none does
    steps: Tensor  # how often each is taken, as in Direction
    first: Tensor
    last: Tensor


Explain = Callable[[Direction, Tensor, Tensor, Tensor, Tensor], Expected]
"""From a direction, probabilities of what comes out (T, B, S), its ids (B, T), both lengths of the pairs."""


def expect_model1(
    way: Direction, emitted: Tensor, ids: Tensor, state_lengths: Tensor, lengths: Tensor
) -> Expected:
    """Every position for itself: Model 1 with a preference for the diagonal."""
    num_positions, _, num_states = emitted.shape
    state = (torch.arange(num_states) + 0.5) / state_lengths[:, None]  # (B, S)
    position = (torch.arange(num_positions) + 0.5)[:, None] / lengths  # (T, B)
    near = (-DIAGONAL * (state - position[..., None]).abs()).exp()
    near *= torch.arange(num_states) < state_lengths[:, None]
    joint = emitted * near * ((1 - NULL_SHARE) / near.sum(-1, keepdim=True))
    null = _null(way, ids)
    total = joint.sum(-1) + null
    is_filled = torch.arange(num_positions)[:, None] < lengths
    no_steps = (torch.zeros_like(each) for each in (way.steps, way.first, way.last))
    return Expected(joint / total[..., None], null / total * is_filled, *no_steps)


def _null(way: Direction, ids: Tensor) -> Tensor:
    """Probability of each id from nowhere, (T, B); 1 for padding, which so passes on what came before."""
    return torch.cat((way.null * NULL_SHARE, way.null.new_ones(1)))[ids.T]


def expect_markov(
    way: Direction, emitted: Tensor, ids: Tensor, state_lengths: Tensor, lengths: Tensor
) -> Expected:
    """Forward-backward; a position from nowhere keeps the state before it in memory (Och & Ney, 2003).

    State 0 is the start of the line, state s + 1 its position s.
    """
    num_positions, num_pairs, num_states = emitted.shape
    distance = torch.arange(num_states) - torch.arange(-1, num_states)[:, None]
    distance.clamp_(-REACH, REACH)
    steps = way.steps[distance + REACH]  # (S + 1, S)
    steps[0] = way.first[torch.arange(num_states).clamp_max(REACH)]
    is_state = (torch.arange(num_states) < state_lengths[:, None]).float()
    leave = (1 - NULL_SHARE) / (is_state @ steps.T)  # (B, S + 1)
    leave[:, 1:] *= is_state
    null = _null(way, ids)[..., None]  # (T, B, 1)

    alphas = emitted.new_zeros(num_positions + 1, num_pairs, num_states + 1)
    reached = torch.empty_like(emitted)  # before the id that comes out is seen
    scales = torch.empty_like(null)
    alphas[0, :, 0] = 1
    for t in range(num_positions):
        torch.mm(alphas[t] * leave, steps, out=reached[t])
        alpha = torch.mul(alphas[t], null[t], out=alphas[t + 1])
        alpha[:, 1:].addcmul_(reached[t], emitted[t])
        alpha /= torch.sum(alpha, 1, keepdim=True, out=scales[t])

    to_end = state_lengths[:, None] - torch.arange(num_states + 1)
    to_end.clamp_(0, REACH)
    betas = torch.empty_like(alphas)
    betas[-1] = way.last[to_end]
    betas[-1] /= (alphas[-1] * betas[-1]).sum(1, keepdim=True)
    emitted = emitted / scales
    null = null / scales
    turned = steps.T.contiguous()
    for t in reversed(range(num_positions)):
        beta = torch.mm(emitted[t] * betas[t + 1, :, 1:], turned, out=betas[t])
        beta *= leave
        beta.addcmul_(betas[t + 1], null[t])

    ahead = emitted * betas[1:, :, 1:]
    from_null = (alphas[:-1] * betas[1:]).sum(-1) * null[..., 0]
    from_null *= torch.arange(num_positions)[:, None] < lengths
    taken = steps * ((alphas[:-1] * leave).flatten(0, 1).T @ ahead.flatten(0, 1))
    last = alphas[-1, :, 1:] * betas[-1, :, 1:]
    return Expected(
        reached * ahead,
        from_null,
        torch.zeros_like(way.steps).index_add_(0, (distance[1:] + REACH).flatten(), taken[1:].flatten()),
        torch.zeros_like(way.first).index_add_(0, torch.arange(num_states).clamp_max(REACH), taken[0]),
        torch.zeros_like(way.last).index_add_(0, to_end[:, 1:].flatten(), last.flatten()),
    )
