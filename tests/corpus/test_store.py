"""A corpus on disk is the corpus in memory, or it is not there."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.corpus.batching import collate
from nmt.corpus.cleaning import CleanPairs
from nmt.corpus.encoded import EncodedCorpus, EncodedPair
from nmt.corpus.sampling import SIDES
from nmt.corpus.store import MANIFEST, StoredCorpus, StoreWriter, open_store

PAIRS: list[EncodedPair] = [([4, 5], [6]), ([7], [8, 9, 10]), ([11] * 40, [12])]
MADE_OF = {"hash": "abc", "data": {"max_length": 200}}


def write(
    folder: Path, pairs: list[EncodedPair], *, vocab_size: int = 8000, with_lines: bool = False
) -> None:
    """Write pairs in two stretches."""
    folder.mkdir(exist_ok=True)
    writer = StoreWriter(folder, vocab_sizes=(vocab_size, vocab_size), with_lines=with_lines)
    numbers = [3 * number for number in range(len(pairs))]
    lines = [(f"src {number}", f"tgt {number} ü") for number in numbers]
    cut = len(pairs) // 2
    chunks = [
        CleanPairs(numbers[part], lines[part], pairs[part], Counter())
        for part in (slice(0, cut), slice(cut, None))
    ]
    assert list(writer.write(chunks)) == chunks
    writer.finish({**MADE_OF, "tokenizers": ["x", "y"]}, {"dev": [["a", "b"]]})


def opened(folder: Path) -> StoredCorpus:
    stored = open_store(folder, MADE_OF)
    assert stored is not None
    return stored


ids = st.lists(st.integers(0, 65_535), min_size=1, max_size=9)


@settings(max_examples=25)
@given(
    pairs=st.lists(st.tuples(ids, ids), min_size=1, max_size=9), vocab_size=st.sampled_from([1 << 16, 70_000])
)
def test_what_is_read_is_what_was_written(
    pairs: list[EncodedPair], vocab_size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("store")
    write(folder, pairs, vocab_size=vocab_size)
    stored, whole = opened(folder), EncodedCorpus.from_pairs(pairs)
    assert stored.numbers.tolist() == [3 * number for number in range(len(pairs))]
    assert [
        (stored.corpus.src(i).tolist(), stored.corpus.tgt(i).tolist()) for i in range(len(pairs))
    ] == pairs
    found, expected = (collate(corpus, torch.arange(len(pairs))) for corpus in (stored.corpus, whole))
    for name in ("src_tokens", "tgt_in", "tgt_out"):
        assert torch.equal(getattr(found, name), getattr(expected, name))
    assert found.num_tokens == expected.num_tokens
    size = 2 if vocab_size == 1 << 16 else 4
    assert (folder / "src.tokens").stat().st_size == size * sum(len(src) for src, _ in pairs)


def test_notes_and_lines_are_kept_if_they_are_wanted(tmp_path: Path) -> None:
    write(tmp_path / "plain", PAIRS)
    write(tmp_path / "lines", PAIRS, with_lines=True)
    plain, lines = opened(tmp_path / "plain"), opened(tmp_path / "lines")
    assert (plain.has_lines, lines.has_lines) == (False, True)
    assert plain.facts == lines.facts == {"dev": [["a", "b"]]}
    assert (tmp_path / "lines" / "tgt.lines").read_text(encoding="utf-8") == "tgt 0 ütgt 3 ütgt 6 ü"
    assert not (tmp_path / "plain" / "tgt.lines").exists()


def test_only_what_is_made_of_the_same_is_opened(tmp_path: Path) -> None:
    write(tmp_path, PAIRS)
    assert open_store(tmp_path, MADE_OF | {"tokenizers": ["x", "y"]})
    assert not open_store(tmp_path, MADE_OF | {"tokenizers": ["x", "z"]})
    assert not open_store(tmp_path, MADE_OF | {"data": {"max_length": 100}})
    assert not open_store(tmp_path, MADE_OF | {"new": 1})
    assert not open_store(tmp_path / "nowhere", MADE_OF)


@pytest.mark.parametrize("name", [MANIFEST, "numbers", *(f"{side}.tokens" for side in SIDES), "src.offsets"])
@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:-1] + b"~", None])
def test_what_is_damaged_is_not_opened(name: str, damage, tmp_path: Path) -> None:
    write(tmp_path, PAIRS)
    path = tmp_path / name
    if damage is None:
        path.unlink()
    elif name == MANIFEST:
        path.write_bytes(damage(path.read_bytes().rstrip()))
    else:
        path.write_bytes(damage(path.read_bytes()))
    assert open_store(tmp_path, MADE_OF) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', "null"])
def test_a_manifest_of_something_else_is_not_taken_for_one(text: str, tmp_path: Path) -> None:
    write(tmp_path, PAIRS)
    (tmp_path / MANIFEST).write_text(text)
    assert open_store(tmp_path, MADE_OF) is None
