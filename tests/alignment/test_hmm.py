"""The hidden Markov models: against enumeration, by hand, and on text whose dictionary is known."""

import random
from itertools import product

import pytest
import torch
from torch import Tensor

from nmt.alignment import hmm, markov
from nmt.alignment.hmm import KEPT_PROBABILITY, MAX_LENGTH, PRIOR, HmmAligner, IdPair, train_hmm
from nmt.alignment.markov import NULL_SHARE, REACH, Direction

NUM_WORDS = 30
FILLER = 2 * NUM_WORDS
VOCAB_SIZE = FILLER + 1


def shuffled_pairs(count: int, *, seed: int = 1) -> list[IdPair]:
    """Random words and their translations in another order, now and then with one that translates nothing."""
    generator = random.Random(seed)
    pairs: list[IdPair] = []
    for _ in range(count):
        src = generator.sample(range(NUM_WORDS), generator.randint(2, 6))
        tgt = generator.sample([NUM_WORDS + word for word in src], len(src))
        if generator.random() < 0.5:
            tgt.insert(generator.randint(0, len(tgt)), FILLER)
        pairs.append((src, tgt))
    return pairs


def random_direction(vocab_size: int, generator: torch.Generator) -> Direction:
    sizes = (vocab_size**2, vocab_size, vocab_size, 2 * REACH + 1, REACH + 1, REACH + 1)
    lexicon, null, mass, steps, first, last = (torch.rand(size, generator=generator) + 0.01 for size in sizes)
    return Direction(lexicon, null, mass, steps, first, last)


def enumerated(way: Direction, emitted: Tensor, ids: list[int]) -> Tensor:
    """Probabilities (T, S) of all links, by adding up all alignments one by one."""
    num_positions, num_states = emitted.shape
    totals = torch.zeros(num_positions, num_states)
    everything = 0.0
    for states in product([None, *range(num_states)], repeat=num_positions):
        probability, before = 1.0, -1
        for t, state in enumerate(states):
            if state is None:
                probability *= NULL_SHARE * float(way.null[ids[t]])
                continue
            weights = [_step(way, before, s) for s in range(num_states)]
            probability *= (1 - NULL_SHARE) * weights[state] / sum(weights) * float(emitted[t, state])
            before = state
        probability *= float(way.last[min(REACH, num_states - 1 - before)])
        everything += probability
        for t, state in enumerate(states):
            if state is not None:
                totals[t, state] += probability
    return totals / everything


def _step(way: Direction, before: int, state: int) -> float:
    if before < 0:
        return float(way.first[min(state, REACH)])
    return float(way.steps[max(-REACH, min(REACH, state - before)) + REACH])


def test_forward_backward_equals_enumeration_in_both_directions() -> None:
    generator = torch.Generator().manual_seed(1)
    vocab_size = 5
    forward, backward = (random_direction(vocab_size, generator) for _ in range(2))
    aligner = HmmAligner(torch.arange(vocab_size**2), forward, backward)
    pairs: list[IdPair] = [([0, 3, 1], [2, 4, 4, 1]), ([2], [0, 1]), ([4, 4, 0, 1], [3]), ([1, 2], [3, 0, 2])]
    for (src, tgt), (found, turned) in zip(pairs, aligner.posteriors_batch(pairs), strict=True):
        cells = torch.tensor([[s * vocab_size + t for s in src] for t in tgt])
        torch.testing.assert_close(found, enumerated(forward, forward.lexicon[cells], list(tgt)))
        expected = enumerated(backward, backward.lexicon[cells].T, list(src)).T
        torch.testing.assert_close(turned, expected)


def test_first_iteration_worked_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    # Model 1 without the diagonal. First pair: each target id has two states with 0.4 each and NULL with 0.2;
    # each source id, seen from the target, the same. Second pair: one state with 0.8. All agree.
    monkeypatch.setattr(hmm, "MODEL1_ITERATIONS", 1)
    monkeypatch.setattr(hmm, "HMM_ITERATIONS", 0)
    monkeypatch.setattr(markov, "DIAGONAL", 0.0)
    das, haus, the, house = range(4)
    aligner = train_hmm([([das, haus], [the, house]), ([das], [the])], vocab_size=4)
    lexicon = dict(zip(aligner.keys.tolist(), aligner.forward.lexicon.tolist(), strict=True))
    das_the, das_house = torch.tensor(0.4 + 0.8 + PRIOR), torch.tensor(0.4 + PRIOR)
    total = torch.digamma(das_the + das_house)
    assert lexicon[das * 4 + the] == pytest.approx(float((das_the.digamma() - total).exp()), rel=1e-4)
    assert lexicon[das * 4 + house] == pytest.approx(float((das_house.digamma() - total).exp()), rel=1e-4)


def test_learns_a_dictionary_in_any_order_and_words_from_nowhere() -> None:
    pairs = shuffled_pairs(400)
    aligner = train_hmm(pairs, vocab_size=VOCAB_SIZE)
    wrong = 0
    for (src, tgt), both in zip(pairs, aligner.posteriors_batch(pairs), strict=True):
        expected = {(i, j) for i, s in enumerate(src) for j, t in enumerate(tgt) if t == s + NUM_WORDS}
        for links in both:
            wrong += len({(i, j) for j, i in (links > 0.5).nonzero().tolist()} ^ expected)
    assert wrong < 0.03 * 2 * sum(len(tgt) for _, tgt in pairs)


