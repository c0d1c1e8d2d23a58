"""From pieces to words, worked by hand."""

import pytest
import torch
from torch import Tensor

from nmt.alignment.merge import (
    WordAlignment,
    best_links,
    likely_links,
    merge_pieces,
    normalized_rows,
    piece_shares,
    turned,
    two_way,
    two_way_of_rows,
)
from nmt.corpus.links import Link
from nmt.corpus.words import Span


def word_matrix(
    attention: Tensor,
    src_pieces: list[Span],
    tgt_pieces: list[Span],
    *,
    src_words: list[Span],
    tgt_words: list[Span],
) -> Tensor:
    return normalized_rows(
        merge_pieces(attention, piece_shares(tgt_pieces, tgt_words), piece_shares(src_pieces, src_words))
    )


def matrix_links(matrix: Tensor) -> dict[Link, float]:
    return best_links(two_way_of_rows(matrix), least=0.25)


def test_source_pieces_are_summed_and_target_pieces_averaged() -> None:
    # source "Haus|tür" + "en", target "door" + "s"; one word each side but a second source word "x"
    attention = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.2, 0.2]])
    matrix = word_matrix(
        attention,
        [(0, 4), (4, 7), (8, 9)],
        [(0, 4), (4, 5)],
        src_words=[(0, 7), (8, 9)],
        tgt_words=[(0, 5)],
    )
    assert matrix.tolist() == pytest.approx([pytest.approx([0.65, 0.35])])


def test_a_piece_that_spans_two_words_is_split_by_characters() -> None:
    shares = piece_shares([(0, 4), (4, 6)], [(0, 3), (3, 4), (4, 6)])
    assert shares.tolist() == [[0.75, 0.25, 0.0], [0.0, 0.0, 1.0]]
    matrix = word_matrix(
        torch.tensor([[0.8, 0.2]]),
        [(0, 4), (4, 6)],
        [(0, 1)],
        src_words=[(0, 3), (3, 4), (4, 6)],
        tgt_words=[(0, 1)],
    )
    assert matrix.tolist() == [pytest.approx([0.6, 0.2, 0.2])]


def test_a_target_piece_that_spans_two_words_counts_for_both() -> None:
    # "a." is one piece: both words get its row, the first one also that of its own piece
    attention = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    matrix = word_matrix(
        attention,
        [(0, 1), (1, 2)],
        [(0, 1), (1, 3)],
        src_words=[(0, 1), (1, 2)],
        tgt_words=[(0, 2), (2, 3)],
    )
    assert matrix.tolist() == [pytest.approx([1 / 1.5, 0.5 / 1.5]), [0.0, 1.0]]


def test_probabilities_that_do_not_sum_to_one_stay_as_they_are() -> None:
    """What a row lacks is the probability of no counterpart, and no word's."""
    pieces = torch.tensor([[0.2, 0.3], [0.0, 0.1]])
    shares = piece_shares([(0, 1), (1, 2)], [(0, 2)])
    merged = merge_pieces(pieces, shares, shares)
    assert merged.tolist() == [[pytest.approx((0.5 + 0.1) / 2)]]


def test_white_space_inside_a_piece_belongs_to_no_word() -> None:
    assert piece_shares([(0, 5)], [(0, 2), (3, 5)]).tolist() == [[0.5, 0.5]]


def test_empty_pieces_count_for_nothing_beside_others() -> None:
    matrix = word_matrix(
        torch.tensor([[0.9, 0.1, 0.0]]),
        [(0, 0), (0, 2), (3, 4)],
        [(0, 1)],
        src_words=[(0, 2), (3, 4)],
        tgt_words=[(0, 1)],
    )
    assert matrix.tolist() == [[1.0, 0.0]]


