"""The align head learns from the text aligner alone, and leaves the network as it was."""

import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nmt.alignment.choice import LOWEST_THRESHOLD, Probe, choose_threshold
from nmt.alignment.linking import align_pairs, cut_pair, encode_pair
from nmt.alignment.scoring import LinkCounts, count_links
from nmt.alignment.text_aligner import CutPair, TextAligner, train_text_aligner
from nmt.checkpoint import TranslationModel, build_network
from nmt.config import Config, ModelConfig, TokenizerConfig
from nmt.corpus.links import GoldLinks, Link
from nmt.errors import DataError
from nmt.model.align_head import AlignHead
from nmt.tokenizer import train_tokenizer
from nmt.training import align_head
from nmt.training.align_head import fresh_head, make_labels, train_align_head
from nmt.training.links import learn_links

WORDS = {
    "ba": "house", "kelo": "dog", "mu": "garden", "tisane": "cat", "ro": "door", "duvi": "sleeps",
    "lomu": "big", "sa": "small", "neti": "tree", "viba": "red",
}  # fmt: skip
Sentence = tuple[tuple[str, str], frozenset[Link]]


def sentences(count: int, *, seed: int) -> list[Sentence]:
    """Pairs by a dictionary, with links: the first word comes last; nothing stands for `the` and `da`."""
    generator = random.Random(seed)
    made = []
    for _ in range(count):
        chosen = generator.sample(sorted(WORDS), generator.randint(3, 6))
        src = [(word, i) for i, word in enumerate(chosen)]
        tgt = [*src[1:], src[0]]
        if generator.random() < 0.5:
            src.insert(generator.randrange(len(src)), ("da", -1))
        tgt.insert(generator.randrange(len(tgt)), ("the", -2))
        places = {i: place for place, (_, i) in enumerate(src)}
        links = frozenset((places[i], place) for place, (_, i) in enumerate(tgt) if i in places)
        lines = " ".join(word for word, _ in src), " ".join(WORDS.get(word, word) for word, _ in tgt)
        made.append((lines, links))
    return made


@pytest.fixture(scope="module")
def model() -> TranslationModel:
    """A network that nobody has trained; words are one or two pieces."""
    text = [line for lines, _ in sentences(60, seed=5) for line in lines]
    tokenizer = train_tokenizer(text, TokenizerConfig(), vocab_size=310, exact=False, threads=1)
    config = Config(
        model=ModelConfig(encoder_layers=1, decoder_layers=1, d_model=32, d_ff=64, num_heads=2, dropout=0.0)
    )
    torch.manual_seed(1)
    network = build_network(config, tokenizer, tokenizer).eval()
    return TranslationModel(config, tokenizer, tokenizer, network, manifest={})


@pytest.fixture(scope="module")
def cut(model: TranslationModel) -> list[CutPair]:
    return [cut_pair(encode_pair(model, *lines)) for lines, _ in sentences(500, seed=1)]


