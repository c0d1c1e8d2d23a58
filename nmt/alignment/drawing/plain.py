"""Pairs as plain lines, for a pager, grep and awk: one line a link, its fields separated by tabs."""

from collections.abc import Iterator

from nmt.alignment.drawing.marks import Verdict
from nmt.alignment.drawing.pair import Pair
from nmt.alignment.drawing.printable import without_controls

NULL = "∅"
KINDS: dict[Verdict, str] = {
    "link": "link",
    "both": "both",
    "allowed": "both-possible",
    "extra": "only-here",
    "missing": "only-there",
    "possible": "only-there-possible",
}


def plain_lines(pair: Pair, *, caption: str = "") -> Iterator[str]:
    """The lines of a pair: its number, a kind, and then what that is made of.

    `source` and `target` are followed by the sentence, `info` by what is known of the pair. A link is a
    target word, a source word and a probability; `unlinked` has the sign for nothing on one side.
    """
    source, target = pair.source, pair.target
    marks = sorted(pair.marks().items(), key=lambda item: (item[0][1], item[0][0]))
    src_linked = {i for (i, _), mark in marks if mark.is_shown}
    yield _line(pair, "source", pair.alignment.source)
    yield _line(pair, "target", pair.alignment.target)
    if caption:
        yield _line(pair, "info", caption)
    for j, word in enumerate(target):
        own = [(i, mark) for (i, linked), mark in marks if linked == j]
        for i, mark in own:
            has_number = mark.verdict not in ("missing", "possible") or mark.probability
            number = f"{mark.probability:.2f}" if has_number else ""
            yield _line(pair, KINDS[mark.verdict], word, source[i], number)
        if not any(mark.is_shown for _, mark in own):
            yield _line(pair, "unlinked", word, NULL)
    for i, word in enumerate(source):
        if i not in src_linked:
            yield _line(pair, "unlinked", NULL, word)


def _line(pair: Pair, *fields: str) -> str:
    return "\t".join((str(pair.number), *map(without_controls, fields))).rstrip("\t")
