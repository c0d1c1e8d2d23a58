"""SentencePiece on raw text: pieces, their character offsets, and sampled segmentations."""

import hashlib
import io
import math
import random
import re
from array import array
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate, chain, islice, pairwise, takewhile
from pathlib import Path
from typing import Self

import sentencepiece

from nmt.config.languages import CODE
from nmt.config.schema import TokenizerConfig
from nmt.errors import DataError, ModelError, UsageError
from nmt.files import open_for_reading
from nmt.protobuf import protobuf_fields

PAD_ID, UNK_ID, BOS_ID, EOS_ID = 0, 1, 2, 3
SEPARATOR_ID = BOS_ID  # behind a sentence of context in a source, which has no other; no text is cut into it
Span = tuple[int, int]

SPACE = "▁"  # U+2581, how SentencePiece writes a space
STAND_IN = "\uf581"  # private use; takes the place of a U+2581 in the text, which is no space
REPLACEMENT = "\ufffd"
SURROGATE = re.compile("[\ud800-\udfff]")  # half a character, or a byte that was not UTF-8
UNKNOWN = "⁇"
TAG = re.compile("<2(.+)>")  # of a language that is to be translated into; a control symbol, never text
MAX_LINES = 2_000_000  # a tokenizer learns nothing more from more lines, but needs the memory for them
MAX_CHARACTERS = 1000  # SentencePiece leaves out lines of more than 4,192 bytes
TRAINING_THREADS = 4  # fixed: sums over another number of parts round differently, which changes pieces
BEST_SEGMENTATIONS = 64  # of a word, of which one is sampled
CACHED_WORDS = 100_000  # of 2 kilobytes each
# In training, SentencePiece reads the first as a space and leaves out lines with one of the next two.
RESERVED = str.maketrans(dict.fromkeys((SPACE, "▅", "\0", STAND_IN), " "))


@dataclass(frozen=True)
class Pieces:
    """A line cut into pieces, each with the characters [start, end) of the raw line that it stands for.

    Spaces belong to no span; that of a lone space is empty. The bytes of one character share its span.
    """

    ids: list[int]
    pieces: list[str]
    spans: list[Span]


@dataclass(frozen=True)
class TokenizerInfo:
    """What kind of tokenizer it is."""

    type: str
    vocab_size: int
    num_characters: int
    normalization: str
    byte_fallback: bool
    hash: str


@dataclass(frozen=True)
class _Segmentations:
    """The best ones of a word, as arrays, of which many fit into memory."""

    ids: "array[int]"  # one after the other
    ends: "array[int]"  # in `ids`, beginning with 0
    chances: "array[float]"  # added up


