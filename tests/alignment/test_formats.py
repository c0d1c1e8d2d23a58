"""Alignments as lines."""

import json

import pytest
import torch

from nmt.alignment.formats import (
    CombinedOrigin,
    Origin,
    format_record,
    format_soft,
    parse_link_line,
)
from nmt.alignment.link_files import read_links
from nmt.alignment.merge import WordAlignment
from nmt.errors import DataError

ALIGNMENT = WordAlignment(
    "Äpfel, ja", "yes apples", ((0, 5), (5, 6), (7, 9)), ((0, 3), (4, 10)), {(0, 1): 0.75, (2, 0): 1.0}
)


def test_record_has_character_offsets_and_says_where_links_come_from() -> None:
    record = json.loads(format_record(ALIGNMENT, Origin("attention", 2)))
    assert record == {
        "src": "Äpfel, ja",
        "tgt": "yes apples",
        "src_tokens": [[0, 5], [5, 6], [7, 9]],
        "tgt_tokens": [[0, 3], [4, 10]],
        "links": [[0, 1, 0.75], [2, 0, 1.0]],
        "null_src": [1],
        "null_tgt": [],
        "coverage": 0.6667,
        "from": "attention",
        "layer": 2,
    }


def test_record_of_combined_links_names_both_layers_and_the_method() -> None:
    record = json.loads(
        format_record(ALIGNMENT, CombinedOrigin(Origin("head", 2), Origin("head", 3), "grow-diag"))
    )
    assert (record["layer"], record["reverse_layer"], record["method"]) == (2, 3, "grow-diag")


def test_record_is_read_back() -> None:
    line = format_record(ALIGNMENT, Origin("attention", 2))
    assert parse_link_line(line, where="x:1").alignment == ALIGNMENT


def test_record_is_one_line_whatever_the_text() -> None:
    text = "a\x85b\u2028c\u2029d\x0be"
    line = format_record(WordAlignment(text, text, (), (), {}), Origin("attention", 1))
    assert len(line.splitlines()) == 1
    read = parse_link_line(line, where="x:1").alignment
    assert read is not None
    assert read.source == text


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "{}",
        '{"src": 1}',
        '{"src": "", "tgt": "", "links": [[0]]}',
        *(
            f'{{"src": "a", "tgt": "b", "src_tokens": [[0, 1]], "tgt_tokens": [[0, 1]], "links": [{link}]}}'
            for link in (
                "[0, Infinity, 1]",
                "[0, 0, NaN]",
                "[0, 0, 7.0]",
                "[0, 0, 1e999]",
                f"[{'9' * 5000}, 0, 1]",
            )
        ),
    ],
)
def test_what_is_no_record_is_named_with_its_place(line: str) -> None:
    with pytest.raises(DataError, match=r"^links\.jsonl:3: not an alignment record"):
        parse_link_line(line, where="links.jsonl:3")


def test_a_field_that_is_missing_is_named() -> None:
    with pytest.raises(DataError, match="has no 'tgt_tokens'; expected what nmt align writes: src, tgt"):
        parse_link_line('{"src": "", "tgt": "", "links": [], "src_tokens": []}', where="x:1")


def test_a_line_that_could_not_be_linked_is_read_back_as_a_blank_pair() -> None:
    line = parse_link_line('{"src": "a", "error": "has no text in tgt; expected one"}', where="x:1")
    assert (line.links, line.error) == (set(), "has no text in tgt; expected one")
    assert line.alignment == WordAlignment("", "", (), (), {})


def test_an_empty_file_of_naacl_has_sentences_without_links() -> None:
    assert [line.links for line in read_links([], name="x.naacl", num_sentences=2)] == [set(), set()]
    assert not list(read_links([], name="x.links", num_sentences=2))


def test_links_past_the_words_are_refused() -> None:
    line = format_record(WordAlignment("a", "b", ((0, 1),), ((0, 1),), {(1, 0): 1.0}), Origin("attention", 1))
    with pytest.raises(DataError, match="points past the last of 1 and 1 words"):
        parse_link_line(line, where="x:1")


def test_each_line_shows_its_format() -> None:
    assert parse_link_line("0-1 2-0", where="x:1").links == {(0, 1), (2, 0)}
    line = parse_link_line(format_record(ALIGNMENT, Origin("attention", 2)), where="x:1")
    assert line.links == {(0, 1), (2, 0)}
    assert line.origin == "from: attention, layer: 2"
    assert line.turned().links == {(1, 0), (0, 2)}


def test_soft_rows_are_those_of_marian() -> None:
    assert format_soft(torch.tensor([[0.25, 0.75], [1.0, 0.0]])) == "0.25,0.75 1,0"


def test_soft_rows_are_read_as_their_likely_cells() -> None:
    matrix = torch.rand(5, 4, generator=torch.Generator().manual_seed(1))
    matrix[0] *= 1e-5  # written with an exponent
    line = parse_link_line(format_soft(matrix), where="x:1")
    rows, columns = (matrix >= 0.5).nonzero(as_tuple=True)
    likely = {(i, j): matrix[j, i].item() for j, i in zip(rows.tolist(), columns.tolist(), strict=True)}
    assert line.has_probabilities
    assert line.probabilities == pytest.approx(likely, abs=1e-5)
    assert parse_link_line(format_soft(matrix[:, :1]), where="x:1").links == {
        (0, j) for i, j in likely if i == 0
    }
    (one,) = read_links([format_soft(torch.ones(3, 1))], name="x.soft")  # a row of NAACL elsewhere
    assert one.links == {(0, 0), (0, 1), (0, 2)}


@pytest.mark.parametrize("line", ["0.5,0.5 1", "0.5,0.5 0-1", "0.9,1.2", "0.5,0.5 0.5,0.5,"])
def test_soft_rows_that_do_not_fit_are_refused(line: str) -> None:
    with pytest.raises(DataError, match=r"^x:1: .*expected"):
        parse_link_line(line, where="x:1")
