"""How wide a text is in Helvetica, Arial or Liberation Sans, which agree, without the font: for pictures."""

import unicodedata

WIDTHS_OF_LETTERS = {
    0.19: "'",
    0.22: "ijl",
    0.26: "|",
    0.28: " !,./:;I[\\]ft",
    0.34: "-()`r{}",
    0.39: '"*',
    0.47: "^",
    0.5: "Jcksvxyz",
    0.56: "#$0123456789?L_abdeghnopqu",
    0.6: "+<=>FTZ~",
    0.67: "&ABEKPSVXY",
    0.72: "CDHNRUw",
    0.78: "GOQ",
    0.84: "Mm",
    0.89: "%",
    0.95: "W",
    1.02: "@",
}
"""In parts of the font's size, from the font's metrics (Adobe, 1997), rounded."""
_WIDTHS = {letter: width for width, letters in WIDTHS_OF_LETTERS.items() for letter in letters}
OTHER_WIDTH, WIDE = 0.6, 1.0
SLACK = 1.04
"""Fonts that stand in for these are mostly a little wider."""


def text_width(text: str) -> float:
    """Width of a text in parts of the font's size: exact for ASCII, close for most else."""
    return SLACK * sum(map(_width, text))


def _width(letter: str) -> float:
    if letter in _WIDTHS:
        return _WIDTHS[letter]
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0.0
    if unicodedata.east_asian_width(letter) in "WF":
        return WIDE
    base = unicodedata.normalize("NFD", letter)[0]
    return _WIDTHS.get(base, OTHER_WIDTH)
