"""Links from text alone: HMM aligners on pieces and on the words they make up, and the mean of both."""

# S source pieces, T target pieces, V source words, W target words

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from nmt.alignment.hmm import HmmAligner, IdPair, train_hmm
from nmt.corpus.words import Span, word_spans

WORD_ENDS = "\n"


@dataclass(frozen=True)
class CutLine:
    """A line in pieces and in words, each of which is made of whole pieces."""

    piece_ids: list[int]
    words: list[str]
    word_of: list[int]
    """Place of the word that each piece is in."""
    before: Sequence[int] = ()
    """Pieces of its context, which only the network sees."""

    @classmethod
    def of(cls, line: str, piece_ids: list[int], spans: Sequence[Span]) -> "CutLine":
        """A line whose pieces are these, and its words, lower-cased; a piece of several joins them."""
        word_at = [-1] * (len(line) + 1)  # of each character; the last is for what comes before and after
        for number, (first, last) in enumerate(word_spans(line)):
            word_at[first:last] = [number] * (last - first)
        starts = [True] * len(spans)
        for place, ((_, last), (first, _)) in enumerate(pairwise(spans), start=1):
            starts[place] = word_at[first] < 0 or word_at[last - 1] != word_at[first]
        word_of, words, end = [], list[str](), 0
        for start, (first, last) in zip(starts, spans, strict=True):
            if start:
                words.append("")
            words[-1] += line[max(first, end) : last].lower()  # several may stand for one character
            word_of.append(len(words) - 1)
            end = last
        return cls(piece_ids, words, word_of)


CutPair = tuple[CutLine, CutLine]


@dataclass(frozen=True)
class Lexicon:
    """How likely pieces of one language become pieces of another."""

    src: Tensor  # (E,) ids of both
    tgt: Tensor
    probs: Tensor  # (E,), of the target piece, given the source piece
    from_nowhere: Tensor  # of every target piece, of all that come from no source piece


