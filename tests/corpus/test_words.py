"""Words of raw lines, in the scripts of the world."""

from itertools import pairwise

import pytest

from nmt.corpus.words import word_spans, words

CASES = {
    "inner apostrophes and hyphens belong to a word": (
        "Don't touch O’Neill's well-known e‑mail",
        ["Don't", "touch", "O’Neill's", "well-known", "e‑mail"],
    ),
    "apostrophes and hyphens at an edge are words": (
        "the dogs' -- 'tis rock-",
        ["the", "dogs", "'", "-", "-", "'", "tis", "rock", "-"],
    ),
    "punctuation is cut off one by one": (
        '"Hi!" (3.5%)',
        ['"', "Hi", "!", '"', "(", "3", ".", "5", "%", ")"],
    ),
    "digits and letters make one word": ("A4 x2 H₂O 2nd", ["A4", "x2", "H₂O", "2nd"]),
    "underscores and symbols stand alone": ("a_b © €", ["a", "_", "b", "©", "€"]),
    "Han and Kana are cut into characters": ("東京タワーへ。", ["東", "京", "タ", "ワ", "ー", "へ", "。"]),
    "Latin inside Japanese stays whole": ("TシャツはA4", ["T", "シ", "ャ", "ツ", "は", "A4"]),
    "voiced marks of halfwidth Kana stay on": ("ｶﾞｷﾞ", ["ｶﾞ", "ｷﾞ"]),
    "Thai is cut into clusters": ("ฉันรักน้ำ", ["ฉั", "น", "รั", "ก", "น้ำ"]),
    "Khmer letters below stay on": ("ខ្មែរ", ["ខ្មែ", "រ"]),
    "Myanmar vowels and asat stay on": ("မြန်မာ", ["မြ", "န်", "မာ"]),
    "Lao is cut into clusters": ("ນ້ຳ", ["ນ້ຳ"]),
    "Korean has spaces": ("나는 학교에 간다.", ["나는", "학교에", "간다", "."]),
    "combining marks belong to their letter": ("cafe\u0301 Å", ["cafe\u0301", "Å"]),
    "Devanagari words stay whole": ("हिन्दी क्\u200dष।", ["हिन्दी", "क्\u200dष", "।"]),
    "zero-width non-joiners are inside a word": ("می\u200cخواهم؟", ["می\u200cخواهم", "؟"]),
    "Hebrew": ("שלום, עולם!", ["שלום", ",", "עולם", "!"]),
    "direction marks belong to no word": ("abc\u200e \u200fdef", ["abc", "def"]),
    "emoji sequences are one": ("👨\u200d👩\u200d👧👍🏽❤️!", ["👨\u200d👩\u200d👧", "👍🏽", "❤️", "!"]),
    "flags are pairs of letters": ("🇩🇪🇫🇷", ["🇩🇪", "🇫🇷"]),
    "keycaps are one": ("1️⃣2", ["1️⃣2"]),
    "all white space separates": ("a\u00a0b\u3000c\u200bd\te", ["a", "b", "c", "d", "e"]),
    "control characters separate": ("a\x00b\x1cc\u2028d", ["a", "b", "c", "d"]),
    "private and unknown characters are visible": ("\ue000x", ["\ue000", "x"]),
}


@pytest.mark.parametrize(("line", "expected"), CASES.values(), ids=CASES.keys())
def test_punct_words(line: str, expected: list[str]) -> None:
    assert words(line) == expected


def test_space_words_are_cut_at_ascii_white_space_only() -> None:
    assert words("l' homme\t, a\u00a0b ", "space") == ["l'", "homme", ",", "a\u00a0b"]


@pytest.mark.parametrize("mode", ["punct", "space"])
@pytest.mark.parametrize("line", ["", "   ", "\t\u3000 \u200b "[:1]])
def test_blank_lines_have_no_words(line: str, mode: str) -> None:
    assert word_spans(line, mode) == []


def test_spans_are_offsets_into_the_raw_line() -> None:
    assert word_spans("  Ja, 東!") == [(2, 4), (4, 5), (6, 7), (7, 8)]


def test_spans_are_in_order_and_cover_every_visible_character() -> None:
    line = "".join(map(chr, [*range(0x20, 0x2FF), *range(0xE00, 0xE60), *range(0x3040, 0x30FF)]))
    spans = word_spans(line)
    assert all(start < end for start, end in spans)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    covered = {i for start, end in spans for i in range(start, end)}
    assert all(line[i].isspace() or not line[i].isprintable() for i in set(range(len(line))) - covered)
