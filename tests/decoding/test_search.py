"""Search on tables small enough to enumerate."""

import itertools
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
import torch
from torch import Tensor

from nmt.decoding import Found, Room, Rules, Sentence, search

BOS, EOS, VOCAB_SIZE = 0, 1, 5
RULES = Rules(bos_id=BOS, eos_id=EOS, banned=(BOS,))
ROOM = Room(rows=1000, src_tokens=1000)


@dataclass
class Table:
    """A decoder that remembers what every row has read, and whose sentence it is."""

    rows: list[tuple[int, ...]] = field(default_factory=list)
    new: list[tuple[int, ...]] = field(default_factory=list)
    rows_seen: list[int] = field(default_factory=list)
    sentences_seen: list[list[int]] = field(default_factory=list)

    def admit(self, sources: Sequence[list[int]]) -> None:
        self.new += [(source[0],) for source in sources]

    def step(self, parents: Tensor, tokens: Tensor) -> Tensor:
        before = [*self.rows, *self.new]
        both = zip(parents.tolist(), tokens.tolist(), strict=True)
        self.rows, self.new = [(*before[parent], token) for parent, token in both], []
        sentences = [row[0] for row in self.rows]
        assert sentences == sorted(sentences)  # together, and in the order in which they came
        self.rows_seen.append(len(self.rows))
        self.sentences_seen.append(sorted(set(sentences)))
        return self.logits()

    def logits(self) -> Tensor:
        return torch.stack([logits_after(row) for row in self.rows])


def logits_after(prefix: tuple[int, ...]) -> Tensor:
    """Next-token logits that are a function of the sentence's number and everything read."""
    seed = hash(prefix) % 2**31
    return 2 * torch.randn(VOCAB_SIZE, generator=torch.Generator().manual_seed(seed))


def sentence(number: int, limit: int, **options: object) -> Sentence:
    return Sentence([number] * (1 + number % 3), max_length=limit, **options)  # type: ignore[arg-type]


def sentences(limits: Sequence[int]) -> list[Sentence]:
    return [sentence(number, limit) for number, limit in enumerate(limits)]


def found_for(
    some: Sequence[Sentence], rules: Rules, *, room: Room = ROOM, table: Table | None = None
) -> list[list[Found]]:
    """What is found for each of them, in their order."""
    found = dict(search(table or Table(), some, rules, room))
    assert sorted(found) == list(range(len(some)))
    return [found[number] for number in range(len(some))]


def log_probs_of(number: int, tokens: Sequence[int]) -> list[float]:
    """Of every token and of EOS."""
    found, prefix = [], (number, BOS)
    for token in (*tokens, EOS):
        found.append(float(logits_after(prefix).log_softmax(-1)[token]))
        prefix = (*prefix, token)
    return found


def every_hypothesis(number: int, limit: int, rules: Rules) -> list[Found]:
    free = [token for token in range(VOCAB_SIZE) if token != EOS and token not in rules.banned]
    found = []
    for length in range(limit + 1):
        for tokens in itertools.product(free, repeat=length):
            log_prob = sum(log_probs_of(number, tokens))
            found.append(Found(list(tokens), log_prob, rules.score(log_prob, length + 1)))
    return sorted(found, key=lambda one: -one.score)


def greedy(number: int, limit: int, rules: Rules) -> list[int]:
    """The likeliest token, again and again."""
    tokens: list[int] = []
    while len(tokens) < limit:
        logits = logits_after((number, BOS, *tokens))
        logits[list(rules.banned)] = -math.inf
        if (best := int(logits.argmax())) == EOS:
            break
        tokens.append(best)
    return tokens


def assert_same(found: list[list[Found]], expected: list[list[Found]]) -> None:
    assert [[one.tokens for one in each] for each in found] == [
        [one.tokens for one in each] for each in expected
    ]
    for each, other in zip(itertools.chain(*found), itertools.chain(*expected), strict=True):
        assert each.score == pytest.approx(other.score, abs=1e-5)


# What is found


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0, 2.0, -0.5])
@pytest.mark.parametrize("nbest", [1, 7])
def test_a_wide_beam_equals_exhaustive_search(length_penalty: float, nbest: int) -> None:
    rules = replace(RULES, beam_size=200, length_penalty=length_penalty, nbest=nbest)
    limits = [4, 2, 3, 0, 4]
    expected = [every_hypothesis(*each, rules)[:nbest] for each in enumerate(limits)]
    assert_same(found_for(sentences(limits), rules), expected)


@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_a_beam_of_one_is_greedy(length_penalty: float) -> None:
    rules = replace(RULES, length_penalty=length_penalty)
    limits = [9, 3, 6, 8, 0, 7, 9, 9, 30, 1]
    found = found_for(sentences(limits), rules)
    assert [one.tokens for [one] in found] == [greedy(*each, rules) for each in enumerate(limits)]


