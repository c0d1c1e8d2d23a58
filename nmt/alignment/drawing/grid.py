"""Grid: target words down, source words across, their names on a staircase above the columns."""

from bisect import bisect
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from nmt.alignment.drawing.sheet import COLOURED, Sheet, fold, place
from nmt.corpus.links import Link

SHADE_LIMITS = (0.25, 0.5, 0.75)
HEAT = tuple(f"{shade} on {shade}" for shade in ("#5f6f7f", "#4f8f9f", "#2fa7af", "#00c7af"))
"""Colours of a square by its probability; the sign under the colour is there for who copies the text."""
LONGEST_LABEL = 16


def grid(sheet: Sheet, width: int) -> Iterator[Text]:
    """The lines of a sheet, none wider than `width`."""
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
    null = Text(sheet.signs.null, sheet.style("null"))
    label_width = max((label.cell_len for label in labels), default=0)
    left = label_width + 1 + null.cell_len + 1
    step = 3 if len(_parts(headers, 3, width - left)) == 1 else 2
    for number, part in enumerate(_parts(headers, step, width - left)):
        columns = {i: left + step * (i - part.start) for i in part}
        if number:
            yield Text()
        yield from _staircase(sheet, headers, columns, step)
        for j, label in enumerate(labels):
            mark = [(label_width + 1, null)] if j in tgt_unlinked else []
            squares = ((column, _square(sheet, (i, j))) for i, column in columns.items())
            yield place([(label_width - label.cell_len, label), *mark, *squares])
        if src_unlinked & columns.keys():
            yield place((column, null) for i, column in columns.items() if i in src_unlinked)


def _label(sheet: Sheet, word: Text, width: int, *styles: str) -> Text:
    label = word.copy()
    if word.cell_len > width:
        label = Text.assemble(fold(word, width - cell_len(sheet.signs.ellipsis))[0], sheet.signs.ellipsis)
    label.stylize_before(sheet.style(*styles))
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
    if sign:
        return Text(sign * 2, sheet.style(mark.verdict, "" if mark.verdict == "possible" else "square"))
    shade = bisect(SHADE_LIMITS, mark.probability)
    return Text(sheet.signs.shades[shade] * 2, HEAT[shade] if sheet.styles is COLOURED else "")
