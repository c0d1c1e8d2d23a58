"""Pharaoh and talp lines."""

import pytest

from nmt.corpus.links import GoldLinks, format_pharaoh, format_talp, parse_pharaoh, parse_talp
from nmt.errors import DataError


def test_pharaoh_is_sorted_by_source_then_target() -> None:
    assert format_pharaoh({(10, 0), (2, 3), (2, 1)}) == "2-1 2-3 10-0"


def test_parsed_pharaoh_formats_to_the_same_line() -> None:
    assert format_pharaoh(parse_pharaoh("0-0 1-2 2-1", where="x:1")) == "0-0 1-2 2-1"


def test_a_blank_line_has_no_links() -> None:
    assert parse_pharaoh(" ", where="x:1") == set()
    assert format_pharaoh(set()) == ""


def test_probabilities_are_dropped() -> None:
    assert parse_pharaoh("0-0:0.93 1-2:1e-05", where="x:1") == {(0, 0), (1, 2)}


@pytest.mark.parametrize("item", ["0", "0-", "-1-2", "0-0-0", "a-b", "1p2", "٣-1"])
def test_what_is_no_link_is_named_with_its_place(item: str) -> None:
    with pytest.raises(DataError, match=r"^test\.links:7: .* is not a link; expected"):
        parse_pharaoh(f"0-0 {item}", where="test.links:7")


def test_possible_gold_links_contain_the_sure_ones() -> None:
    gold = parse_talp("0-0 1p2 2-2", where="x:1")
    assert gold == GoldLinks(frozenset({(0, 0), (2, 2)}), frozenset({(0, 0), (1, 2), (2, 2)}))


def test_gold_counted_from_one_is_shifted() -> None:
    assert parse_talp("1-1 2p3", where="x:1", base=1) == parse_talp("0-0 1p2", where="x:1")


def test_parsed_talp_formats_to_the_same_line() -> None:
    assert format_talp(parse_talp("2p1 0-0 1p2", where="x:1")) == "0-0 1p2 2p1"


def test_what_is_no_gold_link_is_refused() -> None:
    with pytest.raises(DataError, match=r"^gold:3: '0:0' is not a gold link"):
        parse_talp("0:0", where="gold:3")