def test_an_empty_piece_stands_for_a_word_that_has_no_other() -> None:
    assert piece_shares([(0, 2), (3, 3)], [(0, 2), (3, 4)]).tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_a_word_without_pieces_has_no_link() -> None:
    matrix = word_matrix(
        torch.tensor([[1.0]]), [(0, 1)], [(0, 1)], src_words=[(0, 1)], tgt_words=[(0, 1), (5, 6)]
    )
    assert matrix_links(matrix) == {(0, 0): 1.0}


def test_rows_sum_to_one() -> None:
    attention = torch.rand(3, 4, generator=torch.Generator().manual_seed(1)).softmax(-1)
    spans = [(0, 2), (2, 3), (3, 3), (4, 8)]
    matrix = word_matrix(attention, spans, spans[:3], src_words=[(0, 1), (1, 3), (4, 8)], tgt_words=[(0, 3)])
    assert matrix.sum(-1).tolist() == pytest.approx([1.0])


def test_without_words_there_are_no_links() -> None:
    matrix = word_matrix(torch.zeros(0, 0), [], [], src_words=[], tgt_words=[(0, 1)])
    assert matrix.shape == (1, 0)
    assert matrix_links(matrix) == likely_links(matrix[None], least=0.5)[0] == {}


def test_each_target_word_is_linked_to_the_source_word_that_fits_best() -> None:
    matrix = torch.tensor([[0.6, 0.3, 0.1], [0.45, 0.44, 0.11]], dtype=torch.float64)
    assert set(matrix_links(matrix)) == {(0, 0), (1, 1)}  # the first column is the other row's


def test_two_ways_worked_by_hand() -> None:
    rows = torch.tensor([[0.6, 0.4], [0.9, 0.1]], dtype=torch.float64)
    columns = torch.tensor([[0.4, 0.8], [0.6, 0.2]], dtype=torch.float64)  # each row's share of a column
    expected = [[2 * 0.24 / 1.0, 2 * 0.32 / 1.2], [2 * 0.54 / 1.5, 2 * 0.02 / 0.3]]
    for both in (two_way(rows, columns), two_way_of_rows(rows), two_way(columns, rows)):
        assert both.tolist() == [pytest.approx(row) for row in expected]
    assert two_way(torch.zeros(1, 2), torch.tensor([[0.0, 1.0]])).tolist() == [[0.0, 0.0]]


def test_a_column_may_belong_to_as_many_words_as_there_are_for_each() -> None:
    four_to_one = torch.ones(4, 1, dtype=torch.float64)
    assert two_way_of_rows(four_to_one).tolist() == [[1.0]] * 4


def test_a_word_that_fits_nothing_has_no_link() -> None:
    matrix = torch.tensor([[0.9, 0.1, 0, 0, 0], [0.2, 0.2, 0.2, 0.2, 0.2]], dtype=torch.float64)
    assert set(matrix_links(matrix)) == {(0, 0), (2, 1)}
    spread = torch.full((9, 9), 1 / 9, dtype=torch.float64)
    assert matrix_links(spread) == {}


def test_all_words_that_fit_well_enough_are_linked() -> None:
    fits = torch.tensor([[0.5, 0.3, 0.2], [0.4, 0.4, 0.2]], dtype=torch.float64)
    least = torch.tensor([0.4, 0.3, 0.6], dtype=torch.float64)[:, None, None]
    several = likely_links(torch.stack((fits, fits, fits)), least=least)
    assert several[0] == {(0, 0): 0.5, (0, 1): 0.4, (1, 1): 0.4}
    assert list(several[1]) == [(0, 0), (0, 1), (1, 0), (1, 1)]  # in their order
    assert several[2] == {}


def test_turning_twice_changes_nothing() -> None:
    alignment = WordAlignment("a b", "x", ((0, 1), (2, 3)), ((0, 1),), {(0, 0): 0.6, (1, 0): 0.4})
    assert turned(alignment).links == {(0, 0): 0.6, (0, 1): 0.4}
    assert turned(turned(alignment)) == alignment
