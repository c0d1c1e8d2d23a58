"""Prepare the settings on which aligners are compared: text for models, words for aligners, gold links.

python recipes/alignment/prepare.py DATA OUT
"""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from settings import Setting

from nmt.corpus.links import parse_talp
from nmt.errors import DataError, NmtError
from nmt.files import read_lines

Pair = tuple[str, str]
Change = Callable[[str], str]

HANSARDS_SIZES = (30_000, 100_000, None)
"""How many of the first pairs are taken; None is all."""
INFLECTED = ("動詞", "形容詞", "助動詞")
IRREGULAR = ("サ行変格", "カ行変格")
"""Parts of speech with endings, and the kinds of verbs among them that KyTea leaves whole."""


@dataclass(frozen=True)
class Gold:
    """Pairs whose words are linked by hand: tokenised lines and a line of gold links for each."""

    pairs: list[Pair]
    links: list[str]


@dataclass(frozen=True)
class Prepared:
    """A training text whose first lines are the gold pairs, and what the gold links count on."""

    name: str
    languages: Pair
    training: list[Pair]
    gold: Gold
    raw: list[Pair] | None = None
    """The gold pairs as the training text has them, where that is not cut into words."""
    words: list[str] | None = None
    """The source of the training text in words, for aligners that need some."""

    def write(self, out: Path) -> None:
        """Write the files into a folder of the setting's name."""
        setting = Setting(out / self.name, self.languages)
        setting.create()
        setting.write("gold.talp", self.gold.links)
        for side, language in enumerate(self.languages):
            setting.write(f"train.{language}", [pair[side] for pair in self.training])
            setting.write(f"gold.{language}", [pair[side] for pair in self.gold.pairs])
            if self.raw:
                setting.write(f"gold.raw.{language}", [pair[side] for pair in self.raw])
        if self.words:
            setting.write(f"words.{self.languages[0]}", self.words)


def read_gold(folder: Path, languages: Pair) -> Gold:
    """The gold pairs of a folder, checked to have a line of links each."""
    src, tgt = (list(read_lines(folder / f"dev.{language}")) for language in languages)
    links = list(read_lines(folder / "dev.talp"))
    for number, line in enumerate(links, start=1):
        parse_talp(line, where=f"{folder / 'dev.talp'}:{number}")
    if not len(src) == len(tgt) == len(links):
        raise DataError(f"{folder}: dev has {len(src)} and {len(tgt)} lines, dev.talp {len(links)}")
    return Gold(list(zip(src, tgt, strict=True)), links)


def read_training(folder: Path, languages: Pair, ending: str) -> Iterator[Pair]:
    """The training pairs of a folder, in their order."""
    sides = (read_lines(folder / f"train.{language}{ending}") for language in languages)
    return zip(*sides, strict=True)


def gold_first(pairs: Iterable[Pair], gold: list[Pair]) -> list[Pair]:
    """The same pairs with those of the gold, all of which must be among them, in front."""
    left = Counter(gold)
    rest = []
    for pair in pairs:
        if left[pair]:
            left[pair] -= 1
        else:
            rest.append(pair)
    if left.total():
        raise DataError(f"{left.total()} gold pairs are not in the training text, where all were expected")
    return [*gold, *rest]


def hansards(folder: Path, size: int | None) -> Prepared:
    """The first `size` pairs of the Hansards, or all, after the gold pairs."""
    languages = ("en", "fr")
    gold = read_gold(folder, languages)
    pairs = list(islice(read_training(folder, languages, ".gz"), size))
    return Prepared(f"hansards-{len(pairs)}", languages, [*gold.pairs, *pairs], gold)


def europarl(folder: Path) -> Prepared:
    """The small Europarl text, which has the gold pairs inside; they are moved to the front."""
    languages = ("en", "es")
    gold = read_gold(folder, languages)
    return Prepared("europarl", languages, gold_first(read_training(folder, languages, ""), gold.pairs), gold)


def kyoto(folder: Path, tokenize: Change, segment: Change) -> Prepared:
    """The Kyoto text after the gold pairs: Japanese without spaces, English as the gold has it."""
    languages = ("ja", "en")
    gold = read_gold(folder, languages)
    raw = [(src.replace(" ", ""), tgt) for src, tgt in gold.pairs]
    pairs = [(unspaced(src), tokenize(tgt)) for src, tgt in read_training(folder, languages, ".gz")]
    words = [src for src, _ in gold.pairs] + [segment(src) for src, _ in pairs]
    return Prepared("kyoto", languages, [*raw, *pairs], gold, raw, words)


def unspaced(line: str) -> str:
    """A Japanese line in lower case, and without spaces but those between letters or digits of ASCII."""
    return re.sub(r"(?<![!-~])\s+|\s+(?![!-~])", "", line.strip().lower())


def moses(language: str) -> Change:
    """A function that cuts a line into words as the gold of the Kyoto text is: by Moses, then lowercased."""
    from sacremoses import MosesTokenizer

    tokenizer = MosesTokenizer(language)
    return lambda line: " ".join(tokenizer.tokenize(line, escape=False)).lower()


def unidic() -> Change:
    """A function that cuts a Japanese line into words nearly as KyTea does, which cut the gold.

    MeCab's words by UniDic, with the endings of words that are inflected, as in 書 い た, split off.
    """
    import fugashi

    tagger = fugashi.Tagger()
    return lambda line: " ".join(part for word in tagger(line) for part in split_ending(word))


def split_ending(word: Any) -> list[str]:
    """A word of UniDic as stem and ending if it is inflected in a regular way, or else as it is."""
    stem = (word.feature.orthBase or "")[:-1]
    is_inflected = word.feature.pos1 in INFLECTED and not (word.feature.cType or "").startswith(IRREGULAR)
    rest = word.surface.removeprefix(stem)
    return [stem, rest] if is_inflected and stem and rest not in ("", word.surface) else [word.surface]


def prepare(data: Path) -> Iterator[Prepared]:
    """Every setting, one after the other."""
    for size in HANSARDS_SIZES:
        yield hansards(data / "hansards-en-fr", size)
    yield europarl(data / "europarl-en-es")
    yield kyoto(data / "kyoto-ja-en", moses("en"), unidic())


def main() -> None:
    """Write all settings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of hansards-en-fr, europarl-en-es and kyoto-ja-en")
    parser.add_argument("out", type=Path, help="where to write a folder for each setting")
    arguments = parser.parse_args()
    try:
        for prepared in prepare(arguments.data):
            prepared.write(arguments.out)
            sizes = f"{len(prepared.training):,} pairs, {len(prepared.gold.pairs)} of them gold"
            print(f"{arguments.out / prepared.name}: {sizes}")
    except NmtError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