@pytest.fixture(scope="module")
def aligner(model: TranslationModel, cut: list[CutPair]) -> TextAligner:
    return train_text_aligner(cut, vocab_sizes=(model.src_tokenizer.vocab_size,) * 2, is_joint=True)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many steps as a larger text has."""
    monkeypatch.setattr(align_head, "BATCH_TOKENS", 256)
    monkeypatch.setattr(align_head, "WARMUP_STEPS", 10)


def train(
    model: TranslationModel,
    cut: list[CutPair],
    aligner: TextAligner,
    *,
    seed: int = 1,
    on_progress: Callable[[int], None] = lambda _: None,
) -> AlignHead:
    return train_align_head(
        model,
        cut,
        lambda batch: make_labels(aligner.posteriors(batch)),
        head=fresh_head(model, layer=1, seed=seed),
        seed=seed,
        on_progress=on_progress,
    )


def test_it_finds_gold_links_in_pairs_it_has_not_seen_and_the_network_stays_as_it_was(
    model: TranslationModel, cut: list[CutPair], aligner: TextAligner
) -> None:
    before = {name: weight.clone() for name, weight in model.network.state_dict().items()}
    told: list[int] = []
    head = train(model, cut, aligner, on_progress=told.append)
    assert sum(told) == align_head.EPOCHS * len(cut)
    assert not head.training
    after = model.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(weight.grad is None for weight in model.network.parameters())
    unseen = sentences(60, seed=2)
    found = align_pairs(replace(model, align_head=head), [lines for lines, _ in unseen], links_from="head")
    counts = LinkCounts()
    for one, (_, gold) in zip(found, unseen, strict=True):
        counts += count_links(set(one.words().links), GoldLinks(gold, gold))
    assert counts.aer < 0.1


def weights(head: AlignHead) -> Tensor:
    return torch.cat([weight.flatten() for weight in head.state_dict().values()])


@pytest.mark.parametrize("kept_bytes", [0, align_head.KEPT_BYTES])
def test_the_same_seed_gives_the_same_head_whatever_was_drawn_before(
    model: TranslationModel, cut: list[CutPair], aligner: TextAligner, kept_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(align_head, "KEPT_BYTES", kept_bytes)
    heads = []
    for drawn, seed in enumerate((1, 1, 2)):
        torch.rand(drawn)
        state = torch.get_rng_state()
        heads.append(weights(train(model, cut[:40], aligner, seed=seed)))
        assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_labels_worked_by_hand() -> None:
    """Two target pieces, two source pieces: what both ways say on the mean, the rest for NULL."""
    one = torch.tensor([[0.8, 0.2], [0.4, 0.0]]), torch.tensor([[0.6, 0.0], [0.4, 0.2]])
    other = torch.tensor([[0.5]]), torch.tensor([[1.0]])
    full = torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 1.0]])
    forward, backward = make_labels([one, other, full])
    assert forward[0].tolist() == [pytest.approx([0.7, 0.1, 0.2]), pytest.approx([0.4, 0.1, 0.5])]
    column = 0.7 + 0.4  # more than all is divided
    expected = [[0.7 / column, 0.1], [0.4 / column, 0.1], [0, 0.8]]
    assert backward[0].tolist() == [pytest.approx(row, abs=1e-6) for row in expected]
    assert forward[1].tolist() == [pytest.approx([0.75, 0, 0.25]), [0, 0, 0]]
    assert backward[1].tolist() == [pytest.approx([0.75, 0]), [0, 0], pytest.approx([0.25, 0])]
    assert forward[2].tolist() == [pytest.approx([0.5, 0.5, 0]), [0, 0, 0]]
    assert backward[2].tolist() == [[1, 1], [0, 0], [0, 0]]


class _Stopped(Exception):
    pass


def test_it_may_be_stopped(model: TranslationModel, cut: list[CutPair], aligner: TextAligner) -> None:
    def stop(_: int) -> None:
        raise _Stopped

    with pytest.raises(_Stopped):
        train(model, cut[:5], aligner, on_progress=stop)
    with pytest.raises(_Stopped):
        learn_links(model, [lines for lines, _ in sentences(5, seed=3)], on_progress=stop)


def test_a_head_comes_with_the_threshold_at_which_its_links_agree_best(model: TranslationModel) -> None:
    pairs = [lines for lines, _ in sentences(20, seed=3)]
    links = learn_links(model, pairs)
    probe = Probe.of(model, pairs, TextAligner.from_state(links.hmm))
    expected = choose_threshold(replace(model, align_head=links.head), probe)
    assert links.head.threshold == expected >= LOWEST_THRESHOLD > 0


def test_of_a_text_all_is_learnt_that_links_are_made_with(model: TranslationModel) -> None:
    pairs = [("", "the"), *(lines for lines, _ in sentences(30, seed=3)), ("ba " * 999, "house")]
    links = learn_links(model, pairs)
    assert (links.choice.layer, links.head is not None) == (1, True)
    assert TextAligner.from_state(links.hmm).of_words.vocab_size > len(WORDS)
    assert math.isfinite(links.seconds)
    without = replace(
        model, config=replace(model.config, alignment=replace(model.config.alignment, head=False))
    )
    assert learn_links(without, pairs).head is None
    with pytest.raises(DataError, match="no pair of lines with words"):
        learn_links(model, [("", "the"), (" ", "")])
