"""The align head: whatever the batch, sums of one with NULL, and a network that is only looked at."""

from dataclasses import replace

import pytest
import torch

from nmt.config import ModelConfig
from nmt.model import Transformer
from nmt.model.align_head import AlignHead, LinkLogits, look
from nmt.model.encoded import EncodedSources
from nmt.model.forced import PiecePair, pad
from nmt.model.incremental import encode

VOCAB_SIZE = 30
PAIRS = [
    PiecePair([5, 6, 7, 8, 9], [10, 11]),
    PiecePair([12], [13, 14, 15, 16]),
    PiecePair([5, 17, 5], [5, 18, 18]),
    PiecePair([19], [20]),
]


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


def find(network: Transformer, head: AlignHead, pairs: list[PiecePair]) -> tuple[LinkLogits, LinkLogits]:
    src, tgt = (pad(side, torch.device("cpu")) for side in ([p.src for p in pairs], [p.tgt for p in pairs]))
    return head(look(network, pairs, layer=head.layer), src, tgt)


@pytest.mark.parametrize("befores", [[()] * 4, [(4,)] * 4, [(4,), (4, 5, 6, 2), (4, 5, 2, 6, 7, 8, 2), ()]])
@torch.no_grad()
def test_padded_in_a_batch_is_as_alone(network: Transformer, head: AlignHead, befores) -> None:
    pairs = [replace(pair, before=before) for pair, before in zip(PAIRS, befores, strict=True)]
    together = find(network, head, pairs)
    for row, pair in enumerate(pairs):
        num_src, num_tgt = len(pair.src), len(pair.tgt)
        for found, alone in zip(together, find(network, head, [pair]), strict=True):
            real = {"atol": 1e-5, "rtol": 1e-4}
            forward, backward = (each[row] for each in found.probs())
            alone_forward, alone_backward = (each[0] for each in alone.probs())
            torch.testing.assert_close(forward[:num_tgt, :num_src], alone_forward[:, :-1], **real)
            torch.testing.assert_close(forward[:num_tgt, -1], alone_forward[:, -1], **real)
            torch.testing.assert_close(backward[:num_tgt, :num_src], alone_backward[:-1], **real)
            torch.testing.assert_close(backward[-1, :num_src], alone_backward[-1], **real)
            assert float(forward[:num_tgt, num_src:-1].sum()) == 0  # nothing for padding


@torch.no_grad()
def test_either_side_sums_to_one_with_null(network: Transformer, head: AlignHead) -> None:
    for found in find(network, head, PAIRS):
        forward, backward = found.probs()
        assert forward.shape == (4, 4, 6)
        assert backward.shape == (4, 5, 5)
        torch.testing.assert_close(forward.sum(2), torch.ones(4, 4))
        torch.testing.assert_close(backward.sum(1), torch.ones(4, 5))
        for logs, each in zip(found.log_probs(), (forward, backward), strict=True):
            torch.testing.assert_close(logs.exp(), each)


@torch.no_grad()
def test_places_are_those_of_pieces_and_sources_may_be_encoded_already(network: Transformer) -> None:
    pairs = [replace(pair, before=(4,)) for pair in PAIRS]
    view = look(network, pairs, layer=1)
    assert view.keys.shape[1] == 5  # tags and EOS are left out
    assert view.queries.shape[1] == 4  # and BOS
    encoded = EncodedSources()
    for some in ([0, 2], [1]):  # the last is encoded where it is needed
        sources = [[*pairs[i].before, *pairs[i].src] for i in some]
        encoded.keep(sources, encode(network, sources)[0] + 1)
    again = look(network, pairs, layer=1, encoded=encoded)
    for row, pair in enumerate(pairs):
        changed = 0 if row == 3 else 1
        keys, expected = again.keys[row, : len(pair.src)], view.keys[row, : len(pair.src)]
        torch.testing.assert_close(keys, expected + changed)


@torch.no_grad()
def test_states_are_kept_as_far_as_there_is_room(network: Transformer) -> None:
    sources = [pair.src for pair in PAIRS]
    states, _ = encode(network, sources)
    encoded = EncodedSources(room=(6 + 2) * 32 * 4)  # of the first two, with EOS
    encoded.keep(sources[:1], states[:1])
    encoded.keep(sources, states)  # what is there already takes no room
    assert [encoded.get(source) is None for source in sources] == [False, False, True, True]
    torch.testing.assert_close(encoded.get(sources[1]), states[1, :2])


def test_only_the_head_gets_a_gradient(network: Transformer, head: AlignHead) -> None:
    found = find(network, head, PAIRS)
    sum(each.log_probs()[0][..., 0].sum() for each in found).backward()  # type: ignore[union-attr]
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(parameter.grad is not None for parameter in head.parameters())
    head.zero_grad()
