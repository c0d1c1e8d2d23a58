"""Batches: within the budget, with little padding, and the same for the same seed."""

import os
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nmt.config.schema import DataConfig, TokenizerConfig
from nmt.corpus.batching import Batch, _by_length, collate, deal_batches, plan_batches
from nmt.corpus.cleaning import clean_pairs, fingerprint, select_pairs
from nmt.corpus.encoded import EncodedCorpus
from nmt.corpus.reading import read_pairs
from nmt.tokenizer import BOS_ID, EOS_ID, PAD_ID, train_tokenizer

DATA = Path(os.environ.get("NMT_DATA", Path(__file__).parents[3] / "shared" / "data"))
MULTI30K = DATA / "multi30k"

lengths = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=60)


def tensors(pairs: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    src_lengths, tgt_lengths = torch.tensor(pairs).T
    return src_lengths, tgt_lengths


def corpus_of(src_lengths: Tensor, tgt_lengths: Tensor) -> EncodedCorpus:
    pairs = zip(src_lengths.tolist(), tgt_lengths.tolist(), strict=True)
    return EncodedCorpus.from_pairs((list(range(4, 4 + src)), list(range(9, 9 + tgt))) for src, tgt in pairs)


def padding_share(batches: list[Batch]) -> float:
    """Share of source and target positions that hold PAD."""
    sides = [side for batch in batches for side in (batch.src_tokens, batch.tgt_out)]
    return sum(int((side == PAD_ID).sum()) for side in sides) / sum(side.numel() for side in sides)


def sentence_lengths(num_pairs: int) -> tuple[Tensor, Tensor]:
    """Lengths as captions and sentences have them: log-normal, the sides alike but not equal."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(3, num_pairs, generator=generator)
    src = torch.exp(2.7 + 0.4 * noise[0])
    return src.long() + 1, (src * torch.exp(0.2 * noise[1])).long() + 1


@given(pairs=lengths, data=st.data())
def test_pairs_are_dealt_into_so_many_batches_of_about_the_same_size(
    pairs: list[tuple[int, int]], data: st.DataObject
) -> None:
    src_lengths, tgt_lengths = tensors(pairs)
    num_batches = data.draw(st.integers(1, len(pairs)))
    batches = deal_batches(src_lengths, tgt_lengths, num_batches=num_batches, seed=1)
    assert sorted(torch.cat(batches).tolist()) == list(range(len(pairs)))
    assert len(batches) == num_batches
    assert all(len(batch) for batch in batches)
    sizes = torch.maximum(src_lengths, tgt_lengths) + 1
    if num_batches == 1 or int(sizes.max()) * num_batches <= int(sizes.sum()):  # no pair has to be alone
        share = int(sizes.sum()) / num_batches
        assert all(int(sizes[batch].sum()) < share + 2 * int(sizes.max()) for batch in batches)


@given(pairs=lengths, batch_tokens=st.integers(1, 200), epoch=st.integers(0, 3))
def test_every_pair_is_in_one_batch_and_no_batch_exceeds_the_budget(
    pairs: list[tuple[int, int]], batch_tokens: int, epoch: int
) -> None:
    src_lengths, tgt_lengths = tensors(pairs)
    batches = plan_batches(src_lengths, tgt_lengths, batch_tokens=batch_tokens, seed=1, epoch=epoch)
    assert sorted(torch.cat(batches).tolist()) == list(range(len(pairs)))
    for batch in batches:
        longest = 1 + max(int(src_lengths[batch].max()), int(tgt_lengths[batch].max()))
        assert len(batch) == 1 or len(batch) * longest <= batch_tokens


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    plan = partial(plan_batches, *sentence_lengths(2000), batch_tokens=500)

    def order(seed: int, epoch: int) -> list[list[int]]:
        return [batch.tolist() for batch in plan(seed=seed, epoch=epoch)]

    assert order(1, 1) == order(1, 1)
    orders = [order(seed, epoch) for seed in (1, 2) for epoch in (1, 2)]
    assert all(orders[i] != orders[j] for i in range(4) for j in range(i))
    as_sets = [{frozenset(batch) for batch in batches} for batches in orders]
    assert len(as_sets[0] & as_sets[1]) < len(as_sets[0]) / 2  # not the same batches in another order


@given(pairs=lengths, scale=st.sampled_from([1, 1_000_000]))
def test_pairs_are_sorted_as_a_plain_sort_would(pairs: list[tuple[int, int]], scale: int) -> None:
    """Up and down in turn; where it is all the same, in the order in which they were."""
    pairs = [(scale * src, tgt) for src, tgt in pairs]
    numbers = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(1))

    def key(number: int) -> tuple[int, int]:
        src, tgt = pairs[number]
        return tgt, -src if tgt % 2 else src

    assert _by_length(*tensors(pairs), numbers).tolist() == sorted(numbers.tolist(), key=key)


def test_of_sentences_few_positions_are_padding() -> None:
    corpus = corpus_of(*sentence_lengths(20_000))
    batches = plan_batches(corpus.src_lengths, corpus.tgt_lengths, batch_tokens=4096, seed=1, epoch=1)
    assert padding_share([collate(corpus, batch) for batch in batches]) < 0.08


@pytest.mark.skipif(not MULTI30K.exists(), reason="needs Multi30k")
def test_on_multi30k_at_most_eight_percent_are_padding() -> None:
    text = read_pairs([MULTI30K / "train.en"], [MULTI30K / "train.de"])
    selection = select_pairs(fingerprint(text), remove_duplicates=True)
    tokenizer = train_tokenizer((line for pair in text for line in pair), TokenizerConfig(), vocab_size=8000)
    encode = tokenizer.encode_batch
    chunks = clean_pairs(text, selection, DataConfig(), encode, encode)
    corpus = EncodedCorpus.from_pairs(pair for chunk in chunks for pair in chunk.pieces)
    batches = plan_batches(corpus.src_lengths, corpus.tgt_lengths, batch_tokens=4096, seed=1, epoch=1)
    assert padding_share([collate(corpus, batch) for batch in batches]) <= 0.08


@settings(max_examples=50)
@given(pairs=lengths, data=st.data())
def test_a_batch_holds_its_pairs_as_a_plain_loop_would_pad_them(
    pairs: list[tuple[int, int]], data: st.DataObject
) -> None:
    corpus = corpus_of(*tensors(pairs))
    indices = data.draw(st.lists(st.sampled_from(range(len(pairs))), min_size=1, max_size=8))
    batch = collate(corpus, torch.tensor(indices))
    src_size, tgt_size = (max(pairs[i][side] for i in indices) + 1 for side in (0, 1))
    for row, index in enumerate(indices):
        src, tgt = corpus.src(index).tolist(), corpus.tgt(index).tolist()
        assert batch.src_tokens[row].tolist() == padded([*src, EOS_ID], src_size)
        assert batch.tgt_in[row].tolist() == padded([BOS_ID, *tgt], tgt_size)
        assert batch.tgt_out[row].tolist() == padded([*tgt, EOS_ID], tgt_size)
    assert batch.num_tokens == sum(pairs[i][1] + 1 for i in indices)
    assert {batch.src_tokens.dtype, batch.tgt_in.dtype, batch.tgt_out.dtype} == {torch.int64}


def padded(ids: list[int], size: int) -> list[int]:
    return ids + [PAD_ID] * (size - len(ids))


@pytest.mark.parametrize("parts", [1, 2, 3, 10])
def test_the_parts_of_a_batch_are_the_batch(parts: int) -> None:
    corpus = corpus_of(*sentence_lengths(8))
    batch = collate(corpus, torch.arange(8))
    split = batch.split(parts)
    assert len(split) == min(parts, 8)
    rows = torch.cat([torch.arange(i, 8, parts) for i in range(len(split))])
    for name in ("src_tokens", "tgt_in", "tgt_out"):
        assert torch.equal(torch.cat([getattr(part, name) for part in split]), getattr(batch, name)[rows])
    assert sum(part.num_tokens for part in split) == batch.num_tokens


def test_an_encoded_corpus_gives_back_its_pairs() -> None:
    pairs = [([4, 5], [6]), ([], [7, 8, 9]), ([10], []), ([11], [12])]
    corpus = EncodedCorpus.from_pairs(iter(pairs))
    assert [(corpus.src(i).tolist(), corpus.tgt(i).tolist()) for i in range(len(corpus))] == pairs
    assert corpus.src_tokens.dtype == torch.int32
    assert corpus.tgt_lengths.tolist() == [1, 3, 0, 1]
    assert len(EncodedCorpus.from_pairs([])) == 0
