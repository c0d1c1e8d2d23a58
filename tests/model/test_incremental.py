"""Rows that come, branch and end as they like, against the network that reads every one of them whole."""

import copy
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from nmt.config import ModelConfig
from nmt.model import IncrementalDecoder, Transformer, pack
from nmt.model.cohort import MORE_COLUMNS
from nmt.model.incremental import MORE_PLACES, MOST_COHORTS, encode
from nmt.model.short_output import OWN_STEP, ShortOutput
from nmt.tokenizer import BOS_ID, EOS_ID, PAD_ID

FIRST_PIECE, LAST_PIECE = EOS_ID + 1, 18


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@dataclass
class Rows:
    """A decoder beside what each of its rows has read; every step is compared with teacher forcing."""

    network: Transformer
    sources: Sequence[list[int]]
    watched_layer: int | None = None
    output: ShortOutput | None = None
    tolerance: float = 5e-5
    decoder: IncrementalDecoder = field(init=False)
    rows: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)  # sentence, what was read
    newest: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)  # of the last step
    seen: int = 0  # rows that were compared

    def __post_init__(self) -> None:
        self.decoder = IncrementalDecoder(self.network, watched_layer=self.watched_layer, output=self.output)

    def step(self, choices: list[tuple[int, int]], *, admitted: Sequence[int] = ()) -> None:
        """Continue rows by pieces, (row, piece), and begin with some sentences."""
        if admitted:
            self.decoder.admit([self.sources[sentence] for sentence in admitted])
        if admitted and self.output:
            self.decoder.allow([own_tokens(self.sources[sentence]) for sentence in admitted])
        new = [(len(self.newest) + rank, BOS_ID) for rank in range(len(admitted))]
        before = [*self.newest, *((sentence, ()) for sentence in admitted)]
        parents, tokens = zip(*choices, *new, strict=True)
        self.rows = [(before[row][0], (*before[row][1], token)) for row, token in (*choices, *new)]
        self.newest = self.rows
        logits = self.decoder.step(torch.tensor(parents), torch.tensor(tokens))
        assert logits.dtype == torch.float32
        self._compare(logits)
        self.seen += len(logits)

    def _compare(self, found: Tensor) -> None:
        sources = [[*self.sources[sentence], EOS_ID] for sentence, _ in self.rows]
        out = self.network.decode(
            padded([read for _, read in self.rows]),
            self.network.encode(padded(sources)),
            attention_layers=() if self.watched_layer is None else [self.watched_layer],
        )
        newest = range(len(self.rows)), [len(read) - 1 for _, read in self.rows]
        expected = self.network.logits(out.states[newest]).float()
        if self.output:
            expected = self._of_columns(expected, found.size(1))
        torch.testing.assert_close(found, expected, rtol=self.tolerance, atol=self.tolerance)
        if self.watched_layer is not None:
            assert self.decoder.watched is not None
            expected = out.attention[self.watched_layer].mean(1)[newest]
            for weights, whole, source in zip(self.decoder.watched, expected, sources, strict=True):
                torch.testing.assert_close(weights[: len(source)], whole[: len(source)], rtol=1e-4, atol=1e-5)
                assert not weights[len(source) :].any()

    def _of_columns(self, logits: Tensor, num_columns: int) -> Tensor:
        """What the decoder should give: its columns of all logits, which are the tokens that were allowed."""
        assert self.output is not None
        every = torch.arange(len(logits))[:, None], torch.arange(num_columns)[None]
        tokens = self.decoder.tokens(*every)
        for (sentence, _), row in zip(self.rows, tokens.tolist(), strict=True):
            allowed = [*self.output.tokens.tolist(), *own_tokens(self.sources[sentence]).tolist()]
            assert row == [*allowed, *[PAD_ID] * (num_columns - len(allowed))]
        return logits.gather(1, tokens).masked_fill(tokens == PAD_ID, -torch.inf)

    def go_on(
        self, generator: random.Random, *, most: int = 4, end: float = 0.1, admitted: Sequence[int] = ()
    ) -> None:
        """A step in which every sentence ends, or has some of its rows continued, one of them many times."""
        choices: list[tuple[int, int]] = []
        for sentence in dict.fromkeys(sentence for sentence, _ in self.rows):
            own = [row for row, (owner, _) in enumerate(self.rows) if owner == sentence]
            if generator.random() >= end:
                parents = generator.choices(own, k=generator.randint(1, most))
                choices += [(row, generator.randint(FIRST_PIECE, LAST_PIECE)) for row in parents]
        if choices or admitted:
            self.step(choices, admitted=admitted)
        else:
            self.rows = []


