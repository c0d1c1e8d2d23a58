"""How fast a model links: beside its translation, of existing pairs, and beside eflomal with saved priors.

python recipes/alignment/speed.py MODEL SRC TGT [--priors-from TRAIN.SRC TRAIN.TGT] [--lines N]

SRC and TGT are pairs in the model's first direction. One thread each; seconds are those of the CPU, as
others may use the machine.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from time import process_time

import torch
from baselines import cpu_seconds

from nmt import Translator
from nmt.alignment import align_pairs
from nmt.alignment.linking import encode_pair
from nmt.checkpoint import TranslationModel, load_model
from nmt.config.schema import ModelConfig
from nmt.corpus.links import format_pharaoh
from nmt.errors import NmtError, UsageError
from nmt.files import read_lines
from nmt.model.align_head import CHANNELS, EMBEDDING_WIDTH, WIDTH
from nmt.model.forced import PiecePair

ROUNDS, SECONDS = 5, 0.2
HEAD_KERNEL = 3 * CHANNELS * 5 * 5 + CHANNELS * CHANNELS * 3 * 3 + CHANNELS
"""Multiplications of the head's two-dimensional layers for a pair of places."""

Pair = tuple[str, str]
Shape = tuple[int, int, int]
"""(m, k) by (k, n)."""


def rounds_of(actions: dict[str, Callable[[], object]], num_rounds: int) -> dict[str, list[float]]:
    """Seconds of every action in rounds, in which they take turns, after one to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(num_rounds + 1):
        for name, action in actions.items():
            began = process_time()
            action()
            if number:
                seconds[name].append(process_time() - began)
    return seconds


def link_all(model: TranslationModel, pairs: Sequence[Pair]) -> list[str]:
    """What nmt align writes: a line of Pharaoh for each pair."""
    return [format_pharaoh(set(each.words().links)) for each in align_pairs(model, pairs, links_from="head")]


def translate_all(translator: Translator, sources: Sequence[str]) -> None:
    """Translate, and link the words of what comes out if the translator is to."""
    for translation in translator.translate(list(sources)):
        if translation.alignment is not None:
            translation.alignment.words()


@dataclass(frozen=True)
class Products:
    """Multiplications, each with its addition, by the shape of the weights; "" is all without weights."""

    by_shape: dict[tuple[int, int], int]
    others: int

    @property
    def flops(self) -> float:
        """All of them."""
        return 2 * (sum(self.by_shape.values()) + self.others)


def needed(pair: PiecePair, config: ModelConfig, *, head_layer: int) -> Products:
    """What linking a pair takes at least: no padding, and nothing but products.

    With D for d_model, F for d_ff, A source pieces with tags and end, and B target pieces with their
    beginning, it takes these multiplications:

    - encoder, each layer: 4 D² A, 2 D F A (3 if gated), 2 D A²
    - decoder, each layer below the head's: 4 D² B and 2 D B² for the target, 2 D² (A + B) and 2 D A B for
      the source, 2 D F B; at the head's only the target
    - head: D W (S + T) for queries and keys, (W + E + `HEAD_KERNEL`) S T for scores and their neighbours
    """
    d_model, d_ff = config.d_model, config.d_ff
    below, num_ff = head_layer - 1, 3 if config.gated else 2
    square, wide, head = (d_model, d_model), (d_model, d_ff), (d_model, WIDTH)
    num_src, num_tgt = len(pair.src), len(pair.tgt)
    a, b = len(pair.before) + num_src + 1, num_tgt + 1
    in_encoder, in_decoder = config.encoder_layers * a, below * b
    by_shape = {
        square: d_model**2 * (4 * in_encoder + 6 * in_decoder + 2 * below * a + 4 * b),
        wide: num_ff * d_model * d_ff * (in_encoder + in_decoder),
    }
    by_shape[head] = by_shape.get(head, 0) + d_model * WIDTH * (num_src + num_tgt)
    others = 2 * d_model * (in_encoder * a + in_decoder * b + in_decoder * a + b * b)
    return Products(by_shape, others + (WIDTH + EMBEDDING_WIDTH + HEAD_KERNEL) * num_src * num_tgt)


def total(products: Sequence[Products]) -> Products:
    """Of all pairs."""
    shapes = products[0].by_shape
    by_shape = {shape: sum(each.by_shape[shape] for each in products) for shape in shapes}
    return Products(by_shape, sum(each.others for each in products))


def product_rate(shape: Shape) -> float:
    """FLOP/s of a product of matrices in float32, the median of rounds."""
    num_rows, num_inputs, num_outputs = shape
    left, right = torch.randn(num_rows, num_inputs), torch.randn(num_inputs, num_outputs)
    out = torch.empty(num_rows, num_outputs)
    rates = []
    for _ in range(ROUNDS):
        count, began = 0, process_time()
        while (seconds := process_time() - began) < SECONDS:
            torch.mm(left, right, out=out)
            count += 1
        rates.append(2 * num_rows * num_inputs * num_outputs * count / seconds)
    return median(rates)


def floor_seconds(products: Products, *, num_rows: int) -> Iterator[tuple[str, float, float]]:
    """For each shape its name, FLOPs and FLOP/s; products without weights count at the best of the rates."""
    rates = {shape: product_rate((num_rows, *shape)) for shape in products.by_shape}
    for shape, count in products.by_shape.items():
        yield f"{num_rows} × {shape[0]} × {shape[1]}", 2 * count, rates[shape]
    yield "attention, scores, neighbours", 2 * products.others, max(rates.values())


def eflomal_seconds(train: Sequence[Sequence[str]], unseen: Sequence[Pair]) -> tuple[float, float]:
    """Seconds of making eflomal's priors of a text, and of linking unseen pairs both ways by them."""
    from eflomal import Aligner, calculate_priors, write_priors

    src_lines, tgt_lines = ([f"{pair[side]}\n" for pair in unseen] for side in (0, 1))
    with tempfile.TemporaryDirectory() as name:
        forward, reverse, priors = (Path(name) / each for each in ("forward", "reverse", "priors"))
        aligner, began = Aligner(), cpu_seconds()
        aligner.align(*train, links_filename_fwd=str(forward), links_filename_rev=str(reverse))
        with open(forward) as one, open(reverse) as other, open(priors, "w", encoding="utf-8") as file:
            write_priors(file, *calculate_priors(*train, one, other))
        learned = cpu_seconds() - began
        began = cpu_seconds()
        with open(priors, encoding="utf-8") as file:
            aligner.align(
                src_lines,
                tgt_lines,
                links_filename_fwd=str(forward),
                links_filename_rev=str(reverse),
                priors_input=file,
            )
        return learned, cpu_seconds() - began


