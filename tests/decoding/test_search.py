"""Search on tables small enough to enumerate."""

import itertools
import math
from dataclasses import dataclass, field, replace

import pytest
import torch
from torch import Tensor

from nmt.decoding.search import Found, Rules, beam_search, greedy_search, search, top

BOS, EOS, VOCAB_SIZE = 0, 1, 5
RULES = Rules(bos_id=BOS, eos_id=EOS, banned=(BOS,))


@dataclass
class Prefixes:
    """A cache that remembers what every row has read, and whose sentence it is."""

    rows: list[tuple[int, ...]]
    rows_seen: list[int] = field(default_factory=list)

    def select(self, rows: Tensor) -> None:
        self.rows = [self.rows[row] for row in rows.tolist()]

    def reorder(self, rows: Tensor) -> None:
        sentences_before = [row[0] for row in self.rows]
        self.select(rows)
        assert [row[0] for row in self.rows] == sentences_before


def logits_after(prefix: tuple[int, ...]) -> Tensor:
    """Next-token logits that are a function of the sentence's number and everything read."""
    seed = hash(prefix) % 2**31
    return 2 * torch.randn(VOCAB_SIZE, generator=torch.Generator().manual_seed(seed))


def step(tokens: Tensor, cache: Prefixes) -> Tensor:
    assert len(tokens) == len(cache.rows)
    cache.rows_seen.append(len(tokens))
    cache.rows = [(*row, token) for row, token in zip(cache.rows, tokens.tolist(), strict=True)]
    return torch.stack([logits_after(row) for row in cache.rows])


def sentences(*numbers: int) -> Prefixes:
    return Prefixes([(number,) for number in numbers])


def log_prob_of(sentence: int, tokens: tuple[int, ...]) -> float:
    total, prefix = 0.0, (sentence, BOS)
    for token in (*tokens, EOS):
        total += float(logits_after(prefix).log_softmax(-1)[token])
        prefix = (*prefix, token)
    return total


def every_hypothesis(sentence: int, limit: int, rules: Rules) -> list[Found]:
    free = [token for token in range(VOCAB_SIZE) if token != EOS and token not in rules.banned]
    found = []
    for length in range(limit + 1):
        for tokens in itertools.product(free, repeat=length):
            log_prob = log_prob_of(sentence, tokens)
            found.append(Found(list(tokens), log_prob, rules.score(log_prob, length + 1)))
    return sorted(found, key=lambda one: -one.score)


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0, 2.0, -0.5])
@pytest.mark.parametrize("nbest", [1, 7])
def test_a_wide_beam_equals_exhaustive_search(length_penalty: float, nbest: int) -> None:
    rules = replace(RULES, beam_size=200, length_penalty=length_penalty, nbest=nbest)
    limits = [4, 2, 3, 0, 4]
    found = beam_search(step, sentences(*range(5)), torch.tensor(limits), rules)
    for sentence, limit in enumerate(limits):
        expected = every_hypothesis(sentence, limit, rules)[:nbest]
        assert [one.tokens for one in found[sentence]] == [one.tokens for one in expected]
        scores = [one.score for one in expected]
        assert [one.score for one in found[sentence]] == pytest.approx(scores, abs=1e-5)


@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_a_beam_of_one_equals_greedy(length_penalty: float) -> None:
    rules = replace(RULES, length_penalty=length_penalty)
    limits = torch.tensor([9, 3, 6, 8, 0, 7, 9, 9])
    greedy = greedy_search(step, sentences(*range(8)), limits, rules)
    assert beam_search(step, sentences(*range(8)), limits, rules) == [[found] for found in greedy]
    assert search(step, sentences(*range(8)), limits, rules) == [[found] for found in greedy]


@pytest.mark.parametrize("beam_size", [1, 2, 4])
def test_batched_equals_alone(beam_size: int) -> None:
    rules = replace(RULES, beam_size=beam_size, nbest=beam_size)
    limits = [9, 3, 6, 8, 0, 7]
    together = search(step, sentences(*range(6)), torch.tensor(limits), rules)
    for sentence, limit in enumerate(limits):
        assert search(step, sentences(sentence), torch.tensor([limit]), rules) == [together[sentence]]


