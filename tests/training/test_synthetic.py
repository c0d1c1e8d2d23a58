"""Pairs made by a model: aligned, counted, and the same however often the job was stopped."""

import gzip
import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest

from nmt.checkpoint import load_model
from nmt.decoding import Translator
from nmt.errors import DataError, OutputError, StorageError
from nmt.files import planned_fault
from nmt.training import synthetic
from nmt.training.lock import locked
from nmt.training.synthetic import STATE, Made, PairFiles, make_pairs

LINES = [
    b"Der Hund.",
    b"",
    b"Die Katze sieht den Hund.",
    b"\xff",
    b"Ja! " * 200,
    b"Wir gehen.",
    b"Im Garten.",
]


@pytest.fixture(scope="module")
def translator(tiny_model_dir: Path) -> Translator:
    """Draws two translations of a line, windows of three lines."""
    model = load_model(tiny_model_dir, device="cpu", threads=1)
    return Translator(model, replace(model.config.decoding, samples=2, window=3, max_length_ratio=0.1))


@pytest.fixture
def bytes_are_welcome(monkeypatch) -> None:
    """A model of random weights draws little else."""
    monkeypatch.setattr(synthetic, "BROKEN", "no such text")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text"
    path.write_bytes(b"\n".join(LINES))
    return path


def files_in(folder: Path, translator: Translator) -> PairFiles:
    return PairFiles.of(folder, translator.direction, is_reverse=True)


@pytest.mark.usefixtures("bytes_are_welcome")
def test_both_files_go_together_and_what_is_skipped_is_counted(translator, text, tmp_path) -> None:
    files = files_in(tmp_path / "made", translator)
    made = make_pairs(translator, [text, text], files, tag="<BT>")
    assert [path.name for path in files.both] == ["pairs.tgt", "pairs.src"]  # the model is the reverse one
    sources, targets = (path.read_text().splitlines() for path in (files.translation, files.text))
    assert targets == [
        line.decode() for line in 2 * LINES if line in LINES[::2][:2] + LINES[5:] for _ in "12"
    ]
    drawn = [one.text for one in translator.translate(["Der Hund."])[0].hypotheses]
    assert sources[:2] == [f"<BT> {one}" for one in drawn]
    assert (made.num_lines, made.num_pairs, len(sources)) == (14, 16, 16)
    assert made.skipped == {"blank": 2, "not UTF-8": 2, "too long": 2}
    assert sorted(path.name for path in files.folder.iterdir()) == ["lock", STATE, "pairs.src", "pairs.tgt"]


def test_translations_with_bytes_that_are_no_character_are_skipped(
    translator, text, tmp_path, monkeypatch
) -> None:
    made = {"Wir gehen.": ["We \ufffd go.", "We go."], "Im Garten.": ["\ufffd", "In \ufffd"]}

    def translate(lines, _contexts, **_) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(
                source=line, hypotheses=[SimpleNamespace(text=each) for each in made.get(line, ["Yes."])]
            )
            for line in lines
        ]

    monkeypatch.setattr(translator, "translate", translate)
    files = files_in(tmp_path / "made", translator)
    found = make_pairs(translator, [text], files)
    assert files.translation.read_text().splitlines() == ["Yes.", "Yes.", "We go."]
    assert files.text.read_text().splitlines() == ["Der Hund.", "Die Katze sieht den Hund.", "Wir gehen."]
    assert found.skipped == {"blank": 1, "not UTF-8": 1, "too long": 1, "broken translation": 1}


