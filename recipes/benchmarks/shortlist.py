"""What a shortlist leaves out: which pieces of a model's own translations are in it, for several sizes.

python recipes/benchmarks/shortlist.py --model MODEL --src test2016.en --src val.en

A translation without a shortlist is the measure. Nothing is timed.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nmt import Translator
from nmt.decoding import Sentence
from nmt.decoding.shortlist import Shortlist
from nmt.files import read_lines

SIZES = (10, 40, 1000)
NUM_COMMON = (200, 500, 1000, 1500)

Pairs = Sequence[tuple[list[int], list[int]]]
"""The pieces of sources and of their translations."""


def main() -> None:
    """Print a Markdown table: share of the pieces, and of the translations, and mean number of pieces."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="model folder of nmt train, with links")
    parser.add_argument("--src", type=Path, action="append", required=True, help="text, a sentence a line")
    given = parser.parse_args()
    translator = Translator.load(given.model, shortlist=0)
    pairs = translate(translator, [line for path in given.src for line in read_lines(path)])
    print("| for each source piece | for all | pieces in it | translations in it | pieces of a sentence |")
    print(f"|{'---|' * 5}")
    for size in SIZES:
        whole = Shortlist.of(
            translator.model,
            translator.direction,
            size=size,
            num_common=max(NUM_COMMON),
            banned=translator.rules.banned,
        )
        for num_common in NUM_COMMON:
            pieces, texts, mean = measure(replace(whole, shared=whole.shared[: num_common + 1]), pairs)
            print(f"| {size} | {num_common} | {pieces:.2%} | {texts:.1%} | {mean:.0f} |", flush=True)


def translate(translator: Translator, lines: Sequence[str]) -> Pairs:
    """The lines in pieces, with the best translations of all that are not blank."""
    done = zip(lines, translator.translate(lines), strict=True)
    encode = translator.model.src_tokenizer.encode
    return [(encode(line), one.hypotheses[0].tokens) for line, one in done if one.num_parts == 1]


def measure(shortlist: Shortlist, pairs: Pairs) -> tuple[float, float, float]:
    """Shares of pieces and of whole translations that are in it, and how many pieces a sentence may have."""
    num_in, num_pieces, num_whole, num_allowed = 0, 0, 0, 0
    for source, tokens in pairs:
        allowed = {*shortlist.shared.tolist(), *shortlist.own(Sentence(source, max_length=0)).tolist()}
        found = sum(token in allowed for token in tokens)
        num_in, num_pieces = num_in + found, num_pieces + len(tokens)
        num_whole, num_allowed = num_whole + (found == len(tokens)), num_allowed + len(allowed)
    return num_in / num_pieces, num_whole / len(pairs), num_allowed / len(pairs)


if __name__ == "__main__":
    main()