@pytest.mark.parametrize("beam_size", [1, 3])
def test_scores_are_the_log_probabilities_of_what_was_found(beam_size: int) -> None:
    rules = replace(RULES, beam_size=beam_size, nbest=beam_size, length_penalty=0.7)
    for sentence, hypotheses in enumerate(search(step, sentences(0, 1, 2), torch.tensor([6, 2, 9]), rules)):
        assert hypotheses
        for found in hypotheses:
            assert found.log_prob == pytest.approx(log_prob_of(sentence, tuple(found.tokens)), abs=1e-4)
            assert found.score == found.log_prob / (len(found.tokens) + 1) ** 0.7


@pytest.mark.parametrize("beam_size", [1, 3])
def test_nothing_banned_is_generated_and_no_limit_is_passed(beam_size: int) -> None:
    rules = replace(RULES, beam_size=beam_size, nbest=beam_size, banned=(BOS, 3))
    limits = [5, 4, 3, 2, 1, 0]
    found = search(step, sentences(*range(6)), torch.tensor(limits), rules)
    for limit, hypotheses in zip(limits, found, strict=True):
        for one in hypotheses:
            assert len(one.tokens) <= limit
            assert not {BOS, EOS, 3} & set(one.tokens)


@pytest.mark.parametrize("beam_size", [1, 2])
def test_a_finished_sentence_leaves_the_batch_at_once(beam_size: int) -> None:
    cache = sentences(*range(8))
    limits = torch.tensor([0, 0, 1, 1, 1, 2, 4, 4])
    found = search(step, cache, limits, replace(RULES, beam_size=beam_size))
    assert cache.rows_seen[0] == 8  # one row each until the beam has something to hold
    assert cache.rows_seen[1] <= 6 * beam_size
    assert cache.rows_seen == sorted(cache.rows_seen[:1]) + sorted(cache.rows_seen[1:], reverse=True)
    if beam_size == 1:
        steps = [len(hypotheses[0].tokens) + 1 for hypotheses in found]
        assert sum(cache.rows_seen) == sum(steps)


def test_a_beam_that_widens_as_sentences_leave_keeps_the_right_ones() -> None:
    rules = replace(RULES, beam_size=2)
    limits = [0, 5]  # one of two sentences ends in the first step: two rows before, two rows after
    found = beam_search(step, sentences(0, 1), torch.tensor(limits), rules)
    assert found[1] == beam_search(step, sentences(1), torch.tensor([5]), rules)[0]


def test_equal_hypotheses_come_out_in_the_order_of_their_tokens() -> None:
    def even(tokens: Tensor, cache: Prefixes) -> Tensor:
        return torch.zeros_like(step(tokens, cache))

    rules = replace(RULES, beam_size=4, nbest=4)
    found = beam_search(even, sentences(0), torch.tensor([1]), rules)
    assert [one.tokens for one in found[0]] == [[], [2], [3], [4]]
    assert greedy_search(even, sentences(0), torch.tensor([9]), RULES)[0].tokens == []


def test_the_search_stops_when_nothing_can_come_among_the_best() -> None:
    def sure(tokens: Tensor, cache: Prefixes) -> Tensor:
        logits = torch.zeros_like(step(tokens, cache))
        logits[:, EOS if len(cache.rows[0]) > 3 else 2] = 20.0
        return logits

    cache = sentences(0)
    found = beam_search(sure, cache, torch.tensor([50]), replace(RULES, beam_size=4))
    assert found[0][0].tokens == [2, 2]
    assert len(cache.rows_seen) == 3


def test_no_sentences_need_no_step() -> None:
    nothing = torch.tensor([], dtype=torch.long)
    for beam_size in (1, 4):
        assert search(step, sentences(), nothing, replace(RULES, beam_size=beam_size)) == []


def test_top_takes_the_leftmost_of_equals() -> None:
    x = torch.randint(0, 4, (200, 30), generator=torch.Generator().manual_seed(1)).float()
    x[:, 7] = -math.inf
    for k in (1, 5, 29, 30, 40):
        values, indices = top(x, k)
        assert indices.equal(x.argsort(descending=True, stable=True)[:, :k])
        assert values.equal(x.gather(1, indices))