class Tokenizer:
    """A SentencePiece model whose decode(encode(line)) is the line, up to runs of white space."""

    def __init__(self, processor: sentencepiece.SentencePieceProcessor, data: bytes) -> None:
        self.data = data
        self.hash = hashlib.sha256(data).hexdigest()
        self.vocab_size: int = processor.vocab_size()
        self._processor = processor
        self._pieces: list[str] = [processor.id_to_piece(i) for i in range(self.vocab_size)]
        self._byte_of = {
            i: int(self._pieces[i][1:-1], 16) for i in range(self.vocab_size) if processor.is_byte(i)
        }
        self._id_of_byte = {byte: i for i, byte in self._byte_of.items()}
        self._silent = {i for i in range(self.vocab_size) if processor.is_control(i)}
        self.tags: dict[str, int] = {
            tag[1]: i for i in sorted(self._silent) if (tag := TAG.fullmatch(self._pieces[i]))
        }
        """Ids of the tags that there are, by language; no text is cut into them."""
        self._surface = [
            "" if i in self._silent else UNKNOWN if i == UNK_ID else piece.replace(SPACE, " ")
            for i, piece in enumerate(self._pieces)
        ]
        self._scores: list[float] = [processor.get_score(i) for i in range(self.vocab_size)]
        special = {*self._byte_of, *self._silent, UNK_ID}
        self._ids = {piece: i for i, piece in enumerate(self._pieces) if i not in special}
        self._best = lru_cache(CACHED_WORDS)(self._best_segmentations)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a tokenizer from its file."""
        with open_for_reading(path) as stream:
            return cls.from_bytes(stream.read(), name=str(path))

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "tokenizer") -> Self:
        """Make a tokenizer of a file's content; ModelError if that is damaged or of another kind."""
        processor = sentencepiece.SentencePieceProcessor()
        try:
            processor.LoadFromSerializedProto(data)
            tokenizer = cls(processor, data)
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{name}: damaged, or not a SentencePiece model") from error
        found = (processor.pad_id(), processor.unk_id(), processor.bos_id(), processor.eos_id())
        expected = (PAD_ID, UNK_ID, BOS_ID, EOS_ID)
        if found != expected:
            raise ModelError(
                f"{name}: pad, unk, bos, eos have the ids {found}, expected {expected}; "
                "train one with: nmt tokenizer train"
            )
        return tokenizer

    def piece(self, id: int) -> str:
        """The piece with this id, spaces written as U+2581."""
        return self._pieces[id]

    def byte(self, id: int) -> int | None:
        """The byte that a piece stands for, if it is one of those that spell unknown characters."""
        return self._byte_of.get(id)

    # Text to pieces

    def encode(self, line: str) -> list[int]:
        """The ids of a line's pieces; nothing is added before or behind."""
        ids: list[int] = self._processor.encode(_without_space_symbol(line))
        return self._with_space_symbol(ids, line)

    def encode_batch(self, lines: Sequence[str], *, threads: int = 1) -> list[list[int]]:
        """The ids of each line's pieces."""
        prepared = [_without_space_symbol(line) for line in lines]
        rows: list[list[int]] = self._processor.encode(prepared, num_threads=threads)
        return [self._with_space_symbol(ids, line) for ids, line in zip(rows, lines, strict=True)]

    def sample(self, line: str, *, alpha: float, generator: random.Random) -> list[int]:
        """A random segmentation: unigram smoothed by alpha (Kudo, 2018), or BPE-dropout of alpha.

        Not by SentencePiece, whose own samples no other process can repeat. As no piece goes over a space,
        it is done word by word.
        """
        normal: str = self._processor.normalize(_without_space_symbol(line))
        draw = {"unigram": self._sample_best, "bpe": self._sample_merges}.get(self.type)
        if draw is None:  # there is only one way to cut into words or characters
            return self.encode(line)
        ids = [id for word in normal.split(SPACE) if word for id in draw(word, alpha, generator)]
        return self._with_space_symbol(ids, line)

    def encode_with_spans(self, line: str) -> Pieces:
        """The pieces of a line with their characters in it as it was given, even where it was normalised."""
        prepared = _without_space_symbol(line)
        ids: list[int] = self._processor.encode(prepared)
        normal, starts = self._processor.normalize(prepared, with_offsets=True)
        surfaces: list[str] = self._processor.encode(prepared, out_type=str) if UNK_ID in ids else []
        spans: list[Span] = []
        position = 0  # in the normalised text
        for num_pieces, surface in self._surfaces(ids):
            size = len(surfaces[len(spans)] if ids[len(spans)] == UNK_ID else surface)
            spans += [_raw_span(normal, starts, position, position + size)] * num_pieces
            position += size
        ids = self._with_space_symbol(ids, line)
        return Pieces(ids, [self._pieces[i] for i in ids], spans)

    # Pieces to text

    def decode(self, ids: Sequence[int]) -> str:
        """The text of pieces; control symbols are passed over, bytes that are no UTF-8 become U+FFFD."""
        return self.decode_with_spans(ids)[0]

    def decode_with_spans(self, ids: Sequence[int]) -> tuple[str, list[Span]]:
        """The text of pieces, and the characters [start, end) of it that each piece stands for."""
        text = ""
        spans: list[Span] = []
        for num_pieces, surface in self._surfaces(ids):
            visible = surface.lstrip(" ")
            text += surface if text else visible
            spans += [(len(text) - len(visible), len(text))] * num_pieces
        return text, spans

    @cached_property
    def type(self) -> str:
        """`unigram`, `bpe`, `word` or `char`."""
        trainer = protobuf_fields(bytes(protobuf_fields(self.data).get(2, b"")))
        return {1: "unigram", 2: "bpe", 3: "word", 4: "char"}[int(trainer.get(3, 1))]

    def info(self) -> TokenizerInfo:
        """What kind of tokenizer this is."""
        model = protobuf_fields(self.data)
        normalizer = protobuf_fields(bytes(model.get(3, b"")))
        return TokenizerInfo(
            type=self.type,
            vocab_size=self.vocab_size,
            num_characters=sum(len(piece) == 1 for piece in self._pieces),
            normalization=bytes(normalizer.get(1, b"")).decode(),
            byte_fallback=bool(self._byte_of),
            hash=self.hash,
        )

    # Inside

    def _sample_best(self, word: str, alpha: float, generator: random.Random) -> list[int]:
        """One of the best segmentations of a word, each with a chance of p(segmentation) ** alpha."""
        best = self._best(word, alpha)
        place = bisect(best.chances, generator.random() * best.chances[-1], hi=len(best.chances) - 1)
        return best.ids[best.ends[place] : best.ends[place + 1]].tolist()

    def _best_segmentations(self, word: str, alpha: float) -> "_Segmentations":
        rows: list[list[int]] = self._processor.nbest_encode(word, nbest_size=BEST_SEGMENTATIONS)
        scores = [sum(map(self._scores.__getitem__, row)) for row in rows]
        best = max(scores)
        return _Segmentations(
            ids=array("i", list(chain.from_iterable(rows))),
            ends=array("i", list(accumulate(map(len, rows), initial=0))),
            chances=array("d", list(accumulate(math.exp(alpha * (score - best)) for score in scores))),
        )

    def _sample_merges(self, word: str, alpha: float, generator: random.Random) -> list[int]:
        """Byte-pair encoding that overlooks each possible merge with a chance of alpha, at every step."""
        symbols = [*(SPACE + word)]
        while True:
            merges = [
                (-self._scores[id], place)
                for place, pair in enumerate(pairwise(symbols))
                if (id := self._ids.get("".join(pair))) is not None and generator.random() >= alpha
            ]
            if not merges:
                return [id for symbol in symbols for id in self._spelling(symbol)]
            _, place = min(merges)
            symbols[place : place + 2] = ["".join(symbols[place : place + 2])]

    def _spelling(self, symbol: str) -> list[int]:
        """The piece of this text, else those of its bytes."""
        if symbol in self._ids:
            return [self._ids[symbol]]
        return [self._id_of_byte[byte] for byte in symbol.encode()] if self._id_of_byte else [UNK_ID]

    def _surfaces(self, ids: Sequence[int]) -> Iterator[tuple[int, str]]:
        """Groups of pieces that are one text together, as (number of pieces, text)."""
        position = 0
        while position < len(ids):
            if ids[position] in self._byte_of:
                num_pieces, surface = _first_character(self._spelt(ids[position : position + 4]))
            else:
                num_pieces, surface = 1, self._surface[ids[position]]
            yield num_pieces, surface
            position += num_pieces

    def _spelt(self, ids: Sequence[int]) -> bytes:
        """The bytes that these pieces begin with."""
        return bytes(self._byte_of[i] for i in takewhile(self._byte_of.__contains__, ids))

    def _with_space_symbol(self, ids: list[int], line: str) -> list[int]:
        """Spell U+2581 where the line has it; `ids` were made of the line with stand-ins."""
        if SPACE not in line or not self._id_of_byte:
            return ids
        stand_in, symbol = ([self._id_of_byte[byte] for byte in text.encode()] for text in (STAND_IN, SPACE))
        originals = iter(character for character in line if character in (SPACE, STAND_IN))
        for start in range(len(ids) - 2):
            if ids[start : start + 3] == stand_in and next(originals) == SPACE:
                ids[start : start + 3] = symbol
        return ids


