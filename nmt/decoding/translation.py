"""What becomes of lines: translations with their links, what else could come next, and why there are none."""

from dataclasses import dataclass

from nmt.alignment import Alignment
from nmt.decoding.hypothesis import Hypothesis
from nmt.errors import DataError


@dataclass(frozen=True)
class Translation:
    """What became of a line."""

    source: str
    hypotheses: tuple[Hypothesis, ...]
    """The best first, at least one; of a blank line a blank one."""
    num_pieces: int = 0
    """Length of the source in pieces."""
    num_parts: int = 0
    """Parts that were translated one by one: 0 of a blank line, several of one that was too long or did not
    fit into memory."""
    alignments: tuple[Alignment, ...] = ()
    """Of the source and each hypothesis, or only the best, if they were asked for."""

    @property
    def text(self) -> str:
        """The best hypothesis."""
        return self.hypotheses[0].text

    @property
    def alignment(self) -> Alignment | None:
        """Of the source and the best hypothesis, if it was asked for."""
        return self.alignments[0] if self.alignments else None


@dataclass(frozen=True)
class Alternative:
    """A piece that may come next, and the best translation that goes on with it."""

    piece: str
    """Spaces written as U+2581; `</s>`: the translation ends."""
    word: str
    """What the translation has from there to the next space; empty at its end."""
    probability: float
    """Of the piece, after all that comes before it."""
    translation: Hypothesis


class RequestError(DataError):
    """What is asked of the translation of a line contradicts itself or can not be had, or it is too long."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(f"line {index + 1}: {message}")
        self.index = index  # from 0, among the lines that were given
        self.reason = message
