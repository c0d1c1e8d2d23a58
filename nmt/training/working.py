"""The network that gradients are computed with: the one being trained, or a copy of it in bfloat16."""

import copy

import torch

from nmt.model import Transformer


class WorkingNetwork:
    """Mixed precision with float32 master weights (Micikevicius et al., 2018).

    `network` computes, all of it in the precision that was asked for; it holds the master's weights as they
    were at the last `refresh`. Softmax, loss and the sum of the gradients are float32.
    """

    def __init__(self, master: Transformer, precision: str) -> None:
        self.master = master
        self.network = copy.deepcopy(master).bfloat16() if precision == "bfloat16" else master

    @torch.no_grad()
    def refresh(self) -> None:
        """Take over the master's weights."""
        if self.network is not self.master:
            torch._foreach_copy_(list(self.network.parameters()), list(self.master.parameters()))
            self.network.train(self.master.training)

    @torch.no_grad()
    def hand_over(self) -> None:
        """Add the gradients in the copy's parameters to those of the master, in float32."""
        if self.network is self.master:
            return
        for parameter, own in zip(self.master.parameters(), self.network.parameters(), strict=True):
            if own.grad is None:
                continue
            parameter.grad = own.grad.float() if parameter.grad is None else parameter.grad.add_(own.grad)
            own.grad = None