def test_unseen_pairs_have_probabilities_and_what_stays_the_same_is_linked() -> None:
    aligner = train_hmm(shuffled_pairs(100), vocab_size=VOCAB_SIZE + 10)
    name = VOCAB_SIZE + 5  # never seen
    pairs: list[IdPair] = [([0, name, 1], [NUM_WORDS, name]), ([], [3]), ([FILLER] * 30, [FILLER] * 50)]
    found = aligner.posteriors_batch(pairs)
    for (src, tgt), (forward, backward) in zip(pairs, found, strict=True):
        assert forward.shape == backward.shape == (len(tgt), len(src))
        assert forward.isfinite().all()
        assert (forward.sum(1) < 1 + 1e-5).all()
        assert backward.isfinite().all()
        assert (backward.sum(0) < 1 + 1e-5).all()
    assert found[0][0][1, 1] > 0.5
    assert found[0][1][1, 1] > 0.5


def test_the_same_text_gives_the_same_aligner() -> None:
    one, other = (train_hmm(shuffled_pairs(50), vocab_size=VOCAB_SIZE).state() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_an_aligner_comes_back_from_its_state_and_batches_change_nothing() -> None:
    pairs = shuffled_pairs(50)
    aligner = train_hmm(pairs, vocab_size=VOCAB_SIZE)
    again = HmmAligner.from_state(aligner.state())
    together = aligner.posteriors_batch(pairs)
    for pair, (forward, backward) in zip(pairs, together, strict=True):
        torch.testing.assert_close(again.posteriors(*pair), (forward, backward))


@pytest.mark.parametrize(("batch_cells", "batches_sorted"), [(100, 1), (100, 3), (100, 1000), (1, 2)])
def test_a_text_in_many_batches_and_groups_of_them_is_learnt_as_in_one(
    batch_cells: int, batches_sorted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = shuffled_pairs(60)
    together = train_hmm(pairs, vocab_size=VOCAB_SIZE).state()
    monkeypatch.setattr(hmm, "BATCH_CELLS", batch_cells)
    monkeypatch.setattr(hmm, "BATCHES_SORTED", batches_sorted)
    apart = train_hmm(pairs, vocab_size=VOCAB_SIZE).state()
    for name in together:
        torch.testing.assert_close(apart[name], together[name], rtol=1e-3, atol=1e-6)


def test_pairs_with_a_line_that_is_too_long_are_not_learnt_from() -> None:
    pairs = [
        ([0] * MAX_LENGTH, [1]),
        ([2] * (MAX_LENGTH + 1), [3]),
        ([4], [5] * (MAX_LENGTH + 1)),
        ([6], [7]),
    ]
    assert train_hmm(pairs, vocab_size=8).keys.tolist() == [0 * 8 + 1, 6 * 8 + 7]


def test_of_a_text_with_too_many_positions_a_sample_is_learnt_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hmm, "MAX_CELLS", 40)  # source times target positions, of which each pair has two
    pairs: list[IdPair] = [([word], [100 + word] * 2) for word in range(100)]
    learnt = [key // 200 for key in train_hmm(pairs, vocab_size=200).keys.tolist()]
    assert len(learnt) == 20
    assert learnt[0] < 20
    assert learnt[-1] >= 80
    assert len(train_hmm(pairs[:20], vocab_size=200).keys) == 20  # all, if there are no more


def test_translations_that_are_improbable_in_both_directions_are_forgotten() -> None:
    pairs = shuffled_pairs(100)
    aligner = train_hmm(pairs, vocab_size=VOCAB_SIZE)
    met = {s * VOCAB_SIZE + t for src, tgt in pairs for s in src for t in tgt}
    right = {s * VOCAB_SIZE + s + NUM_WORDS for src, _ in pairs for s in src}
    assert right <= set(aligner.keys.tolist()) < met
    forward, backward = aligner.forward.lexicon, aligner.backward.lexicon
    assert torch.maximum(forward, backward).min() >= KEPT_PROBABILITY
    pruned = aligner.pruned(least=0.8)
    is_kept = [max(both) >= 0.8 for both in zip(forward.tolist(), backward.tolist(), strict=True)]
    assert pruned.keys.tolist() == aligner.keys[is_kept].tolist()
    assert pruned.forward.lexicon.tolist() == forward[is_kept].tolist()
    assert pruned.backward.lexicon.tolist() == backward[is_kept].tolist()
    assert pruned.forward.lexicon.min() < 0.8 < pruned.backward.lexicon.min()


def test_lines_of_one_word_have_no_steps_to_learn() -> None:
    aligner = train_hmm([([0], [2]), ([1], [3])], vocab_size=4)
    assert aligner.posteriors([0], [2])[0] > 0.5
    assert aligner.posteriors([0, 1], [3, 2])[0].isfinite().all()


def test_nothing_to_learn_from_makes_an_aligner_that_knows_what_stays_the_same() -> None:
    forward, backward = train_hmm([([], [1])], vocab_size=3).posteriors([1, 2], [2, 1])
    assert forward.isfinite().all()
    assert backward.isfinite().all()
    assert forward[0, 1] > forward[0, 0]
