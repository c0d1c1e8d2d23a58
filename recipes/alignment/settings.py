"""The files of a prepared setting: training text whose first lines are the gold pairs, and links of them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, pairwise, takewhile
from pathlib import Path

from nmt.corpus.links import GoldLinks, Links, format_pharaoh, parse_pharaoh, parse_talp
from nmt.corpus.words import Span, words
from nmt.errors import DataError
from nmt.files import read_lines, write_json, write_text

ABOUT = "setting.json"


@dataclass(frozen=True)
class GoldPair:
    """A pair as the training text has it, and where the tokens stand in it that gold links count."""

    source: str
    target: str
    tokens: tuple[tuple[Span, ...], tuple[Span, ...]]


@dataclass(frozen=True)
class Setting:
    """A folder of a setting."""

    folder: Path
    languages: tuple[str, str]

    @property
    def name(self) -> str:
        """What the setting is called."""
        return self.folder.name

    def create(self) -> None:
        """Make the folder, with a note of the languages."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / ABOUT, {"languages": self.languages})

    def write(self, name: str, lines: Iterable[str]) -> None:
        """Write a file of text."""
        write_text(self.folder / name, "".join(line + "\n" for line in lines))

    def lines(self, name: str) -> list[str]:
        """The lines of a file."""
        return list(read_lines(self.folder / name))

    def words(self) -> tuple[list[str], list[str]]:
        """Both sides of the training text in words; the gold pairs in front are in the words of the gold."""
        src, tgt = (
            f"words.{language}" if (self.folder / f"words.{language}").exists() else f"train.{language}"
            for language in self.languages
        )
        return self.lines(src), self.lines(tgt)

    def gold(self) -> list[GoldLinks]:
        """The gold links."""
        path = self.folder / "gold.talp"
        return [parse_talp(line, where=f"{path}:{i}") for i, line in enumerate(read_lines(path), start=1)]

    def pairs(self) -> list[tuple[str, str]]:
        """The training text, the gold pairs in front."""
        src, tgt = (self.lines(f"train.{language}") for language in self.languages)
        return list(zip(src, tgt, strict=True))

    def gold_pairs(self) -> list[GoldPair]:
        """The gold pairs with their tokens, which need not be words of the training text."""
        tokens = zip(*(self.lines(f"gold.{language}") for language in self.languages), strict=True)
        return [
            GoldPair(
                *pair,
                (
                    token_spans(pair[0], src, where=f"{self.name}, gold source {number}"),
                    token_spans(pair[1], tgt, where=f"{self.name}, gold target {number}"),
                ),
            )
            for number, (pair, (src, tgt)) in enumerate(zip(self.pairs(), tokens, strict=False), start=1)
        ]

    def write_links(self, name: str, links: Iterable[Links]) -> None:
        """Write a system's links of the gold pairs."""
        self.write(f"{name}.links", map(format_pharaoh, links))


def open_settings(out: Path, names: Iterable[str] = ()) -> list[Setting]:
    """The settings of these names that were prepared, or all of them, in the order of their sizes."""
    folders = [out / name for name in names] or [path.parent for path in out.glob(f"*/{ABOUT}")]
    if not folders:
        raise DataError(f"{out} has no prepared setting; make them with prepare.py")
    found = [Setting(folder, _languages(folder / ABOUT)) for folder in folders]
    return sorted(found, key=lambda setting: (setting.name.rstrip("0123456789"), _number(setting.name)))


def _languages(path: Path) -> tuple[str, str]:
    src, tgt = json.loads("\n".join(read_lines(path)))["languages"]
    return src, tgt


def _number(name: str) -> int:
    return int("0" + name.removeprefix(name.rstrip("0123456789")))


def read_links(path: Path, *, count: int) -> list[Links]:
    """A line of links, as Pharaoh, for each of `count` pairs."""
    links = [parse_pharaoh(line, where=f"{path}:{i}") for i, line in enumerate(read_lines(path), start=1)]
    if len(links) != count:
        raise DataError(f"{path} has {len(links)} lines, expected {count}, one for each gold pair")
    return links


def token_spans(line: str, tokens: str, *, where: str) -> tuple[Span, ...]:
    """Spans of the gold's tokens in a line, whose characters must be the same, spaces aside."""
    ours, theirs = ("".join(words(each, "space")) for each in (line, tokens))
    if ours != theirs:
        same = sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(ours, theirs, strict=False)))
        raise DataError(
            f"{where}: after {same} characters the training text has {ours[same : same + 10]!r} and the gold "
            f"{theirs[same : same + 10]!r}; expected the same text, spaces aside; run prepare.py again"
        )
    places = [place for place, character in enumerate(line) if words(character, "space")]
    ends = accumulate((len(token) for token in words(tokens, "space")), initial=0)
    return tuple((places[start], places[end - 1] + 1) for start, end in pairwise(ends))
