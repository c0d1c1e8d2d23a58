"""Grid: target words down, source words across, their names on a staircase above the columns."""

from bisect import bisect
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from nmt.alignment.drawing.marks import Mark
from nmt.alignment.drawing.sheet import COLOURED, Sheet, fold, place
from nmt.corpus.links import Link

SHADE_LIMITS = (0.25, 0.5, 0.75)
HEAT = ("#5f6f7f", "#4f8f9f", "#2fa7af", "#00c7af")
"""Colours of a square by its probability; the sign under the colour is there for who copies the text."""
HEAT_BOTH = ("#4f7a5a", "#3f945a", "#2fae5a", "#1fc85a")
"""The same of a link that those it is compared with have too."""
STEPS = (3, 2)
"""Columns that a source word takes: more where there is room."""
LONGEST_LABEL = 16


def fits(sheet: Sheet, width: int) -> bool:
    """Whether the grid is no wider than `width`."""
    return bool(_steps(sheet, width))


def grid(sheet: Sheet, width: int) -> Iterator[Text]:
    """The lines of a sheet that fits."""
    left, headers, labels = _names(sheet, width)
    src_unlinked, tgt_unlinked = map(set, sheet.unlinked())
    null = Text(sheet.signs.null, sheet.style("null"))
    step = _steps(sheet, width)[0]
    columns = {i: left + step * i for i in range(len(headers))}
    yield from _staircase(sheet, headers, columns, step)
    for j, label in enumerate(labels):
        mark = [(left - 1 - null.cell_len, null)] if j in tgt_unlinked else []
        squares = ((column, _square(sheet, (i, j))) for i, column in columns.items())
        yield place([(left - 2 - null.cell_len - label.cell_len, label), *mark, *squares])
    if src_unlinked:
        yield place((column, null) for i, column in columns.items() if i in src_unlinked)


def _steps(sheet: Sheet, width: int) -> list[int]:
    left, headers, _ = _names(sheet, width)
    ends = {step: [i * step + max(step, each.cell_len) for i, each in enumerate(headers)] for step in STEPS}
    return [step for step in STEPS if left + max(ends[step], default=0) <= width]


def _names(sheet: Sheet, width: int) -> tuple[int, list[Text], list[Text]]:
    """Where the squares begin, and the names of columns and rows."""
    longest = min(LONGEST_LABEL, width // 4)
    src_unlinked, tgt_unlinked = map(set, sheet.unlinked())
    headers = [
        _label(sheet, word, longest, "null" if i in src_unlinked else "link")
        for i, word in enumerate(sheet.source)
    ]
    labels = [
        _label(sheet, word, longest, "target", "null" if j in tgt_unlinked else "")
        for j, word in enumerate(sheet.target)
    ]
    widest = max((label.cell_len for label in labels), default=0)
    return widest + 2 + cell_len(sheet.signs.null), headers, labels


def _label(sheet: Sheet, word: Text, width: int, *styles: str) -> Text:
    label = word.copy()
    if word.cell_len > width:
        label = Text.assemble(fold(word, width - cell_len(sheet.signs.ellipsis))[0], sheet.signs.ellipsis)
    label.stylize_before(sheet.style(*styles))
    return label


def _staircase(sheet: Sheet, headers: Sequence[Text], columns: dict[int, int], step: int) -> Iterator[Text]:
    """Names of the columns, each high enough to pass over the lines that lead down from its neighbours."""
    heights: dict[int, int] = {}
    for i in reversed(columns):
        covered = range(i + 1, i + 1 + headers[i].cell_len // step)
        heights[i] = 1 + max((heights[k] for k in covered if k in heights), default=-1)
    leader = Text(sheet.signs.leader, sheet.style("guide"))
    for height in range(max(heights.values(), default=-1), -1, -1):
        yield place(
            (column, headers[i] if heights[i] == height else leader)
            for i, column in columns.items()
            if heights[i] >= height
        )


def _square(sheet: Sheet, link: Link) -> Text:
    mark = sheet.marks.get(link)
    if mark is None:
        return Text(sheet.signs.empty, sheet.style("guide"))
    sign = sheet.signs.verdicts.get(mark.verdict)
    if sign and mark.verdict != "allowed":
        return Text(sign * 2, sheet.style(mark.verdict, "square" if mark.is_shown else ""))
    if mark.probability is None:
        return Text((sign or sheet.signs.square) * 2, sheet.style(mark.verdict))
    heat = bisect(SHADE_LIMITS, mark.probability)
    shade = sheet.signs.shades[heat]
    if sheet.styles is COLOURED:
        return Text((sign or shade) * 2, _heat(mark, heat))
    return Text(shade + (sign or shade))


def _heat(mark: Mark, heat: int) -> str:
    hue = (HEAT if mark.verdict == "link" else HEAT_BOTH)[heat]
    return f"{'black' if mark.verdict == 'allowed' else hue} on {hue}"
