"""Links by hidden Markov models of both directions that agree (Vogel et al., 1996; Liang et al., 2006)."""

# B pairs, S source and T target positions, V ids, E entries: ids that met in a pair of lines

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain

import torch
from torch import Tensor

from nmt.alignment.markov import REACH, Direction, Expected, Explain, expect_markov, expect_model1

IdPair = tuple[Sequence[int], Sequence[int]]
"""The ids of a source and of a target line, pieces or words, out of one vocabulary for both."""

MAX_CELLS = 40_000_000
"""Source times target positions of all pairs that are learned from, a sample if there are more: 1.5 GB."""
MAX_LENGTH = 200
"""Pairs with a longer line are not learned from: their cost grows with the square."""
SAMPLE_SEED = 1
BATCH_CELLS = 60_000
"""Source times target positions of a batch, so that it stays in a processor's cache."""
BATCHES_SORTED = 32

MODEL1_ITERATIONS = 4
HMM_ITERATIONS = 5
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
        forward = expect_markov(self.forward, links[0], batch.tgt, batch.src_lengths, batch.tgt_lengths)
        backward = expect_markov(
            self.backward, _turned(links[1]), batch.src, batch.tgt_lengths, batch.src_lengths
        )
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


def train_hmm(
    pairs: Sequence[IdPair], *, vocab_size: int, on_progress: Callable[[int], None] = lambda _: None
) -> HmmAligner:
    """Learn both directions from pairs of lines: Model 1 near the diagonal, then the hidden Markov models.

    Variational Bayes with sparse priors; a translation counts as far as both directions expect it, by the
    geometric mean of their probabilities. `on_progress` is called after each iteration, and may raise to
    stop.
    """
    batches = _batches(_sample(pairs), vocab_size)
    if not batches:
        return _start(torch.zeros(1, dtype=torch.long), vocab_size)
    keys, entries = _find_entries(batches, vocab_size)
    aligner = _start(keys, vocab_size)
    for explain in MODEL1_ITERATIONS * [expect_model1] + HMM_ITERATIONS * [expect_markov]:
        aligner = _improve(aligner, batches, entries, explain)
        on_progress(0)
    return aligner.pruned()


def _sample(pairs: Sequence[IdPair]) -> list[IdPair]:
    """Pairs from all over the text, within the limits above."""
    chosen: list[IdPair] = []
    cells = 0
    for number in random.Random(SAMPLE_SEED).sample(range(len(pairs)), len(pairs)):
        shorter, longer = sorted(map(len, pairs[number]))
        if 0 < shorter and longer <= MAX_LENGTH:
            cells += shorter * longer
            if cells > MAX_CELLS:
                break
            chosen.append(pairs[number])
    return chosen


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

    Padding has the place after the last. In parts first: sorting all cells at once takes much memory.
    """
    uniques, places, shapes = [], [], []
    for start in range(0, len(batches), BATCHES_SORTED):
        cells = [batch.cell_keys(vocab_size) for batch in batches[start : start + BATCHES_SORTED]]
        unique, place = torch.unique(torch.cat([each.flatten() for each in cells]), return_inverse=True)
        uniques.append(unique)
        places.append(place.int())
        shapes.append([each.shape for each in cells])
    keys, merged = torch.unique(torch.cat(uniques), return_inverse=True)
    if keys[0] < 0:  # padding
        keys, merged = keys[1:], torch.where(merged == 0, len(keys) - 1, merged - 1)
    entries: list[Tensor] = []
    for part, place, sizes in zip(merged.int().split([*map(len, uniques)]), places, shapes, strict=True):
        flat = part[place].split([size.numel() for size in sizes])
        entries += [each.view(size) for each, size in zip(flat, sizes, strict=True)]
    return keys, entries


def _start(keys: Tensor, vocab_size: int) -> HmmAligner:
    """Every translation alike, short steps forward."""
    reach = torch.arange(REACH + 1.0)
    distance = torch.arange(-REACH, REACH + 1.0)
    steps, last = (-(distance - 1).abs() / 2).exp() + 0.01, torch.ones(REACH + 1)
    steps[[0, -1]] /= FAR_STEPS**2  # hardly any at first: the order of both lines is much the same
    last[-1] /= FAR_STEPS**2
    way = Direction(
        lexicon=torch.full(keys.shape, 1 / vocab_size),
        null=torch.full((vocab_size,), 1 / vocab_size),
        mass=torch.zeros(vocab_size),
        steps=steps,
        first=(-reach / 2).exp() + 0.01,
        last=last,
    )
    return HmmAligner(keys, way, way)


def _improve(
    aligner: HmmAligner, batches: Sequence[_Batch], entries: Sequence[Tensor], explain: Explain
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

    def add(self, expected: Expected, ids: Tensor) -> None:
        self.null.index_add_(0, ids.T.flatten(), expected.null.flatten())
        self.steps += expected.steps
        self.first += expected.first
        self.last += expected.last

    def maximised(self, lexicon: Tensor, mass: Tensor) -> Direction:
        null = self.null[:-1] + NULL_PRIOR
        steps = _smoothed(self.steps, self.way.steps, outermost=[0, -1])
        first = _smoothed(self.first, self.way.first, outermost=[])
        last = _smoothed(self.last, self.way.last, outermost=[-1])
        return Direction(lexicon, null / null.sum(), mass, steps, first, last)


def _smoothed(counts: Tensor, before: Tensor, *, outermost: list[int]) -> Tensor:
    """Probabilities from counts; as before if nothing was counted."""
    if not counts.any():
        return before
    smoothed = (1 - STEP_SMOOTHING) * counts / counts.sum() + STEP_SMOOTHING / len(counts)
    smoothed[outermost] /= FAR_STEPS
    return smoothed


def _lexicon(counts: Tensor, priors: Tensor, states: Tensor, vocab_size: int) -> tuple[Tensor, Tensor]:
    """Probabilities of translations by variational Bayes, and the logarithms of what they were divided by."""
    counts, priors = counts.double(), priors.double()
    posterior = counts + priors
    mass = torch.zeros(vocab_size, dtype=torch.double).index_add_(0, states, posterior).clamp_min_(1)
    mass = torch.digamma(mass)
    return (torch.digamma(posterior) - mass[states]).exp().float().clamp_min_(TINY_PROBABILITY), mass.float()