def train_tokenizer(
    lines: Iterable[str],
    config: TokenizerConfig,
    *,
    vocab_size: int,
    exact: bool = True,
    seed: int = 1,
    threads: int = TRAINING_THREADS,
    tags: Sequence[str] = (),
) -> Tokenizer:
    """Train on raw text; of a very large text on a random sample of its lines.

    `tags` are languages that get a tag, for models that translate into more than one. Raises DataError if the
    text gives fewer pieces than `vocab_size` and the size is to be `exact`, or if not even its characters
    fit. Another number of threads rounds differently, so that a few pieces may differ.
    """
    if odd := [tag for tag in tags if not CODE.fullmatch(tag)]:
        raise UsageError(f"{odd[0]!r} is no code of a language, such as de or pt_BR")
    text = [part for line in _sample(lines, seed=seed) for part in _parts(line.translate(RESERVED))]
    if not any(map(str.strip, text)):
        raise DataError("no text to train a tokenizer on: every line is blank")
    tokenizer = Tokenizer.from_bytes(_train(text, config, vocab_size=vocab_size, threads=threads, tags=tags))
    if exact and tokenizer.vocab_size < vocab_size:
        raise DataError(
            f"a vocabulary of {vocab_size:,} pieces is too large for this text; "
            f"expected at most {tokenizer.vocab_size:,}; ask for fewer pieces, or give more text"
        )
    return tokenizer


