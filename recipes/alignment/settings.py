"""The files of a prepared setting: training text whose first lines are the gold pairs, and links of them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nmt.corpus.links import GoldLinks, Links, format_pharaoh, parse_pharaoh, parse_talp
from nmt.errors import DataError
from nmt.files import read_lines, write_json, write_text

ABOUT = "setting.json"


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
