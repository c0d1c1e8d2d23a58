"""Words with links as a view of probabilities on pieces, worked by hand."""

import pickle
from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from nmt.alignment.alignment import Alignment, together
from nmt.alignment.merge import turned, two_way
from nmt.alignment.origin import LEAST_FIT, Origin

ATTENTION = Origin("attention", 1)


def test_words_of_attention_worked_by_hand() -> None:
    # Haus tür . | door .   with the pieces Haus, tür., | ▁door, .
    attention = torch.tensor([[0.5, 0.5], [0.1, 0.9]])
    alignment = Alignment("Haustür.", "door.", ((0, 4), (4, 8)), ((0, 4), (4, 5)), attention, None, ATTENTION)
    share = 0.5 + 0.5 * 3 / 4  # of door: all of Haus, three of the four characters of tür.
    assert alignment.matrix()[0].tolist() == pytest.approx([share, 1 - share])
    found = alignment.words()
    assert found.src_words == ((0, 7), (7, 8))
    assert found.links == {(0, 0): 1.0, (1, 1): 1.0}  # the final mark is kept for the final mark


def test_the_final_mark_of_the_source_is_nobody_elses() -> None:
    attention = torch.tensor([[0.3, 0.7], [0.8, 0.2]])
    spans = ((0, 3), (3, 4)), ((0, 3), (4, 8))
    alignment = Alignment("Tür.", "the door", *spans, attention, None, ATTENTION)
    assert set(alignment.words().links) == {(0, 0), (0, 1)}


BOTH_WAYS = Alignment(
    *("ab c", "x yz", ((0, 1), (1, 2), (3, 4)), ((0, 1), (2, 4))),
    forward=torch.tensor([[0.5, 0.3, 0.0], [0.0, 0.1, 0.6]]),
    backward=torch.tensor([[0.9, 0.5, 0.0], [0.1, 0.0, 0.5]]),
    origin=Origin("head", 1),
)


@pytest.mark.parametrize("source", ["head", "hmm"])
def test_words_that_both_sides_link_worked_by_hand(source) -> None:
    """Of ab x says 0.8, and ab says 0.7 on the mean of its pieces; of c yz says 0.6, and c 0.5."""
    alignment = replace(BOTH_WAYS, origin=Origin(source))
    assert alignment.matrix().tolist() == [pytest.approx([0.8, 0.0]), pytest.approx([0.1, 0.6])]
    fits = {(0, 0): 2 * 0.8 * 0.7 / 1.5, (0, 1): 2 * 0.1 * 0.05 / 0.15, (1, 1): 2 * 0.6 * 0.5 / 1.1}
    least = LEAST_FIT[source]
    assert alignment.words().links == pytest.approx({link: p for link, p in fits.items() if p >= least})
    assert alignment.words(threshold=0.01).links == pytest.approx(fits)
    assert set(alignment.words(threshold=0.6).links) == {(0, 0)}
    chosen = replace(alignment, origin=Origin(source, threshold=0.6))
    assert chosen.words() == alignment.words(threshold=0.6)
    assert chosen.words(threshold=0.01) == alignment.words(threshold=0.01)


@pytest.mark.parametrize("source", ["attention", "head", "hmm"])
@pytest.mark.parametrize("mode", ["punct", "space", "piece"])
def test_turned_has_the_same_links_with_both_sides_exchanged(source, mode) -> None:
    """Also of attention, where two target words may have one best source word, but not the other way."""
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        forward = torch.rand(5, 4, generator=generator).softmax(1)
        backward = torch.rand(5, 4, generator=generator).mul(4).softmax(0)
        spans = ((0, 1), (1, 2), (3, 4), (4, 5)), ((0, 1), (1, 2), (3, 4), (5, 6), (6, 7))
        one = Alignment("ab c.", "wx y z!", *spans, forward, backward, Origin(source, is_both_ways=True))
        other = one.turned()
        assert (other.source, other.target) == (one.target, one.source)
        for threshold in (0.0, 0.2):
            assert other.words(mode, threshold) == turned(one.words(mode, threshold))
        assert torch.equal(other.turned().forward, one.forward)
        assert other.turned().words(mode) == one.words(mode)


def test_words_made_together_are_those_of_each_alone_and_a_changed_pair_makes_its_own() -> None:
    generator = torch.Generator().manual_seed(3)
    several = [BOTH_WAYS, replace(BOTH_WAYS, origin=ATTENTION), replace(BOTH_WAYS, origin=Origin("hmm"))]
    for length in (1, 7, 3):
        line = " ".join("abc"[: 1 + i % 3] for i in range(length))
        spans = tuple((i, i + 1) for i, character in enumerate(line) if character != " ")
        both = (torch.rand(2, len(spans), len(spans), generator=generator) * 4).softmax(1)
        several.append(Alignment(line, line, spans, spans, both[0], both[1], Origin("head", 1)))
    nothing = torch.zeros(0, 0)
    several.append(Alignment("", "x", (), (), nothing, nothing, Origin("head", 1)))
    for alone, one in zip(several, together(several), strict=True):
        for mode, threshold in (("punct", 0.2), ("space", 0.2), ("piece", 0.2), ("punct", 0.9)):
            expected = alone.words(mode, threshold)
            assert one.words(mode, threshold) == replace(expected, links=pytest.approx(expected.links))
        assert one.words() is one.words()
        assert deepcopy(one).words().links == pytest.approx(alone.words().links)
        assert len(pickle.dumps(one)) <= len(pickle.dumps(alone))
        assert one.words((alone.src_spans, alone.tgt_spans)).links == pytest.approx(
            alone.words("piece").links
        )
        longer = replace(one, source=one.source + " z").words("space", 0.2)
        assert len(longer.src_words) == len(alone.words("space").src_words) + 1


def test_pieces_that_stand_for_one_character_together_have_their_own_links() -> None:
    """As the bytes of an emoji do; and the first piece, which is empty."""
    spans = ((0, 0), (0, 1), (0, 1), (0, 1), (2, 3))
    both = torch.rand(2, 5, 5, generator=torch.Generator().manual_seed(5)) / 5 + 0.6 * torch.eye(5)
    one = Alignment("🙂 a", "🦖 b", spans, spans, both[0], both[1], Origin("head", 1))
    fits = two_way(both[0].double(), both[1].double())
    expected = {(i, j): float(fits[j, i]) for i in range(5) for j in range(5) if fits[j, i] >= 0.3}
    assert one.words("piece").links == pytest.approx(expected)
    assert {(i, i) for i in range(5)} <= expected.keys()
