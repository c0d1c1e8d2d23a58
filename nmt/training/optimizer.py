"""AdamW, or Muon beside it, the learning rate by step, and weights averaged or held near where they began."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nmt.config.schema import TrainingConfig
from nmt.model import Transformer
from nmt.training.muon import Muon


def trained(network: Transformer) -> list[nn.Parameter]:
    """The weights that training changes: all that are not frozen."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


class MuonWithAdamW:
    """Muon for the matrices inside the layers, AdamW for all else (Jordan et al., 2024), as one optimiser."""

    def __init__(self, muon: Muon, adamw: torch.optim.AdamW) -> None:
        self._parts = muon, adamw
        self.param_groups = [*muon.param_groups, *adamw.param_groups]
        self.matrices = {parameter for group in muon.param_groups for parameter in group["params"]}
        self.state = muon.state = adamw.state  # by parameter, each of which is in one of them

    def step(self) -> None:
        """Update all parameters."""
        for part in self._parts:
            part.step()


AnyOptimizer = torch.optim.AdamW | MuonWithAdamW


def moment_names(optimizer: AnyOptimizer, parameter: Tensor) -> tuple[str, ...]:
    """What an optimiser remembers of a parameter, by the names that torch has for it."""
    if isinstance(optimizer, MuonWithAdamW) and parameter in optimizer.matrices:
        return ("momentum_buffer",)
    return ("step", "exp_avg", "exp_avg_sq")


def make_optimizer(network: Transformer, config: TrainingConfig) -> AnyOptimizer:
    """The optimiser of a network's parameters; vectors (norms and biases) are not decayed.

    With Muon the update of a matrix is as large as AdamW would make it, so that learning rate and decay mean
    the same (Liu et al., 2025).
    """
    if config.optimizer == "adamw":
        return _adamw(trained(network), config)
    matrices = _hidden_matrices(network)
    muon = Muon(matrices, learning_rate=config.learning_rate, weight_decay=config.weight_decay)
    return MuonWithAdamW(muon, _adamw([each for each in trained(network) if each not in matrices], config))


def _hidden_matrices(network: Transformer) -> dict[Tensor, int]:
    """Weights of linear layers, of so many matrices each, but for the output's: embeddings of pieces."""
    fused = network.fused_projections()
    linear = (module for module in network.modules() if isinstance(module, nn.Linear))
    return {
        module.weight: fused.get(module, 1)
        for module in linear
        if module is not network.out_proj and module.weight.requires_grad
    }


def _adamw(parameters: Sequence[Tensor], config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter, 2019)."""
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.learning_rate,
        betas=(config.adam_beta1, config.adam_beta2),
        eps=config.adam_epsilon,
        fused=parameters[0].device.type in ("cpu", "cuda"),
    )


def learning_rate(step: int, config: TrainingConfig, *, max_steps: int) -> float:
    """Learning rate of step 1, 2, …: linear warm-up to the peak, then the decay of `config.schedule`.

    Warm-up takes `warmup_steps`, but at most a tenth of `max_steps`. `inverse-sqrt` falls with
    √(warm-up / step) (Vaswani et al., 2017); `cosine` and `linear` reach zero after the last step.
    """
    warmup = max(1, min(config.warmup_steps, max_steps // 10))
    if step <= warmup:
        return config.learning_rate * step / warmup
    done = min(1.0, (step - warmup) / max(1, max_steps + 1 - warmup))
    decay = {
        "constant": 1.0,
        "linear": 1.0 - done,
        "cosine": 0.5 * (1.0 + math.cos(math.pi * done)),
        "inverse-sqrt": math.sqrt(warmup / step),
    }
    return config.learning_rate * decay[config.schedule]


class Anchor:
    """L2 regularisation towards the weights at the start (Barone et al., 2017)."""

    def __init__(self, network: Transformer, strength: float) -> None:
        self._strength = strength
        self._parameters = trained(network) if strength else []
        self._initial = [parameter.detach().clone() for parameter in self._parameters]

    @torch.no_grad()
    def add_gradient(self) -> None:
        """Add strength · (w - w₀), the gradient of strength / 2 · |w - w₀|², to that of each weight."""
        for parameter, initial in zip(self._parameters, self._initial, strict=True):
            assert parameter.grad is not None, "every weight that is trained has a gradient"
            parameter.grad.add_(parameter - initial, alpha=self._strength)


class MovingAverage:
    """Exponential moving average of the weights (Polyak & Juditsky, 1992)."""

    def __init__(self, network: Transformer, decay: float) -> None:
        self.decay = decay
        self.names = [name for name, _ in network.named_parameters()]
        self._sources = [parameter.detach() for parameter in network.parameters()]
        self.tensors = [source.clone() for source in self._sources]

    def update(self, step: int) -> None:
        """Move towards the weights after step 1, 2, …; the decay grows as (1 + step) / (10 + step)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.tensors, self._sources, 1 - decay)

    def state(self) -> dict[str, Tensor]:
        """The averages by parameter name."""
        return dict(zip(self.names, self.tensors, strict=True))