@pytest.mark.parametrize("beam_size", [1, 2, 4])
@pytest.mark.parametrize("rows", [1, 4, 7, 16, 1000])
@pytest.mark.parametrize("src_tokens", [1, 5, 1000])
def test_batched_equals_alone_however_much_is_searched_at_once(
    beam_size: int, rows: int, src_tokens: int
) -> None:
    """Also where sentences take the places of others that are done, in the middle."""
    rules = replace(RULES, beam_size=beam_size, nbest=beam_size)
    some = sentences([9, 3, 6, 8, 0, 7, 12, 1, 1, 5, 9])
    together = found_for(some, rules, room=Room(rows, src_tokens))
    assert_same(together, [found_for([each], rules)[0] for each in some])


@pytest.mark.parametrize("beam_size", [1, 3])
def test_scores_are_the_log_probabilities_of_what_was_found(beam_size: int) -> None:
    rules = replace(RULES, beam_size=beam_size, nbest=beam_size, length_penalty=0.7)
    for number, hypotheses in enumerate(found_for(sentences([6, 2, 9, 30]), rules)):
        assert hypotheses
        for found in hypotheses:
            log_probs = log_probs_of(number, found.tokens)
            assert found.log_prob == pytest.approx(sum(log_probs), abs=1e-4)
            assert found.token_log_probs == pytest.approx(log_probs, abs=1e-4)
            assert sum(found.token_log_probs) == pytest.approx(found.log_prob, abs=1e-5)
            assert found.score == found.log_prob / (len(found.tokens) + 1) ** 0.7


@pytest.mark.parametrize("beam_size", [1, 3])
def test_nothing_banned_is_generated_and_no_limit_is_passed(beam_size: int) -> None:
    rules = replace(RULES, beam_size=beam_size, nbest=beam_size, banned=(BOS, 3))
    limits = [5, 4, 3, 2, 1, 0]
    for limit, hypotheses in zip(limits, found_for(sentences(limits), rules), strict=True):
        for one in hypotheses:
            assert len(one.tokens) <= limit
            assert not {BOS, EOS, 3} & set(one.tokens)


@pytest.mark.parametrize("beam_size", [1, 3, 200])
def test_a_prefix_comes_first_and_the_best_continuation_behind_it(beam_size: int) -> None:
    rules = replace(RULES, beam_size=beam_size, nbest=min(3, beam_size))
    prefixes = [(2, 4), (), (3,), (4, 4, 4, 2)]
    some = [sentence(number, 4, prefix=prefix) for number, prefix in enumerate(prefixes)]
    for number, (prefix, hypotheses) in enumerate(zip(prefixes, found_for(some, rules), strict=True)):
        assert all(tuple(one.tokens[: len(prefix)]) == prefix for one in hypotheses)
        if beam_size == 200:
            every = every_hypothesis(number, 4, rules)
            expected = [one for one in every if tuple(one.tokens[: len(prefix)]) == prefix][:3]
            assert_same([hypotheses], [expected])


@pytest.mark.parametrize("beam_size", [1, 3, 200])
def test_none_is_shorter_than_the_least_length_unless_that_is_beyond_the_limit(beam_size: int) -> None:
    rules = replace(RULES, beam_size=beam_size, nbest=min(3, beam_size))
    lengths = [(0, 4), (2, 4), (4, 4), (9, 3), (1, 0)]
    some = [sentence(number, most, min_length=least) for number, (least, most) in enumerate(lengths)]
    for number, ((least, most), hypotheses) in enumerate(zip(lengths, found_for(some, rules), strict=True)):
        assert all(min(least, most) <= len(one.tokens) <= most for one in hypotheses)
        if beam_size == 200:
            every = every_hypothesis(number, most, rules)
            expected = [one for one in every if len(one.tokens) >= min(least, most)][:3]
            assert_same([hypotheses], [expected])


def test_equal_hypotheses_come_out_in_the_order_of_their_tokens() -> None:
    class Even(Table):
        def logits(self) -> Tensor:
            return torch.zeros(len(self.rows), VOCAB_SIZE)

    rules = replace(RULES, beam_size=4, nbest=4)
    [found] = found_for(sentences([1]), rules, table=Even())
    assert [one.tokens for one in found] == [[], [2], [3], [4]]
    [[one]] = found_for(sentences([9]), RULES, table=Even())
    assert one.tokens == []


# Pruning


@pytest.mark.parametrize("beam_size", [1, 4, 200])
def test_pruning_by_a_lot_prunes_nothing(beam_size: int) -> None:
    rules = replace(RULES, beam_size=beam_size)
    some = sentences([4] * 12)
    assert found_for(some, replace(rules, prune=1e6)) == found_for(some, rules)


