"""Lines, atomic files and folders, and what is left of them after a failure at every operation."""

import errno
import gzip
import hashlib
import inspect
import io
import json
import lzma
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from nmt import files
from nmt.errors import DataError, OutputError, StorageError, UsageError

ODD_LINES = b"carriage\rreturn\nform\x0bfeed\x0cnext\xc2\x85line\xe2\x80\xa8separator\n"


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], files.Fault]]:
    def plan(text: str) -> files.Fault:
        files.planned_fault.cache_clear()
        monkeypatch.setenv("NMT_FAULT", text)
        return files.planned_fault(text)

    yield plan
    files.planned_fault.cache_clear()


def lines_of(data: bytes, **options: str) -> list[str]:
    return list(files.decode_lines(io.BytesIO(data), "text", **options))


# Reading


def test_only_a_newline_ends_a_line() -> None:
    assert lines_of(ODD_LINES) == ODD_LINES.decode().split("\n")[:-1]
    assert len(ODD_LINES.decode().splitlines()) == 7  # what we do not want


def test_one_carriage_return_before_the_newline_is_dropped() -> None:
    assert lines_of(b"a\r\nb\r\r\n\r\nc\r") == ["a", "b\r", "", "c"]


def test_the_last_line_needs_no_newline_and_an_empty_file_has_no_line() -> None:
    assert lines_of(b"a\nb") == ["a", "b"]
    assert lines_of(b"a\n\n") == ["a", ""]
    assert lines_of(b"") == []


def test_a_byte_order_mark_is_dropped_at_the_start_only() -> None:
    assert lines_of(b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n") == ["a", "\ufeffb"]


@given(st.binary())
def test_any_bytes_give_as_many_lines_as_newlines(data: bytes) -> None:
    if not any(data.startswith(start) for start in files.BINARY_STARTS):
        assert len(lines_of(data, on_invalid="replace")) == data.count(b"\n") + (
            data[-1:] not in (b"", b"\n")
        )


def test_invalid_bytes_are_named_by_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "train.de"
    path.write_bytes("gut\nÄpf".encode() + b"el \xe4 \xf6\nauch gut\n\xff\n")
    expected = r"train\.de:2: byte 0xE4 at column 7 is not UTF-8 \(2 such lines in the file\)"
    with pytest.raises(DataError, match=expected):
        list(files.read_lines(path))


def test_invalid_bytes_are_replaced_and_reported_on_request() -> None:
    numbers: list[int] = []
    stream = io.BytesIO(b"a\n\xe4b\nc\n")
    assert list(files.decode_lines(stream, "-", on_invalid="replace", on_mended=numbers.append)) == [
        "a",
        "�b",
        "c",
    ]
    assert numbers == [2]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ("Äpfel\n".encode("utf-16"), "UTF-16"),
        (gzip.compress(b"a\n", mtime=0), "gzip"),
        (lzma.compress(b"a\n"), "xz"),
        (zstandard.compress(b"a\n"), "Zstandard"),
    ],
)
def test_what_is_not_text_is_recognised(data: bytes, kind: str) -> None:
    with pytest.raises(DataError, match=rf"text: not UTF-8 text \(looks like {kind}"):
        lines_of(data)


def test_lines_are_given_out_as_they_arrive() -> None:
    reader, writer = os.pipe()
    with open(reader, "rb") as stream, open(writer, "wb", buffering=0) as keyboard:
        lines = files.decode_lines(stream, "-")
        for line in ("Hallo", "Welt"):
            keyboard.write(line.encode() + b"\n")
            assert next(lines) == line  # hangs if it reads ahead


