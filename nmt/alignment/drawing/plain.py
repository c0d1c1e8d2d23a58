"""Pairs as plain lines, for a pager, grep and awk: one line a link, its fields separated by tabs."""

from collections.abc import Iterable, Iterator

from nmt.alignment.drawing.concordance import Occurrence, Partner
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
    target word, a source word and its probability, if it is known; `unlinked` has the sign for nothing on one
    side.
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
            is_only_gold = mark.verdict in ("missing", "possible") and not mark.probability
            number = "" if is_only_gold else two_digits(mark.probability)
            yield _line(pair, KINDS[mark.verdict], word, source[i], number)
        if not any(mark.is_shown for _, mark in own):
            yield _line(pair, "unlinked", word, NULL)
    for i, word in enumerate(source):
        if i not in src_linked:
            yield _line(pair, "unlinked", NULL, word)


def plain_counts(partners: Iterable[Partner], word: str) -> Iterator[str]:
    """A line for each partner: `count`, side, the word, what it is linked to, how often, mean probability."""
    for each in partners:
        mean = two_digits(each.probability)
        yield _fields("count", f"in-{each.side}", word.casefold(), each.word or NULL, f"{each.count}", mean)


def plain_context(found: Occurrence) -> str:
    """A line for a place of a phrase: number, side, what is before it, itself, what is behind it, links."""
    one, is_source = found.pair.alignment, found.side == "source"
    line, spans = (one.source, one.src_words) if is_source else (one.target, one.tgt_words)
    start, end = spans[found.words.start][0], spans[found.words.stop - 1][1]
    others = found.pair.target if is_source else found.pair.source
    links = " ".join(others[index] for index in sorted(found.links)) or NULL
    before, behind = line[:start].strip(), line[end:].strip()
    return _line(found.pair, f"in-{found.side}", before, line[start:end], behind, links)


def two_digits(probability: float | None) -> str:
    """A probability as text; nothing where it is not known."""
    return "" if probability is None else f"{probability:.2f}"


def _line(pair: Pair, *fields: str) -> str:
    return _fields(str(pair.number), *fields)


def _fields(*fields: str) -> str:
    return "\t".join(map(without_controls, fields)).rstrip("\t")
