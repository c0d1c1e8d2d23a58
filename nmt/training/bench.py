"""What this machine can do, and how far training and translating are from it, measured on made-up pairs."""

import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle

import torch
from torch import Tensor
from torch.autograd.profiler import profile

from nmt.config.schema import Config, TrainingConfig
from nmt.corpus.batching import Batch, collate, plan_batches
from nmt.corpus.encoded import EncodedCorpus
from nmt.decoding.engine import choose_precision, rows_at_once
from nmt.decoding.rules import Rules, Sentence
from nmt.decoding.search import Room, search
from nmt.hardware import describe, use_device
from nmt.model import IncrementalDecoder, Transformer, pack
from nmt.tokenizer import BOS_ID, EOS_ID
from nmt.training.flops import TrainingFlops, flops_of_batches
from nmt.training.rehearsal import Rehearsal

# B pairs, N rows of a search, V vocabulary

Shape = tuple[int, int, int]
"""(m, k) by (k, n)."""

MEDIAN_LENGTH, LENGTH_SPREAD = 23, 0.55  # of targets in pieces, log-normal: 27 on average, as in news text
RATIO_SPREAD = 0.15  # of source by target length, log-normal
MEAN_LENGTH = 27
SQUARES = {"cpu": (1024, 2048), "mps": (2048,), "cuda": (4096, 8192)}
COPIED_BYTES = 2**28
TRAINING_SECONDS = 5.0  # in each precision; a step is not broken off
ROUNDS, ROUND_SECONDS = 5, 0.1
PROFILED_STEPS = 2
LONGEST_PRODUCT = 2.0  # seconds; a shape that would take longer is left out
NOMINAL_TFLOPS = {
    "B200": 2250,
    "GH200": 989,
    "H200": 989,
    "H100 NVL": 835,
    "H100 PCIe": 756,
    "H100": 989,
    "A100": 312,
    "L40S": 362,
    "L4": 121,
    "A10": 125,
    "A10G": 70,
    "RTX 4090": 165,
}  # dense products in bfloat16, as the maker says

GROUPS = (
    ("matrix products", r"^aten::(mm|addmm|_scaled_mm)$|^mkldnn::"),
    ("attention", r"^aten::(bmm|baddbmm|amax|exp_|masked_fill_?)$|attention|WeightedSum"),
    ("softmax and loss", r"softmax|CrossEntropy|^aten::scatter_?$"),
    ("norms", r"layer_norm|rms_norm"),
    ("dropout", r"^aten::(random_|bernoulli_?|ge|mul|native_dropout.*)$"),
    ("sums and activations", r"^aten::(add_?|sub|sum|div_?|clamp_min|threshold.*|relu|gelu.*|silu.*)$"),
    ("optimiser", r"adam|^aten::_foreach_|^aten::(mul_|lerp_|linalg_vector_norm)$"),
    ("copies and casts", r"^aten::(copy_|cat)$"),
    ("embeddings and indices", r"^aten::(index|embedding|gather|_index_put|masked_select|nonzero)"),
)
"""What operations are for, told by their names: the first that fits; rough, as a product may be anything."""


@dataclass(frozen=True)
class ProductRate:
    """The fastest matrix product found."""

    precision: str
    gflops: float  # 10⁹ operations per second
    shape: Shape


@dataclass(frozen=True)
class Machine:
    """What the machine can do."""

    device: str
    products: tuple[ProductRate, ...]
    copy_gbytes: float  # 10⁹ bytes per second, read and written, of a large tensor that is copied
    nominal_tflops: float  # of the card in bfloat16, as its maker says; 0 if unknown

    def peak(self, precision: str) -> float:
        """GFLOP/s of the fastest product."""
        return next(rate.gflops for rate in self.products if rate.precision == precision)


@dataclass(frozen=True)
class TrainingRate:
    """How fast training goes."""

    precision: str
    tokens_per_second: float  # real target tokens
    step_seconds: float
    flops_per_token: TrainingFlops  # per real target token
    gflops: float  # model operations per second, 10⁹
    share_of_peak: float  # of the fastest product in the same precision


