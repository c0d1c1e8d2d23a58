"""`nmt show`: look at alignments."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import nlargest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.corpus.links import GoldLinks, Link, parse_pharaoh, parse_talp
from nmt.corpus.words import Span, TokenMode, word_spans
from nmt.errors import DataError

from .console import out, say, warn
from .lines import aligned_lines, name_of
from .tables import draw_legend, draw_table

if TYPE_CHECKING:
    from nmt.alignment.drawing.table import Layout
    from nmt.alignment.merge import WordAlignment


def show(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Source lines; - is stdin.")],
    target: Annotated[Path, typer.Argument(metavar="TGT", help="Their translations, line by line.")],
    links: Annotated[
        Path, typer.Argument(metavar="LINKS", help="Links as 0-1 or 0-1:0.93 (Pharaoh), or JSON lines.")
    ],
    gold: Annotated[
        Path | None,
        typer.Option("--diff", metavar="GOLD", help="Compare with gold links: 0-3 is sure, 0p3 possible."),
    ] = None,
    is_grid: Annotated[
        bool, typer.Option("--grid", metavar="", help="A grid instead of words below words.")
    ] = False,
    worst: Annotated[
        int | None,
        typer.Option("--worst", metavar="N", min=1, help="Only the N most suspicious pairs, worst first."),
    ] = None,
    word: Annotated[
        str | None,
        typer.Option(
            "--word", metavar="W", help="Only pairs that hold this word; it stands out with its links."
        ),
    ] = None,
    tokens: Annotated[
        TokenMode,
        typer.Option("--tokens", help="What links count: words of raw text, or tokens between spaces."),
    ] = "punct",
) -> None:
    """Look at alignments: below each target word its source words, numbered as they stand in the source.

    Most suspicious are the pairs of the highest alignment error rate where there is gold, else of the highest
    doubt: what the best link of a word lacks to probability 1, as the mean over the words of both sides.

    Example:
        nmt show test.de test.en test.links --diff test.talp --worst 10
    """
    pairs: Iterable[Pair] = _read_pairs(source, target, links, gold=gold, tokens=tokens)
    if word:
        pairs = [pair for pair in pairs if pair.has(word)]
        if not pairs:
            say(f"no pair holds the word {word!r}")
    if worst:
        pairs = nlargest(worst, pairs, key=lambda pair: pair.suspicion)
    _print_tables(
        pairs,
        layout="grid" if is_grid else "interlinear",
        highlight=word or "",
        shows_suspicion=bool(worst or gold),
    )


@dataclass(frozen=True)
class Pair:
    """One alignment of the files, and the gold links it is compared with."""

    number: int
    alignment: "WordAlignment"
    origin: str
    gold: GoldLinks | None

    def has(self, word: str) -> bool:
        """Whether the word stands on either side, in upper or lower case."""
        one = self.alignment
        words = [one.source[start:end] for start, end in one.src_words]
        words += [one.target[start:end] for start, end in one.tgt_words]
        return word.casefold() in map(str.casefold, words)

    @property
    def suspicion(self) -> float:
        """The alignment error rate, or without gold the doubt."""
        from nmt.alignment.scoring import count_links

        if self.gold is not None:
            return count_links(set(self.alignment.links), self.gold).aer
        best = dict.fromkeys(self._words(), 0.0)
        for link, probability in self.alignment.links.items():
            for word in enumerate(link):
                best[word] = max(best[word], probability)
        return 1 - sum(best.values()) / len(best) if best else 0.0

    def _words(self) -> Iterator[tuple[int, int]]:
        for side, spans in enumerate((self.alignment.src_words, self.alignment.tgt_words)):
            for index in range(len(spans)):
                yield side, index


def _print_tables(pairs: Iterable[Pair], *, layout: "Layout", highlight: str, shows_suspicion: bool) -> None:
    pair = None
    for pair in pairs:
        name = "doubt" if pair.gold is None else "AER"
        suspicion = f"{name} {pair.suspicion:.2f}" if shows_suspicion else ""
        table = draw_table(
            out,
            pair.alignment,
            layout=layout,
            caption=", ".join(filter(None, (str(pair.number), suspicion, pair.origin))),
            gold=pair.gold,
            highlight=highlight,
        )
        out.print(table, "")
    if pair:
        out.print(draw_legend(out, layout=layout, has_gold=pair.gold is not None))


def _read_pairs(
    source: Path, target: Path, links: Path, *, gold: Path | None, tokens: TokenMode
) -> Iterator[Pair]:
    rows = aligned_lines([source, target, links, *([gold] if gold else [])])
    num_outside = 0
    for number, (src_line, tgt_line, link_line, *gold_line) in enumerate(rows, start=1):
        spans = _spans(src_line, tokens), _spans(tgt_line, tokens)
        alignment, origin = _alignment(
            src_line, tgt_line, link_line, spans, where=f"{name_of(links)}:{number}"
        )
        gold_links = None
        if gold:
            if (alignment.src_words, alignment.tgt_words) != spans:
                raise DataError(
                    f"{name_of(links)}:{number}: the words of the record are not those of --tokens {tokens}, "
                    f"which {name_of(gold)} counts"
                )
            gold_links = parse_talp(gold_line[0], where=f"{name_of(gold)}:{number}")
            inside = GoldLinks(_inside(gold_links.sure, alignment), _inside(gold_links.possible, alignment))
            num_outside += inside != gold_links
            gold_links = inside
        yield Pair(number, alignment, origin, gold_links)
    if num_outside and gold:
        warn(
            f"{name_of(gold)}: on {num_outside} lines a gold link points past the last word; "
            "those are left out; the first word is 0"
        )


def _spans(line: str, tokens: TokenMode) -> tuple[Span, ...]:
    return tuple(word_spans(line, tokens))


def _alignment(
    src_line: str,
    tgt_line: str,
    link_line: str,
    spans: tuple[tuple[Span, ...], tuple[Span, ...]],
    *,
    where: str,
) -> "tuple[WordAlignment, str]":
    """The links of a line on the words of its record, else on these; and where the record has them from."""
    from nmt.alignment.formats import parse_link_line
    from nmt.alignment.merge import WordAlignment

    parsed = parse_link_line(link_line, where=where)
    alignment = parsed.alignment
    if alignment is None:
        alignment = WordAlignment(src_line, tgt_line, *spans, _probabilities(link_line, where=where))
    elif (alignment.source, alignment.target) != (src_line, tgt_line):
        raise DataError(
            f"{where}: the record is about other sentences; expected those of the same line of SRC and TGT"
        )
    outside = parsed.links - _inside(frozenset(parsed.links), alignment)
    if outside:
        i, j = min(outside)
        raise DataError(
            f"{where}: link {i}-{j} points past the last of {len(alignment.src_words)} source or "
            f"{len(alignment.tgt_words)} target words; is the target first, or another --tokens meant?"
        )
    return alignment, parsed.origin


def _probabilities(link_line: str, *, where: str) -> dict[Link, float]:
    """Links with their probabilities; 1 where none is given."""
    links: dict[Link, float] = {}
    for item in link_line.split():
        pair, _, probability = item.partition(":")
        try:
            links |= dict.fromkeys(parse_pharaoh(pair, where=where), float(probability or 1))
        except ValueError as error:
            raise DataError(
                f"{where}: {item!r} holds no probability; expected a link such as 0-3:0.93"
            ) from error
    return links


def _inside(links: frozenset[Link], alignment: "WordAlignment") -> frozenset[Link]:
    """The links whose words are there."""
    num_src, num_tgt = len(alignment.src_words), len(alignment.tgt_words)
    return frozenset((i, j) for i, j in links if i < num_src and j < num_tgt)
