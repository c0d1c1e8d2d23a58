"""Symmetrisation, worked by hand."""

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.alignment.merge import WordAlignment
from nmt.alignment.symmetrize import METHODS, symmetrize, symmetrize_alignments
from nmt.corpus.links import Link, Links, Method, format_pharaoh
from nmt.errors import UsageError

# 0-0 and 3-3 are agreed on. 1-0 is beside 0-0 with word 1 free, but target 0 is taken: only EITHER takes it.
# 1-1 is across a corner of 0-0 with both free; `grow` comes to it over 1-0. 4-4 is across a corner only.
# 6-6 and 6-7 touch nothing; after 6-6 is in, target 7 is free but source 6 is not.
FORWARD = {(0, 0), (1, 1), (3, 3), (4, 4), (6, 6)}
REVERSE = {(0, 0), (1, 0), (3, 3), (6, 7)}

EXPECTED: dict[Method, str] = {
    "intersection": "0-0 3-3",
    "union": "0-0 1-0 1-1 3-3 4-4 6-6 6-7",
    "grow": "0-0 1-0 1-1 3-3",
    "grow-final": "0-0 1-0 1-1 3-3 4-4 6-6 6-7",
    "grow-final-and": "0-0 1-0 1-1 3-3 4-4 6-6",
    "grow-diag": "0-0 1-0 1-1 3-3 4-4",
    "grow-diag-final": "0-0 1-0 1-1 3-3 4-4 6-6 6-7",
    "grow-diag-final-and": "0-0 1-0 1-1 3-3 4-4 6-6",
    "grow-diag-strict": "0-0 1-1 3-3 4-4",
    "grow-diag-strict-final": "0-0 1-1 3-3 4-4 6-6 6-7",
    "grow-diag-strict-final-and": "0-0 1-1 3-3 4-4 6-6",
}


@pytest.mark.parametrize("method", METHODS)
def test_methods_worked_by_hand(method: Method) -> None:
    assert format_pharaoh(symmetrize(FORWARD, REVERSE, method)) == EXPECTED[method]


# 2-0 and 0-3 are agreed on; source 1 is free, and a neighbour of each wants it. symal comes to 2-0 first, as
# its target is the first; in the order of sources 0-3 would get it. So 1-0 beside 2-0, 1-1 across its corner.
@pytest.mark.parametrize(
    ("near", "far", "methods"),
    [
        ((1, 0), (1, 3), ["grow", "grow-diag", "grow-final", "grow-diag-final-and"]),
        ((1, 1), (1, 2), ["grow-diag-strict", "grow-diag-strict-final-and"]),
    ],
)
def test_links_are_looked_at_by_target(near: Link, far: Link, methods: list[Method]) -> None:
    agreed = {(2, 0), (0, 3)}
    for method in methods:
        for forward, reverse in ((near, far), (far, near)):
            assert symmetrize({*agreed, forward}, {*agreed, reverse}, method) == {*agreed, near}, method


def test_the_final_step_takes_forward_links_first() -> None:
    assert symmetrize({(1, 1)}, {(0, 1)}, "grow-diag-final-and") == {(1, 1)}
    assert symmetrize({(0, 1)}, {(1, 1)}, "grow-diag-final-and") == {(0, 1)}
    assert symmetrize({(1, 1)}, {(0, 1)}, "grow-diag-final") == {(0, 1), (1, 1)}


def test_the_four_neighbours_of_a_corner_are_tried_in_the_order_of_symal() -> None:
    corners = [(0, 0), (2, 0), (0, 2), (2, 2)]
    for taken, left in ((0, 1), (0, 2), (1, 3), (2, 3)):
        union = {(1, 1), corners[taken], corners[left]}
        assert symmetrize(union, {(1, 1)}, "grow-diag-strict") == {(1, 1), corners[taken]}


LINKS = st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)))


@given(LINKS, LINKS)
def test_methods_lie_between_intersection_and_union_and_within_each_other(
    forward: Links, reverse: Links
) -> None:
    found = {method: symmetrize(forward, reverse, method) for method in METHODS}
    for method, links in found.items():
        assert forward & reverse <= links <= forward | reverse
        if method + "-final" in found:
            assert links <= found[cast(Method, method + "-final")]
            assert links <= found[cast(Method, method + "-final-and")]
    strict = found["grow-diag-strict"]
    for i, j in strict - found["intersection"]:  # what was added was free on both sides
        assert [(k, m) for k, m in strict if k == i or m == j] == [(i, j)]


@pytest.mark.parametrize("method", METHODS)
def test_equal_directions_stay_as_they_are(method: Method) -> None:
    assert symmetrize(FORWARD, FORWARD, method) == FORWARD


@pytest.mark.parametrize("method", METHODS)
def test_no_links_stay_none(method: Method) -> None:
    assert symmetrize(set(), set(), method) == set()


def test_growing_goes_on_from_links_that_were_added() -> None:
    diagonal = {(i, i) for i in range(5)}
    assert symmetrize(diagonal, {(0, 0)}, "grow-diag-strict") == diagonal
    assert symmetrize({(4, 4)}, diagonal, "grow-diag") == diagonal


def test_the_inputs_are_not_changed() -> None:
    forward, reverse = set(FORWARD), set(REVERSE)
    symmetrize(forward, reverse, "grow-diag-final")
    assert (forward, reverse) == (FORWARD, REVERSE)


def _alignment(source: str, target: str, links: dict[tuple[int, int], float]) -> WordAlignment:
    one, two = ((0, 1), (2, 3)), ((0, 1),)
    spans = {"a b": one, "x": two}
    return WordAlignment(source, target, spans[source], spans[target], links)


def test_probabilities_of_both_directions_are_averaged() -> None:
    forward = _alignment("a b", "x", {(0, 0): 0.6})
    reverse = _alignment("x", "a b", {(0, 0): 1.0, (0, 1): 0.5})
    combined = symmetrize_alignments(forward, reverse, "union")
    assert combined == _alignment("a b", "x", {(0, 0): 0.8, (1, 0): 0.25})


def test_different_words_are_refused() -> None:
    with pytest.raises(UsageError, match="different pieces"):
        symmetrize_alignments(_alignment("a b", "x", {}), _alignment("a b", "x", {}), "union")
