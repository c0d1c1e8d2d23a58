"""AdamW in two groups, the learning rate by step, and the moving average of the weights."""

import math

import torch
from torch import Tensor

from nmt.config.schema import TrainingConfig
from nmt.model import Transformer


def make_optimizer(network: Transformer, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter, 2019); vectors (norms and biases) are not decayed."""
    parameters = list(network.parameters())
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
