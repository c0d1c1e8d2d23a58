"""Keyword in context: a phrase in the middle of its sentence, over what it is linked to in the other one."""

from collections.abc import Collection, Sequence

from rich.console import Group
from rich.text import Text

from nmt.alignment.drawing.concordance import Occurrence
from nmt.alignment.drawing.sheet import ASCII, Sheet, ready_sheet

GUTTER = 8
"""Columns for the number of the pair."""


def keyword_in_context(found: Occurrence, *, width: int, colour: bool, ascii_only: bool) -> Group:
    """Two lines of at most `width` columns; the words in their middle are the word and its first link."""
    sheet = ready_sheet(
        found.pair.alignment, colour=colour, ascii_only=ascii_only, reference=None, highlight=""
    )
    sides = [(sheet.source, sheet.src_joined), (sheet.target, sheet.tgt_joined)]
    (words, joined), (others, others_joined) = sides if found.side == "source" else sides[::-1]
    for index in found.words:
        words[index] = _pointed_out(sheet, words[index])
    for index, probability in found.links.items():
        number = "" if probability is None else f" {probability:.2f}"
        others[index] = _pointed_out(sheet, others[index]) + Text(number, sheet.style("position"))
    middle = min(found.links, default=0)
    if not found.links:
        others = [Text(sheet.signs.null, sheet.style("null")), *others]
        others_joined = {index + 1 for index in others_joined}
    first = _line(sheet, words, joined, found.words.start, width)
    second = _line(sheet, others, others_joined, middle, width)
    caption = Text(f"{found.pair.number}", sheet.style("caption"))
    return Group(Text.assemble(caption, first[len(caption) :]), second)


def _pointed_out(sheet: Sheet, word: Text) -> Text:
    shown = word.copy() if "link" in sheet.styles else Text.assemble("[", word, "]")
    shown.stylize(sheet.style("highlight"))
    return shown


def _line(sheet: Sheet, words: Sequence[Text], joined: Collection[int], middle: int, width: int) -> Text:
    """A sentence with its `middle` word at the same column as any other, cut off at both ends."""
    centre = GUTTER + (width - GUTTER) * 2 // 5
    left = Text()
    for index in range(middle - 1, -1, -1):
        word = words[index] + ("" if index + 1 in joined else " ")
        if left.cell_len + word.cell_len > centre - GUTTER - 2:
            left = Text(sheet.signs.ellipsis + " ") + left
            break
        left = word + left
    line = Text(" " * (centre - left.cell_len), no_wrap=True, overflow="ignore") + left
    for index in range(middle, len(words)):
        line = line + ("" if index == middle or index in joined else " ") + words[index]
    line.truncate(width, overflow="crop" if sheet.signs is ASCII else "ellipsis")
    return line
