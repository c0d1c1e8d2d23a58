"""An output layer for few tokens: those that all sentences share, and those of each sentence alone."""

# N hypotheses, B sentences of a cohort, T hypotheses of the one with the most, D d_model, V vocabulary,
# S tokens that all share, O own ones of the sentence with the most

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from nmt.model.packing import Precision, pack
from nmt.model.rows import as_bias, as_long, as_type, together
from nmt.tokenizer import PAD_ID

OWN_STEP = 16  # that room for own tokens grows by


class ShortOutput:
    """The rows of an output layer that all sentences share, packed, and all rows to choose others from."""

    def __init__(self, out_proj: nn.Linear, shared: Tensor, precision: Precision) -> None:
        self.tokens = shared.to(out_proj.weight.device)  # (S,)
        self.weight = out_proj.weight.detach()  # (V, D)
        rows = nn.Linear(out_proj.in_features, len(shared), bias=False, device="meta")
        rows.weight = nn.Parameter(self.weight[self.tokens], requires_grad=False)
        self._linear = pack(cast(nn.Module, rows), precision)

    def logits(self, states: Tensor) -> Tensor:
        """Of the shared tokens (N, S), float32, from states (N, D)."""
        return as_type(self._linear(states), torch.float32)


class OwnOutputs:
    """Of every sentence of a cohort, the rows of an output layer that it has for itself."""

    def __init__(self, output: ShortOutput, own: Sequence[Tensor], dtype: torch.dtype) -> None:
        """Of sentences with these own tokens; rows are kept in this type."""
        tokens = pad_sequence(list(own), batch_first=True, padding_value=PAD_ID)  # (B, O')
        missing = -tokens.size(1) % OWN_STEP
        tokens = functional.pad(tokens, (0, missing), value=PAD_ID).to(output.tokens)
        self._set(tokens, output.weight[tokens].to(dtype))

    def logits(self, states: Tensor) -> Tensor:
        """Of the own tokens (B, T, O), float32, from states (B, T, D); minus infinity where there is none."""
        return torch.baddbmm(self._bias, as_type(states, self._bias.dtype), self._weights.mT).float()

    def keep(self, held: Tensor) -> None:
        """Forget all sentences but those in the slots `held` (B',)."""
        tokens = self.tokens[held]
        most = int((tokens != PAD_ID).any(0).sum())  # tokens come before padding
        most += -most % OWN_STEP
        self._set(tokens[:, :most], self._weights[held, :most])

    def absorb(self, other: "OwnOutputs") -> None:
        """Take those of the sentences of another cohort in, behind those that are here."""
        tokens = together([self.tokens, other.tokens], filler=PAD_ID)
        self._set(tokens, torch.cat(as_long(self._weights, other._weights)))

    def _set(self, tokens: Tensor, weights: Tensor) -> None:
        self.tokens = tokens
        """(B, O), PAD_ID where a sentence has no more."""
        self._weights = weights  # (B, O, D)
        self._bias = as_bias(tokens != PAD_ID, weights.dtype)[:, None]  # (B, 1, O)
