"""Symmetrisation, worked by hand."""

import pytest

from nmt.alignment.merge import WordAlignment
from nmt.alignment.symmetrize import METHODS, symmetrize, symmetrize_alignments
from nmt.corpus.links import Method
from nmt.errors import UsageError

# 0-0 and 3-3 are agreed on. 1-0 touches 0-0 with word 1 free, but target 0 is taken: only EITHER takes it.
# 1-1 touches 0-0 with both free: both rules take it, though EITHER comes to 1-0 first.
# 5-5 and 5-6 touch nothing; after 5-5 is in, target 6 is free but source 5 is not.
FORWARD = {(0, 0), (1, 1), (3, 3), (5, 5)}
REVERSE = {(0, 0), (1, 0), (3, 3), (5, 6)}

EXPECTED: dict[Method, set[tuple[int, int]]] = {
    "intersection": {(0, 0), (3, 3)},
    "union": {(0, 0), (1, 0), (1, 1), (3, 3), (5, 5), (5, 6)},
    "grow-diag": {(0, 0), (1, 0), (1, 1), (3, 3)},
    "grow-diag-strict": {(0, 0), (1, 1), (3, 3)},
    "grow-diag-final": {(0, 0), (1, 0), (1, 1), (3, 3), (5, 5), (5, 6)},
    "grow-diag-final-and": {(0, 0), (1, 0), (1, 1), (3, 3), (5, 5)},
}


@pytest.mark.parametrize("method", METHODS)
def test_methods_worked_by_hand(method: Method) -> None:
    assert symmetrize(FORWARD, REVERSE, method) == EXPECTED[method]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_lies_between_intersection_and_union(method: Method) -> None:
    links = symmetrize(FORWARD, REVERSE, method)
    assert FORWARD & REVERSE <= links <= FORWARD | REVERSE


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
