"""What each part of the align head brings, by AER: a head is trained for every variant of it.

python recipes/alignment/ablation.py MODEL SETTING_DIR [--pairs N] [--variants layer-1,no-embeddings]
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time

from settings import open_settings
from variants import FULL, Find, Ground, variants

from nmt.alignment.scoring import bootstrap_interval, paired_bootstrap, score_links
from nmt.checkpoint import load_model
from nmt.corpus.links import Links
from nmt.errors import NmtError, UsageError

THRESHOLDS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6)
HEADER = "| variant | AER | 95 % | minus full | with its best threshold | CPU s |\n|" + "---|" * 6


@dataclass(frozen=True)
class Result:
    """A variant's links of the gold pairs."""

    name: str
    links: list[Links]
    best: float
    """The lowest error rate of some thresholds."""
    seconds: float


def measure(ground: Ground, name: str, find: Find) -> Result:
    """Train a variant and link the gold pairs."""
    began = process_time()
    alignments = find()
    seconds = process_time() - began
    rates = [score_links(ground.links(alignments, least), ground.gold).aer for least in THRESHOLDS]
    return Result(name, ground.links(alignments), min(rates), seconds)


def row(result: Result, full: Result, ground: Ground) -> str:
    """A line of the table."""
    low, high = bootstrap_interval(result.links, ground.gold)
    against = paired_bootstrap(result.links, full.links, ground.gold)
    difference = (
        "–"
        if result is full
        else f"{against.difference:+.3f} [{against.low:+.3f}, {against.high:+.3f}], p {against.p_value:.3f}"
    )
    rate = score_links(result.links, ground.gold).aer
    return (
        f"| {result.name} | {rate:.3f} | {low:.3f}–{high:.3f} | {difference} | {result.best:.3f} "
        f"| {result.seconds:.0f} |"
    )


def table(ground: Ground, names: Sequence[str]) -> Iterator[str]:
    """Lines of Markdown: the full head, then the variants of these names, or all."""
    known = variants(ground)
    for name in names:
        if name not in known:
            raise UsageError(f"--variants: there is no {name!r}; expected some of: {', '.join(known)}")
    yield f"{len(ground.pairs):,} pairs; HMM aligners {ground.aligner_seconds:.0f} s; layer {ground.layer}\n"
    yield HEADER
    full = measure(ground, FULL, known.pop(FULL))
    yield row(full, full, ground)
    for name, find in known.items():
        if not names or name in names:
            yield row(measure(ground, name, find), full, ground)


def main() -> None:
    """Print the table in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="of both directions")
    parser.add_argument("setting", type=Path, help="a folder that prepare.py has written")
    parser.add_argument("--pairs", type=int, help="only so many of the first pairs, gold ones included")
    parser.add_argument("--variants", default="", help="some, with commas between; without it all")
    arguments = parser.parse_args()
    names = [name for name in arguments.variants.split(",") if name]
    try:
        [setting] = open_settings(arguments.setting.parent, [arguments.setting.name])
        model = load_model(arguments.model, device="cpu", threads=1)
        if len(model.directions) < 2:
            raise UsageError(f"{arguments.model}: has one direction; expected a model of --bidirectional")
        for line in table(Ground(model, setting, num_pairs=arguments.pairs), names):
            print(line, flush=True)
    except NmtError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