COMPRESS = {".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstandard.compress}


@pytest.mark.parametrize("suffix", COMPRESS)
def test_compressed_files_read_like_plain_ones(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    two_frames = COMPRESS[suffix](ODD_LINES * 5000) + COMPRESS[suffix]("Äpfel\n".encode())
    path.write_bytes(two_frames)
    assert list(files.read_lines(path)) == [*lines_of(ODD_LINES * 5000), "Äpfel"]
    assert files.sha256_file(path) == hashlib.sha256(two_frames).hexdigest()


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_compressed_file_that_is_cut_short_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(COMPRESS[suffix](ODD_LINES * 5000)[:-3])
    with pytest.raises(DataError, match="damaged compressed file"):
        list(files.read_lines(path))


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_file_that_only_pretends_to_be_compressed_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"plain text\n")
    with pytest.raises(DataError, match="damaged compressed file"):
        list(files.read_lines(path))


def test_zst_without_its_package_names_the_command_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.zst").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(UsageError, match=r"pip install 'nmt\[zstd\]'"):
        files.open_for_reading(tmp_path / "a.zst")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere: no such file"):
        files.open_for_reading(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="is a folder, expected a file"):
        files.open_for_reading(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_a_storage_error(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.touch(mode=0)
    with pytest.raises(StorageError, match="Permission denied"):
        files.open_for_reading(path)


# Writing


def test_json_and_text_come_back_as_they_were(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"größe": [1, None]})
    assert json.loads((tmp_path / "a.json").read_bytes()) == {"größe": [1, None]}
    files.append_text(tmp_path / "log", "eins\n")
    files.append_text(tmp_path / "log", "zwei\n")
    assert (tmp_path / "log").read_text() == "eins\nzwei\n"
    assert sorted(os.listdir(tmp_path)) == ["a.json", "log"]


def write_until_interrupted(path: Path) -> None:
    with files.atomic_file(path) as stream:
        stream.write(b"eins\nzwei\ndr")
        raise KeyboardInterrupt


def test_a_failure_while_writing_leaves_the_old_file_and_whole_lines_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old\n")
    with pytest.raises(KeyboardInterrupt) as failure:
        write_until_interrupted(path)
    assert path.read_text() == "old\n"
    assert (tmp_path / "out.txt.part").read_text() == "eins\nzwei\n"
    assert failure.value.__notes__ == ["out.txt.part keeps 2 whole lines"]


def test_an_output_that_can_not_be_created_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "missing" / "out", tmp_path / "file" / "out", tmp_path):
        with pytest.raises(OutputError, match=str(path)), files.atomic_file(path):
            pass


def test_a_folder_is_not_made_where_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "folder"):
        with pytest.raises(OutputError, match="file: is a file, expected a folder"):
            files.make_dir(path)


def test_a_device_is_written_to_directly() -> None:
    with files.atomic_file(Path(os.devnull)) as stream:
        stream.write(b"gone")
    assert not Path(os.devnull).is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_device_is_a_storage_error() -> None:
    with pytest.raises(StorageError, match="No space left"), files.atomic_file(Path("/dev/full")) as stream:
        stream.write(b"too much")


def test_a_link_keeps_pointing_at_the_file_that_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    files.write_text(tmp_path / "link", "new\n")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new\n"


# What is on disk before it has its name


