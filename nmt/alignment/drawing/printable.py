"""Text made safe to print: nothing in it moves the cursor, colours or turns around the line."""

import unicodedata


def printable(text: str, *, ascii_only: bool = False) -> str:
    """The text with everything made visible that could move the cursor, colour or turn around the line."""
    safe = "".join(_printable(character, ascii_only=ascii_only) for character in text)
    if ascii_only or not safe:
        return safe
    if unicodedata.category(safe[0]).startswith("M"):
        safe = "\N{DOTTED CIRCLE}" + safe  # a mark without a letter would sit on its neighbour
    if any(unicodedata.bidirectional(character) in ("R", "AL", "AN") for character in safe):
        # on both sides, or a terminal that reorders lines moves the word out of its column
        safe = f"\N{LEFT-TO-RIGHT MARK}{safe}\N{LEFT-TO-RIGHT MARK}"
    return safe


def _printable(character: str, *, ascii_only: bool) -> str:
    if character in "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}":
        return character
    if unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return character
    if character < " " and not ascii_only:
        return chr(ord("␀") + ord(character))
    return character.encode("unicode_escape").decode("ascii")
