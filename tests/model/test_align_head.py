"""The align head: whatever the batch, sums of one with NULL, and a network that is only looked at."""

import pytest
import torch

from nmt.config import ModelConfig
from nmt.model import Transformer
from nmt.model.align_head import AlignHead, LinkLogProbs, look
from nmt.model.forced import PiecePair, pad

VOCAB_SIZE = 30
PAIRS = [
    PiecePair([5, 6, 7, 8, 9], [10, 11]),
    PiecePair([12], [13, 14, 15, 16]),
    PiecePair([5, 17, 5], [5, 18, 18]),
    PiecePair([19], [20]),
]
TAGS: dict[str, list[tuple[int, ...]]] = {"one view": [()], "two views": [(4,), (21,)]}


@pytest.fixture(scope="module")
def network() -> Transformer:
    config = ModelConfig(encoder_layers=1, decoder_layers=2, d_model=32, d_ff=64, num_heads=2)
    torch.manual_seed(1)
    return Transformer(config, src_vocab_size=VOCAB_SIZE, tgt_vocab_size=VOCAB_SIZE).eval()


@pytest.fixture(scope="module")
def head() -> AlignHead:
    """Random weights, also where they begin as zero."""
    torch.manual_seed(2)
    head = AlignHead(32, layer=1, src_vocab_size=VOCAB_SIZE, tgt_vocab_size=VOCAB_SIZE).eval()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return head


def find(
    network: Transformer, head: AlignHead, pairs: list[PiecePair], tags: list[tuple[int, ...]]
) -> tuple[LinkLogProbs, LinkLogProbs]:
    src, tgt = (pad(side, torch.device("cpu")) for side in ([p.src for p in pairs], [p.tgt for p in pairs]))
    return head(look(network, pairs, layer=head.layer, tags=tags), src, tgt)


@pytest.mark.parametrize("tags", TAGS.values(), ids=TAGS)
@torch.no_grad()
def test_padded_in_a_batch_is_as_alone(network: Transformer, head: AlignHead, tags) -> None:
    together = find(network, head, PAIRS, tags)
    for row, pair in enumerate(PAIRS):
        num_src, num_tgt = len(pair.src), len(pair.tgt)
        for found, alone in zip(together, find(network, head, [pair], tags), strict=True):
            real = {"atol": 1e-5, "rtol": 1e-4}
            forward, backward = found.forward[row], found.backward[row]
            torch.testing.assert_close(forward[:num_tgt, :num_src], alone.forward[0, :, :-1], **real)
            torch.testing.assert_close(forward[:num_tgt, -1], alone.forward[0, :, -1], **real)
            torch.testing.assert_close(backward[:num_tgt, :num_src], alone.backward[0, :-1], **real)
            torch.testing.assert_close(backward[-1, :num_src], alone.backward[0, -1], **real)
            assert float(forward[:num_tgt, num_src:-1].exp().sum()) == 0  # nothing for padding


@pytest.mark.parametrize("tags", TAGS.values(), ids=TAGS)
@torch.no_grad()
def test_either_side_sums_to_one_with_null(network: Transformer, head: AlignHead, tags) -> None:
    for found in find(network, head, PAIRS, tags):
        assert found.forward.shape == (4, 4, 6)
        assert found.backward.shape == (4, 5, 5)
        torch.testing.assert_close(found.forward.exp().sum(2), torch.ones(4, 4))
        torch.testing.assert_close(found.backward.exp().sum(1), torch.ones(4, 5))


@torch.no_grad()
def test_the_second_view_matters_and_the_places_of_both_are_those_of_the_pieces(
    network: Transformer, head: AlignHead
) -> None:
    one, two = (look(network, PAIRS, layer=1, tags=tags) for tags in TAGS.values())
    assert [view.keys.shape[1] for view in two] == [5, 4]  # tags and EOS are left out
    assert [view.queries.shape[1] for view in two] == [4, 5]
    (turned,) = look(network, [PiecePair(pair.tgt, pair.src) for pair in PAIRS], layer=1, tags=[(21,)])
    torch.testing.assert_close(two[1].keys, turned.keys)
    torch.testing.assert_close(two[1].queries, turned.queries)
    assert len(one) == 1
    alone, both = (find(network, head, PAIRS, tags)[1].forward for tags in TAGS.values())
    assert not torch.allclose(alone, both, atol=1e-3)


def test_only_the_head_gets_a_gradient(network: Transformer, head: AlignHead) -> None:
    found = find(network, head, PAIRS, TAGS["two views"])
    sum(each.forward[..., 0].sum() for each in found).backward()  # type: ignore[union-attr]
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(parameter.grad is not None for parameter in head.parameters())
    head.zero_grad()
