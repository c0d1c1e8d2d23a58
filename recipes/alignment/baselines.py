"""AER of eflomal and systran-align on the prepared settings; their links are kept in the settings' folders.

python recipes/alignment/baselines.py OUT [SETTING...]
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from settings import Setting, open_settings, read_links

from nmt.alignment.scoring import bootstrap_interval, score_links
from nmt.alignment.symmetrize import METHODS, symmetrize
from nmt.corpus.links import GoldLinks, Links
from nmt.errors import NmtError

HEADER = "| setting | aligner | links | AER | 95 % | precision | recall | number | CPU s |\n|" + "---|" * 9


@dataclass(frozen=True)
class Result:
    """A baseline's links of the gold pairs by the name of how they were combined, and what it took."""

    links: dict[str, list[Links]]
    seconds: float
    """Of CPU time, both directions."""

    def best(self, gold: Sequence[GoldLinks]) -> str:
        """The name of the links with the lowest error rate on the gold, which does the baseline a favour."""
        return min(self.links, key=lambda name: score_links(self.links[name], gold).aer)


def cpu_seconds() -> float:
    """CPU time of this process and of those it started and waited for."""
    return sum(os.times()[:4])


def eflomal(src_lines: Sequence[str], tgt_lines: Sequence[str], *, count: int) -> Result:
    """Links of the first `count` pairs by eflomal (Östling & Tiedemann, 2016), one way and combined."""
    from eflomal import Aligner

    with tempfile.TemporaryDirectory() as folder:
        forward, reverse = Path(folder) / "forward", Path(folder) / "reverse"
        began = cpu_seconds()
        Aligner().align(
            src_lines, tgt_lines, links_filename_fwd=str(forward), links_filename_rev=str(reverse)
        )
        seconds = cpu_seconds() - began
        ways = [read_links(path, count=len(src_lines))[:count] for path in (forward, reverse)]
    combined = {
        method: [symmetrize(one, other, method) for one, other in zip(*ways, strict=True)]
        for method in METHODS
    }
    return Result({"forward": ways[0], "reverse": ways[1], **combined}, seconds)


def systran_align(src_lines: Sequence[str], tgt_lines: Sequence[str], *, count: int) -> Result:
    """Links of the first `count` pairs by fast_align's model (Dyer et al., 2013), which combines them itself.

    Its options are those that fast_align's page recommends (-d -o -v). Pairs with a blank side are left out,
    which crash it.
    """
    import systran_align as package

    pairs = list(zip(src_lines, tgt_lines, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        text, forward, reverse = (str(Path(folder) / name) for name in ("text", "forward", "reverse"))
        Path(text).write_text("".join(_joint_lines(pairs)), encoding="utf-8")
        began = cpu_seconds()
        package.generate_alignment_probabilities(
            text, forward, reverse, favor_diagonal=True, optimize_tension=True, variational_bayes=True
        )
        aligner = package.Aligner(forward, reverse)
        split = [(source.split(), target.split()) for source, target in pairs[:count]]
        links = [set(aligner.align(*words)["alignments"]) if all(words) else set() for words in split]
        return Result({"as it comes": links}, cpu_seconds() - began)


def _joint_lines(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    for source, target in pairs:
        if source.split() and target.split():
            yield f"{source.strip()} ||| {target.strip()}\n"


ALIGNERS = {"eflomal": eflomal, "systran-align": systran_align}


def rows(setting: Setting, aligner: str, result: Result) -> Iterator[str]:
    """A line of the table for each way to combine the links; the best is set in bold."""
    gold = setting.gold()
    best = result.best(gold)
    for name, links in result.links.items():
        counts, (low, high) = score_links(links, gold), bootstrap_interval(links, gold)
        mark = "**" if name == best else ""
        yield (
            f"| {setting.name} | {aligner} | {name} | {mark}{counts.aer:.3f}{mark} | {low:.3f}–{high:.3f} "
            f"| {counts.precision:.3f} | {counts.recall:.3f} | {counts.predicted:,} | {result.seconds:.0f} |"
        )


def keep(setting: Setting, aligner: str, result: Result) -> None:
    """Write the best links of a baseline, and what else it gave, beside the gold."""
    setting.write_links(aligner, result.links[result.best(setting.gold())])
    for name in ("forward", "reverse"):
        if name in result.links:
            setting.write_links(f"{aligner}.{name}", result.links[name])


def main() -> None:
    """Run every baseline on every setting and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="what prepare.py has written")
    parser.add_argument("settings", nargs="*", help="some of the settings; none is all")
    arguments = parser.parse_args()
    print(HEADER)
    try:
        for setting in open_settings(arguments.out, arguments.settings):
            for aligner, align in ALIGNERS.items():
                result = align(*setting.words(), count=len(setting.gold()))
                keep(setting, aligner, result)
                print(*rows(setting, aligner, result), sep="\n", flush=True)
    except NmtError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
