"""Words as views of a line: the character spans that links are counted on."""

import re
import unicodedata
from typing import Literal

Span = tuple[int, int]
"""Half-open range of characters [start, end) of a raw line."""
TokenMode = Literal["punct", "space"]
"""`punct` cuts raw text at spaces and punctuation; `space` keeps the tokens of tokenised text."""
UnitMode = Literal["punct", "space", "piece"]
"""What links are counted on: words, or the pieces of the model's tokenizer."""

UNSPACED_SCRIPTS = (
    *("CJK ", "IDEOGRAPHIC", "HIRAGANA", "HENTAIGANA", "KATAKANA", "HALFWIDTH KATAKANA"),
    *("THAI ", "LAO ", "KHMER ", "MYANMAR "),
)
"""Beginnings of the Unicode names of characters whose scripts put no spaces between words."""

# The kinds of characters: a line is rewritten as a line of kinds, which a regular expression cuts into words.
LETTER, UNSPACED, MARK, STACKER, JOINER, INVISIBLE, EMOJI_JOINER, FLAG, SPACE, OTHER = "LUMKJIZFSO"

_EXCEPTIONS = {
    **dict.fromkeys("'’-‐\N{NON-BREAKING HYPHEN}", JOINER),
    # Letters to Unicode, but they are written onto the letter before them.
    **dict.fromkeys("\N{THAI CHARACTER SARA AM}\N{LAO VOWEL SIGN AM}", MARK),
    **dict.fromkeys("\N{HALFWIDTH KATAKANA VOICED SOUND MARK}", MARK),
    **dict.fromkeys("\N{HALFWIDTH KATAKANA SEMI-VOICED SOUND MARK}", MARK),
    **dict.fromkeys("\N{KHMER SIGN COENG}\N{MYANMAR SIGN VIRAMA}", STACKER),  # the next letter goes below
    "\N{ZERO WIDTH JOINER}": EMOJI_JOINER,
    "\N{ZERO WIDTH SPACE}": SPACE,
}
_WORD = re.compile(
    "U(?:M|KU?)*"  # one cluster of a script without spaces, marks and stacked letters included
    "|[LMK]+(?:(?:J|[IZ]+)[LMK]+)*"  # letters, digits and marks, with inner apostrophes and hyphens
    "|FF"  # two regional indicators are one flag
    "|[OJF]M*(?:ZOM*)*"  # any other visible character, emoji sequences kept whole
)


class _Kinds(dict[int, str]):
    """The kind of every character seen so far, for `str.translate`."""

    def __missing__(self, code: int) -> str:
        self[code] = _kind(chr(code))
        return self[code]


def _kind(character: str) -> str:
    if character in _EXCEPTIONS:
        return _EXCEPTIONS[character]
    if "\N{REGIONAL INDICATOR SYMBOL LETTER A}" <= character <= "\N{REGIONAL INDICATOR SYMBOL LETTER Z}":
        return FLAG
    if "\N{EMOJI MODIFIER FITZPATRICK TYPE-1-2}" <= character <= "\N{EMOJI MODIFIER FITZPATRICK TYPE-6}":
        return MARK
    if "\N{TAG SPACE}" <= character <= "\N{CANCEL TAG}":  # they spell the flags of regions
        return MARK
    category = unicodedata.category(character)
    if category != "Nd" and category[0] in "LN":
        return UNSPACED if unicodedata.name(character, "").startswith(UNSPACED_SCRIPTS) else LETTER
    by_category = {"Nd": LETTER, "Cf": INVISIBLE, "Cc": SPACE}
    return by_category.get(category) or {"M": MARK, "Z": SPACE}.get(category[0], OTHER)


_KINDS = _Kinds()
_ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff"


def is_in_word(character: str) -> bool:
    """Whether a character makes the word it stands in longer; in scripts without spaces none does."""
    return _KINDS[ord(character)] in (LETTER, MARK)


def word_spans(line: str, mode: TokenMode = "punct") -> list[Span]:
    """Spans of the words of a line, in order.

    `punct`: a run of letters, digits and marks, inner apostrophes and hyphens included, is a word; every
    other visible character is one; in scripts written without spaces every character cluster is one.
    `space`: whatever stands between ASCII white space is a word.
    """
    if mode == "space":
        return [match.span() for match in re.finditer(r"\S+", line, re.ASCII)]
    return [match.span() for match in _WORD.finditer(line.translate(_KINDS))]


def words(line: str, mode: TokenMode = "punct") -> list[str]:
    """The words of a line, in order."""
    return [line[start:end] for start, end in word_spans(line, mode)]


def is_blank(line: str) -> bool:
    """Whether there is nothing in a line but white space, of whatever width."""
    return all(character.isspace() or character in _ZERO_WIDTH for character in line)