def _train(
    text: list[str], config: TokenizerConfig, *, vocab_size: int, threads: int, tags: Sequence[str]
) -> bytes:
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(text),
            model_writer=model,
            model_type=config.type,
            vocab_size=max(vocab_size, EOS_ID + 1),
            hard_vocab_limit=False,
            normalization_rule_name=config.normalization,
            character_coverage=config.character_coverage,
            byte_fallback=config.byte_fallback,
            pad_id=PAD_ID,
            unk_id=UNK_ID,
            bos_id=BOS_ID,
            eos_id=EOS_ID,
            control_symbols=[f"<2{language}>" for language in tags],
            num_threads=threads,
            minloglevel=3,
        )
    except RuntimeError as error:
        if needed := re.search(r"smaller than required_chars\. \d+ vs (\d+)", str(error)):
            raise DataError(
                f"a vocabulary of {vocab_size:,} pieces is too small: the characters of this text take "
                f"{int(needed[1]):,}; ask for more pieces, or for a lower tokenizer.character_coverage"
            ) from error
        raise DataError(f"no tokenizer can be trained on this text: {error}") from error
    return model.getvalue()


def _sample(lines: Iterable[str], *, seed: int) -> list[str]:
    """Up to MAX_LINES lines, each with the same chance (algorithm R of Vitter, 1985)."""
    remaining = iter(lines)
    sample = list(islice(remaining, MAX_LINES))
    generator = random.Random(seed)
    for num_seen, line in enumerate(remaining, start=MAX_LINES + 1):
        place = generator.randrange(num_seen)
        if place < MAX_LINES:
            sample[place] = line
    return sample


def _parts(line: str) -> Iterator[str]:
    for start in range(0, len(line), MAX_CHARACTERS):
        yield line[start : start + MAX_CHARACTERS]


def _without_space_symbol(line: str) -> str:
    """The line as it can be cut: a space symbol is another character, what UTF-8 can not write U+FFFD."""
    return SURROGATE.sub(REPLACEMENT, line.replace(SPACE, STAND_IN))


def _raw_span(normal: str, starts: list[int], first: int, last: int) -> Span:
    """The raw characters behind the characters [first, last) of the normalised line, without spaces.

    `starts` holds where each normalised character begins in the raw line, and where the last one ends.
    """
    while first < last and normal[first] == SPACE:
        first += 1
    while first < last and normal[last - 1] == SPACE:
        last -= 1
    if first == last:
        return starts[first], starts[first]
    end = last
    while starts[end] == starts[last - 1] and end < len(normal):  # several made of the same raw character
        end += 1
    return starts[first], starts[end]


def _first_character(data: bytes) -> tuple[int, str]:
    """The character that begins some bytes, as (number of bytes, character); U+FFFD if they are no UTF-8."""
    for size in range(1, len(data) + 1):
        try:
            return size, data[:size].decode()
        except UnicodeDecodeError:
            continue
    return 1, REPLACEMENT
