"""Sampling: what is drawn has the probabilities of a table, and is a function of the sentence alone."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import pytest
import torch
from torch import Tensor

from nmt.checkpoint import TranslationModel
from nmt.config import DecodingConfig
from nmt.decoding import Found, Room, Rules, Sampling, Sentence, Translator, candidates, search
from nmt.decoding.candidates import BITS, draw, hashed

BOS, EOS, VOCAB_SIZE = 0, 1, 6
RULES = Rules(bos_id=BOS, eos_id=EOS, banned=(BOS,), nbest=20, sampling=Sampling())
ROOM = Room(rows=1000, src_tokens=1000)
LINES = ["Der Hund schläft.", "Wir gehen nach Hause.", "", "Ja!", "Der Apfelbaum im Garten blüht im Mai."]


@dataclass
class Table:
    """A decoder whose logits are a function of the source and of everything read."""

    rows: list[tuple[int, ...]] = field(default_factory=list)

    def admit(self, sources: Sequence[list[int]]) -> None:
        self.rows += [tuple(source) for source in sources]

    def step(self, parents: Tensor, tokens: Tensor) -> Tensor:
        pairs = zip(parents.tolist(), tokens.tolist(), strict=True)
        self.rows = [(*self.rows[parent], token) for parent, token in pairs]
        return torch.stack([logits_after(row) for row in self.rows])


@cache
def logits_after(prefix: tuple[int, ...]) -> Tensor:
    generator = torch.Generator().manual_seed(hash(prefix) % 2**31)
    return 2 * torch.randn(VOCAB_SIZE, generator=generator)


def log_prob_of(source: int, tokens: Sequence[int]) -> float:
    total, prefix = 0.0, (source, BOS)
    for token in (*tokens, EOS):
        total += float(logits_after(prefix).log_softmax(-1)[token])
        prefix = (*prefix, token)
    return total


def sentence(number: int, *, max_length: int = 9, seed: int | None = None) -> Sentence:
    return Sentence([number], max_length=max_length, seed=number if seed is None else seed)


def sample(sentences: Sequence[Sentence], rules: Rules = RULES, *, room: Room = ROOM) -> list[list[Found]]:
    return [found for _, found in sorted(search(Table(), sentences, rules, room), key=lambda pair: pair[0])]


def is_plausible(counts: Sequence[int], probabilities: Sequence[float]) -> bool:
    """Pearson's chi-square test at the level of one in a thousand (Wilson & Hilferty, 1931)."""
    total = sum(counts)
    assert min(probabilities) * total >= 5, "too few for the test"
    statistic = sum((n - total * p) ** 2 / (total * p) for n, p in zip(counts, probabilities, strict=True))
    freedom = len(counts) - 1
    return ((statistic / freedom) ** (1 / 3) - 1 + 2 / (9 * freedom)) / math.sqrt(2 / (9 * freedom)) < 3.09


def test_hypotheses_are_drawn_as_often_as_they_are_probable() -> None:
    rules = replace(RULES, nbest=500)
    limit = 2
    [*drawn] = sample([sentence(0, max_length=limit, seed=seed) for seed in range(40)], rules)
    counts = Counter(tuple(one.tokens) for found in drawn for one in found)
    free = [token for token in range(VOCAB_SIZE) if token not in (BOS, EOS)]
    expected = {}
    for tokens in itertools.chain.from_iterable(itertools.product(free, repeat=n) for n in range(limit + 1)):
        expected[tokens] = _chance_without_bos(tokens, limit)
    assert sum(expected.values()) == pytest.approx(1.0, abs=1e-5)
    likely = {tokens for tokens, chance in expected.items() if chance * 20_000 >= 10}
    rest = 1 - sum(expected[tokens] for tokens in likely)
    groups = [*(counts[tokens] for tokens in likely), sum(counts[t] for t in expected if t not in likely)]
    assert sum(groups) == 20_000
    assert is_plausible(groups, [*(expected[tokens] for tokens in likely), rest])


def _chance_without_bos(tokens: Sequence[int], limit: int) -> float:
    chance, prefix = 1.0, (0, BOS)
    for token in (*tokens, EOS):
        if len(prefix) - 2 < limit:
            logits = logits_after(prefix).clone()
            logits[BOS] = -math.inf
            chance *= float(logits.softmax(-1)[token])
        prefix = (*prefix, token)
    return chance


def test_hashed_numbers_are_uniform_and_independent_of_their_neighbours() -> None:
    seeds, numbers, steps = torch.meshgrid(*[torch.arange(n) for n in (40, 20, 40)], indexing="ij")
    uniform = hashed(seeds, numbers, steps).double() / 2**BITS
    assert 0 <= float(uniform.min()) <= float(uniform.max()) < 1
    cells = (uniform * 8).long()
    assert is_plausible(torch.bincount(cells.flatten(), minlength=8).tolist(), [1 / 8] * 8)
    for axis in range(3):
        pairs = cells.narrow(axis, 0, cells.size(axis) - 1) * 8 + cells.narrow(axis, 1, cells.size(axis) - 1)
        assert is_plausible(torch.bincount(pairs.flatten(), minlength=64).tolist(), [1 / 64] * 64)


