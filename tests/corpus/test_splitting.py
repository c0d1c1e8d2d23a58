import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.corpus.splitting import split_line
from nmt.corpus.words import Span


def characters(text: str) -> list[Span]:
    """Every character is a piece, as in the worst of tokenizers; white space belongs to the next one."""
    return [match.span() for match in re.finditer(r"\s*\S|\s+$", text)]


def words(text: str) -> list[Span]:
    return [match.span() for match in re.finditer(r"\S+", text)]


def parts(line: str, max_length: int) -> list[str]:
    return [line[start:end] for start, end in split_line(line, words, max_length)]


def test_a_line_is_cut_at_sentence_ends_first() -> None:
    line = 'He said: "Go, then." She went, and he stayed. It was late, very late by then.'
    assert parts(line, 6) == [
        'He said: "Go, then."',
        "She went, and he stayed.",
        "It was late,",
        "very late by then.",
    ]


def test_a_line_is_cut_at_punctuation_else_at_spaces() -> None:
    assert parts("one two, three four five six seven", 4) == ["one two,", "three four five six", "seven"]
    assert parts("one two three four five", 2) == ["one two", "three four", "five"]


def test_numbers_and_urls_are_not_sentence_ends() -> None:
    assert parts("see nmt.example.org or 3.14 now", 3) == ["see nmt.example.org or", "3.14 now"]


def test_scripts_without_spaces_are_cut_behind_their_full_stops() -> None:
    line = "今日は雨です。「明日は晴れです。」と言った、彼は。"
    cut = [line[start:end] for start, end in split_line(line, characters, 10)]
    assert cut == ["今日は雨です。", "「明日は晴れです。」", "と言った、彼は。"]


def test_a_line_without_any_boundary_is_cut_at_the_limit() -> None:
    assert split_line("x" * 25, characters, 10) == [(0, 10), (10, 20), (20, 25)]


def test_a_character_of_many_pieces_is_a_part_of_its_own() -> None:
    def in_bytes(text: str) -> list[Span]:
        return [(i, i + 1) for i, character in enumerate(text) for _ in character.encode()]

    assert split_line("a😀😀b", in_bytes, 3) == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_long_pieces_do_not_move_the_cut_into_a_word() -> None:
    line = " ".join(["Donaudampfschifffahrtsgesellschaft"] * 30)
    assert all(
        part == "Donaudampfschifffahrtsgesellschaft" for text in parts(line, 8) for part in text.split()
    )


def test_the_cost_is_linear_in_the_line() -> None:
    num_seen = 0

    def counted(text: str) -> list[Span]:
        nonlocal num_seen
        num_seen += len(text)
        return characters(text)

    line = "x" * 200_000
    assert len(split_line(line, counted, 100)) == 2000
    assert num_seen < 10 * len(line)


LINES = st.text(st.sampled_from("ab.,;!。、 \t\u3000\u2028\u00a0\r\x1c😀'”)"), max_size=80)


@given(LINES, st.integers(1, 9))
@pytest.mark.parametrize("spans_of", [characters, words])
def test_the_parts_cover_the_line(spans_of: object, line: str, max_length: int) -> None:
    assert callable(spans_of)
    spans = split_line(line, spans_of, max_length)
    assert all(start < end for start, end in spans)
    rest, position = "", 0
    for start, end in spans:
        rest, position = rest + line[position:start], end
        assert len(spans_of(line[start:end])) <= max_length or end - start == 1
        assert line[start:end] == line[start:end].strip()
    assert not (rest + line[position:]).strip()