def own_tokens(source: Sequence[int]) -> Tensor:
    return torch.tensor(sorted({token for token in source if token % 2}), dtype=torch.int64)


def padded(sequences: Sequence[Sequence[int]]) -> Tensor:
    longest = max(map(len, sequences))
    return torch.tensor([[*each, *[PAD_ID] * (longest - len(each))] for each in sequences])


def some_sources(generator: random.Random, lengths: Sequence[int]) -> list[list[int]]:
    return [[generator.randint(FIRST_PIECE, LAST_PIECE) for _ in range(length)] for length in lengths]


def sentences_that_come_and_go(rows: Rows, generator: random.Random, *, num_steps: int = 24) -> None:
    waiting = list(range(len(rows.sources)))
    for _ in range(num_steps):
        count = generator.randint(0, 2) if rows.rows else 3
        admitted, waiting = waiting[:count], waiting[count:]
        rows.go_on(generator, admitted=admitted)
    assert not waiting
    assert rows.seen > 3 * num_steps


# Against the whole network


def test_rows_that_branch_and_end_among_sentences_that_come_and_go(network: Transformer) -> None:
    generator = random.Random(1)
    sources = some_sources(generator, [generator.randint(0, 20) for _ in range(16)])
    rows = Rows(network, sources)
    sentences_that_come_and_go(rows, generator)
    assert sum(cohort.shape[0] for cohort in rows.decoder._cohorts) < len(sources)  # some are forgotten


def test_logits_of_few_tokens_are_those_columns_of_all_logits(network: Transformer) -> None:
    generator = random.Random(7)
    sources = some_sources(generator, [generator.randint(0, 60) for _ in range(16)])
    output = ShortOutput(network.out_proj, torch.tensor([EOS_ID, 6, 4]), "float32")
    rows = Rows(network, sources, output=output)
    sentences_that_come_and_go(rows, generator)
    for _ in range(3):  # alone, in the memory that is left
        rows.go_on(generator, admitted=[int(generator.random() * 16)])


def test_the_watched_layer_looks_at_the_source_as_it_does_in_the_whole(network: Transformer) -> None:
    generator = random.Random(2)
    for layer in range(len(network.decoder)):
        sources = some_sources(generator, [0, 7, 25, 3])
        rows = Rows(network, sources, watched_layer=layer)
        rows.step([], admitted=[0, 1])
        rows.go_on(generator, admitted=[2, 3])
        for _ in range(3):
            rows.go_on(generator)


def test_a_network_in_bfloat16_as_on_a_gpu_is_close(network: Transformer) -> None:
    generator = random.Random(3)
    sources = some_sources(generator, [5, 12, 1, 9, 14, 3])
    rows = Rows(copy.deepcopy(network).bfloat16(), sources, tolerance=0.15)
    sentences_that_come_and_go(rows, generator, num_steps=12)
    memories = [memory for cohort in rows.decoder._cohorts for memory in cohort.memories]
    assert {memory.own.dtype for memory in memories} == {torch.bfloat16}
    assert {each.dtype for memory in memories for each in memory.of_sources} == {torch.bfloat16}


def test_a_step_by_itself_is_teacher_forcing_in_order(network: Transformer) -> None:
    """All rows at every place of the array: the way without copies."""
    rows = Rows(network, some_sources(random.Random(4), [6, 6, 6]))
    rows.step([], admitted=[0, 1, 2])
    for piece in range(FIRST_PIECE, FIRST_PIECE + 8):
        rows.step([(0, piece), (1, piece + 1), (2, piece + 2)])


