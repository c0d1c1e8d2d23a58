"""Which pairs are dropped, for which reason, and that none is lost from the count."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nmt.config.schema import DataConfig
from nmt.corpus import cleaning
from nmt.corpus.cleaning import (
    CleanPairs,
    Fingerprints,
    clean_pairs,
    fingerprint,
    num_overlapping,
    select_pairs,
)
from nmt.corpus.encoded import Encode
from nmt.corpus.reading import Pair, ParallelText, read_pairs

BLANKS = ["", " ", "\t", "\u3000 \u00a0"]


def written(pairs: Sequence[Pair], folder: Path) -> ParallelText:
    paths = folder / "src", folder / "tgt"
    for path, lines in zip(paths, zip(*pairs, strict=True), strict=True):
        path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    return read_pairs(paths[:1], paths[1:])


def letters(lines: Sequence[str]) -> list[list[int]]:
    """Every letter a piece."""
    return [[ord(letter) for letter in line] for line in lines]


def clean(text: ParallelText, config: DataConfig, encode_src: Encode = letters) -> CleanPairs:
    """All stretches of the text as one."""
    selection = select_pairs(fingerprint(text), remove_duplicates=config.remove_duplicates)
    whole = CleanPairs([], [], [], selection.dropped.copy())
    for chunk in clean_pairs(text, selection, config, encode_src, letters):
        whole.numbers.extend(chunk.numbers)
        whole.lines.extend(chunk.lines)
        whole.pieces.extend(chunk.pieces)
        whole.dropped.update(chunk.dropped)
    return whole


def test_every_pair_is_kept_or_counted_under_one_reason(tmp_path: Path) -> None:
    pairs = [
        ("gut", "good"),
        ("", "good"),
        ("gut", " \t"),
        ("gut", "good"),
        ("a" * 11, "good"),
        ("gut", "b" * 12),
        ("a", "b" * 8),
        ("a", "b" * 7),
        ("gut ", "good"),  # the same but for white space
        ("schlecht", "bad"),
    ]
    result = clean(written(pairs, tmp_path), DataConfig(max_length=10, max_ratio=2.0))
    assert result.dropped == {"empty side": 2, "duplicate": 2, "too long": 2, "length ratio": 1}
    assert result.numbers == [0, 7, 9]
    assert result.lines == [pairs[number] for number in (0, 7, 9)]
    assert result.pieces == [(letters([src])[0], letters([tgt])[0]) for src, tgt in result.lines]


def test_a_text_is_cleaned_alike_in_stretches_of_any_size(tmp_path: Path, monkeypatch) -> None:
    sides = ["", "a", "b" * 9, "c" * 12, "gut", "schlecht"]
    text = written([(src, tgt) for src in sides for tgt in sides], tmp_path)
    config = DataConfig(max_length=10, max_ratio=1.5)
    whole = clean(text, config)
    for size in (1, 2, 7):
        monkeypatch.setattr(cleaning, "CHUNK_PAIRS", size)
        assert clean(text, config) == whole


def test_duplicates_may_stay(tmp_path: Path) -> None:
    text = written([("gut", "good")] * 3, tmp_path)
    assert clean(text, DataConfig(remove_duplicates=False)).numbers == [0, 1, 2]
    assert clean(text, DataConfig()).dropped == {"duplicate": 2}


@pytest.mark.parametrize("blank", BLANKS)
def test_white_space_alone_is_an_empty_side(blank: str) -> None:
    assert fingerprint([(blank, "x"), ("x", blank), ("x", "x")]).is_empty.tolist() == [True, True, False]


def test_a_side_that_the_tokenizer_leaves_empty_is_counted(tmp_path: Path) -> None:
    text = written([("gut", "good"), ("\u200b", "good")], tmp_path)
    result = clean(text, DataConfig(), lambda lines: [[4]] * (len(lines) - 1) + [[]])
    assert result.dropped == {"empty side": 1}
    assert result.numbers == [0]


def test_nothing_may_be_left(tmp_path: Path) -> None:
    result = clean(written([("", "good"), ("gut", "")], tmp_path), DataConfig())
    assert (result.numbers, result.dropped) == ([], {"empty side": 2})


words = st.sampled_from(["", " ", "a", "b", "c d", "c  d"])
pair_lists = st.lists(st.tuples(words, words), min_size=1, max_size=30)


@given(pairs=pair_lists)
def test_duplicates_and_empty_sides_are_those_that_a_plain_loop_finds(pairs: list[Pair]) -> None:
    seen: set[Pair] = set()
    expected = []
    for src, tgt in pairs:
        pair = " ".join(src.split()), " ".join(tgt.split())
        expected.append(all(pair) and pair not in seen)
        seen.add(pair)
    assert select_pairs(fingerprint(pairs), remove_duplicates=True).keep.tolist() == expected


@given(pairs=pair_lists, data=st.data())
def test_no_held_out_sentence_stays(pairs: list[Pair], data: st.DataObject) -> None:
    numbers = sorted(data.draw(st.sets(st.sampled_from(range(len(pairs))))))
    prints = fingerprint(pairs)
    held_out = torch.tensor(numbers, dtype=torch.int64)
    selection = select_pairs(prints, remove_duplicates=False, held_out=held_out)
    held_src = {" ".join(pairs[number][0].split()) for number in numbers}
    held_tgt = {" ".join(pairs[number][1].split()) for number in numbers}
    expected = [
        bool(src.strip() and tgt.strip())
        and " ".join(src.split()) not in held_src
        and " ".join(tgt.split()) not in held_tgt
        for src, tgt in pairs
    ]
    assert selection.keep.tolist() == expected
    assert selection.num_kept + selection.dropped.total() == len(pairs)


def test_overlap_counts_dev_pairs_that_are_in_the_training_text() -> None:
    train = fingerprint([("a", "b"), ("c", "d"), ("a", "d")])
    dev = fingerprint([("a", "b"), ("a ", "b"), ("c", "b"), ("e", "f")])
    assert num_overlapping(train, dev) == 2


def test_fingerprints_are_the_same_in_every_run() -> None:
    prints: Fingerprints = fingerprint([("Hund", "")])
    assert prints.src.tolist() == [9102434123572744279]
    assert prints.tgt.tolist() == [0]
