"""AER of a model's links on gold links: every layer, both reading positions, one way and symmetrised.

python recipes/hansards-en-fr/compare.py MODEL REVERSE_MODEL SRC TGT GOLD
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from nmt.alignment import Alignment, align_layers, reading_layer
from nmt.alignment.attention import Read
from nmt.alignment.scoring import LinkCounts, bootstrap_interval, score_links
from nmt.alignment.symmetrize import symmetrize
from nmt.checkpoint import TranslationModel, load_model
from nmt.corpus.links import GoldLinks, Links, Method, parse_talp
from nmt.files import read_lines

METHODS: tuple[Method, ...] = ("intersection", "union", "grow-diag", "grow-diag-strict")
Pair = tuple[str, str]


def argmax_links(alignment: Alignment) -> Links:
    """The usual links: each target word with the source word it looks at most."""
    matrix = alignment.matrix("space")  # (target words, source words)
    return {(int(i), j) for j, i in enumerate(matrix.argmax(-1))} if matrix.numel() else set()


def our_links(alignment: Alignment) -> Links:
    """The links that `nmt align` gives."""
    return set(alignment.words("space").links)


def by_layer(model: TranslationModel, pairs: list[Pair], read: Read) -> dict[int, list[Alignment]]:
    """Alignments of the pairs from every decoder layer, counted from 1."""
    layers = range(1, model.config.model.decoder_layers + 1)
    found: dict[int, list[Alignment]] = {layer: [] for layer in layers}
    for alignments in align_layers(model, pairs, layers, read=read):
        for layer, alignment in alignments.items():
            found[layer].append(alignment)
    return found


def rows(
    model: TranslationModel, reverse: TranslationModel, pairs: list[Pair]
) -> Iterator[tuple[str, list[Links]]]:
    """A name and the links of each way to read the models."""
    chosen = reading_layer(model)
    at_input, at_output = by_layer(model, pairs, "input"), by_layer(model, pairs, "output")
    for layer, alignments in at_output.items():
        yield f"usual: step that outputs the word, layer {layer}", list(map(argmax_links, alignments))
    for layer, alignments in at_input.items():
        mark = " (chosen)" if layer == chosen else ""
        yield f"step whose input is the word, layer {layer}{mark}", list(map(argmax_links, alignments))
    forward = list(map(our_links, at_input[chosen]))
    yield "nmt align: the same, judged two ways", forward
    turned_pairs = [(target, source) for source, target in pairs]
    turned = map(our_links, by_layer(reverse, turned_pairs, "input")[reading_layer(reverse)])
    backward = [{(i, j) for j, i in links} for links in turned]
    yield "nmt align with the reverse model", backward
    for method in METHODS:
        both = zip(forward, backward, strict=True)
        yield f"both, {method}", [symmetrize(one, other, method) for one, other in both]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "reverse_model", "src", "tgt", "gold"):
        parser.add_argument(name, type=Path)
    paths = parser.parse_args()
    pairs = list(zip(read_lines(paths.src), read_lines(paths.tgt), strict=True))
    gold: list[GoldLinks] = [
        parse_talp(line, where=f"{paths.gold}:{number}")
        for number, line in enumerate(read_lines(paths.gold), start=1)
    ]
    table = Table("links", "AER", "95 %", "precision", "recall", "number")
    for name, links in rows(load_model(paths.model), load_model(paths.reverse_model), pairs):
        counts: LinkCounts = score_links(links, gold)
        low, high = bootstrap_interval(links, gold)
        interval = f"{low:.3f}–{high:.3f}"
        number = sum(map(len, links))
        table.add_row(
            name,
            f"{counts.aer:.3f}",
            interval,
            f"{counts.precision:.3f}",
            f"{counts.recall:.3f}",
            f"{number}",
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
