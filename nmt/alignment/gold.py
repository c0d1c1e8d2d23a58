"""Gold links of annotators: whether their words count from 0 or from 1, and whether they fit the text."""

from collections.abc import Sequence
from typing import Literal

from nmt.corpus.links import GoldLinks
from nmt.errors import DataError, UsageError

GoldBase = Literal[0, 1]
Lengths = Sequence[tuple[int, int]]
"""Words of source and target of each sentence."""


def gold_from_zero(
    gold: Sequence[GoldLinks], lengths: Lengths | None, *, name: str, base: str, is_naacl: bool
) -> tuple[list[GoldLinks], GoldBase]:
    """Gold links counted from 0, and the number that their first word has in the file: `base`, or found out.

    Rows of NAACL, which count from 1, have been read so.
    """
    if is_naacl and base == "0":
        raise UsageError(f"{name}: --gold-base 0, but rows of NAACL count from 1; leave it out")
    if is_naacl:
        return list(gold), 1
    found: GoldBase = (
        detect_gold_base(gold, lengths, name=name) if base == "auto" else 1 if base == "1" else 0
    )
    return counted_from_zero(gold, found, name=name), found


def detect_gold_base(gold: Sequence[GoldLinks], lengths: Lengths | None = None, *, name: str) -> GoldBase:
    """Whether gold links count words from 0 or from 1; the lengths of the sentences make it certain.

    An index 0 tells one, an index equal to the length the other; without any link it is all the same. Raises
    DataError if neither or both occur, and if the links fit the sentences only with source and target
    exchanged.
    """
    if lengths is not None and not fits(gold, lengths, longest=1):
        exchanged = [(target, source) for source, target in lengths]
        if fits(gold, exchanged, longest=1):
            raise DataError(
                f"{name}: the links fit the words only once the sides are exchanged: "
                "exchange source and target"
            )
    if not any(one.possible for one in gold):
        return 0
    has_zero = any(0 in link for one in gold for link in one.possible)
    has_length = lengths is not None and any(
        i == source or j == target
        for one, (source, target) in zip(gold, lengths, strict=True)
        for i, j in one.possible
    )
    if has_zero == has_length:
        found = "both word 0 and word numbers equal to the length" if has_zero else "no word 0"
        raise DataError(
            f"{name}: cannot tell whether words count from 0 or 1 (found {found}); give --gold-base"
        )
    return 0 if has_zero else 1


def fits(gold: Sequence[GoldLinks], lengths: Lengths, *, longest: int = 0) -> bool:
    """Whether no link points past the last word, which may have this number more than the last from 0."""
    return all(
        i < source + longest and j < target + longest
        for one, (source, target) in zip(gold, lengths, strict=True)
        for i, j in one.possible
    )


def counted_from_zero(gold: Sequence[GoldLinks], base: GoldBase, *, name: str) -> list[GoldLinks]:
    """Gold links whose words count from `base`, counted from 0; DataError where one has a word 0 too few."""
    for number, one in enumerate(gold, start=1):
        low = [link for link in one.possible if min(link) < base]
        if low:
            i, j = min(low)
            item = f"{i}{'-' if (i, j) in one.sure else 'p'}{j}"
            raise DataError(
                f"{name}:{number}: {item!r} links a word 0; expected words counted from 1; give "
                "--gold-base 0 if the first word is 0, or remove links to no word"
            )
    return [GoldLinks(_less(one.sure, base), _less(one.possible, base)) for one in gold]


def _less(links: frozenset[tuple[int, int]], base: GoldBase) -> frozenset[tuple[int, int]]:
    return frozenset((i - base, j - base) for i, j in links)