def test_the_more_is_pruned_the_fewer_rows_and_nothing_better_than_the_best_is_found() -> None:
    rules = replace(RULES, beam_size=200)
    some = sentences([4] * 12)
    best = [each[0].score for each in found_for(some, rules)]
    rows = []
    for prune in (20.0, 3.0, 1.0, 0.1, 1e-9):
        table = Table()
        found = found_for(some, replace(rules, prune=prune), table=table)
        rows.append(sum(table.rows_seen))
        for number, (score, [one]) in enumerate(zip(best, found, strict=True)):
            assert one.score <= score + 1e-5
            assert one.log_prob == pytest.approx(sum(log_probs_of(number, one.tokens)), abs=1e-4)
    assert rows == sorted(set(rows), reverse=True)
    for number, [one] in enumerate(found):  # only the likeliest goes on, and it may end at every place
        path = greedy(number, 4, RULES)
        starts = [path[:length] for length in range(len(path) + 1)]
        scores = [rules.score(sum(log_probs_of(number, start)), len(start) + 1) for start in starts]
        assert one.tokens == starts[scores.index(max(scores))]


def test_nothing_is_pruned_where_several_are_asked_for() -> None:
    rules = replace(RULES, beam_size=4, nbest=4)
    some = sentences([4] * 5)
    assert found_for(some, replace(rules, prune=0.1)) == found_for(some, rules)


# What is searched at once


@pytest.mark.parametrize("beam_size", [1, 2])
def test_a_finished_sentence_leaves_the_batch_at_once(beam_size: int) -> None:
    table = Table()
    found = found_for(sentences([0, 0, 1, 1, 1, 2, 4, 4]), replace(RULES, beam_size=beam_size), table=table)
    assert table.rows_seen[0] == 8  # one row each until the beam has something to hold
    assert table.rows_seen[1] <= 6 * beam_size
    assert table.rows_seen[1:] == sorted(table.rows_seen[1:], reverse=True)
    if beam_size == 1:
        assert sum(table.rows_seen) == sum(len(one.tokens) + 1 for [one] in found)


def test_others_take_the_places_of_those_that_are_done() -> None:
    table, limits = Table(), [8, 0, 0, 0, 0, 0, 0, 8]
    rules = replace(RULES, banned=(BOS,))
    some = [sentence(number, limit, min_length=limit) for number, limit in enumerate(limits)]
    order = [number for number, _ in search(table, some, rules, Room(rows=2, src_tokens=100))]
    assert table.sentences_seen[:4] == [[0, 1], [0, 2], [0, 3], [0, 4]]
    assert order == [1, 2, 3, 4, 5, 6, 0, 7]
    assert len(table.rows_seen) == 6 + 9  # the last begins beside the first


@pytest.mark.parametrize("room", [Room(rows=6, src_tokens=100), Room(rows=100, src_tokens=12)])
def test_others_are_read_where_a_quarter_is_free_again(room: Room) -> None:
    table, lengths = Table(), [0, 1, 2, 8, 8, 8, 8, 8, 8]
    limits = zip(range(0, 25, 3), lengths, strict=True)  # sources of two tokens, the end included
    some = [sentence(number, limit, min_length=limit) for number, limit in limits]
    deque(search(table, some, replace(RULES, banned=(BOS,)), room), maxlen=0)
    assert [len(seen) for seen in table.sentences_seen[:4]] == [6, 5, 6, 5]


@pytest.mark.parametrize("beam_size", [1, 3])
def test_no_more_is_searched_than_there_is_room_for(beam_size: int) -> None:
    table, some = Table(), sentences([5] * 30)
    room = Room(rows=9, src_tokens=12)
    found_for(some, replace(RULES, beam_size=beam_size), room=room, table=table)
    assert max(table.rows_seen) <= 9
    for seen in table.sentences_seen:
        assert sum(len(some[number].source) + 1 for number in seen) <= 12


def test_a_sentence_for_which_there_is_no_room_is_searched_alone() -> None:
    table, some = Table(), sentences([5, 4, 3])
    found_for(some, replace(RULES, beam_size=4), room=Room(rows=2, src_tokens=1), table=table)
    assert all(len(seen) == 1 for seen in table.sentences_seen)


def test_the_search_stops_when_nothing_can_come_among_the_best() -> None:
    class Sure(Table):
        def logits(self) -> Tensor:
            logits = torch.zeros(len(self.rows), VOCAB_SIZE)
            logits[:, EOS if len(self.rows[0]) > 3 else 2] = 20.0
            return logits

    table = Sure()
    [[one]] = found_for(sentences([50]), replace(RULES, beam_size=4), table=table)
    assert one.tokens == [2, 2]
    assert len(table.rows_seen) == 3


def test_what_is_found_comes_as_soon_as_it_is_found() -> None:
    table = Table()
    some = [sentence(number, limit, min_length=limit) for number, limit in enumerate([6, 0, 3])]
    steps = {number: len(table.rows_seen) for number, _ in search(table, some, RULES, ROOM)}
    assert steps == {1: 1, 2: 4, 0: 7}


def test_no_sentences_need_no_step() -> None:
    table = Table()
    assert list(search(table, [], RULES, ROOM)) == []
    assert table.rows_seen == []
