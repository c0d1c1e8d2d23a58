"""What comes before a line in its document, and how much of it there is room for."""

from nmt.corpus.context import before, cut_contexts, in_context
from nmt.files import NOT_UTF8
from nmt.tokenizer import SEPARATOR_ID as SEP


def test_a_line_has_the_lines_before_it_up_to_a_blank_one() -> None:
    lines = ["a", "b", NOT_UTF8, "c", " \u3000\u200b", "d", "", "", "e", "f"]
    contexts = {line.text: line.context for line in in_context(lines, 2)}
    assert contexts["a"] == contexts["d"] == contexts["e"] == ()
    assert contexts["b"] == ("a",)
    assert contexts[NOT_UTF8] == ("a", "b")
    assert contexts["c"] == ("b",)  # the line between can not be read
    assert contexts["f"] == ("e",)
    assert {line.context for line in in_context(lines, 0)} == {()}


def test_the_pieces_before_a_source_are_the_nearest_and_begin_with_no_separator() -> None:
    context = [[11, 12], [], [13, 14, 15]]
    whole = [11, 12, SEP, 13, 14, 15, SEP]
    assert before(context, 100) == before(context, 7) == whole
    assert before(context, 6) == whole[1:]
    assert before(context, 5) == before(context, 4) == [13, 14, 15, SEP]
    assert before(context, 2) == [15, SEP]
    assert before(context, 1) == before(context, 0) == before(context, -3) == before([], 9) == []


def test_a_line_of_several_contexts_is_cut_once() -> None:
    asked: list[str] = []

    def encode(lines) -> list[list[int]]:
        asked.extend(lines)
        return [[len(line)] for line in lines]

    contexts = [(), ("a",), ("a", "bb"), ("a", "bb", " "), ("x", "bb", "ccc")]
    assert cut_contexts(contexts, encode, size=2) == [[], [[1]], [[1], [2]], [[2], []], [[2], [3]]]
    assert sorted(asked) == ["a", "bb", "ccc"]
    assert cut_contexts(contexts, encode, size=0) == [[]] * 5
