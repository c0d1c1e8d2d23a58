"""A development set taken from the training pairs when none is given."""

import torch
from torch import Tensor

from nmt.corpus.cleaning import Fingerprints

MAX_HELD_OUT = 1000
HELD_OUT_SHARE = 0.02


def hold_out(prints: Fingerprints, *, seed: int) -> Tensor:
    """Numbers, ascending, of min(1,000, 2 %) of the distinct pairs, at least one, chosen by the seed."""
    distinct = (prints.is_usable & ~prints.is_repeated).nonzero().squeeze(1)
    if len(distinct) < 2:
        return distinct[:0]
    num_held_out = min(MAX_HELD_OUT, max(1, int(HELD_OUT_SHARE * len(distinct))))
    order = torch.randperm(len(distinct), generator=torch.Generator().manual_seed(seed))
    return distinct[order[:num_held_out]].sort().values
