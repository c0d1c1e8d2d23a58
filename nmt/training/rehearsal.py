"""Steps of training on a copy of a network, to see how long they take, and in what memory they fit."""

import copy
import math
import time
from itertools import cycle, islice

import torch
from torch.nn.utils import clip_grad_norm_

from nmt.config.schema import TrainingConfig
from nmt.corpus.batching import Batch
from nmt.model import Transformer
from nmt.training.data import TrainingData
from nmt.training.gradient import Gradient, compute_gradient, make_workers, parts_each
from nmt.training.optimizer import MovingAverage, make_optimizer
from nmt.training.working import WorkingNetwork
from nmt.workers import Workers

MEASURED_BATCHES = 4
WARM_UP_BATCHES = 2
PRODUCTS, PRODUCT_SIZE = 3, 512  # to see on a CPU whether a step in bfloat16 is worth measuring


class Rehearsal:
    """Optimiser steps on a copy of a network, as training takes them, to be measured."""

    def __init__(self, network: Transformer, training: TrainingConfig) -> None:
        self.network = copy.deepcopy(network).train()
        self.training = training
        self.device = network.tgt_embedding.weight.device
        self.workers = make_workers(self.device, training)
        self._working = WorkingNetwork(self.network, training.precision)
        self._optimizer = make_optimizer(self.network, training)
        self._average = MovingAverage(self.network, training.ema_decay)
        self._num_parts = parts_each(training, self.workers.num_workers)

    def step(self, batch: Batch, *, in_turn: bool = False) -> Gradient:
        """One update; with `in_turn` this thread computes the parts of all workers one after the other."""
        num_workers = self.workers.num_workers
        gradient = compute_gradient(
            self._working,
            batch,
            training=self.training,
            workers=Workers() if in_turn else self.workers,
            step=0,
            num_parts=self._num_parts * (num_workers if in_turn else 1),
        )
        if not in_turn:
            self._num_parts = gradient.num_parts  # more, if memory ran out
        clip_grad_norm_(self.network.parameters(), self.training.clip_norm or math.inf)
        self._optimizer.step()
        self._average.update(step=1)
        return gradient

    def wait(self) -> None:
        """Wait until the device has done what it was told."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def measure_step(network: Transformer, batches: list[Batch], training: TrainingConfig) -> float:
    """Seconds of an optimiser step on a copy of the network, averaged over the batches."""
    rehearsal = Rehearsal(network, training)
    for batch in islice(cycle(batches), WARM_UP_BATCHES):
        rehearsal.step(batch)
    rehearsal.wait()
    start = time.perf_counter()
    for batch in batches:
        rehearsal.step(batch)
    rehearsal.wait()
    return (time.perf_counter() - start) / len(batches)


def some_batches(data: TrainingData, training: TrainingConfig, device: torch.device) -> list[Batch]:
    """The first batches of training, to measure with."""
    batches = data.train_batches(training, epoch=1, start=0, device=device)
    return [batch for _, batch in islice(batches, MEASURED_BATCHES)]


def parts_that_fit(rehearsal: Rehearsal, batches: list[Batch]) -> int:
    """In how many parts a worker has to compute its share, so that all of these batches fit into memory."""
    return max(rehearsal.step(batch).num_parts for batch in batches)


def cost_of_bfloat16() -> float:
    """How many times as long matrix products take on this CPU in bfloat16 as in float32."""

    def seconds(dtype: torch.dtype) -> float:
        matrix = torch.ones(PRODUCT_SIZE, PRODUCT_SIZE, dtype=dtype)
        times = []
        for _ in range(PRODUCTS):
            start = time.perf_counter()
            matrix @ matrix
            times.append(time.perf_counter() - start)
        return min(times)

    return seconds(torch.bfloat16) / seconds(torch.float32)
