"""Where links differ from gold."""

from nmt.alignment.wrong_links import WrongPair, WrongSentence, frequent_wrong_pairs, worst_sentences
from nmt.corpus.links import GoldLinks, parse_pharaoh, parse_talp


def links(line: str) -> set[tuple[int, int]]:
    return parse_pharaoh(line, where="test")


def gold(line: str) -> GoldLinks:
    return parse_talp(line, where="test")


def test_the_worst_sentences_come_first_and_the_right_ones_not() -> None:
    predicted = [links("0-0"), links("0-1"), links("0-0 1-0")]
    found = worst_sentences(predicted, [gold("0-0"), gold("0-0 0p2"), gold("0-0 1p1")], limit=5)
    assert found == [
        WrongSentence(2, 1.0, [(0, 1)], [(0, 0)]),
        WrongSentence(3, 1 - 2 / 3, [(1, 0)], []),
    ]


def test_wrong_pairs_are_counted_by_word() -> None:
    words = (["the", "cat"], ["die", "Katze"])
    pairs = frequent_wrong_pairs(
        [links("0-1 1-1")] * 2 + [links("0-0")],
        [gold("0-0 1-1")] * 2 + [gold("0-0 1p1")],
        [words] * 3,
        limit=3,
    )
    assert pairs == [WrongPair("the", "Katze", "wrong", 2), WrongPair("the", "die", "missing", 2)]
