"""Forced decoding: pairs whose targets are known, in batches of like lengths; halved where memory ends."""

# B pairs, S source pieces, T target pieces, N pieces of all targets, D d_model, V vocabulary

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from nmt.hardware import is_out_of_memory
from nmt.model.encoded import EncodedSources, encode_sources
from nmt.model.transformer import EncoderOut, Transformer
from nmt.tokenizer import BOS_ID, EOS_ID, PAD_ID

Out = TypeVar("Out")

MAX_PIECES = 1024
"""Pairs with a longer side are left out: attention takes memory by the product of both lengths."""

CELLS_AT_ONCE = 2**20
"""Pairs of a source and a target piece, padding included, of a batch of long pairs."""

LOGITS_AT_ONCE = 2**24
"""Logits that are computed together: 64 MiB."""


@dataclass(frozen=True)
class PiecePair:
    """Source and target in pieces, without BOS and EOS."""

    src: list[int]
    tgt: list[int]
    before: Sequence[int] = ()
    """What the network is given before the source: the tag of a language, and its context."""

    def tagged(self, tags: Sequence[int]) -> "PiecePair":
        """With tags before everything."""
        return replace(self, before=(*tags, *self.before))

    @property
    def length(self) -> int:
        """Of the longer side, with what stands before it and its end."""
        return max(len(self.before) + len(self.src), len(self.tgt)) + 1


def longest_side(network: Transformer) -> int:
    """The most pieces that a side of a pair may have."""
    config = network.config
    return min(MAX_PIECES, config.max_positions - 1) if config.positions == "learned" else MAX_PIECES


def in_batches(
    pairs: Sequence[PiecePair | None],
    compute: Callable[[list[PiecePair]], Sequence[Out]],
    *,
    batch_tokens: int,
) -> list[Out | None]:
    """What is computed of every pair, in batches of at most `batch_tokens` on either side.

    Where memory runs out a batch is halved; None is left of a pair that does not even fit alone, and of None.
    """
    found: list[Out | None] = [None] * len(pairs)

    def fill(batch: list[int]) -> None:
        try:
            outs = compute([pair for i in batch if (pair := pairs[i])])
            for i, out in zip(batch, outs, strict=True):
                found[i] = out
            return
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        if half := len(batch) // 2:
            fill(batch[:half])
            fill(batch[half:])

    for batch in _batches(pairs, batch_tokens):
        fill(batch)
    return found


def _batches(pairs: Sequence[PiecePair | None], batch_tokens: int) -> Iterator[list[int]]:
    """Indices of pairs, sorted by length, in batches."""
    batch: list[int] = []
    by_length = sorted((pair.length, len(pair.src), i) for i, pair in enumerate(pairs) if pair)
    for length, _, i in by_length:
        num_pairs = len(batch) + 1
        if batch and (num_pairs * length > batch_tokens or num_pairs * length**2 > CELLS_AT_ONCE):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


@dataclass(frozen=True)
class Forced:
    """A batch of pairs as the network takes it in."""

    encoder_out: EncoderOut  # of (B, S + 1) sources, or more by what stands before them
    tgt_tokens: Tensor  # (B, T + 1), the decoder's input BOS y1 … yT


def read_pairs(
    network: Transformer, pairs: Sequence[PiecePair], encoded: EncodedSources | None = None
) -> Forced:
    """Encode the sources of a batch that are not encoded yet, and make the decoder's input of its targets."""
    encoder_out = encode_sources(network, [[*pair.before, *pair.src] for pair in pairs], encoded)
    return Forced(encoder_out, pad([[BOS_ID, *pair.tgt] for pair in pairs], encoder_out.states.device))


@torch.inference_mode()
def token_log_probs(network: Transformer, pairs: Sequence[PiecePair]) -> list[Tensor]:
    """Log P, float32, of every piece of a target and of its end: (T + 1,) for each pair."""
    forced = read_pairs(network, pairs)
    states = network.decode(forced.tgt_tokens, forced.encoder_out).states  # (B, T + 1, D)
    lengths = [len(pair.tgt) + 1 for pair in pairs]
    places = torch.arange(states.size(1), device=states.device)
    states = states[places < torch.tensor(lengths, device=states.device)[:, None]]  # (N, D)
    tokens = torch.tensor([token for pair in pairs for token in (*pair.tgt, EOS_ID)], device=states.device)
    rows = max(1, LOGITS_AT_ONCE // network.out_proj.out_features)
    found = [
        network.logits(some).float().log_softmax(-1).gather(1, wanted[:, None])[:, 0]
        for some, wanted in zip(torch.split(states, rows), torch.split(tokens, rows), strict=True)
    ]
    return list(torch.split(torch.cat(found).cpu(), lengths))


def pad(sequences: list[list[int]], device: torch.device) -> Tensor:
    """Sequences of ids as one tensor, filled up with PAD_ID on the right."""
    rows = [torch.tensor(ids, dtype=torch.int64) for ids in sequences]
    return pad_sequence(rows, batch_first=True, padding_value=PAD_ID).to(device)
