"""AER of systems' links beside the baselines' on every prepared setting and over all gold sets together.

python recipes/alignment/compare.py OUT [NAME|NAME=FILE...]

The links of a system lie as Pharaoh on the gold's tokens in NAME.links in the folder of each setting, or in
FILE, in which SETTING stands for the name of the setting.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from settings import Setting, open_settings, read_links

from nmt.alignment.scoring import bootstrap_interval, paired_bootstrap, score_links
from nmt.corpus.links import GoldLinks, Links
from nmt.errors import NmtError

BASELINES = ("eflomal", "systran-align")
MISSING = "–"


@dataclass(frozen=True)
class Row:
    """Gold links of a setting, or of several together, and the links of the systems that have them all."""

    name: str
    gold: list[GoldLinks]
    links: Mapping[str, list[Links]]


def read_row(setting: Setting, systems: Mapping[str, str]) -> Row:
    """A setting with the links of every system that has a file for it."""
    gold = setting.gold()
    paths = {name: path_of(setting, pattern) for name, pattern in systems.items()}
    found = {name: read_links(path, count=len(gold)) for name, path in paths.items() if path.exists()}
    return Row(setting.name, gold, found)


def path_of(setting: Setting, pattern: str) -> Path:
    """The file of a system's links; a bare file name lies in the setting's folder."""
    return setting.folder / Path(pattern.replace("SETTING", setting.name))


def pooled(rows: Sequence[Row]) -> Iterator[Row]:
    """All gold sets together, each once: one row for each size of a set that there is in several sizes."""
    sized = [row for row in rows if row.name[-1].isdigit()]
    others = [row for row in rows if row not in sized]
    for part in [[row] for row in sized] or [[]]:
        members = [*part, *others]
        if len(members) > 1:
            yield join(members, name=" + ".join(row.name for row in members))


def join(rows: Sequence[Row], *, name: str) -> Row:
    """The sentences of several settings as one; a system without links for one of them is left out."""
    systems = [system for system in rows[0].links if all(system in row.links for row in rows)]
    links = {system: [each for row in rows for each in row.links[system]] for system in systems}
    return Row(name, [each for row in rows for each in row.gold], links)


def rates_table(rows: Sequence[Row], systems: Sequence[str]) -> Iterator[str]:
    """Lines of Markdown: the error rate of every system with its interval."""
    yield from _header(["gold", "pairs", *systems])
    for row in rows:
        cells = [_rate(row, system) if system in row.links else MISSING for system in systems]
        yield _line([row.name, f"{len(row.gold):,}", *cells])


def _rate(row: Row, system: str) -> str:
    links = row.links[system]
    low, high = bootstrap_interval(links, row.gold)
    return f"{score_links(links, row.gold).aer:.3f} [{low:.3f}, {high:.3f}]"


def differences_table(rows: Sequence[Row], systems: Sequence[str], *, baseline: str) -> Iterator[str]:
    """Lines of Markdown: every system's error rate minus the baseline's on the same drawn sentences."""
    yield from _header([f"minus {baseline}", *systems])
    for row in rows:
        both = [{system, baseline} <= row.links.keys() for system in systems]
        cells = [
            _difference(row, system, baseline) if has_both else MISSING
            for system, has_both in zip(systems, both, strict=True)
        ]
        yield _line([row.name, *cells])


def _difference(row: Row, system: str, baseline: str) -> str:
    found = paired_bootstrap(row.links[system], row.links[baseline], row.gold)
    return f"{found.difference:+.3f} [{found.low:+.3f}, {found.high:+.3f}], p {found.p_value:.3f}"


def _header(cells: Sequence[str]) -> Iterator[str]:
    yield _line(cells)
    yield "|" + "---|" * len(cells)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print both tables in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="what prepare.py has written")
    parser.add_argument("systems", nargs="*", metavar="NAME=FILE", help="systems; the baselines are added")
    parser.add_argument("--settings", nargs="+", default=[], help="some of the settings; without it all")
    arguments = parser.parse_args()
    given = dict(
        (text.split("=", 1) if "=" in text else (text, f"{text}.links")) for text in arguments.systems
    )
    systems = {**given, **{name: f"{name}.links" for name in BASELINES}}
    try:
        rows = [read_row(setting, systems) for setting in open_settings(arguments.out, arguments.settings)]
    except NmtError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    rows += list(pooled(rows))
    compared = [name for name in systems if name != BASELINES[0]]
    print(*rates_table(rows, list(systems)), sep="\n")
    print("", *differences_table(rows, compared, baseline=BASELINES[0]), sep="\n")


if __name__ == "__main__":
    main()
