"""Word alignments drawn for the terminal: interlinear lines and grids, as rich renderables."""

import unicodedata
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

from rich.cells import cell_len, chop_cells
from rich.console import Group
from rich.constrain import Constrain
from rich.text import Text

from nmt.alignment.merge import WordAlignment
from nmt.corpus.links import GoldLinks, Link
from nmt.corpus.words import Span

Layout = Literal["interlinear", "grid"]
Verdict = Literal["link", "both", "extra", "missing", "possible"]
"""A link by itself, or beside gold: in both, only in ours, only in gold, only in gold and not sure there."""

LIKELY, SURE = 0.5, 0.9
SHADE_LIMITS = (0.25, 0.5, 0.75)
HEAT = tuple(f"{shade} on {shade}" for shade in ("#5f6f7f", "#4f8f9f", "#2fa7af", "#00c7af"))
"""Colours of a square by its probability; the sign under the colour is there for who copies the text."""
COLUMN_GAP = 2
LONGEST_LABEL = 16


@dataclass(frozen=True)
class Signs:
    """What a table is drawn with, besides the words."""

    rules: str
    shades: str
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
    rules="╌─━",
    shades="░▒▓█",
    jumps=("◂", "▸"),
    null="∅",
    skip="…",
    empty="·",
    leader="│",
    ellipsis="…",
    subscript="",
    digits="₀₁₂₃₄₅₆₇₈₉₋",
    verdicts={"extra": "+", "missing": "−", "possible": "?"},
)
ASCII = Signs(
    rules=".-=",
    shades=":=*#",
    jumps=("<", ">"),
    null="()",
    skip="..",
    empty=".",
    leader="|",
    ellipsis="~",
    subscript="_",
    digits="0123456789-",
    verdicts={"extra": "+", "missing": "-", "possible": "?"},
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
class Mark:
    """How one link is drawn."""

    probability: float
    verdict: Verdict

    @property
    def level(self) -> int:
        """0: unlikely, 1: likely, 2: sure."""
        return bisect((LIKELY, SURE), self.probability)

    @property
    def styles(self) -> tuple[str, ...]:
        """Names of the styles that its words are drawn with."""
        return (self.verdict, "weak") if self.level == 0 and self.verdict != "missing" else (self.verdict,)


@dataclass(frozen=True)
class Page:
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
        links = [link for link, mark in self.marks.items() if mark.verdict != "possible"]
        src_linked, tgt_linked = {i for i, _ in links}, {j for _, j in links}
        return (
            [i for i in range(len(self.source)) if i not in src_linked],
            [j for j in range(len(self.target)) if j not in tgt_linked],
        )


def alignment_table(
    alignment: WordAlignment,
    *,
    width: int,
    colour: bool,
    layout: Layout = "interlinear",
    caption: str = "",
    ascii_only: bool = False,
    gold: GoldLinks | None = None,
    highlight: str = "",
) -> Group:
    """The alignment in lines of at most `width` columns.

    `interlinear` sets under each target word the source words it is linked to; `grid` has a row for each
    target word and a column for each source word, and comes in parts where it is too wide for one. With
    `gold` the table shows where the links differ from it; `highlight` is a word to point out with its links.
    """
    signs, styles = (ASCII if ascii_only else UNICODE), (COLOURED if colour else PLAIN)
    src_shown, tgt_shown = _highlighted(alignment, highlight)
    page = Page(
        source=_words(alignment.source, alignment.src_words, src_shown, signs, styles),
        target=_words(alignment.target, alignment.tgt_words, tgt_shown, signs, styles),
        src_joined=_joined(alignment.src_words),
        tgt_joined=_joined(alignment.tgt_words),
        marks=_marks(alignment.links, gold),
        signs=signs,
        styles=styles,
    )
    heading = Text(printable(caption, ascii_only=ascii_only), page.style("caption"))
    if layout == "interlinear":
        sentence = Text(printable(alignment.source, ascii_only=ascii_only), page.style("sentence"))
        heading = Text("  ").join(part for part in (heading, sentence) if part)
    lines = list(_interlinear(page, width) if layout == "interlinear" else _grid(page, width))
    for line in lines:
        line.no_wrap, line.overflow = True, "ignore"
    return Group(*([Constrain(heading, width)] if heading else []), *lines)


def legend(
    *,
    width: int,
    colour: bool,
    layout: Layout = "interlinear",
    ascii_only: bool = False,
    has_gold: bool = False,
) -> Group:
    """What the signs of the tables mean, to be shown once for all of them."""
    signs, styles = (ASCII if ascii_only else UNICODE), (COLOURED if colour else PLAIN)
    items = [(signs.null, "null", "no link")]
    if layout == "interlinear":
        at_least = ">=" if ascii_only else "≥"
        items += [
            (signs.rules[2] * 2, "link", f"p {at_least} {SURE}"),
            (signs.rules[1] * 2, "link", f"p {at_least} {LIKELY}"),
            (signs.rules[0] * 2, "link", f"p < {LIKELY}"),
            (signs.subscript + signs.digits[3], "position", "third source word"),
            (signs.jumps[0], "jump", "from further left"),
            (signs.jumps[1], "jump", "from further right"),
        ]
    else:
        limits = ("0", *map(str, SHADE_LIMITS))
        items += [
            (shade * 2, heat if colour else "", f"p from {limit}")
            for shade, heat, limit in zip(signs.shades, HEAT, limits, strict=True)
        ]
    if has_gold:
        items += [
            (signs.verdicts["extra"], "extra", "not in gold"),
            (signs.verdicts["missing"], "missing", "only in gold"),
        ]
    if has_gold and layout == "grid":
        items += [(signs.verdicts["possible"], "possible", "possible in gold")]
    cells = [
        [Text.assemble((sign, styles.get(style, style)), (f" {text}", "dim"))] for sign, style, text in items
    ]
    return Group(*(_place((column, cell[0]) for column, cell in band) for band in _bands(cells, width)))


def printable(text: str, *, ascii_only: bool = False) -> str:
    """The text with everything made visible that could move the cursor, colour or turn around the line."""
    safe = "".join(_printable(character, ascii_only=ascii_only) for character in text)
    if ascii_only or not safe:
        return safe
    if unicodedata.category(safe[0]).startswith("M"):
        safe = "\N{DOTTED CIRCLE}" + safe  # a mark without a letter would sit on its neighbour
    if any(unicodedata.bidirectional(character) in ("R", "AL", "AN") for character in safe):
        # on both sides, or a terminal that reorders lines moves the word out of its column
        safe = f"\N{LEFT-TO-RIGHT MARK}{safe}\N{LEFT-TO-RIGHT MARK}"
    return safe


def _printable(character: str, *, ascii_only: bool) -> str:
    if character in "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}":
        return character
    if unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return character
    if character < " " and not ascii_only:
        return chr(ord("␀") + ord(character))
    return character.encode("unicode_escape").decode("ascii")


def _highlighted(alignment: WordAlignment, word: str) -> tuple[set[int], set[int]]:
    """Source and target words that are this word, upper or lower case, or are linked to it."""
    src = _equal(alignment.source, alignment.src_words, word)
    tgt = _equal(alignment.target, alignment.tgt_words, word)
    return (
        src | {i for i, j in alignment.links if j in tgt},
        tgt | {j for i, j in alignment.links if i in src},
    )


def _equal(line: str, spans: Iterable[Span], word: str) -> set[int]:
    wanted = word.casefold()
    return {index for index, (start, end) in enumerate(spans) if line[start:end].casefold() == wanted}


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


def _marks(links: dict[Link, float], gold: GoldLinks | None) -> dict[Link, Mark]:
    if gold is None:
        return {link: Mark(probability, "link") for link, probability in links.items()}
    marks = {link: Mark(0.0, "missing" if link in gold.sure else "possible") for link in gold.possible}
    for link, probability in links.items():
        marks[link] = Mark(probability, "both" if link in gold.possible else "extra")
    return marks


def _fold(text: Text, width: int) -> list[Text]:
    """The text in lines of at most `width` columns, cut anywhere."""
    cuts = accumulate(len(part) for part in chop_cells(text.plain, width))
    return list(text.divide(list(cuts)[:-1])) if text else []


def _place(items: Iterable[tuple[int, Text]]) -> Text:
    """A line with each text beginning at its column, or right after the text before it."""
    line = Text()
    for column, text in (item for item in items if item[1]):
        line.append(" " * (column - line.cell_len)).append_text(text)
    return line


# Interlinear: a cell is a group of target words over a rule over the source words linked to all of them.

Jump = Literal["none", "left", "right"]
"""Where a source word out of order stands in the source, seen from its neighbours in the target."""


@dataclass(frozen=True)
class TargetGroup:
    """Neighbouring target words with the same links, given as marks by source word."""

    first: int
    last: int
    links: dict[int, Mark]


@dataclass(frozen=True)
class Run:
    """Neighbouring source words drawn as one."""

    first: int
    last: int
    mark: Mark
    jump: Jump = "none"

    @property
    def look(self) -> tuple[int, Verdict, Jump]:
        """What has to be equal for two runs to be drawn as one."""
        return self.mark.level, self.mark.verdict, self.jump


def _interlinear(page: Page, width: int) -> Iterator[Text]:
    groups = _target_groups(page, width)
    jumps = _jumps(groups)
    cells = [_cell(page, group, _runs(page, group, jumps), width) for group in groups]
    if unlinked := page.unlinked()[0]:
        cells.append(_unlinked_cell(page, unlinked, width))
    for number, band in enumerate(_bands(cells, width)):
        if number:
            yield Text()
        for row in range(max(len(cell) for _, cell in band)):
            yield _place((column, cell[row]) for column, cell in band if row < len(cell))


def _target_groups(page: Page, width: int) -> list[TargetGroup]:
    links: list[dict[int, Mark]] = [{} for _ in page.target]
    for i, j in sorted(page.marks):
        if page.marks[i, j].verdict != "possible":
            links[j][i] = page.marks[i, j]
    groups: list[TargetGroup] = []
    for j, own in enumerate(links):
        last = groups[-1] if groups else None
        if (
            last
            and own
            and _looks(own) == _looks(last.links)
            and _target(page, last.first, j).cell_len <= width
        ):
            groups[-1] = TargetGroup(last.first, j, last.links)
        else:
            groups.append(TargetGroup(j, j, own))
    return groups


def _looks(links: dict[int, Mark]) -> dict[int, tuple[int, Verdict]]:
    return {i: (mark.level, mark.verdict) for i, mark in links.items()}


def _target(page: Page, first: int, last: int) -> Text:
    text = Text()
    for j in range(first, last + 1):
        text.append(" " if j > first and j not in page.tgt_joined else "").append_text(page.target[j])
    text.stylize_before(page.style("target"))
    return text


def _jumps(groups: Sequence[TargetGroup]) -> dict[Link, Jump]:
    """The links that stand out of order: those off the most probable chain of links that do not cross.

    A link is a source word and the first target word of a group.
    """
    links = [
        ((i, group.first), mark.probability)
        for group in groups
        for i, mark in group.links.items()
        if mark.verdict != "missing"
    ]
    chain = _heaviest_chain(links)
    jumps: dict[Link, Jump] = {}
    for (i, j), _ in links:
        if any(source > i and target < j for source, target in chain):
            jumps[i, j] = "left"
        elif any(source < i and target > j for source, target in chain):
            jumps[i, j] = "right"
    return jumps


def _heaviest_chain(links: Sequence[tuple[Link, float]]) -> list[Link]:
    """The links, given in target order, of the largest sum among those whose source never steps back."""
    sums: list[float] = []  # of the best chain that ends in this link
    befores: list[int] = []
    for index, ((i, _), weight) in enumerate(links):
        before = max((k for k in range(index) if links[k][0][0] <= i), key=sums.__getitem__, default=-1)
        befores.append(before)
        sums.append(weight + (sums[before] if before >= 0 else 0.0))
    chain: list[Link] = []
    index = max(range(len(links)), key=sums.__getitem__, default=-1)
    while index >= 0:
        chain.append(links[index][0])
        index = befores[index]
    return chain


def _runs(page: Page, group: TargetGroup, jumps: dict[Link, Jump]) -> list[Run]:
    runs: list[Run] = []
    for i, mark in group.links.items():
        run = Run(i, i, mark, jumps.get((i, group.first), "none"))
        last = runs[-1] if runs else None
        if last and last.last + 1 == i and i in page.src_joined and last.look == run.look:
            runs[-1] = Run(last.first, i, last.mark, last.jump)
        else:
            runs.append(run)
    return runs


def _cell(page: Page, group: TargetGroup, runs: Sequence[Run], width: int) -> list[Text]:
    lines = _fold(_target(page, group.first, group.last), width)
    if not runs:
        for line in lines:
            line.stylize(page.style("null"))
        return [*lines, Text(), Text(page.signs.null, page.style("null"))]
    rows = _source_rows(page, runs, width)
    widest = max(lines[0].cell_len, *(row[-1][0] + row[-1][2].cell_len for row in rows))
    for row in rows:
        ends = [*(column for column, _, _ in row[1:]), min(width, widest)]
        lines.append(
            _place((row[k][0], _rule(page, row[k][1], ends[k] - row[k][0])) for k in range(len(row)))
        )
        lines += _fold(_place((column, words) for column, _, words in row), width)
    return lines


def _unlinked_cell(page: Page, unlinked: Sequence[int], width: int) -> list[Text]:
    null = page.style("null")
    lines = [Text(page.signs.null, null), Text(), Text()]
    for i in unlinked:
        for part in _fold(_source(page, Run(i, i, Mark(1.0, "link")), null), width):
            if lines[-1] and lines[-1].cell_len + 1 + part.cell_len > width:
                lines.append(Text())
            lines[-1].append(" " if lines[-1] else "").append_text(part)
    return lines


def _source_rows(page: Page, runs: Sequence[Run], width: int) -> list[list[tuple[int, Run, Text]]]:
    """The source words of a cell with their columns, in as many rows as the width needs."""
    rows: list[list[tuple[int, Run, Text]]] = []
    column = 0
    for before, run in zip([None, *runs], runs, strict=False):
        words = _source(page, run, page.style(*run.mark.styles))
        if before and before.last + 1 < run.first:
            words = Text.assemble((f"{page.signs.skip} ", page.style("position")), words)
        if not rows or column + words.cell_len > width:
            rows.append([])
            column = 0
        rows[-1].append((column, run, words))
        column += words.cell_len + 1
    return rows


def _source(page: Page, run: Run, style: str) -> Text:
    number = f"{run.first + 1}" if run.first == run.last else f"{run.first + 1}-{run.last + 1}"
    number = page.signs.subscript + number.translate(str.maketrans("0123456789-", page.signs.digits))
    text = Text(page.signs.verdicts.get(run.mark.verdict, ""))
    for word in page.source[run.first : run.last + 1]:
        text.append_text(word)
    text.stylize_before(style)
    return text.append(number, page.style("position" if run.jump == "none" else "jump"))


def _rule(page: Page, run: Run, length: int) -> Text:
    rule = Text(page.signs.rules[run.mark.level] * length, page.style(*run.mark.styles))
    if run.jump == "left":
        return Text.assemble((page.signs.jumps[0], page.style("jump")), rule[1:])
    if run.jump == "right":
        return Text.assemble(rule[:-1], (page.signs.jumps[1], page.style("jump")))
    return rule


def _bands(cells: Iterable[list[Text]], width: int) -> list[list[tuple[int, list[Text]]]]:
    """The cells with their columns, side by side as far as the width allows."""
    bands: list[list[tuple[int, list[Text]]]] = []
    column = width + 1
    for cell in cells:
        cell_width = max(line.cell_len for line in cell)
        if column + cell_width > width:
            bands.append([])
            column = 0
        bands[-1].append((column, cell))
        column += cell_width + COLUMN_GAP
    return bands


# Grid: target words down, source words across, their names on a staircase above the columns.


def _grid(page: Page, width: int) -> Iterator[Text]:
    longest = min(LONGEST_LABEL, width // 4)
    src_unlinked, tgt_unlinked = map(set, page.unlinked())
    headers = [
        _label(page, word, longest, "null" if i in src_unlinked else "link")
        for i, word in enumerate(page.source)
    ]
    labels = [
        _label(page, word, longest, "target", "null" if j in tgt_unlinked else "")
        for j, word in enumerate(page.target)
    ]
    null = Text(page.signs.null, page.style("null"))
    label_width = max((label.cell_len for label in labels), default=0)
    left = label_width + 1 + null.cell_len + 1
    step = 3 if len(_parts(headers, 3, width - left)) == 1 else 2
    for number, part in enumerate(_parts(headers, step, width - left)):
        columns = {i: left + step * (i - part.start) for i in part}
        if number:
            yield Text()
        yield from _staircase(page, headers, columns, step)
        for j, label in enumerate(labels):
            mark = [(label_width + 1, null)] if j in tgt_unlinked else []
            squares = ((column, _square(page, (i, j))) for i, column in columns.items())
            yield _place([(label_width - label.cell_len, label), *mark, *squares])
        if src_unlinked & columns.keys():
            yield _place((column, null) for i, column in columns.items() if i in src_unlinked)


def _label(page: Page, word: Text, width: int, *styles: str) -> Text:
    label = word.copy()
    if word.cell_len > width:
        label = Text.assemble(_fold(word, width - cell_len(page.signs.ellipsis))[0], page.signs.ellipsis)
    label.stylize_before(page.style(*styles))
    return label


def _parts(headers: Sequence[Text], step: int, room: int) -> list[range]:
    """The columns cut into parts whose names end inside the room."""
    parts: list[range] = []
    start = 0
    for index in range(len(headers)):
        ends = ((k - start) * step + max(step, headers[k].cell_len) for k in range(start, index + 1))
        if index > start and max(ends) > room:
            parts.append(range(start, index))
            start = index
    return [*parts, range(start, len(headers))]


def _staircase(page: Page, headers: Sequence[Text], columns: dict[int, int], step: int) -> Iterator[Text]:
    """Names of the columns, each high enough to pass over the lines that lead down from its neighbours."""
    heights: dict[int, int] = {}
    for i in reversed(columns):
        covered = range(i + 1, i + 1 + headers[i].cell_len // step)
        heights[i] = 1 + max((heights[k] for k in covered if k in heights), default=-1)
    leader = Text(page.signs.leader, page.style("guide"))
    for height in range(max(heights.values(), default=-1), -1, -1):
        yield _place(
            (column, headers[i] if heights[i] == height else leader)
            for i, column in columns.items()
            if heights[i] >= height
        )


def _square(page: Page, link: Link) -> Text:
    mark = page.marks.get(link)
    if mark is None:
        return Text(page.signs.empty, page.style("guide"))
    sign = page.signs.verdicts.get(mark.verdict)
    if sign:
        return Text(sign * 2, page.style(mark.verdict, "" if mark.verdict == "possible" else "square"))
    shade = bisect(SHADE_LIMITS, mark.probability)
    return Text(page.signs.shades[shade] * 2, HEAT[shade] if page.styles is COLOURED else "")
