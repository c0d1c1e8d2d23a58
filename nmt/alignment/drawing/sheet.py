"""What a terminal draws an alignment with: safe words, signs and styles, and lines put together of them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from rich.cells import chop_cells
from rich.text import Text

from nmt.alignment.drawing.concordance import places
from nmt.alignment.drawing.marks import Mark, Reference, Verdict, link_marks, without_probabilities
from nmt.alignment.drawing.printable import printable
from nmt.alignment.merge import WordAlignment
from nmt.corpus.links import Link
from nmt.corpus.words import Span

COLUMN_GAP = 2


@dataclass(frozen=True)
class Signs:
    """What a table is drawn with, besides the words."""

    rules: str
    """One for each level of a mark."""
    shades: str
    square: str
    """Of a link whose probability is not known."""
    jumps: tuple[str, str]
    null: str
    skip: str
    empty: str
    leader: str
    ellipsis: str
    subscript: str
    digits: str
    verdicts: dict[Verdict, str]


UNICODE = Signs(
    rules="╌─━═",
    shades="░▒▓█",
    square="■",
    jumps=("◂", "▸"),
    null="∅",
    skip="…",
    empty="·",
    leader="│",
    ellipsis="…",
    subscript="",
    digits="₀₁₂₃₄₅₆₇₈₉₋",
    verdicts={"allowed": "?", "extra": "+", "missing": "−", "possible": "?"},
)
ASCII = Signs(
    rules=".-=~",
    shades=":=*#",
    square="x",
    jumps=("<", ">"),
    null="()",
    skip="..",
    empty=".",
    leader="|",
    ellipsis="~",
    subscript="_",
    digits="0123456789-",
    verdicts={"allowed": "?", "extra": "+", "missing": "-", "possible": "?"},
)

PLAIN = {
    "caption": "bold",
    "target": "bold",
    "position": "dim",
    "weak": "dim",
    "highlight": "bold",
    "sentence": "italic",
}
COLOURED = PLAIN | {
    "caption": "bold blue",
    "sentence": "italic cyan",
    "link": "cyan",
    "both": "green",
    "allowed": "green",
    "extra": "red",
    "missing": "yellow",
    "possible": "dim",
    "jump": "magenta",
    "null": "red",
    "highlight": "bold reverse",
    "square": "reverse",
    "guide": "dim",
}


@dataclass(frozen=True)
class Sheet:
    """An alignment made ready to draw: words that are safe to print, marks of the links, signs and styles."""

    source: list[Text]
    target: list[Text]
    src_joined: set[int]
    tgt_joined: set[int]
    marks: dict[Link, Mark]
    signs: Signs
    styles: dict[str, str]

    def style(self, *names: str) -> str:
        """The styles of these names in one; a name without a style adds nothing."""
        return " ".join(self.styles[name] for name in names if name in self.styles)

    def unlinked(self) -> tuple[list[int], list[int]]:
        """Source and target words without a link."""
        links = [link for link, mark in self.marks.items() if mark.is_shown]
        src_linked, tgt_linked = {i for i, _ in links}, {j for _, j in links}
        return (
            [i for i in range(len(self.source)) if i not in src_linked],
            [j for j in range(len(self.target)) if j not in tgt_linked],
        )


def ready_sheet(
    alignment: WordAlignment,
    *,
    colour: bool,
    ascii_only: bool,
    reference: Reference | None,
    highlight: str,
    unknown: Collection[Link] = (),
) -> Sheet:
    """The alignment as a sheet; `highlight` is a word to point out with its links.

    `unknown` are links of which it is not known how probable they are.
    """
    signs, styles = looks(colour=colour, ascii_only=ascii_only)
    src_shown, tgt_shown = _highlighted(alignment, highlight)
    return Sheet(
        source=_words(alignment.source, alignment.src_words, src_shown, signs, styles),
        target=_words(alignment.target, alignment.tgt_words, tgt_shown, signs, styles),
        src_joined=_joined(alignment.src_words),
        tgt_joined=_joined(alignment.tgt_words),
        marks=link_marks(without_probabilities(alignment.links, unknown), reference),
        signs=signs,
        styles=styles,
    )


def looks(*, colour: bool, ascii_only: bool) -> tuple[Signs, dict[str, str]]:
    """Signs and styles for what a terminal can show."""
    return (ASCII if ascii_only else UNICODE), (COLOURED if colour else PLAIN)


def _highlighted(alignment: WordAlignment, phrase: str) -> tuple[set[int], set[int]]:
    """Source and target words of this phrase, upper or lower case, or linked to it."""
    src = _equal(alignment.source, alignment.src_words, phrase)
    tgt = _equal(alignment.target, alignment.tgt_words, phrase)
    return (
        src | {i for i, j in alignment.links if j in tgt},
        tgt | {j for i, j in alignment.links if i in src},
    )


def _equal(line: str, spans: Iterable[Span], phrase: str) -> set[int]:
    words = [line[start:end] for start, end in spans]
    return {index for place in places(words, phrase) for index in place}


def _words(
    line: str, spans: Iterable[Span], highlighted: set[int], signs: Signs, styles: dict[str, str]
) -> list[Text]:
    words = [Text(printable(line[start:end], ascii_only=signs is ASCII)) for start, end in spans]
    for index in highlighted:
        if styles is PLAIN:
            words[index] = Text.assemble("[", words[index], "]")
        words[index].stylize(styles["highlight"])
    return words


def _joined(spans: Sequence[Span]) -> set[int]:
    """The words that stand directly after the word before them."""
    return {index for index, (left, right) in enumerate(pairwise(spans), start=1) if left[1] == right[0]}


def fold(text: Text, width: int) -> list[Text]:
    """The text in lines of at most `width` columns, cut anywhere."""
    cuts = accumulate(len(part) for part in chop_cells(text.plain, width))
    return list(text.divide(list(cuts)[:-1])) if text else []


def place(items: Iterable[tuple[int, Text]]) -> Text:
    """A line with each text beginning at its column, or right after the text before it."""
    line = Text()
    for column, text in (item for item in items if item[1]):
        line.append(" " * (column - line.cell_len)).append_text(text)
    return line


def bands(cells: Iterable[list[Text]], width: int) -> list[list[tuple[int, list[Text]]]]:
    """The cells with their columns, side by side as far as the width allows."""
    placed: list[list[tuple[int, list[Text]]]] = []
    column = width + 1
    for cell in cells:
        cell_width = max(line.cell_len for line in cell)
        if column + cell_width > width:
            placed.append([])
            column = 0
        placed[-1].append((column, cell))
        column += cell_width + COLUMN_GAP
    return placed
