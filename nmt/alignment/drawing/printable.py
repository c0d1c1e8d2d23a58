"""Text made safe to print: nothing in it moves the cursor, colours or turns around the line."""

import unicodedata


def printable(text: str, *, ascii_only: bool = False) -> str:
    """The text with everything made visible that could move the cursor, colour or turn around the line."""
    safe = without_controls(text, ascii_only=ascii_only)
    if not ascii_only and is_right_to_left(safe):
        # on both sides, or a terminal that reorders lines moves the word out of its column
        safe = f"\N{LEFT-TO-RIGHT MARK}{safe}\N{LEFT-TO-RIGHT MARK}"
    return safe


def without_controls(text: str, *, ascii_only: bool = False) -> str:
    """The text with control characters made visible, and nothing added that a search would stumble over."""
    is_safe = text.isprintable() and (text.isascii() or not ascii_only)
    safe = text if is_safe else "".join(_printable(character, ascii_only=ascii_only) for character in text)
    if safe and not ascii_only and unicodedata.category(safe[0]).startswith("M"):
        safe = "\N{DOTTED CIRCLE}" + safe  # a mark without a letter would sit on its neighbour
    return safe


def is_right_to_left(text: str) -> bool:
    """Whether any letter or number in it is written from right to left."""
    return any(unicodedata.bidirectional(character) in ("R", "AL", "AN") for character in text)


def _printable(character: str, *, ascii_only: bool) -> str:
    if character in "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}":
        return character
    if unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return character
    if character < " " and not ascii_only:
        return chr(ord("␀") + ord(character))
    return character.encode("unicode_escape").decode("ascii")
