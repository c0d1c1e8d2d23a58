"""Interlinear: a cell is a group of target words over a rule over the source words linked to all of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.text import Text

from nmt.alignment.drawing.marks import Mark, Verdict
from nmt.alignment.drawing.sheet import Sheet, bands, fold, place
from nmt.corpus.links import Link

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


def interlinear(sheet: Sheet, width: int) -> Iterator[Text]:
    """The lines of a sheet, none wider than `width`."""
    groups = _target_groups(sheet, width)
    jumps = _jumps(groups)
    cells = [_cell(sheet, group, _runs(sheet, group, jumps), width) for group in groups]
    if unlinked := sheet.unlinked()[0]:
        cells.append(_unlinked_cell(sheet, unlinked, width))
    for number, band in enumerate(bands(cells, width)):
        if number:
            yield Text()
        for row in range(max(len(cell) for _, cell in band)):
            yield place((column, cell[row]) for column, cell in band if row < len(cell))


def _target_groups(sheet: Sheet, width: int) -> list[TargetGroup]:
    links: list[dict[int, Mark]] = [{} for _ in sheet.target]
    for i, j in sorted(sheet.marks):
        if sheet.marks[i, j].is_shown:
            links[j][i] = sheet.marks[i, j]
    groups: list[TargetGroup] = []
    for j, own in enumerate(links):
        last = groups[-1] if groups else None
        if (
            last
            and own
            and _looks(own) == _looks(last.links)
            and _target(sheet, last.first, j).cell_len <= width
        ):
            groups[-1] = TargetGroup(last.first, j, last.links)
        else:
            groups.append(TargetGroup(j, j, own))
    return groups


def _looks(links: dict[int, Mark]) -> dict[int, tuple[int, Verdict]]:
    return {i: (mark.level, mark.verdict) for i, mark in links.items()}


def _target(sheet: Sheet, first: int, last: int) -> Text:
    text = Text()
    for j in range(first, last + 1):
        text.append(" " if j > first and j not in sheet.tgt_joined else "").append_text(sheet.target[j])
    text.stylize_before(sheet.style("target"))
    return text


def _jumps(groups: Sequence[TargetGroup]) -> dict[Link, Jump]:
    """The links that stand out of order: those off the most probable chain of links that do not cross.

    A link is a source word and the first target word of a group.
    """
    links = [
        ((i, group.first), mark.weight)
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


def _runs(sheet: Sheet, group: TargetGroup, jumps: dict[Link, Jump]) -> list[Run]:
    runs: list[Run] = []
    for i, mark in group.links.items():
        run = Run(i, i, mark, jumps.get((i, group.first), "none"))
        last = runs[-1] if runs else None
        if last and last.last + 1 == i and i in sheet.src_joined and last.look == run.look:
            runs[-1] = Run(last.first, i, last.mark, last.jump)
        else:
            runs.append(run)
    return runs


def _cell(sheet: Sheet, group: TargetGroup, runs: Sequence[Run], width: int) -> list[Text]:
    lines = fold(_target(sheet, group.first, group.last), width)
    if not runs:
        for line in lines:
            line.stylize(sheet.style("null"))
        return [*lines, Text(), Text(sheet.signs.null, sheet.style("null"))]
    rows = _source_rows(sheet, runs, width)
    widest = max(lines[0].cell_len, *(row[-1][0] + row[-1][2].cell_len for row in rows))
    for row in rows:
        ends = [*(column for column, _, _ in row[1:]), min(width, widest)]
        lines.append(
            place((row[k][0], _rule(sheet, row[k][1], ends[k] - row[k][0])) for k in range(len(row)))
        )
        lines += fold(place((column, words) for column, _, words in row), width)
    return lines


def _unlinked_cell(sheet: Sheet, unlinked: Sequence[int], width: int) -> list[Text]:
    null = sheet.style("null")
    lines = [Text(sheet.signs.null, null), Text(), Text()]
    for i in unlinked:
        for part in fold(_source(sheet, Run(i, i, Mark(1.0, "link")), null), width):
            if lines[-1] and lines[-1].cell_len + 1 + part.cell_len > width:
                lines.append(Text())
            lines[-1].append(" " if lines[-1] else "").append_text(part)
    return lines


def _source_rows(sheet: Sheet, runs: Sequence[Run], width: int) -> list[list[tuple[int, Run, Text]]]:
    """The source words of a cell with their columns, in as many rows as the width needs."""
    rows: list[list[tuple[int, Run, Text]]] = []
    column = 0
    for before, run in zip([None, *runs], runs, strict=False):
        words = _source(sheet, run, sheet.style(*run.mark.styles))
        if before and before.last + 1 < run.first:
            words = Text.assemble((f"{sheet.signs.skip} ", sheet.style("position")), words)
        if not rows or column + words.cell_len > width:
            rows.append([])
            column = 0
        rows[-1].append((column, run, words))
        column += words.cell_len + 1
    return rows


def _source(sheet: Sheet, run: Run, style: str) -> Text:
    number = f"{run.first + 1}" if run.first == run.last else f"{run.first + 1}-{run.last + 1}"
    number = sheet.signs.subscript + number.translate(str.maketrans("0123456789-", sheet.signs.digits))
    text = Text(sheet.signs.verdicts.get(run.mark.verdict, ""))
    for word in sheet.source[run.first : run.last + 1]:
        text.append_text(word)
    text.stylize_before(style)
    return text.append(number, sheet.style("position" if run.jump == "none" else "jump"))


def _rule(sheet: Sheet, run: Run, length: int) -> Text:
    rule = Text(sheet.signs.rules[run.mark.level] * length, sheet.style(*run.mark.styles))
    if run.jump == "left":
        return Text.assemble((sheet.signs.jumps[0], sheet.style("jump")), rule[1:])
    if run.jump == "right":
        return Text.assemble(rule[:-1], (sheet.signs.jumps[1], sheet.style("jump")))
    return rule
