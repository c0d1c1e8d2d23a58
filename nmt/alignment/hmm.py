"""Links by hidden Markov models of both directions that agree (Vogel et al., 1996; Liang et al., 2006)."""

# B pairs, V ids, E entries: pairs of a source and a target id that met in a pair of lines, R reach of a step.
# A direction explains the ids of one line, at T positions, by those of the other, at S positions: its states.

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain

import torch
from torch import Tensor

IdPair = tuple[Sequence[int], Sequence[int]]
"""The ids of a source and of a target line, pieces or words, out of one vocabulary for both."""

MAX_PAIRS = 200_000
"""At most this many pairs, from all over the text, are learned from."""
MAX_LENGTH = 200
"""Pairs with a longer line are not learned from: their cost grows with the square."""
SAMPLE_SEED = 1
BATCH_CELLS = 60_000
"""Source times target positions of a batch, so that it stays in a processor's cache."""

MODEL1_ITERATIONS = 4
HMM_ITERATIONS = 5
NULL_SHARE = 0.2
"""Share of the positions that no position of the other line explains, before looking at them."""
DIAGONAL = 4.0
"""How strongly Model 1 prefers the diagonal (Dyer et al., 2013)."""
REACH = 8
"""Steps are told apart up to this length."""
PRIOR = 0.1
"""Dirichlet prior of every translation: below 1, a word is held to have few (Riley & Gildea, 2012)."""
SAME_PRIOR = 1.0
"""Added to the prior of an id that stays as it is: a number, a name, a mark."""
NULL_PRIOR = 0.01
STEP_SMOOTHING = 0.1
"""Share of the probability of the steps that is spread over all of them."""
FAR_STEPS = 6
"""How many further steps share the probability of the outermost."""
KEPT_PROBABILITY = 1e-4
"""Translations that are less probable in both directions are forgotten after training."""
TINY_PROBABILITY = 1e-10
"""No translation is less probable than this in training: scaling stays within float32."""


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
class _Batch:
    """Pairs of like lengths, padded with the id V."""

    rows: list[int]
    src: Tensor  # (B, S)
    tgt: Tensor  # (B, T)
    src_lengths: Tensor  # (B,)
    tgt_lengths: Tensor  # (B,)

    def cell_keys(self, vocab_size: int) -> Tensor:
        """The pair of ids that meets at each pair of positions, (T, B, S); -1 for padding."""
        keys = self.src[None] * vocab_size + self.tgt.T[..., None]
        is_padded = (self.src == vocab_size)[None] | (self.tgt == vocab_size).T[..., None]
        return keys.masked_fill_(is_padded, -1)


@dataclass(frozen=True)
class _Expected:
    """What a direction expects of a batch."""

    links: Tensor  # (T, B, S): probability that the state explains the position
    null: Tensor  # (T, B): that none does
    steps: Tensor  # how often each is taken, as in Direction
    first: Tensor
    last: Tensor


