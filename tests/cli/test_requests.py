"""Lines of JSON become requests, with what else stands in them; odd ones say what is wrong."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.alignment.formats import json_line
from nmt.cli.requests import MOST_NESTED, Request, format_of, json_requests, plain_requests
from nmt.errors import DataError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def read(*lines: str) -> list[Request]:
    return list(json_requests(lines, name="in.jsonl", strict=False, on_mended=lambda _: None))


@given(st.dictionaries(st.text(), JSON, max_size=4), st.text())
def test_fields_come_as_they_are_and_in_order(fields: dict[str, object], text: str) -> None:
    fields["src"] = text
    [request] = read(json.dumps(fields))
    assert (request.text, request.error) == (text, "")
    assert list(request.fields.items()) == list(fields.items())
    assert json.loads(json_line(request.fields).encode()) == fields


def test_src_is_translated_else_text() -> None:
    texts = [
        request.text for request in read('{"text": "a"}', '{"text": "a", "src": "b"}', '{"text":1,"src":"c"}')
    ]
    assert texts == ["a", "b", "c"]


def test_lines_are_numbered_and_a_blank_one_is_a_gap() -> None:
    requests = read('{"src": "a"}', "", " \t", '{"src": ""}')
    assert [(request.number, request.is_gap) for request in requests] == [
        (0, False),
        (1, True),
        (2, True),
        (3, False),
    ]
    assert list(plain_requests(["a", ""])) == [Request(0, "a"), Request(1, "")]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("Der Hund", "not JSON (Expecting value"),
        ('{"src": "a"', "not JSON (Expecting ',' delimiter"),
        ('["a"]', "not a JSON object"),
        ('"a"', "not a JSON object"),
        ("{}", "has neither src nor text"),
        ('{"src": null, "text": "a"}', "src is not a text"),
        ('{"text": ["a"]}', "text is not a text"),
        ('{"src": "a", "x": NaN}', "NaN is not a number of JSON"),
        ('{"src": "a", "x": -Infinity}', "-Infinity is not a number of JSON"),
        ('{"src": "a", "x": 1e999}', "1e999 is not a number of JSON, or too large"),
        ('{"src": "a", "x": 1' + "0" * 5000 + "}", "not JSON (Exceeds the limit"),
        ("[" * 200_000, "not JSON (maximum recursion"),
        ('{"src": "a", "x": ' + "[" * MOST_NESTED + "]" * MOST_NESTED + "}", "inside of one another"),
    ],
)
def test_a_line_with_nothing_to_translate_says_why_or_is_refused(line: str, error: str) -> None:
    good = '{"src": "a"}'
    requests = read(good, line, good)
    assert error in requests[1].error
    assert (requests[1].number, requests[1].text) == (1, "")
    assert [request.text for request in requests[::2]] == ["a", "a"]
    strict = json_requests([good, line], name="in.jsonl", strict=True, on_mended=lambda _: None)
    assert next(strict).text == "a"
    with pytest.raises(DataError) as refused:
        next(strict)
    assert str(refused.value) == f"in.jsonl:2: {requests[1].error}"


def test_many_values_beside_one_another_are_no_mistake() -> None:
    line = json.dumps({"src": "a", "x": [[]] * 5 * MOST_NESTED})
    assert read(line)[0].error == ""


def test_half_a_character_is_mended_and_told_or_refused() -> None:
    seen: list[int] = []
    lines = [
        r'{"src": "\ud83d\ude00"}',
        r'{"src": "a\ud83d", "x\uDE00": 1}',
        r'{"src": "\\ud83d"}',
        r'{"src": "\ud83d\ud83d\ude00"}',
    ]
    requests = list(json_requests(lines, name="x", strict=False, on_mended=seen.append))
    assert [request.text for request in requests] == ["😀", "a\ufffd", r"\ud83d", "\ufffd😀"]
    assert "x\ufffd" in requests[1].fields
    assert seen == [2, 4]
    with pytest.raises(DataError, match=r"x:2: .*half a character"):
        list(json_requests(lines, name="x", strict=True, on_mended=seen.append))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.jsonl", "jsonl"), ("a.jsonl.gz", "jsonl"), ("a.json", "text"), ("a.jsonl.d.txt", "text")],
)
def test_the_ending_tells_the_format(name: str, expected: str) -> None:
    assert format_of(Path(name)) == expected
    assert format_of(None) == "text"
