"""Phrases in growing text, against the text as a whole."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.checkpoint import TranslationModel
from nmt.corpus.words import is_in_word
from nmt.decoding.phrases import Forbidden, PieceTexts, Reading, as_phrase
from nmt.tokenizer import EOS_ID, REPLACEMENT

TEXTS = ["", "", " a", "b", "ab", " ", " b", ".", " a b", "a.", "  ", " -", "日", "a  b "]
BYTES = {len(TEXTS) + i: byte for i, byte in enumerate("aé ".encode() + b"\xf0")}
TOY = PieceTexts([*TEXTS, *map(str, BYTES)], BYTES)
PHRASES = ["a", "a b", "ab", "b ab", "a.", "-", "é", "日", "a a b"]
FREE = range(2, len(TEXTS) + len(BYTES))


def contains(text: str, phrase: str) -> bool:
    """Whether a phrase is in a text as words of its own."""
    text = as_phrase(text)
    starts = [i for i in range(len(text)) if text.startswith(phrase, i)]
    for start in starts:
        end = start + len(phrase)
        goes_on = end < len(text) and is_in_word(phrase[-1]) and is_in_word(text[end])
        went_before = start > 0 and is_in_word(phrase[0]) and is_in_word(text[start - 1])
        if not (goes_on or went_before):
            return True
    return False


def text_of(pieces: Sequence[int]) -> str:
    """What pieces spell; bytes that are no UTF-8 become U+FFFD, one by one."""
    data = b"".join(bytes([BYTES[id]]) if id in BYTES else TEXTS[id].encode("utf-8") for id in pieces)
    return data.decode("utf-8", errors="replace")


def reading_of(forbidden: Forbidden, pieces: Sequence[int]) -> Reading | None:
    reading: Reading | None = Reading()
    for piece in pieces:
        reading = reading and forbidden.after(reading, piece)
    return reading


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.sampled_from(list(FREE)), max_size=9),
    st.lists(st.sampled_from(PHRASES), min_size=1, max_size=3, unique=True),
)
def test_a_text_may_end_where_no_phrase_is_in_it(pieces: list[int], phrases: list[str]) -> None:
    forbidden = Forbidden(phrases, TOY)
    reading = reading_of(forbidden, pieces)
    has_phrase = any(contains(text_of(pieces), phrase) for phrase in phrases)
    assert (reading is None or not forbidden.may_end(reading)) == has_phrase


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(list(FREE)), max_size=6),
    st.lists(st.sampled_from(PHRASES), min_size=1, max_size=3, unique=True),
    st.booleans(),
)
def test_the_pieces_that_are_banned_are_all_that_complete_a_phrase(
    pieces: list[int], phrases: list[str], last: bool
) -> None:
    forbidden = Forbidden(phrases, TOY)
    if reading := reading_of(forbidden, pieces):
        expected = []
        for id in FREE:
            after = forbidden.after(reading, id)
            if after is None or (last and not forbidden.may_end(after)):
                expected.append(id)
        assert forbidden.banned(reading, last).tolist() == expected


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(list(FREE)), max_size=5),
    st.lists(st.sampled_from(list(FREE)), max_size=5),
    st.sampled_from(PHRASES),
    st.sampled_from(["", " ", " \t"]),
)
def test_no_phrase_arises_where_two_parts_meet(
    first: list[int], second: list[int], phrase: str, gap: str
) -> None:
    forbidden = Forbidden([phrase], TOY)
    readings = [reading_of(forbidden, part) for part in (first, second)]
    if all(reading and forbidden.may_end(reading, goes_on=i == 0) for i, reading in enumerate(readings)):
        assert not contains(text_of(first) + gap + text_of(second), phrase)


@pytest.mark.parametrize(
    ("text", "has_it"),
    [
        ("the big dog.", True),
        ("the  big\tdog", True),
        ("(big dog's)", True),
        ("the big dogma", False),
        ("a sobig dog", False),
        ("Big dog", False),
        ("big, dog", False),
        ("big do", False),
    ],
)
def test_a_phrase_is_whole_words_written_the_same(text: str, has_it: bool) -> None:
    forbidden = Forbidden(["big  dog "], TOY)
    reading = forbidden.read(Reading(), text)
    assert (reading is None or not forbidden.may_end(reading)) == has_it


def test_the_pieces_of_a_tokenizer_read_as_its_text(tiny_model: TranslationModel) -> None:
    tokenizer = tiny_model.tgt_tokenizer
    texts = PieceTexts.of(tokenizer)
    phrase = "im Garten"
    forbidden = Forbidden([phrase], texts)
    for line in (
        "Wir sind im Garten!",
        "im Gärten",
        "im Garten",
        "😀im Garten",
        "im Gartenhaus",
        "im  Garten ö",
    ):
        reading = Reading()
        ended = False
        for piece in tokenizer.encode(line):
            after = forbidden.after(reading, piece)
            ended = ended or after is None
            reading = after or Reading()
        assert (ended or not forbidden.may_end(reading)) == contains(line, phrase), line
    assert not any(texts.texts[: EOS_ID + 1])
    assert REPLACEMENT not in "".join(texts.texts)
