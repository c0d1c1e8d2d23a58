"""Two sides of files, counted before anything else."""

import gzip
from pathlib import Path

import pytest
import torch

from nmt.corpus.reading import count_lines, read_pairs, spread
from nmt.errors import DataError, UsageError
from nmt.files import NOT_UTF8


def write(path: Path, text: str) -> Path:
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_pairs_come_line_by_line_from_all_files_and_again(tmp_path: Path) -> None:
    src = [write(tmp_path / "a.de", "eins\nzwei\n"), write(tmp_path / "b.de.gz", "drei\u2028\n\n")]
    tgt = [write(tmp_path / "a.en.gz", "one\ntwo"), write(tmp_path / "b.en", "three\r\nfour\n")]
    text = read_pairs(src, tgt)
    pairs = [("eins", "one"), ("zwei", "two"), ("drei\u2028", "three"), ("", "four")]
    assert len(text) == 4
    assert list(text) == list(text) == pairs
    assert list(text.select(torch.tensor([False, True, False, True]))) == [pairs[1], pairs[3]]


def test_lines_that_are_not_selected_are_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"\xef\xbb\xbfeins\n\xff\ndrei\n")
    text = read_pairs([path, path], [path, path])
    assert [src for src, _ in text.select(torch.tensor([True, False, True] * 2))] == ["eins", "drei"] * 2
    with pytest.raises(DataError, match="a:2: byte 0xFF"):
        list(text.select(torch.ones(6, dtype=torch.bool)))


def test_every_line_is_shown_while_they_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"eins\n\xff\n")
    for on_invalid, second in (("error", NOT_UTF8), ("skip", NOT_UTF8), ("replace", "\ufffd")):
        src: list[str] = []
        tgt: list[str] = []
        read_pairs([path], [path], on_invalid=on_invalid, on_src=src.append, on_tgt=tgt.append)
        assert src == tgt == ["eins", second]


@pytest.mark.parametrize(("text", "number"), [("", 0), ("\n", 1), ("a", 1), ("a\r\nb\x0b\n\n", 3)])
def test_lines_are_counted_as_they_are_read(tmp_path: Path, text: str, number: int) -> None:
    assert count_lines(write(tmp_path / "text", text)) == (number, 0)


def test_counts_that_differ_are_named_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "b.de").write_bytes(b"a\n\xff\nc\n")
    same = write(tmp_path / "a", "x\n")
    other = write(tmp_path / "b.en", "a\nb\n")
    with pytest.raises(DataError, match=r"b\.de has 3 lines, .*b\.en has 2"):
        read_pairs([same, tmp_path / "b.de"], [same, other])


def test_an_empty_corpus_is_refused(tmp_path: Path) -> None:
    empty = write(tmp_path / "empty", "")
    with pytest.raises(DataError, match="empty: no lines; expected parallel text"):
        read_pairs([empty], [empty])


def test_every_source_file_needs_a_target_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a", "x\n")
    with pytest.raises(UsageError, match="2 source files and 1 target files"):
        read_pairs([path, path], [path])


def test_bytes_that_are_no_text_are_named_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"gut\nschl\xffecht\n")
    text = read_pairs([path], [path])
    with pytest.raises(DataError, match=r"a:2: byte 0xFF at column 5 is not UTF-8"):
        list(text)
    assert list(read_pairs([path], [path], on_invalid="replace")) == [("gut", "gut"), ("schl\ufffdecht",) * 2]
    skipped = read_pairs([path], [path], on_invalid="skip")
    assert list(skipped) == [("gut", "gut"), (NOT_UTF8, NOT_UTF8)]
    assert (len(skipped), skipped.num_invalid) == (2, 2)


@pytest.mark.parametrize(
    ("size", "most", "expected"),
    [
        (10, 2, [0, 5]),
        (10, 3, [0, 3, 6]),
        (7, 4, [0, 1, 3, 5]),
        (7, 6, [0, 1, 2, 3, 4, 5]),
        (3, 5, [0, 1, 2]),
    ],
)
def test_pairs_are_chosen_all_over_the_text(size: int, most: int, expected: list[int]) -> None:
    assert spread(torch.arange(size), most).tolist() == expected
    assert spread(100 + torch.arange(size), most).tolist() == [100 + number for number in expected]


@pytest.mark.parametrize(("size", "most"), [(0, 5), (5, 0)])
def test_of_nothing_and_for_nothing_no_pair_is_chosen(size: int, most: int) -> None:
    assert spread(torch.arange(size), most).tolist() == []