@dataclass(frozen=True)
class TranslationRate:
    """How fast a search goes that is made to end after `MEAN_LENGTH` pieces."""

    beam_size: int
    num_sentences: int  # searched together
    sentences_per_second: float


@dataclass(frozen=True)
class TimeShare:
    """What a part of a training step takes."""

    part: str
    seconds: float  # per step; of all cores together, or of the GPU
    share: float


@dataclass(frozen=True)
class Bench:
    """Everything that was measured."""

    machine: Machine
    num_parameters: int
    vocab_size: int
    batch_tokens: int
    training: tuple[TrainingRate, ...]  # one for each precision
    translation: tuple[TranslationRate, ...]  # greedy, then with a beam
    profile: tuple[TimeShare, ...]  # of the fastest precision; empty if not asked for


def bench(
    config: Config,
    *,
    with_profile: bool = False,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Bench:
    """Measure matrix products, copying, training and translating, in every precision that is asked for.

    `training.precision` "auto" measures every one that the device has. `on_progress` hears what comes next.
    """
    device = use_device(config.training.device, threads=config.training.threads)
    precisions = _precisions(config.training.precision, device)
    workload = Workload(config, device)
    on_progress("products of matrices")
    machine = measure_machine(device, describe(device), precisions=precisions, shapes=workload.product_shapes)
    rates = []
    for precision in precisions:
        on_progress(f"training in {precision}")
        rates.append(workload.training_rate(machine, precision, seconds=TRAINING_SECONDS))
    on_progress("translating")
    translation = tuple(
        workload.translation_rate(beam_size) for beam_size in sorted({1, config.decoding.beam_size})
    )
    time_shares: tuple[TimeShare, ...] = ()
    if with_profile:
        on_progress("where the time of a step goes")
        best = max(rates, key=lambda rate: rate.tokens_per_second)
        time_shares = workload.where_time_goes(best.precision)
    return Bench(
        machine=machine,
        num_parameters=workload.num_parameters,
        vocab_size=workload.vocab_size,
        batch_tokens=config.training.batch_tokens,
        training=tuple(rates),
        translation=translation,
        profile=time_shares,
    )


def _precisions(asked: str, device: torch.device) -> tuple[str, ...]:
    if asked != "auto":
        return (asked,)
    has_bfloat16 = device.type == "cpu" or (device.type == "cuda" and torch.cuda.is_bf16_supported())
    return ("float32", "bfloat16") if has_bfloat16 else ("float32",)


def measure_machine(
    device: torch.device, name: str, *, precisions: tuple[str, ...], shapes: list[Shape]
) -> Machine:
    """Rates of matrix products of these shapes and of squares, and of copying."""
    sides = SQUARES[device.type]
    tried = sorted([*shapes, *((side, side, side) for side in sides)], key=_operations)
    return Machine(
        name,
        tuple(_fastest_product(device, precision, tried) for precision in precisions),
        _copy_rate(device),
        nominal_tflops(name),
    )


def nominal_tflops(device_name: str) -> float:
    """TFLOP/s that the maker of a card states for dense products in bfloat16, 0 if it is not in the list."""
    return next((rate for card, rate in NOMINAL_TFLOPS.items() if re.search(rf"\b{card}\b", device_name)), 0)


def _operations(shape: Shape) -> int:
    return 2 * shape[0] * shape[1] * shape[2]


def _fastest_product(device: torch.device, precision: str, shapes: list[Shape]) -> ProductRate:
    """The best of these shapes, which come in the order of their size."""
    dtype = getattr(torch, precision)
    best = ProductRate(precision, 0.0, shapes[0])
    for shape in shapes:
        if best.gflops and _operations(shape) / (best.gflops * 1e9) > LONGEST_PRODUCT:
            break
        left, right = (torch.randn(size, device=device).to(dtype) for size in (shape[:2], shape[1:]))
        out = torch.empty(shape[0], shape[2], device=device, dtype=dtype)
        seconds = _seconds_of(partial(torch.mm, left, right, out=out), device)
        rate = _operations(shape) / seconds / 1e9
        if rate > best.gflops:
            best = ProductRate(precision, rate, shape)
    return best


def _copy_rate(device: torch.device) -> float:
    source = torch.ones(COPIED_BYTES, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    seconds = _seconds_of(partial(target.copy_, source), device)
    return 2 * COPIED_BYTES / seconds / 1e9


def _seconds_of(action: Callable[[], object], device: torch.device, *, rounds: int = ROUNDS) -> float:
    """Seconds of doing it once, in the fastest of some rounds: others may use the machine too."""
    _timed(action, device, num_times=1)  # to warm up
    num_times = max(1, round(ROUND_SECONDS / _timed(action, device, num_times=1)))
    return min(_timed(action, device, num_times=num_times) for _ in range(rounds)) / num_times


def _timed(action: Callable[[], object], device: torch.device, *, num_times: int) -> float:
    _wait(device)
    start = time.perf_counter()
    for _ in range(num_times):
        action()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


class Workload:
    """A network of random weights for `tokenizer.vocab_size` pieces, and made-up pairs as long as news."""

    def __init__(self, config: Config, device: torch.device) -> None:
        self.config = config
        self.device = device
        self.vocab_size = config.tokenizer.vocab_size
        torch.manual_seed(config.training.seed)
        self.network = Transformer(
            config.model, src_vocab_size=self.vocab_size, tgt_vocab_size=self.vocab_size
        ).to(device)
        self.batches = list(self._batches(config.training))

    @property
    def num_parameters(self) -> int:
        """Of the network."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    @property
    def product_shapes(self) -> list[Shape]:
        """The larger matrix products of a training step: feed-forward, and logits over the vocabulary."""
        model, rows = self.config.model, self.config.training.batch_tokens
        return [(rows, model.d_model, model.d_ff), (rows, model.d_model, self.vocab_size)]

    def training_rate(self, machine: Machine, precision: str, *, seconds: float) -> TrainingRate:
        """Steps of training for about so many seconds, after one to warm up."""
        rehearsal = Rehearsal(self.network, self._training(precision))
        rehearsal.step(self.batches[0])
        rehearsal.wait()
        done: list[Batch] = []
        start = time.perf_counter()
        for batch in cycle(self.batches):
            rehearsal.step(batch)
            rehearsal.wait()
            done.append(batch)
            if (spent := time.perf_counter() - start) > seconds:
                break
        num_tokens = sum(batch.num_tokens for batch in done)
        flops = self.flops(done)
        gflops = flops.total / spent / 1e9
        return TrainingRate(
            precision,
            tokens_per_second=num_tokens / spent,
            step_seconds=spent / len(done),
            flops_per_token=flops.per(num_tokens),
            gflops=gflops,
            share_of_peak=gflops / machine.peak(precision),
        )

    def flops(self, batches: list[Batch]) -> TrainingFlops:
        """Operations of training once on these batches."""
        return flops_of_batches(
            batches,
            self.config.model,
            src_vocab_size=self.vocab_size,
            tgt_vocab_size=self.vocab_size,
            reconstruction=self.config.training.reconstruction > 0,
            num_passes=1 if self.config.training.consistency == "none" else 2,
        )

    @torch.inference_mode()
    def translation_rate(self, beam_size: int) -> TranslationRate:
        """Sentences of `MEAN_LENGTH` pieces, as many as are searched together, translated into as many.

        In the precision that translation chooses for the device; on a CPU all cores work on the same.
        """
        precision = choose_precision(self.config.decoding, self.device)
        num_rows = max(beam_size, self.config.decoding.batch_rows or rows_at_once(self.device))
        size = (num_rows // beam_size, MEAN_LENGTH)
        sources = torch.randint(EOS_ID + 1, self.vocab_size, size).tolist()
        sentences = [Sentence(each, max_length=MEAN_LENGTH, min_length=MEAN_LENGTH) for each in sources]
        rules = Rules(bos_id=BOS_ID, eos_id=EOS_ID, beam_size=beam_size, device=self.device)
        network = pack(self.network.eval(), precision)
        room = Room(num_rows, len(sources) * (MEAN_LENGTH + 1))

        def translate() -> None:
            decoder = IncrementalDecoder(network)
            deque(search(decoder, sentences, rules, room), maxlen=0)

        seconds = _seconds_of(translate, self.device, rounds=1)
        return TranslationRate(beam_size, len(sources), len(sources) / seconds)

    def where_time_goes(self, precision: str) -> tuple[TimeShare, ...]:
        """What the parts of a training step take, the largest first; see `GROUPS`.

        On a CPU workers compute one after the other what they otherwise do side by side, each with its share
        of the cores, as nothing but the thread at hand is watched.
        """
        rehearsal = Rehearsal(self.network, self._training(precision))
        on_gpu, num_cores = self.device.type == "cuda", torch.get_num_threads()
        batches = self.batches[:PROFILED_STEPS]
        try:
            torch.set_num_threads(max(1, num_cores // rehearsal.workers.num_workers))
            rehearsal.step(batches[0], in_turn=True)
            with profile(use_device="cuda" if on_gpu else None, use_kineto=on_gpu) as watched:
                for batch in batches:
                    rehearsal.step(batch, in_turn=True)
                rehearsal.wait()
        finally:
            torch.set_num_threads(num_cores)
        seconds = _seconds_by_group(watched, on_gpu=on_gpu)
        total = sum(seconds.values())
        return tuple(
            TimeShare(part, spent / len(batches), spent / total)
            for part, spent in sorted(seconds.items(), key=lambda item: -item[1])
        )

    def _training(self, precision: str) -> TrainingConfig:
        return replace(self.config.training, precision=precision)  # type: ignore[arg-type]

    def _batches(self, training: TrainingConfig) -> Iterator[Batch]:
        corpus = made_up_pairs(
            4 * training.batch_tokens // MEAN_LENGTH + 1000,
            self.vocab_size,
            longest=self.config.data.max_length,
        )
        order = plan_batches(
            corpus.src_lengths,
            corpus.tgt_lengths,
            batch_tokens=training.batch_tokens,
            seed=training.seed,
            epoch=1,
        )
        for indices in order:
            yield collate(corpus, indices).to(self.device)


def made_up_pairs(num_pairs: int, vocab_size: int, *, longest: int) -> EncodedCorpus:
    """Random pieces, always the same, in pairs whose lengths vary as those of news text do."""
    generator = torch.Generator().manual_seed(1)

    def spread(size: float) -> Tensor:
        return torch.exp(size * torch.randn(num_pairs, generator=generator))

    def side(lengths: Tensor) -> tuple[Tensor, Tensor]:
        offsets = torch.cat([torch.zeros(1), lengths.round().clamp(1, longest).cumsum(0)]).long()
        size = (int(offsets[-1]),)
        return torch.randint(EOS_ID + 1, vocab_size, size, generator=generator, dtype=torch.int32), offsets

    tgt_lengths = MEDIAN_LENGTH * spread(LENGTH_SPREAD)
    return EncodedCorpus(*side(tgt_lengths * spread(RATIO_SPREAD)), *side(tgt_lengths))


def _seconds_by_group(watched: profile, *, on_gpu: bool) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for event in watched.key_averages():  # type: ignore[no-untyped-call]
        if event.device_type.name != "CPU":
            continue  # a kernel, whose time the operation that started it has too
        spent = event.self_device_time_total if on_gpu else event.self_cpu_time_total  # microseconds
        if spent:
            group = next((name for name, pattern in GROUPS if re.search(pattern, event.key)), "other")
            seconds[group] = seconds.get(group, 0.0) + spent / 1e6
    return seconds