@pytest.mark.parametrize("lengths", [[1, 40, 2], [40, 1, 1], [0, 0, 0], [63]])
def test_sources_of_very_different_lengths_share_memory(network: Transformer, lengths: list[int]) -> None:
    generator = random.Random(5)
    rows = Rows(network, some_sources(generator, lengths))
    for sentence in range(len(lengths)):  # longer than what is there already, and shorter
        rows.go_on(generator, end=0.0, admitted=[sentence])
    rows.go_on(generator, end=0.0)


def test_sequences_go_beyond_the_table_of_places(network: Transformer) -> None:
    rows = Rows(network, [[5, 6]], tolerance=2e-4)
    rows.step([], admitted=[0])
    for place in range(2 * MORE_PLACES + 5):
        rows.step([(0, FIRST_PIECE + place % 9)])


# Memory


@pytest.fixture(scope="module")
def plain() -> Transformer:
    torch.manual_seed(1)
    config = ModelConfig(encoder_layers=1, decoder_layers=2, d_model=24, d_ff=40, num_heads=3)
    return Transformer(config, src_vocab_size=19, tgt_vocab_size=19).eval()


def test_columns_of_rows_that_nobody_descends_from_are_free_again(plain: Transformer) -> None:
    rows = Rows(plain, [[7, 8, 9]])
    rows.step([], admitted=[0])
    for place in range(12):  # four branches of which one survives, every time another
        rows.step([(place % min(4, len(rows.rows)), piece) for piece in range(5, 9)])
    (cohort,) = rows.decoder._cohorts
    assert cohort.shape[1] <= 12 + 1 + 4 + MORE_COLUMNS
    taken = cohort._bias == 0
    assert taken.sum(1).tolist() == [13] * 4
    assert int(taken.all(0).sum()) == 12  # what they have in common is there once


def test_columns_of_a_sentence_that_needed_many_go_with_it(plain: Transformer) -> None:
    rows = Rows(plain, some_sources(random.Random(9), [4, 4]))
    rows.step([], admitted=[0, 1])
    piece = FIRST_PIECE
    for _ in range(40):  # one sentence has a single hypothesis, the other eight that go apart at once
        others = range(1, len(rows.rows))
        branches = [(1, piece + i) for i in range(8)] if len(others) == 1 else [(i, piece) for i in others]
        rows.step([(0, piece), *branches])
    (cohort,) = rows.decoder._cohorts
    assert cohort.shape[0] == 2
    assert cohort.shape[1] > 8 * 40
    rows.step([(0, piece)])  # the other one has ended
    assert cohort.shape[0] == 1
    assert 42 <= cohort.shape[1] <= 42 + MORE_COLUMNS
    for memory in cohort.memories:
        assert memory.own.shape[1:4:2] == cohort.shape[:2]
    rows.step([(0, piece)])


def test_memory_shrinks_when_many_sentences_have_ended(plain: Transformer) -> None:
    sources = some_sources(random.Random(6), [3, 50, 50, 50, 50, 4, 50, 50])
    rows = Rows(plain, sources)
    rows.step([], admitted=range(8))
    (cohort,) = rows.decoder._cohorts
    assert cohort.shape == (8, 16, 51)
    rows.step([(row, 6) for row in (0, 1, 2, 3, 5)])
    assert cohort.shape == (8, 16, 51)  # five of eight are not few enough
    rows.step([(0, 6), (4, 6)])
    assert cohort.shape == (2, 16, 16)
    assert [memory.src_values.shape[:3:2] for memory in cohort.memories] == [(2, 16)] * 2
    rows.step([(0, 7), (1, 7)], admitted=[1])
    assert [each.shape for each in rows.decoder._cohorts] == [(2, 16, 16), (1, 16, 51)]


def test_neighbours_that_need_the_least_more_memory_become_one_cohort(plain: Transformer) -> None:
    generator = random.Random(7)
    rows = Rows(plain, some_sources(generator, [40, 9, 30, 31, 5]), watched_layer=1)
    for sentence in range(MOST_COHORTS):
        rows.go_on(generator, end=0.0, admitted=[sentence])
    assert [each.shape[2] for each in rows.decoder._cohorts] == [41, 16, 31, 32]
    for place in range(3):
        rows.go_on(generator, end=0.0, admitted=[4] if not place else [])
        assert [each.shape[2] for each in rows.decoder._cohorts] == [41, 16, 32, 16]
    rows.step([(len(rows.rows) - 1, 7)])  # of all others nothing is left
    assert [each.shape[2] for each in rows.decoder._cohorts] == [16]


