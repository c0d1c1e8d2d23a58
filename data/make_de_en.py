"""Makes the German–English sample corpus: `python -m nmt.sample_data.make_de_en --out DIR`."""

import argparse
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random

from .draw import Combination, Draw
from .patterns import Example, draw_example

SEED = 20250501
NUM_DRAWN = 23_000
SIZES = {"train": 20_000, "dev": 500, "test": 500}
NUM_EVALUATED_ON_NEW = 250
"""How many sentences of dev and of test hold a combination of words that train has not."""


@dataclass(frozen=True)
class Corpus:
    """The three parts, and the combinations of words, or of pattern and verb, that train was kept free of."""

    parts: dict[str, list[Example]]
    held_out: frozenset[Combination]


def draw_distinct(seed: int, count: int) -> list[Example]:
    """Examples of which no two share the German or the English sentence."""
    draw, examples = Draw(Random(seed)), list[Example]()
    seen: set[str] = set()
    while len(examples) < count:
        example = draw_example(draw)
        sides = {"de " + example.pair.german, "en " + example.pair.english}
        if not sides & seen:
            seen |= sides
            examples.append(example)
    return examples


def choose_held_out(examples: list[Example], random: Random, count: int) -> frozenset[Combination]:
    """Combinations in at least `count` examples together, of words that stay frequent in others."""
    frequency = Counter(
        word for example in examples for combination in example.combinations for word in combination
    )
    holders = Counter(combination for example in examples for combination in example.combinations)
    candidates = sorted(c for c in holders if min(frequency[word] for word in c) >= 10 * holders[c])
    random.shuffle(candidates)
    held_out, num_held = set[Combination](), 0
    for combination in candidates:
        if num_held >= count:
            break
        held_out.add(combination)
        num_held += holders[combination]
    return frozenset(held_out)


def make_corpus(seed: int = SEED) -> Corpus:
    """The sample corpus, the same for the same seed."""
    random = Random(seed)
    examples = draw_distinct(seed, NUM_DRAWN)
    held_out = choose_held_out(examples, random, 4 * NUM_EVALUATED_ON_NEW)
    new = [example for example in examples if example.combinations & held_out]
    known = [example for example in examples if not example.combinations & held_out]
    random.shuffle(new)
    parts: dict[str, list[Example]] = {}
    for part in ("dev", "test"):
        num_known = SIZES[part] - NUM_EVALUATED_ON_NEW
        parts[part] = new[:NUM_EVALUATED_ON_NEW] + known[:num_known]
        random.shuffle(parts[part])
        new, known = new[NUM_EVALUATED_ON_NEW:], known[num_known:]
    parts["train"] = known[: SIZES["train"]]
    assert all(len(parts[part]) == size for part, size in SIZES.items()), "too few examples were drawn"
    return Corpus(parts, held_out)


def write_lines(path: Path, lines: list[str]) -> None:
    """A text file with a line feed after every line, whatever the platform."""
    path.write_bytes("".join(line + "\n" for line in lines).encode())


def write_corpus(corpus: Corpus, out_dir: Path) -> None:
    """The files of the corpus: text of every part, gold links of dev and test."""
    out_dir.mkdir(parents=True, exist_ok=True)
    for part, examples in corpus.parts.items():
        write_lines(out_dir / f"{part}.de", [example.pair.german for example in examples])
        write_lines(out_dir / f"{part}.en", [example.pair.english for example in examples])
        if part != "train":
            links = [" ".join(f"{i}-{j}" for i, j in example.pair.links) for example in examples]
            write_lines(out_dir / f"{part}.talp", links)


def main() -> None:
    """Writes the corpus into a folder."""
    parser = argparse.ArgumentParser(description="Make the German-English sample corpus.")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "de-en", help="folder to write into"
    )
    parser.add_argument("--seed", type=int, default=SEED, help="another seed makes another corpus")
    arguments = parser.parse_args()
    write_corpus(make_corpus(arguments.seed), arguments.out)


if __name__ == "__main__":
    main()