@dataclass(frozen=True)
class HmmAligner:
    """Two directions that share their entries; makes probabilities of links for any pairs of ids."""

    keys: Tensor  # (E,) int64, sorted: source id * V + target id
    forward: Direction
    backward: Direction

    @property
    def vocab_size(self) -> int:
        return len(self.forward.null)

    def posteriors(self, src: Sequence[int], tgt: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The same as `posteriors_batch` for one pair."""
        return self.posteriors_batch([(src, tgt)])[0]

    def posteriors_batch(self, pairs: Sequence[IdPair]) -> list[tuple[Tensor, Tensor]]:
        """For each pair two (T, S): that a target id comes from a source id, and the other way round.

        Rows of the first and columns of the second sum to at most 1: the rest is that it comes from nowhere.
        """
        found = [(torch.zeros(len(tgt), len(src)),) * 2 for src, tgt in pairs]
        for batch in _batches(pairs, self.vocab_size):
            forward, backward = self._expect(batch)
            for place, row in enumerate(batch.rows):
                src, tgt = pairs[row]
                window = slice(len(tgt)), place, slice(len(src))
                found[row] = forward[window].clone(), backward[window].clone()
        return found

    def _expect(self, batch: _Batch) -> tuple[Tensor, Tensor]:
        """Links of both directions, (T, B, S)."""
        keys = batch.cell_keys(self.vocab_size)
        entries = torch.searchsorted(self.keys, keys.contiguous()).clamp_max(len(self.keys) - 1)
        is_known = self.keys[entries] == keys
        is_same = batch.src[None] == batch.tgt.T[..., None]
        unseen = torch.where(is_same, _unseen(PRIOR + SAME_PRIOR), _unseen(PRIOR)).masked_fill_(keys < 0, 0)
        links = []
        for way, states in ((self.forward, batch.src[None]), (self.backward, batch.tgt.T[..., None])):
            mass = torch.cat((way.mass, way.mass.new_zeros(1)))
            links.append(torch.where(is_known, way.lexicon[entries], unseen * (-mass[states]).exp()))
        forward = _markov(self.forward, links[0], batch.tgt, batch.src_lengths, batch.tgt_lengths)
        backward = _markov(self.backward, _turned(links[1]), batch.src, batch.tgt_lengths, batch.src_lengths)
        return forward.links, _turned(backward.links)

    def state(self) -> dict[str, Tensor]:
        """Everything as tensors, for a file."""
        ways = {"forward": self.forward, "backward": self.backward}
        parts = {f"{name}.{f.name}": getattr(way, f.name) for name, way in ways.items() for f in fields(way)}
        return {"keys": self.keys, **parts}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> "HmmAligner":
        """The aligner whose state this is."""
        ways = (
            Direction(**{f.name: state[f"{name}.{f.name}"] for f in fields(Direction)})
            for name in ("forward", "backward")
        )
        return cls(state["keys"], *ways)

    def pruned(self, least: float = KEPT_PROBABILITY) -> "HmmAligner":
        """The same without translations that are less probable than this in both directions."""
        is_kept = (self.forward.lexicon >= least) | (self.backward.lexicon >= least)
        ways = (replace(way, lexicon=way.lexicon[is_kept]) for way in (self.forward, self.backward))
        return HmmAligner(self.keys[is_kept], *ways)


def _unseen(prior: float) -> Tensor:
    return torch.digamma(torch.tensor(prior)).exp()


def _turned(cells: Tensor) -> Tensor:
    return cells.permute(2, 1, 0)


def train_hmm(pairs: Sequence[IdPair], *, vocab_size: int) -> HmmAligner:
    """Learn both directions from pairs of lines: Model 1 near the diagonal, then the hidden Markov models.

    Variational Bayes with sparse priors; a translation counts as far as both directions expect it, by the
    geometric mean of their probabilities.
    """
    batches = _batches(_sample(pairs), vocab_size)
    if not batches:
        return _start(torch.zeros(1, dtype=torch.long), vocab_size)
    keys, entries = _find_entries(batches, vocab_size)
    aligner = _start(keys, vocab_size)
    for explain in MODEL1_ITERATIONS * [_model1] + HMM_ITERATIONS * [_markov]:
        aligner = _improve(aligner, batches, entries, explain)
    return aligner.pruned()


def _sample(pairs: Sequence[IdPair]) -> list[IdPair]:
    usable = [pair for pair in pairs if 0 < min(map(len, pair)) and max(map(len, pair)) <= MAX_LENGTH]
    return random.Random(SAMPLE_SEED).sample(usable, MAX_PAIRS) if len(usable) > MAX_PAIRS else usable


def _batches(pairs: Sequence[IdPair], vocab_size: int) -> list[_Batch]:
    """Pairs in the order of their lengths, cut where padding included there would be too many positions."""
    lengths = [(max(len(src), len(tgt)), len(src), len(tgt)) for src, tgt in pairs]
    groups: list[list[int]] = [[]]
    longest_src = longest_tgt = 0
    for row in sorted((row for row in range(len(pairs)) if min(lengths[row])), key=lengths.__getitem__):
        longest_src, longest_tgt = max(longest_src, lengths[row][1]), max(longest_tgt, lengths[row][2])
        if groups[-1] and (len(groups[-1]) + 1) * longest_src * longest_tgt > BATCH_CELLS:
            groups.append([])
            _, longest_src, longest_tgt = lengths[row]
        groups[-1].append(row)
    return [_batch(pairs, rows, vocab_size) for rows in groups if rows]


def _batch(pairs: Sequence[IdPair], rows: list[int], vocab_size: int) -> _Batch:
    src, src_lengths = _padded([pairs[row][0] for row in rows], vocab_size)
    tgt, tgt_lengths = _padded([pairs[row][1] for row in rows], vocab_size)
    return _Batch(rows, src, tgt, src_lengths, tgt_lengths)


def _padded(lines: list[Sequence[int]], vocab_size: int) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(line) for line in lines])
    is_filled = torch.arange(int(lengths.max())) < lengths[:, None]
    ids = torch.full(is_filled.shape, vocab_size)
    return ids.masked_scatter_(is_filled, torch.tensor(list(chain.from_iterable(lines)))), lengths


def _find_entries(batches: Sequence[_Batch], vocab_size: int) -> tuple[Tensor, list[Tensor]]:
    """The pairs of ids that meet, and for each batch the place among them of every cell, (T, B, S) int32.

    Padding has the place after the last. Batch by batch first: sorting all cells at once takes much memory.
    """
    found = [torch.unique(batch.cell_keys(vocab_size), return_inverse=True) for batch in batches]
    found = [(unique, places.int()) for unique, places in found]
    keys, places = torch.unique(torch.cat([unique for unique, _ in found]), return_inverse=True)
    if len(keys) and keys[0] < 0:
        keys = keys[1:]
        places = torch.where(places == 0, len(keys), places - 1)
    parts = places.int().split([len(unique) for unique, _ in found])
    entries = [part[local.long()] for part, (_, local) in zip(parts, found, strict=True)]
    return keys, entries


def _start(keys: Tensor, vocab_size: int) -> HmmAligner:
    """Every translation alike, short steps forward."""
    reach = torch.arange(REACH + 1.0)
    distance = torch.arange(-REACH, REACH + 1.0)
    way = Direction(
        lexicon=torch.full(keys.shape, 1 / vocab_size),
        null=torch.full((vocab_size,), 1 / vocab_size),
        mass=torch.zeros(vocab_size),
        steps=(-(distance - 1).abs() / 2).exp() + 0.01,
        first=(-reach / 2).exp() + 0.01,
        last=torch.ones(REACH + 1),
    )
    return HmmAligner(keys, way, way)


def _improve(
    aligner: HmmAligner, batches: Sequence[_Batch], entries: Sequence[Tensor], explain: "_Explain"
) -> HmmAligner:
    """One iteration of expectation and maximisation."""
    forward, backward = _Counts(aligner.forward), _Counts(aligner.backward)
    links = torch.zeros(len(aligner.keys) + 1)
    for batch, cells in zip(batches, entries, strict=True):
        lengths = batch.src_lengths, batch.tgt_lengths
        one = explain(aligner.forward, forward.emitted(cells), batch.tgt, *lengths)
        other = explain(aligner.backward, _turned(backward.emitted(cells)), batch.src, *lengths[::-1])
        agreed = (one.links * _turned(other.links)).sqrt_()
        links.index_add_(0, cells.flatten(), agreed.flatten())
        forward.add(one, batch.tgt)
        backward.add(other, batch.src)
    src, tgt = aligner.keys // aligner.vocab_size, aligner.keys % aligner.vocab_size
    priors = PRIOR + SAME_PRIOR * (src == tgt)
    return HmmAligner(
        aligner.keys,
        forward.maximised(*_lexicon(links[:-1], priors, src, aligner.vocab_size)),
        backward.maximised(*_lexicon(links[:-1], priors, tgt, aligner.vocab_size)),
    )


class _Counts:
    """What one direction expects of all batches together."""

    def __init__(self, way: Direction) -> None:
        self.lexicon = torch.cat((way.lexicon, way.lexicon.new_zeros(1)))
        self.null = torch.zeros(len(way.null) + 1)
        self.steps, self.first, self.last = (torch.zeros_like(x) for x in (way.steps, way.first, way.last))
        self.way = way

    def emitted(self, cells: Tensor) -> Tensor:
        """Probability of the translation at every cell."""
        return self.lexicon.index_select(0, cells.flatten()).view(cells.shape)

    def add(self, expected: _Expected, ids: Tensor) -> None:
        self.null.index_add_(0, ids.T.flatten(), expected.null.flatten())
        self.steps += expected.steps
        self.first += expected.first
        self.last += expected.last

    def maximised(self, lexicon: Tensor, mass: Tensor) -> Direction:
        null = self.null[:-1] + NULL_PRIOR
        steps, first, last = (_smoothed(counts) for counts in (self.steps, self.first, self.last))
        steps[0] /= FAR_STEPS
        steps[-1] /= FAR_STEPS
        last[-1] /= FAR_STEPS
        return Direction(lexicon, null / null.sum(), mass, steps, first, last)


def _smoothed(counts: Tensor) -> Tensor:
    return (1 - STEP_SMOOTHING) * counts / counts.sum() + STEP_SMOOTHING / len(counts)


def _lexicon(counts: Tensor, priors: Tensor, states: Tensor, vocab_size: int) -> tuple[Tensor, Tensor]:
    """Probabilities of translations by variational Bayes, and the logarithms of what they were divided by."""
    counts, priors = counts.double(), priors.double()
    posterior = counts + priors
    mass = torch.zeros(vocab_size, dtype=torch.double).index_add_(0, states, posterior).clamp_min_(1)
    mass = torch.digamma(mass)
    return (torch.digamma(posterior) - mass[states]).exp().float().clamp_min_(TINY_PROBABILITY), mass.float()


_Explain = Callable[[Direction, Tensor, Tensor, Tensor, Tensor], _Expected]
"""From a direction, probabilities of what comes out (T, B, S), its ids (B, T), both lengths of the pairs."""


def _model1(
    way: Direction, emitted: Tensor, ids: Tensor, state_lengths: Tensor, lengths: Tensor
) -> _Expected:
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
    return _Expected(joint / total[..., None], null / total * is_filled, way.steps, way.first, way.last)


def _null(way: Direction, ids: Tensor) -> Tensor:
    """Probability of each id from nowhere, (T, B); 1 for padding, which so passes on what came before."""
    return torch.cat((way.null * NULL_SHARE, way.null.new_ones(1)))[ids.T]


def _markov(
    way: Direction, emitted: Tensor, ids: Tensor, state_lengths: Tensor, lengths: Tensor
) -> _Expected:
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
    return _Expected(
        reached * ahead,
        from_null,
        torch.zeros_like(way.steps).index_add_(0, (distance[1:] + REACH).flatten(), taken[1:].flatten()),
        torch.zeros_like(way.first).index_add_(0, torch.arange(num_states).clamp_max(REACH), taken[0]),
        torch.zeros_like(way.last).index_add_(0, to_end[:, 1:].flatten(), last.flatten()),
    )
