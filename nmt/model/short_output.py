"""An output layer for few tokens: those that all sentences share, and those of each sentence alone."""

# B slots of sentences, W hypotheses of the one with the most, D d_model, V vocabulary,
# S tokens that all share, O own ones of the sentence with the most

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from nmt.model.packing import Precision, pack
from nmt.tokenizer import PAD_ID

OWN_STEP = 16  # that room for own tokens grows by


class ShortOutput:
    """The rows of an output layer that all sentences share, packed, and all rows to choose others from."""

    def __init__(self, out_proj: nn.Linear, shared: Tensor, precision: Precision) -> None:
        self.tokens = shared.to(out_proj.weight.device)  # (S,)
        self.weight = out_proj.weight.detach()  # (V, D)
        rows = nn.Linear(out_proj.in_features, len(shared), bias=False, device="meta")
        rows.weight = nn.Parameter(self.weight[self.tokens], requires_grad=False)
        self.shared = pack(cast(nn.Module, rows), precision)


class OwnOutputs:
    """Of every sentence that is decoded, the rows of an output layer that it has for itself."""

    def __init__(self, output: ShortOutput, dtype: torch.dtype) -> None:
        """Own rows are kept in this type."""
        self.output = output
        self._own = output.tokens.new_zeros(0, 0)  # (B, O), PAD_ID where a sentence has no more
        self._weights = output.weight.new_zeros(0, 0, output.weight.size(1), dtype=dtype)  # (B, O, D)
        self._describe()

    def put(self, own: Sequence[Tensor], slots: Tensor, *, is_free: Tensor) -> None:
        """Give slots (B',) of those that are free (B,) to sentences with these own tokens."""
        new = pad_sequence(list(own), batch_first=True, padding_value=PAD_ID).to(self._own)  # (B', O')
        self._own = functional.pad(self._own, (0, 0, 0, len(is_free) - len(self._own)), value=PAD_ID)
        self._own[is_free] = PAD_ID
        most = int((self._own != PAD_ID).any(0).sum())  # tokens come before padding
        self._resize(len(is_free), -(-max(most, new.size(1)) // OWN_STEP) * OWN_STEP)
        self._own[slots, : new.size(1)] = new
        self._weights[slots, : new.size(1)] = self.output.weight[new].to(self._weights.dtype)
        self._describe()

    def keep(self, held: Tensor) -> None:
        """Forget all sentences but those in the slots `held`."""
        self._own, self._weights = self._own[held], self._weights[held]
        self._describe()

    def logits(self, states: Tensor) -> Tensor:
        """Of the own tokens (B, W, O), float32, from states (B, W, D); minus infinity where there is none."""
        rows = self._weights.transpose(1, 2)
        return torch.baddbmm(self._bias, states.to(rows.dtype), rows).float()

    def shared_logits(self, states: Tensor) -> Tensor:
        """Of the shared tokens (N, S), float32, from states (N, D)."""
        logits: Tensor = self.output.shared(states)
        return logits.float()

    def _resize(self, num_slots: int, most: int) -> None:
        more = most - self._own.size(1)
        self._own = functional.pad(self._own, (0, more), value=PAD_ID)
        if more or num_slots > len(self._weights):
            self._weights = functional.pad(self._weights, (0, 0, 0, more, 0, num_slots - len(self._weights)))

    def _describe(self) -> None:
        bias = torch.zeros_like(self._own, dtype=self._weights.dtype)
        self._bias = bias.masked_fill_(self._own == PAD_ID, -math.inf)[:, None]  # (B, 1, O)
        shared = self.output.tokens.expand(len(self._own), -1)
        self.tokens = torch.cat([shared, self._own], dim=1)  # (B, S + O), of every column
