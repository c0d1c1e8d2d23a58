"""Muon beside the one of torch, which rounds to bfloat16 and knows nothing of stacked matrices."""

import torch
from torch import nn

from nmt.training.muon import Muon, _of_any, _of_wide, orthogonal


def test_each_of_stacked_matrices_is_moved_as_torch_moves_it() -> None:
    torch.manual_seed(1)
    stacked = nn.Parameter(torch.randn(48, 16))
    parts = [nn.Parameter(part.clone()) for part in stacked.detach().chunk(3)]
    ours = Muon({stacked: 3}, learning_rate=0.1, weight_decay=0.2)
    theirs = torch.optim.Muon(parts, lr=0.1, weight_decay=0.2, adjust_lr_fn="match_rms_adamw")
    for _ in range(4):
        stacked.grad = torch.randn_like(stacked)
        for part, grad in zip(parts, stacked.grad.chunk(3), strict=True):
            part.grad = grad.clone()
        ours.step()
        theirs.step()
    torch.testing.assert_close(stacked, torch.cat(list(parts)), atol=0.01, rtol=0)
    assert [*ours.state[stacked]] == ["momentum_buffer"]


def test_small_squares_of_wide_matrices_give_the_same() -> None:
    torch.manual_seed(1)
    wide = torch.randn(3, 8, 40)
    wide /= wide.norm(dim=(1, 2), keepdim=True)
    torch.testing.assert_close(_of_wide(wide), _of_any(wide))


def test_wide_and_tall_matrices_become_orthogonal_with_their_directions_kept() -> None:
    torch.manual_seed(1)
    for matrices in (torch.randn(3, 8, 20), torch.randn(3, 20, 8)):
        u, _, vt = torch.linalg.svd(matrices, full_matrices=False)
        found = u.mT @ orthogonal(matrices) @ vt.mT  # (3, 8, 8), nearly the identity
        values = found.diagonal(dim1=1, dim2=2)
        assert ((values > 0.6) & (values < 1.3)).all()
        torch.testing.assert_close(found, torch.diag_embed(values), atol=1e-4, rtol=0)
    assert not orthogonal(torch.zeros(1, 4, 4)).any()
