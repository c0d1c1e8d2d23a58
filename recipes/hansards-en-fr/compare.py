"""AER of a model's links on gold links: every layer, both reading positions, one way and symmetrised.

python recipes/hansards-en-fr/compare.py MODEL REVERSE_MODEL SRC TGT GOLD
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from nmt.alignment import align_layers, reading_layer
from nmt.alignment.scoring import LinkCounts, bootstrap_interval, score_links
from nmt.alignment.symmetrize import symmetrize
from nmt.checkpoint import TranslationModel, load_model
from nmt.corpus.links import GoldLinks, Links, parse_talp
from nmt.files import read_lines

READS = {"input": "step whose input is the word", "output": "step that outputs the word"}
METHODS = ("intersection", "union", "grow-diag", "grow-diag-strict")
LinksByLayer = dict[int, list[Links]]


def links_by_layer(model: TranslationModel, pairs: list[tuple[str, str]], *, read: str) -> LinksByLayer:
    """Word links of every decoder layer, one set for each pair; words are what spaces separate."""
    layers = range(1, model.config.model.decoder_layers + 1)
    links: LinksByLayer = {layer: [] for layer in layers}
    for by_layer in align_layers(model, pairs, layers, read=read):  # type: ignore[arg-type]
        for layer, alignment in by_layer.items():
            links[layer].append(set(alignment.words("space", model.config.alignment.threshold).links))
    return links


def rows(
    model: TranslationModel, reverse: TranslationModel, pairs: list[tuple[str, str]]
) -> Iterator[tuple[str, list[Links]]]:
    """A name and the links of each way to read the models."""
    turned_pairs = [(target, source) for source, target in pairs]
    for read, words in READS.items():
        for layer, links in links_by_layer(model, pairs, read=read).items():
            chosen = " (chosen)" if read == "input" and layer == reading_layer(model) else ""
            yield f"{words}, layer {layer}{chosen}", links
    forward = links_by_layer(model, pairs, read="input")[reading_layer(model)]
    turned = links_by_layer(reverse, turned_pairs, read="input")[reading_layer(reverse)]
    backward = [{(i, j) for j, i in links} for links in turned]
    yield f"reverse model, layer {reading_layer(reverse)} (chosen)", backward
    for method in METHODS:
        both = zip(forward, backward, strict=True)
        yield f"both models, {method}", [symmetrize(one, other, method) for one, other in both]


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