# tokens 3 1 0 2 from likely to unlikely; token 4 is forbidden
HAND_WORKED = [0.2, 0.3, 0.1, 0.4, 0.0]


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(), [0.2, 0.3, 0.1, 0.4, 0.0]),
        (Sampling(top_k=1), [0, 0, 0, 1, 0]),
        (Sampling(top_k=2), [0, 3 / 7, 0, 4 / 7, 0]),
        (Sampling(top_k=9), [0.2, 0.3, 0.1, 0.4, 0.0]),
        (Sampling(top_p=0.39), [0, 0, 0, 1, 0]),
        (Sampling(top_p=0.41), [0, 3 / 7, 0, 4 / 7, 0]),
        (Sampling(top_p=0.71), [2 / 9, 3 / 9, 0, 4 / 9, 0]),
        (Sampling(top_p=0.91), [0.2, 0.3, 0.1, 0.4, 0.0]),
        # of the two that top-k leaves the likelier has a share of 4/7, more than 0.5
        (Sampling(top_k=2, top_p=0.5), [0, 0, 0, 1, 0]),
        (Sampling(min_p=0.51), [0, 3 / 7, 0, 4 / 7, 0]),
        (Sampling(min_p=0.49), [2 / 9, 3 / 9, 0, 4 / 9, 0]),
        (Sampling(min_p=1.0), [0, 0, 0, 1, 0]),
        (Sampling(temperature=0.5), [4 / 30, 9 / 30, 1 / 30, 16 / 30, 0]),
        # 16/30 > 0.5, and the second has 9/16 of the likeliest
        (Sampling(temperature=0.5, top_p=0.5), [0, 0, 0, 1, 0]),
        (Sampling(temperature=0.5, min_p=0.5), [0, 9 / 25, 0, 16 / 25, 0]),
        (Sampling(temperature=1e-6), [0, 0, 0, 1, 0]),
    ],
    ids=str,
)
def test_chances_are_those_worked_out_by_hand(sampling: Sampling, expected: list[float]) -> None:
    drawn = draw(
        torch.tensor([HAND_WORKED]).log(), torch.zeros(90_000).long(), torch.arange(90_000), sampling
    )
    counts = torch.bincount(drawn, minlength=5).tolist()
    assert [bool(n) for n in counts] == [bool(n) for n in expected]
    if len(possible := [column for column, chance in enumerate(expected) if chance]) > 1:
        assert is_plausible([counts[i] for i in possible], [expected[i] for i in possible])