@pytest.mark.usefixtures("bytes_are_welcome")
def test_documents_stay_apart_and_lines_see_those_before_them(translator, text, tmp_path) -> None:
    data = replace(translator.model.config.data, context=1)
    model = replace(translator.model, config=replace(translator.model.config, data=data))
    translator = Translator(model, replace(translator.config, samples=0, beam_size=1, window=1))
    lines = [line.decode() for line in (*LINES[:3:2], *LINES[5:])]
    contexts = [(), (), (LINES[4].decode(),), (lines[2],)]
    expected = [f"<BT> {each.text}" for each in translator.translate(lines, contexts)]
    files, calls = files_in(tmp_path / "made", translator), iter(range(100))

    def stop(_: int) -> None:
        if next(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_pairs(translator, [text], files, tag="<BT>", on_progress=stop)
    made = make_pairs(translator, [text], files, tag="<BT>")
    assert files.translation.read_text().splitlines() == [expected[0], "", *expected[1:]]
    assert files.text.read_text().splitlines() == [lines[0], "", *lines[1:]]
    assert (made.num_pairs, made.skipped) == (4, {"blank": 1, "not UTF-8": 1, "too long": 1})


def test_a_job_that_dies_at_any_instant_goes_on_and_loses_nothing(
    translator, text, tmp_path, monkeypatch
) -> None:
    text.write_bytes(b"Ja!\nNein!\n")
    monkeypatch.setattr("nmt.decoding.translator.EXTRA_LENGTH", 2)  # it is done hundreds of times
    translator = Translator(translator.model, replace(translator.config, samples=1, window=1))
    whole = files_in(tmp_path / "whole", translator)
    made = make_pairs(translator, [text], whole)
    for number in range(1, 1000):
        files = files_in(tmp_path / str(number), translator)
        planned_fault.cache_clear()
        monkeypatch.setenv("NMT_FAULT", f"op=any,n={number},errno=ENOSPC,sticky=1")
        try:
            make_pairs(translator, [text], files)
            break
        except (StorageError, OutputError):
            pass
        monkeypatch.delenv("NMT_FAULT")
        assert make_pairs(translator, [text], files) == made
        assert [path.read_bytes() for path in files.both] == [path.read_bytes() for path in whole.both]
        assert not [*files.folder.glob("*.part")]
    assert number > 30


@pytest.mark.usefixtures("bytes_are_welcome")
def test_an_error_says_what_is_kept_and_what_goes_on(translator, tmp_path, monkeypatch) -> None:
    """Nothing is said of lines that are not noted yet, such as those of the first window."""
    text = tmp_path / "text.gz"
    text.write_bytes(gzip.compress(b"Ja!\n" * 7, mtime=1))
    files = files_in(tmp_path / "made", translator)

    def notes_of(most: int, **options: bool) -> list[str]:
        """Of a call that is stopped when it has translated more lines than that."""
        done = 0

        def stop(num_sentences: int) -> None:
            nonlocal done
            done += num_sentences
            if done > most:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt) as stopped:
            make_pairs(translator, [text], files, on_progress=stop, **options)
        return getattr(stopped.value, "__notes__", [])

    assert notes_of(0) == []
    assert notes_of(3) == ["3 lines are done and kept; the same command goes on"]
    text.write_bytes(gzip.compress(b"Ja!\n" * 7, mtime=2))  # the same text
    assert notes_of(3) == ["6 lines are done and kept; the same command goes on"]
    assert notes_of(3, restart=True) == [
        "3 lines are done and kept; the same command, without --restart, goes on"
    ]
    monkeypatch.setenv("NMT_FAULT", "op=write,n=3,errno=ENOSPC,sticky=1")
    planned_fault.cache_clear()
    with pytest.raises(StorageError) as full:
        make_pairs(translator, [text], files)
    assert full.value.__notes__ == ["3 lines are done and kept; the same command goes on"]
    monkeypatch.delenv("NMT_FAULT")
    text.write_bytes(text.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"text\.gz"):
        make_pairs(translator, [text], files)
    part = files.text.with_name(f"{files.text.name}.part")
    part.write_bytes(b"Ja!")
    text.write_bytes(gzip.compress(b"Ja!\n" * 7))
    with pytest.raises(DataError, match="has 3 bytes, 24 were written; restore it, or --restart"):
        make_pairs(translator, [text], files)


@pytest.mark.usefixtures("bytes_are_welcome")
def test_what_is_there_is_neither_made_again_nor_lost(translator, text, tmp_path) -> None:
    files = files_in(tmp_path / "made", translator)
    text.write_bytes(b"Ja!\n")
    made = make_pairs(translator, [text], files)
    before = files.translation.stat().st_mtime_ns
    assert make_pairs(translator, [text], files) == made
    state = json.loads((files.folder / STATE).read_bytes())
    state["made_of"]["text"] = sha256(sha256(b"Ja!\n").hexdigest().encode()).hexdigest()  # of older versions
    (files.folder / STATE).write_text(json.dumps(state))
    assert make_pairs(translator, [text], files) == made
    assert files.translation.stat().st_mtime_ns == before
    other = Translator(translator.model, replace(translator.config, samples=1))
    with pytest.raises(OutputError, match=r"in another way \(differing: decoding.samples"):
        make_pairs(other, [text], files)
    with locked(files.folder), pytest.raises(OutputError, match="locked by pid"):
        make_pairs(translator, [text], files)
    (files.folder / STATE).unlink()
    with pytest.raises(OutputError, match="is there already; give another folder, or --restart"):
        make_pairs(translator, [text], files)
    assert make_pairs(translator, [text], files, restart=True) == made
    whole = files.text.read_bytes()
    for damaged in (whole[:-1], whole + b"x"):
        files.text.write_bytes(damaged)
        message = f"has {len(damaged)} bytes, {len(whole)} were written; restore it, or --restart"
        with pytest.raises(DataError, match=message):
            make_pairs(translator, [text], files)
    files.text.unlink()
    with pytest.raises(DataError, match="is missing; restore it, or --restart"):
        make_pairs(translator, [text], files)
    text.write_bytes(b"")
    assert make_pairs(translator, [text], files, restart=True) == Made(is_finished=True)
    assert files.text.read_bytes() == files.translation.read_bytes() == b""