def test_a_device_that_wants_few_operations_has_one_cohort(plain: Transformer) -> None:
    generator = random.Random(12)
    output = ShortOutput(plain.out_proj, torch.tensor([EOS_ID, 6, 4]), "float32")
    sources = some_sources(generator, [generator.randint(0, 60) for _ in range(16)])
    rows = Rows(plain, sources, watched_layer=0, output=output)
    assert rows.decoder._most_cohorts > 1
    rows.decoder._most_cohorts = IncrementalDecoder(copy.deepcopy(plain).to("meta"))._most_cohorts
    sentences_that_come_and_go(rows, generator)
    assert len(rows.decoder._cohorts) == 1


def test_what_a_search_needs_does_not_grow_with_how_long_it_goes_on(plain: Transformer) -> None:
    generator = random.Random(13)
    output = ShortOutput(plain.out_proj, torch.tensor([EOS_ID, 6, 4]), "float32")
    sources = some_sources(generator, [60, *[8] * 200])
    rows = Rows(plain, sources, output=output)
    rows.decoder._most_cohorts = 1
    rows.step([], admitted=[0, 1])
    for sentence in range(2, 200):  # of each of the two a piece; then the first makes room
        rows.step([(0, 7), (1, 7)])
        rows.step([(1, 8)], admitted=[sentence])
    (cohort,) = rows.decoder._cohorts
    assert cohort.longest <= 4
    assert rows.decoder._num_places <= 2 * 4 + MORE_PLACES
    assert cohort.shape[0] <= 4
    assert cohort.shape[2] == 16
    assert cohort.own_tokens.size(1) == OWN_STEP


def test_everything_may_end_before_others_come(plain: Transformer) -> None:
    rows = Rows(plain, some_sources(random.Random(8), [4, 9, 30, 2]))
    rows.step([], admitted=[0, 1])
    rows.step([(0, 5), (1, 6)])
    rows.rows = []
    rows.step([], admitted=[2, 3])
    rows.step([(0, 5), (1, 6), (1, 7)])


@pytest.mark.parametrize("is_short", [False, True])
def test_rows_of_nobody_beside_packed_products_change_nothing(plain: Transformer, is_short: bool) -> None:
    generator = random.Random(11)
    output = ShortOutput(plain.out_proj, torch.tensor([EOS_ID, 6, 4]), "float32") if is_short else None
    rows = Rows(plain, some_sources(generator, [generator.randint(0, 20) for _ in range(16)]), output=output)
    rows.decoder = IncrementalDecoder(pack(plain, "float32"), output=output)
    sentences_that_come_and_go(rows, generator)
    rows.rows, rows.newest = [], []
    rows.decoder = IncrementalDecoder(pack(plain, "float32"), output=output)
    rows.step([], admitted=[0, 1])
    for _ in range(3):  # as many of each, and some of nobody behind them
        rows.step([(row * len(rows.rows) // 10, 4 + 2 * (row % 2)) for row in range(10)])


# The encoder


def test_without_padding_the_encoder_says_the_same(network: Transformer) -> None:
    sources = some_sources(random.Random(9), [5, 0, 33, 12, 1])
    expected = network.encode(padded([[*each, EOS_ID] for each in sources]))
    states, lengths = encode(network, sources)
    assert lengths.tolist() == [len(each) + 1 for each in sources]
    torch.testing.assert_close(states[expected.mask], expected.states[expected.mask], rtol=2e-5, atol=2e-5)
    assert not states[~expected.mask].any()


def test_sources_of_one_length_need_no_mask(network: Transformer) -> None:
    sources = some_sources(random.Random(10), [8, 8, 8])
    expected = network.encode(torch.tensor([[*each, EOS_ID] for each in sources]))
    torch.testing.assert_close(encode(network, sources)[0], expected.states, rtol=2e-5, atol=2e-5)


def test_no_sources_have_no_states(plain: Transformer) -> None:
    states, lengths = encode(plain, [])
    assert (len(states), len(lengths)) == (0, 0)