def test_columns_of_all_blocks_are_drawn_as_often_as_they_are_probable() -> None:
    torch.manual_seed(1)
    log_probs = torch.randn(1, 300).log_softmax(-1)
    drawn = draw(log_probs, torch.zeros(200_000).long(), torch.arange(200_000), Sampling())
    counts = torch.bincount(drawn, minlength=300).tolist()
    assert is_plausible(counts, log_probs[0].double().softmax(0).tolist())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_is_finite_for_every_number(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> None:
    """Infinite noise would let in what is left out."""
    monkeypatch.setattr(candidates, "_mix", lambda x: x)
    ends = torch.tensor([0, 1, 2**BITS - 2, 2**BITS - 1])
    noise = candidates._gumbel(ends, 1, dtype)
    assert noise.dtype == dtype
    assert bool(noise.isfinite().all())


def test_rounding_of_probabilities_hardly_ever_changes_what_is_drawn() -> None:
    torch.manual_seed(1)
    log_probs = torch.randn(20, 8000).log_softmax(-1)
    rows, keys = torch.arange(20).repeat(1000), torch.arange(20_000)
    rounded = log_probs + 1e-6 * torch.randn_like(log_probs)
    same = draw(log_probs, rows, keys, Sampling()) == draw(rounded, rows, keys, Sampling())
    assert int((~same).sum()) <= 1  # of a place among sums of all that are before, some hundred


@pytest.mark.parametrize(
    "sampling", [Sampling(top_p=0.6), Sampling(top_p=0.99), Sampling(top_k=700)], ids=str
)
def test_a_wide_distribution_is_cut_as_a_whole_sort_cuts_it(sampling: Sampling) -> None:
    torch.manual_seed(1)
    log_probs = (3 * torch.randn(5, 5000)).log_softmax(-1)
    log_probs[0] = (2 * log_probs[0]).log_softmax(-1)
    keys = torch.arange(25_000)
    rows = torch.arange(5).repeat_interleave(5000)
    allowed = torch.zeros(5, 5000, dtype=torch.bool)
    for row, probabilities in enumerate(log_probs.double().exp()):
        ordered = sorted(range(5000), key=lambda i: (-float(log_probs[row, i]), i))
        before = probabilities[ordered].cumsum(0) - probabilities[ordered]
        most = sampling.top_k or int((before < sampling.top_p - 1e-5).sum())
        allowed[row, ordered[: most + 1]] = True  # sums of float32 may take one more
    assert bool(allowed[rows, draw(log_probs, rows, keys, sampling)].all())


def test_equals_are_left_out_together_or_not_at_all() -> None:
    keys = torch.arange(100)
    for sampling in (Sampling(top_k=2), Sampling(top_p=0.5)):
        drawn = draw(torch.tensor([[0.3, 0.3, 0.1, 0.3]]).log(), torch.zeros(100).long(), keys, sampling)
        assert set(drawn.tolist()) == {0, 1, 3}


def test_a_row_of_which_everything_is_forbidden_ends() -> None:
    rules = replace(RULES, banned=tuple(range(VOCAB_SIZE)))
    assert sample([sentence(0)], rules) == [[]]


@pytest.mark.parametrize("nbest", [1, 7])
def test_there_are_as_many_samples_as_are_wanted_with_the_scores_of_the_model(nbest: int) -> None:
    sampling = Sampling(temperature=0.7, top_k=4)
    rules = replace(RULES, nbest=nbest, sampling=sampling, length_penalty=0.5, prune=1.0)
    drawn = sample([sentence(number) for number in range(20)], rules)
    for number, found in enumerate(drawn):
        assert len(found) == nbest
        assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
        for one in found:
            assert one.log_prob == pytest.approx(log_prob_of(number, one.tokens), abs=1e-4)
            assert one.score == one.log_prob / (len(one.tokens) + 1) ** 0.5
            assert sum(one.token_log_probs) == pytest.approx(one.log_prob, abs=1e-4)


def test_samples_do_not_depend_on_what_is_searched_beside_them() -> None:
    sentences = [sentence(number, max_length=3 + number % 7) for number in range(15)]
    alone = [sample([each])[0] for each in sentences]
    for rows in (1, 25, 60, 1000):
        assert sample(sentences, room=Room(rows, 1000)) == alone
    assert sample(sentences[::-1]) == alone[::-1]


def test_the_first_samples_are_the_same_however_many_are_drawn() -> None:
    few, many = (sample([sentence(1)], replace(RULES, nbest=nbest))[0] for nbest in (5, 20))
    assert not Counter(tuple(one.tokens) for one in few) - Counter(tuple(one.tokens) for one in many)


def test_another_seed_draws_something_else() -> None:
    [one], [same], [other] = (sample([sentence(3, seed=seed)]) for seed in (1, 1, 2))
    assert one == same != other


def test_a_temperature_near_zero_is_greedy() -> None:
    sentences = [sentence(number) for number in range(20)]
    greedy = sample(sentences, replace(RULES, sampling=None, nbest=1))
    drawn = sample(sentences, replace(RULES, sampling=Sampling(temperature=1e-6), nbest=3))
    assert drawn == [[found] * 3 for [found] in greedy]


def translator(model: TranslationModel, **options: object) -> Translator:
    options = {"samples": 6, "max_length_ratio": 0.01, **options}
    return Translator(model, DecodingConfig(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{}, {"top_p": 0.8}, {"top_k": 9, "min_p": 0.1}], ids=str)
def test_samples_of_a_line_do_not_depend_on_batch_and_order(
    tiny_model: TranslationModel, options: dict[str, object]
) -> None:
    alone = [translator(tiny_model, **options).translate([line])[0] for line in LINES]
    for batch_rows in (1, 20, 160):
        together = translator(tiny_model, batch_rows=batch_rows, **options).translate(LINES[::-1])[::-1]
        for one, other in zip(together, alone, strict=True):
            assert [each.tokens for each in one.hypotheses] == [each.tokens for each in other.hypotheses]
            scores = [each.score for each in other.hypotheses]
            assert [each.score for each in one.hypotheses] == pytest.approx(scores, abs=1e-4)


def test_a_line_has_all_its_samples_and_a_blank_one_is_blank(tiny_model: TranslationModel) -> None:
    found = translator(tiny_model).translate(LINES)
    assert [len(one.hypotheses) for one in found] == [6, 6, 1, 6, 6]
    assert len({each.text for each in found[0].hypotheses}) > 3
    assert all(each.utility is None for one in found for each in one.hypotheses)


def test_samples_come_in_the_order_of_their_utility_where_it_is_asked_for(
    tiny_model: TranslationModel,
) -> None:
    by_score = translator(tiny_model).translate(LINES)
    by_utility = translator(tiny_model, mbr=True).translate(LINES)
    for one, other in zip(by_score, by_utility, strict=True):
        unordered = [replace(each, utility=None) for each in other.hypotheses]
        assert sorted(unordered, key=lambda each: -each.score) == list(one.hypotheses)
        utilities = [each.utility for each in other.hypotheses if each.utility is not None]
        assert len(utilities) == (6 if one.num_parts else 0)
        assert utilities == sorted(utilities, reverse=True)
