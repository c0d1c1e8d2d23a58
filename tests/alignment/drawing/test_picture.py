"""A pair as a picture: every word and link is in it once, nothing overlaps, and it is as wide as allowed."""

import re
import sys
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.alignment.drawing.bands import cut_into_bands
from nmt.alignment.drawing.letter_widths import text_width
from nmt.alignment.drawing.marks import Reference
from nmt.alignment.drawing.pair import Pair
from nmt.alignment.drawing.picture import SIZE, png_picture, svg_picture
from nmt.alignment.merge import WordAlignment
from nmt.corpus.links import parse_talp
from nmt.corpus.words import word_spans
from nmt.errors import UsageError

SVG = "{http://www.w3.org/2000/svg}"


def pair(source: str, target: str, links: dict, *, gold: str | None = None) -> Pair:
    spans = (tuple(word_spans(line)) for line in (source, target))
    reference = None if gold is None else Reference(parse_talp(gold, where="gold:1"))
    return Pair(1, WordAlignment(source, target, *spans, links), "", reference)


def drawn(one: Pair, **options) -> ElementTree.Element:
    return ElementTree.fromstring(svg_picture(one, **options))


def test_of_a_blank_pair_there_is_no_picture() -> None:
    with pytest.raises(UsageError, match="both sides of the pair are blank; there is nothing to draw"):
        svg_picture(pair("", " ", {}))
    assert [text.text for text in drawn(pair("", "a", {})).iter(f"{SVG}text")] == ["a"]


def test_each_word_is_written_and_each_link_drawn_stronger_the_more_probable() -> None:
    picture = drawn(pair("Er <b> & an", "He calls", {(0, 0): 1.0, (5, 1): 0.3}))
    assert [text.text for text in picture.iter(f"{SVG}text")] == "Er < b > & an He calls".split()
    weak, strong = picture.iter(f"{SVG}path")
    assert float(weak.get("stroke-width")) < float(strong.get("stroke-width"))
    assert "\x1b" not in svg_picture(pair("\x1b[0m", "", {}))
    assert {element.tag.removeprefix(SVG) for element in picture.iter()} == {
        *("svg", "title", "rect", "g", "path", "text")
    }  # nothing that only browsers know


def test_compared_links_differ_in_colour_and_dashes_and_merely_possible_ones_are_left_out() -> None:
    one = pair("a b c d", "A B C D", {(0, 0): 1.0, (1, 1): 1.0, (0, 1): 0.5}, gold="0-0 1p1 2-2 3p3")
    paths = list(drawn(one).iter(f"{SVG}path"))
    assert len({(path.get("stroke"), path.get("stroke-dasharray")) for path in paths}) == 4


@given(st.integers(0, 60), st.integers(1, 60), st.integers(200, 900))
@settings(max_examples=25, deadline=None)
def test_no_two_words_overlap_and_the_picture_is_as_wide_as_allowed(num_src, num_tgt, room) -> None:
    words = ["Haus", "in", "Donaudampf", "私", "ist"]
    source, target = (" ".join(words[k * k % 5] for k in range(n)) for n in (num_src, num_tgt))
    links = {(k, k): 0.9 for k in range(min(num_src, num_tgt))}
    picture = drawn(pair(source, target, links), room=room)
    assert float(picture.get("width")) <= room + 1
    rows: dict[str, list[tuple[float, float]]] = {}
    for text in picture.iter(f"{SVG}text"):
        half = text_width(text.text) * SIZE / 2
        rows.setdefault(text.get("y"), []).append((float(text.get("x")) - half, float(text.get("x")) + half))
    for row in rows.values():
        assert all(left[1] < right[0] + 0.1 for left, right in pairwise(row))
    assert sum(map(len, rows.values())) == num_src + num_tgt


def test_bands_are_cut_where_no_link_is() -> None:
    links = [(0, 2), (1, 1), (2, 0), (3, 3), (4, 4)]
    bands = cut_into_bands([10.0] * 5, [10.0] * 5, links, room=40)
    assert [(band.source, band.target) for band in bands] == [
        (range(3), range(3)),
        (range(3, 5), range(3, 5)),
    ]


def test_words_from_right_to_left_stand_so() -> None:
    texts = list(drawn(pair("كتب الولد", "the boy", {})).iter(f"{SVG}text"))
    assert float(texts[0].get("x")) > float(texts[1].get("x"))
    assert float(texts[2].get("x")) < float(texts[3].get("x"))
    assert [text.get("direction") for text in texts] == ["rtl", "rtl", None, None]


def test_letters_have_the_widths_of_helvetica() -> None:
    assert text_width("mm") > text_width("ii") * 3
    assert text_width("é") == text_width("e") == text_width("e\u0301")
    assert text_width("本") > text_width("M")


def test_the_png_is_the_svg_three_times_as_large() -> None:
    one = pair("Er ruft an", "He calls", {(0, 0): 1.0})
    width = int(re.search(r'width="(\d+)"', svg_picture(one))[1])
    assert int.from_bytes(png_picture(one)[16:20]) == 3 * width


def test_a_package_that_a_png_needs_is_named_where_it_is_missing(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(UsageError, match=r"pip install 'nmt\[plot\]'"):
        png_picture(pair("a", "A", {}))
