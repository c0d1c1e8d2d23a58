"""Encoder states of sources that will be needed again: those of a translation, when it is linked."""

# B sources, S source length, D d_model

import threading
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from nmt.model.incremental import encode
from nmt.model.transformer import EncoderOut, Transformer

KEPT_BYTES = 2**28
"""States of so many bytes are kept; other sources are encoded anew."""


class EncodedSources:
    """States of sources by all their tokens, as far as there is room; threads may share it."""

    def __init__(self, room: int = KEPT_BYTES) -> None:
        self._states: dict[tuple[int, ...], Tensor] = {}
        self._room = room  # bytes
        self._lock = threading.Lock()

    def keep(self, sources: Sequence[Sequence[int]], states: Tensor) -> None:
        """Take states (B, S, D) of sources, EOS included, zero where a source has ended."""
        for source, of_source in zip(sources, states, strict=True):
            key, kept = tuple(source), of_source[: len(source) + 1]
            with self._lock:
                if key not in self._states and kept.nbytes <= self._room:
                    self._room -= kept.nbytes
                    self._states[key] = kept.clone()

    def get(self, source: Sequence[int]) -> Tensor | None:
        """States (S, D) of a source, if there are any."""
        return self._states.get(tuple(source))


def encode_sources(
    network: Transformer, sources: Sequence[list[int]], encoded: EncodedSources | None = None
) -> EncoderOut:
    """What the encoder makes of sources, without EOS, or has made of them before."""
    known = [encoded.get(source) for source in sources] if encoded else [None] * len(sources)
    missing = [source for source, of_source in zip(sources, known, strict=True) if of_source is None]
    states, lengths = encode(network, missing)
    if len(missing) < len(sources):
        lengths = torch.tensor([len(source) + 1 for source in sources], device=states.device)
        new = iter(states)
        rows = [
            next(new)[: len(source) + 1] if of_source is None else of_source
            for source, of_source in zip(sources, known, strict=True)
        ]
        states = pad_sequence(rows, batch_first=True)
    return EncoderOut(states, torch.arange(states.size(1), device=states.device) < lengths[:, None])