@pytest.fixture
def done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the system is told to sync and to rename, in this order; files with their sizes at that time."""
    if os.name == "nt":
        pytest.skip("Windows keeps the entries of folders by itself")
    done: list[str] = []
    replace = os.replace

    def sync(descriptor: int) -> None:
        number = os.fstat(descriptor).st_ino
        path = next(path for path in (tmp_path, *tmp_path.rglob("*")) if path.stat().st_ino == number)
        size = f", {path.stat().st_size} bytes" if path.is_file() else ""
        done.append(f"fsync {path.relative_to(tmp_path)}{size}")

    def rename(old: Path, new: Path) -> None:
        replace(old, new)
        done.append(f"rename {old.relative_to(tmp_path)} {new.relative_to(tmp_path)}")

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", rename)
    return done


def test_a_file_is_on_disk_before_it_has_its_name_and_the_name_afterwards(
    tmp_path: Path, done: list[str]
) -> None:
    with files.atomic_file(tmp_path / "out.txt") as stream:
        stream.write(b"whole\n")
    assert done == ["fsync out.txt.part, 6 bytes", "rename out.txt.part out.txt", "fsync ."]


def test_everything_in_a_folder_is_on_disk_before_it_has_its_name(tmp_path: Path, done: list[str]) -> None:
    new = tmp_path / "run" / "step-2.tmp"
    (new / "inner").mkdir(parents=True)
    for path, data in ((new / "weights", b"1234"), (new / "inner" / "text", b"1")):
        with files.plain_file(path) as stream:
            stream.write(data)
    assert done == []
    files.publish_dir(new, tmp_path / "run" / "step-2")
    assert sorted(done[:-2]) == [
        "fsync run/step-2.tmp",
        "fsync run/step-2.tmp/inner",
        "fsync run/step-2.tmp/inner/text, 1 bytes",
        "fsync run/step-2.tmp/weights, 4 bytes",
    ]
    assert done[-2:] == ["rename run/step-2.tmp run/step-2", "fsync run"]


def test_what_is_added_at_a_place_is_on_disk(tmp_path: Path, done: list[str]) -> None:
    (tmp_path / "text").write_bytes(b"12345")
    files.append_at(tmp_path / "text", 3, b"abc\n")
    assert (tmp_path / "text").read_bytes() == b"123abc\n"
    assert done == ["fsync text, 7 bytes"]


# Failing at every operation (SQLite's scheme: n = 1, 2, ... until the fault is not reached)


def replace_everything(folder: Path) -> None:
    """What a program does with its files, from a state to the next one."""
    new = folder / "step-2.tmp"
    files.make_dir(new)
    files.write_bytes(new / "weights", b"\1" * 100_000)
    files.write_json(new / "manifest.json", {"step": 2})
    files.publish_dir(new, folder / "step-2")
    with files.atomic_file(folder / "out.txt") as stream:
        for number in range(20_000):
            stream.write(b"new line %d\n" % number)
    files.remove_dir(folder / "step-1")


def prepare(folder: Path) -> Path:
    (folder / "step-1").mkdir(parents=True)
    (folder / "step-1" / "weights").write_bytes(b"\0" * 100_000)
    (folder / "step-1" / "manifest.json").write_text('{"step": 1}')
    (folder / "out.txt").write_text("old line\n")
    return folder


def assert_everything_whole(folder: Path) -> None:
    steps = [step for step in folder.glob("step-*") if step.suffix != ".tmp"]
    assert steps
    for step in steps:
        number = json.loads((step / "manifest.json").read_bytes())["step"]
        assert step.name == f"step-{number}"
        assert (step / "weights").read_bytes() == bytes([number - 1]) * 100_000
    new = "".join(f"new line {number}\n" for number in range(20_000))
    assert (folder / "out.txt").read_text() in ("old line\n", new)
    part = folder / "out.txt.part"
    if part.exists():
        assert new.startswith(part.read_text())


def message_of_failure(folder: Path) -> str:
    try:
        replace_everything(folder)
    except StorageError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("sticky", [0, 1])
@pytest.mark.parametrize("code", ["ENOSPC", "EIO"])
def test_an_error_at_any_operation_leaves_everything_whole(
    code: str, sticky: int, tmp_path: Path, plan: Callable[[str], files.Fault]
) -> None:
    for n in range(1, 100):
        folder = prepare(tmp_path / str(n))
        fault = plan(f"op=any,n={n},errno={code},sticky={sticky}")
        if message := message_of_failure(folder):
            assert os.strerror(getattr(errno, code)) in message
            assert str(folder) in message
        assert_everything_whole(folder)
        part = folder / "out.txt.part"
        assert not part.exists() or part.read_bytes()[-1:] in (b"", b"\n")
        assert not list(folder.glob("*/*.part"))
        if fault.num_seen < n:
            return
    pytest.fail("the fault was reached 99 times")


def write_numbers(path: Path) -> None:
    with files.atomic_file(path) as stream:
        for number in range(20_000):
            stream.write(b"%d\n" % number)


def test_disk_full_at_any_write_is_told_with_the_number_of_lines_kept(
    tmp_path: Path, plan: Callable[[str], files.Fault]
) -> None:
    path = tmp_path / "out.txt"
    plan("op=write,n=2,errno=ENOSPC")
    with pytest.raises(StorageError, match=r"out\.txt.*No space left on device") as failure:
        write_numbers(path)
    kept = (tmp_path / "out.txt.part").read_text()
    assert kept.endswith("\n")
    assert failure.value.__notes__ == [f"out.txt.part keeps {kept.count(chr(10)):,} whole lines"]
    assert not path.exists()


KILL_AT_EVERY_OPERATION = """
for number, folder in enumerate(sys.argv[1:], start=1):
    child = os.fork()
    if not child:
        os.environ["NMT_FAULT"] = "op=any,kill=9,n=" + str(number)
        replace_everything(Path(folder))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kill_9_at_any_operation_leaves_everything_whole(tmp_path: Path) -> None:
    folders = [prepare(tmp_path / str(number)) for number in range(50)]
    imports = "import os, sys\nfrom pathlib import Path\nfrom nmt import files\n"
    script = imports + inspect.getsource(replace_everything) + KILL_AT_EVERY_OPERATION
    command = [sys.executable, "-c", script, *map(str, folders)]
    statuses = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
    num_killed = statuses.count("-9")
    assert statuses == ["-9"] * num_killed + ["0"] * (50 - num_killed)
    assert 20 < num_killed < 50
    for folder in folders:
        assert_everything_whole(folder)
    assert sorted(os.listdir(folders[-1])) == ["out.txt", "step-2"]


def test_numbers_of_lines_that_differ_are_all_told() -> None:
    files.check_counts([("hyp.en", 3), ("ref.en", 3)])
    with pytest.raises(DataError, match=r"hyp\.en has 3 lines, ref\.en has 1 line; expected as many in each"):
        files.check_counts([("hyp.en", 3), ("ref.en", 1)])
