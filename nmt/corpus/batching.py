"""Batches of as many pairs as fit into a budget of tokens, of like lengths on both sides."""

from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise

import torch
from torch import Tensor

from nmt.corpus.encoded import EncodedCorpus, as_ids
from nmt.tokenizer import BOS_ID, EOS_ID, PAD_ID

# B pairs, S longest source and T longest target of a batch, both with EOS


@dataclass(frozen=True)
class Batch:
    """Pairs as the model takes them, filled up with PAD."""

    src_tokens: Tensor  # (B, S) int64: x EOS
    tgt_in: Tensor  # (B, T) int64: BOS y
    tgt_out: Tensor  # (B, T) int64: y EOS
    num_tokens: int
    """Target tokens to predict: all but PAD."""
    num_tags: int = 0
    """Tokens at the beginning of every source that are none of its pieces."""

    def to(self, device: torch.device) -> "Batch":
        """The same batch on a device."""
        if device.type == "cpu":
            return self
        tensors = [self.src_tokens, self.tgt_in, self.tgt_out]
        if device.type == "cuda":  # from other memory a copy waits for what the GPU has still to do
            tensors = [tensor.pin_memory() for tensor in tensors]
        src_tokens, tgt_in, tgt_out = (tensor.to(device, non_blocking=True) for tensor in tensors)
        return Batch(src_tokens, tgt_in, tgt_out, self.num_tokens, self.num_tags)

    def split(self, num_parts: int) -> "list[Batch]":
        """The same pairs in up to so many batches, dealt out in turn so that all have like lengths."""
        if num_parts == 1:
            return [self]
        return [
            Batch(
                self.src_tokens[i::num_parts],
                self.tgt_in[i::num_parts],
                self.tgt_out[i::num_parts],
                int((self.tgt_out[i::num_parts] != PAD_ID).sum()),
                self.num_tags,
            )
            for i in range(min(num_parts, len(self.src_tokens)))
        ]


def plan_batches(
    src_lengths: Tensor,
    tgt_lengths: Tensor,
    *,
    batch_tokens: int,
    seed: int,
    epoch: int,
) -> list[Tensor]:
    """The batches of an epoch, each the numbers of its pairs; a function of seed and epoch only.

    In a batch, pairs x longest source and pairs x longest target, EOS included, are at most `batch_tokens`;
    a longer pair is a batch of its own.
    """
    generator = torch.Generator().manual_seed(mix_seeds(seed, epoch))
    numbers = _by_length(src_lengths, tgt_lengths, torch.randperm(len(src_lengths), generator=generator))
    cuts = _cuts(src_lengths[numbers] + 1, tgt_lengths[numbers] + 1, batch_tokens)
    batches = [numbers[start:end] for start, end in pairwise(cuts)]
    order = torch.randperm(len(batches), generator=generator).tolist()
    return [batches[number] for number in order]


def deal_batches(src_lengths: Tensor, tgt_lengths: Tensor, *, num_batches: int, seed: int) -> list[Tensor]:
    """So many batches of about as many tokens each, as the numbers of their pairs, which are of like lengths.

    There are at least as many pairs; the order of the batches is drawn by the seed.
    """
    generator = torch.Generator().manual_seed(seed)
    numbers = _by_length(src_lengths, tgt_lengths, torch.randperm(len(src_lengths), generator=generator))
    ends = (torch.maximum(src_lengths, tgt_lengths)[numbers] + 1).cumsum(0)
    parts = torch.arange(num_batches + 1)
    cuts = torch.searchsorted(ends, ends[-1] * parts // num_batches, right=True)
    cuts = (cuts - parts).cummax(0).values + parts  # no batch is empty, from the front
    cuts = cuts.minimum(len(numbers) - num_batches + parts)  # and from the back
    batches = numbers.tensor_split(cuts[1:-1])
    return [batches[number] for number in torch.randperm(num_batches, generator=generator).tolist()]


def collate(corpus: EncodedCorpus, indices: Tensor, *, num_tags: int = 0) -> Batch:
    """The pairs with these numbers, padded to the longest of them; their sources begin with so many tags."""
    src_tokens = _padded_rows(corpus.src_tokens, corpus.src_offsets, corpus.src_lengths, indices)
    tgt_out = _padded_rows(corpus.tgt_tokens, corpus.tgt_offsets, corpus.tgt_lengths, indices)
    shifted = tgt_out[:, :-1]
    tgt_in = torch.cat(
        [torch.full((len(indices), 1), BOS_ID), shifted.masked_fill(shifted == EOS_ID, PAD_ID)], 1
    )
    num_tokens = int(corpus.tgt_lengths[indices].sum()) + len(indices)
    return Batch(src_tokens, tgt_in, tgt_out, num_tokens, num_tags)


def _by_length(src_lengths: Tensor, tgt_lengths: Tensor, numbers: Tensor) -> Tensor:
    """Sort by target length, then by source length, up and down in turn, so that neighbours stay alike."""
    upwards = 1 - 2 * (tgt_lengths % 2)
    most = int(src_lengths.max()) if len(src_lengths) else 0
    keys = tgt_lengths.long() * (2 * most + 1) + src_lengths * upwards + most
    if len(keys) and int(keys.max()) < 2**31:
        keys = keys.int()  # are sorted in half the time
    return numbers[torch.argsort(keys[numbers], stable=True)]


def _cuts(src_lengths: Tensor, tgt_lengths: Tensor, batch_tokens: int) -> list[int]:
    """Where to cut sorted pairs into runs as long as the budget allows; from 0 to the number of pairs."""
    lengths = torch.maximum(src_lengths, tgt_lengths)
    cuts = [0]
    while cuts[-1] < len(lengths):
        candidates = lengths[cuts[-1] :][: batch_tokens // int(lengths[cuts[-1]])]
        costs = candidates.cummax(0).values * torch.arange(1, len(candidates) + 1)
        cuts.append(cuts[-1] + max(1, int((costs <= batch_tokens).sum())))
    return cuts


def _padded_rows(tokens: Tensor, offsets: Tensor, lengths: Tensor, indices: Tensor) -> Tensor:
    """Rows of pieces, each with EOS behind it and PAD up to the longest."""
    ends = lengths[indices].unsqueeze(1)  # (B, 1)
    positions = torch.arange(int(ends.max()) + 1)  # (S,)
    places = offsets[indices].unsqueeze(1) + positions  # (B, S)
    if not len(tokens):
        tokens = tokens.new_zeros(1)  # every row is empty, but there must be something to look at
    rows = as_ids(tokens[places.clamp(max=len(tokens) - 1)])  # behind its end, a row shows the next one
    return rows.masked_fill(positions > ends, PAD_ID).masked_fill(positions == ends, EOS_ID)


def mix_seeds(*numbers: int) -> int:
    """One seed of several numbers, another for each of their combinations."""
    return int.from_bytes(blake2b(" ".join(map(str, numbers)).encode(), digest_size=7).digest())