@dataclass(frozen=True)
class TextAligner:
    """What was learnt from a text: two aligners, and the words that one of them knows."""

    of_pieces: HmmAligner
    of_words: HmmAligner
    words: dict[str, int]
    first_of_target: int
    """Added to the ids of target pieces, so that those of two tokenizers are not taken for the same."""

    def posteriors(self, pairs: Sequence[CutPair]) -> list[tuple[Tensor, Tensor]]:
        """For each pair two (T, S): that a target piece comes from a source piece, and the other way round.

        Rows of the first and columns of the second sum to at most 1: the rest is that it comes from nowhere.
        """
        both = zip(self.by_pieces(pairs), self.by_words(pairs), strict=True)
        return [
            ((by_pieces[0] + by_words[0]) / 2, (by_pieces[1] + by_words[1]) / 2)
            for by_pieces, by_words in both
        ]

    def by_pieces(self, pairs: Sequence[CutPair]) -> list[tuple[Tensor, Tensor]]:
        """What the aligner of pieces alone says."""
        return self.of_pieces.posteriors_batch(
            [_piece_ids(src, tgt, self.first_of_target) for src, tgt in pairs]
        )

    def by_words(self, pairs: Sequence[CutPair]) -> list[tuple[Tensor, Tensor]]:
        """What the aligner of words alone says, divided among the pieces of each word."""
        found = self.of_words.posteriors_batch([self._word_ids(*pair) for pair in pairs])
        shares = zip(*(_shares([pair[side] for pair in pairs]) for side in (0, 1)), strict=True)
        return [_on_pieces(*links, *both) for links, both in zip(found, shares, strict=True)]

    def lexicon(self, *, is_turned: bool = False) -> Lexicon:
        """What the aligner of pieces knows of single ones; turned: from target to source."""
        pieces = self.of_pieces
        src, tgt = pieces.keys // pieces.vocab_size, pieces.keys % pieces.vocab_size - self.first_of_target
        if is_turned:
            return Lexicon(tgt, src, pieces.backward.lexicon, pieces.backward.null)
        return Lexicon(src, tgt, pieces.forward.lexicon, pieces.forward.null[self.first_of_target :])

    def _word_ids(self, src: CutLine, tgt: CutLine) -> IdPair:
        """Ids of words; those that are not known are one on each side, and the same if they are equal."""
        unknown = len(self.words)
        same = set(src.words) & set(tgt.words)
        return (
            [self.words.get(word, unknown) for word in src.words],
            [self.words.get(word, unknown if word in same else unknown + 1) for word in tgt.words],
        )

    def state(self) -> dict[str, Tensor]:
        """Everything as tensors, for a file."""
        text = WORD_ENDS.join(self.words).encode("utf-8", "surrogatepass")
        return {
            "words": torch.tensor(list(text), dtype=torch.uint8),
            "first_of_target": torch.tensor(self.first_of_target),
            **{f"of_pieces.{name}": tensor for name, tensor in self.of_pieces.state().items()},
            **{f"of_words.{name}": tensor for name, tensor in self.of_words.state().items()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> "TextAligner":
        """The aligner whose state this is."""
        text = bytes(state["words"].tolist()).decode("utf-8", "surrogatepass")
        of_pieces, of_words = (
            HmmAligner.from_state(
                {name.removeprefix(part): each for name, each in state.items() if name.startswith(part)}
            )
            for part in ("of_pieces.", "of_words.")
        )
        words = {word: i for i, word in enumerate(text.split(WORD_ENDS))}
        return cls(of_pieces, of_words, words, int(state["first_of_target"]))


def train_text_aligner(
    pairs: Iterable[CutPair],
    *,
    vocab_sizes: tuple[int, int],
    is_joint: bool,
    on_progress: Callable[[int], None] = lambda _: None,
) -> TextAligner:
    """Learn from pairs of lines, whose pieces are ids below the sizes of both vocabularies.

    `is_joint` says that it is one. `on_progress` is called now and then, and may raise to stop.
    """
    first_of_target = 0 if is_joint else vocab_sizes[0]
    words: dict[str, int] = {}
    piece_pairs, word_pairs = list[IdPair](), list[IdPair]()
    for src, tgt in pairs:
        piece_pairs.append(_piece_ids(src, tgt, first_of_target))
        word_pairs.append(
            (
                [words.setdefault(word, len(words)) for word in src.words],
                [words.setdefault(word, len(words)) for word in tgt.words],
            )
        )
    of_pieces = train_hmm(piece_pairs, vocab_size=first_of_target + vocab_sizes[1], on_progress=on_progress)
    of_words = train_hmm(word_pairs, vocab_size=len(words) + 2, on_progress=on_progress)  # two are unknown
    return TextAligner(of_pieces, of_words, words, first_of_target)


def _piece_ids(src: CutLine, tgt: CutLine, first_of_target: int) -> IdPair:
    if not first_of_target:
        return src.piece_ids, tgt.piece_ids
    return src.piece_ids, [first_of_target + id for id in tgt.piece_ids]


_Shares = tuple[Tensor, Tensor]
"""For each piece of a line its share of a word, and the place of that word."""


def _on_pieces(forward: Tensor, backward: Tensor, src: _Shares, tgt: _Shares) -> tuple[Tensor, Tensor]:
    """Links of words (W, V) on pieces (T, S): what a word has is divided among those it is to be found in."""
    (src_share, src_of), (tgt_share, tgt_of) = src, tgt
    rows = tgt_of[:, None]
    return forward[rows, src_of] * src_share, backward[rows, src_of] * tgt_share[:, None]


def _shares(lines: Sequence[CutLine]) -> list[_Shares]:
    lengths = [len(line.word_of) for line in lines]
    word_of = torch.tensor([word for line in lines for word in line.word_of], dtype=torch.long)
    num_words = torch.tensor([len(line.words) for line in lines], dtype=torch.long)
    first_words = num_words.cumsum(0) - num_words
    words = word_of + first_words.repeat_interleave(torch.tensor(lengths, dtype=torch.long))  # of all lines
    shares = 1 / words.bincount()[words]
    return list(zip(torch.split(shares, lengths), torch.split(word_of, lengths), strict=True))