def translation_table(model_dir: Path, sources: Sequence[str], *, num_rounds: int) -> Iterator[str]:
    """Lines of Markdown: translation with and without links."""
    translators = {
        "translate, beam 5": Translator.load(model_dir, device="cpu", threads=1, beam_size=5),
        "with --align": Translator.load(model_dir, device="cpu", threads=1, beam_size=5, align=True),
    }
    seconds = rounds_of(
        {name: lambda each=each: translate_all(each, sources) for name, each in translators.items()},
        num_rounds,
    )
    plain = median(seconds["translate, beam 5"])
    yield "| | CPU s, median | fastest–slowest | lines/s | ratio |\n|---|---|---|---|---|"
    for name, each in seconds.items():
        middle = median(each)
        yield (
            f"| {name} | {middle:.2f} | {min(each):.2f}–{max(each):.2f} | {len(sources) / middle:.1f} "
            f"| {middle / plain:.3f} |"
        )


def linking_table(model: TranslationModel, pairs: Sequence[Pair], *, num_rounds: int) -> Iterator[str]:
    """Lines of Markdown: the arithmetic of the floor, and how near to it linking comes."""
    if model.align_head is None:
        raise UsageError(f"{model.path}: has no align head; train one: nmt train --align-head-only")
    encoded, tags = [encode_pair(model, *pair).ids for pair in pairs], model.directions[0].tag_ids
    tagged = [pair.tagged(tags) for pair in encoded if pair]
    layer = model.align_head.layer
    products = total([needed(pair, model.config.model, head_layer=layer) for pair in tagged])
    yield "| products | GFLOP | GFLOP/s | CPU s |\n|---|---|---|---|"
    floor = 0.0
    for name, flops, rate in floor_seconds(products, num_rows=model.config.decoding.batch_tokens):
        floor += flops / rate
        yield f"| {name} | {flops / 1e9:.2f} | {rate / 1e9:.1f} | {flops / rate:.3f} |"
    yield f"| all | {products.flops / 1e9:.2f} | {products.flops / floor / 1e9:.1f} | {floor:.3f} |\n"
    seconds = rounds_of({"align": lambda: link_all(model, pairs)}, num_rounds)["align"]
    middle, num_pairs = median(seconds), len(pairs)
    yield (
        f"nmt align: {num_pairs:,} pairs in {middle:.2f} CPU s ({min(seconds):.2f}–{max(seconds):.2f}), "
        f"{num_pairs / middle:,.0f} pairs/s; products alone {num_pairs / floor:,.0f} pairs/s; "
        f"share {floor / middle:.1%}"
    )


def main() -> None:
    """Print the tables in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("src", type=Path)
    parser.add_argument("tgt", type=Path)
    parser.add_argument("--priors-from", nargs=2, type=Path, metavar="FILE", help="eflomal's training text")
    parser.add_argument("--skip", type=int, default=0, help="lines to pass over (default: %(default)s)")
    parser.add_argument("--lines", type=int, default=2000, help="pairs to link (default: %(default)s)")
    parser.add_argument("--translated", type=int, default=200, help="lines to translate, 0: none")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # eflomal's samplers
    try:
        both = zip(read_lines(arguments.src), read_lines(arguments.tgt), strict=True)
        pairs = list(islice(both, arguments.skip, arguments.skip + arguments.lines))
        model = load_model(arguments.model, device="cpu", threads=1)
        for line in linking_table(model, pairs, num_rounds=arguments.rounds):
            print(line, flush=True)
        if arguments.priors_from:
            train = [list(read_lines(path)) for path in arguments.priors_from]
            learned, seconds = eflomal_seconds(train, pairs)
            print(
                f"\neflomal: priors of {len(train[0]):,} pairs in {learned:.1f} s; {len(pairs):,} pairs in "
                f"{seconds:.2f} s, {len(pairs) / seconds:,.0f} pairs/s\n"
            )
        if sources := [src for src, _ in pairs[: arguments.translated]]:
            for line in translation_table(arguments.model, sources, num_rounds=arguments.rounds):
                print(line, flush=True)
    except NmtError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
