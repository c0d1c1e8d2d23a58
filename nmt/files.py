"""All durable input and output: lines, atomic files and folders, and a hook that fails them in tests."""

import errno
import gzip
import hashlib
import io
import json
import lzma
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar, cast

from nmt.errors import DataError, NmtError, OutputError, StorageError, UsageError
from nmt.zstd import ZstdDamageError, ZstdReader

InvalidUtf8 = Literal["error", "replace", "skip"]
"""A line that is not UTF-8 is an error, mended with U+FFFD, or read as `NOT_UTF8`."""
Operation = Literal["create", "write", "fsync", "rename", "unlink"]
T = TypeVar("T")

NOT_UTF8 = "\udc80"
"""Stands for a line that was skipped; no text that was decoded is equal to it."""

BINARY_STARTS = {
    b"\x1f\x8b": "gzip; give the file the ending .gz",
    b"\xfd7zXZ\x00": "xz; give the file the ending .xz",
    b"\x28\xb5\x2f\xfd": "Zstandard; give the file the ending .zst",
    b"PK\x03\x04": "a zip archive; unpack it first",
    b"\xff\xfe": "UTF-16; convert it with: iconv -f UTF-16 -t UTF-8",
    b"\xfe\xff": "UTF-16; convert it with: iconv -f UTF-16 -t UTF-8",
}
DISK_FAILURES = {errno.ENOSPC, errno.EDQUOT, errno.EIO}


# Reading


def open_for_reading(path: Path) -> BinaryIO:
    """Open a file as bytes, decompressing `.gz`, `.xz` and `.zst`, which are known by their endings."""
    openers: dict[str, Callable[[Path], Any]] = {".gz": gzip.open, ".xz": lzma.open, ".zst": _open_zst}
    return _open(path, openers.get(path.suffix, _open_plain))


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes as they lie on disk, in hexadecimal."""
    with _open(path, _open_plain) as stream:
        return hashlib.file_digest(cast(io.BufferedReader, stream), "sha256").hexdigest()


def _open(path: Path, opener: Callable[[Path], Any]) -> BinaryIO:
    if not path.exists():
        raise UsageError(f"{path}: no such file")
    if path.is_dir():
        raise UsageError(f"{path}: is a folder, expected a file")
    try:
        stream: BinaryIO = opener(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    return stream


def _open_plain(path: Path) -> BinaryIO:
    return path.open("rb")


def _open_zst(path: Path) -> BinaryIO:
    try:
        import zstandard
    except ImportError:
        raise UsageError(f"{path}: reading .zst needs one more package: pip install 'nmt[zstd]'") from None
    return io.BufferedReader(ZstdReader(path.open("rb"), zstandard))


def read_lines(
    path: Path,
    *,
    on_invalid: InvalidUtf8 = "error",
    on_mended: Callable[[int], None] | None = None,
    keep: Iterator[bool] | None = None,
) -> Iterator[str]:
    """Lines of a UTF-8 file without their ends; only `\\n` ends a line, one `\\r` before it is dropped.

    With `keep`, which has an element for each line, those for which it is false are passed over undecoded.
    """
    with open_for_reading(path) as stream:
        try:
            yield from decode_lines(stream, str(path), on_invalid=on_invalid, on_mended=on_mended, keep=keep)
        except _NotUtf8Error as error:
            num_more = sum(not _is_utf8(line) for line in _raw_lines(stream, str(path)))
            raise DataError(
                f"{error} ({num_more + 1:,} such lines in the file); convert it, "
                "as with iconv -f ISO-8859-1 -t UTF-8"
            ) from error


def decode_lines(
    stream: BinaryIO,
    name: str,
    *,
    on_invalid: InvalidUtf8 = "error",
    on_mended: Callable[[int], None] | None = None,
    keep: Iterator[bool] | None = None,
) -> Iterator[str]:
    """Lines of an open stream as they arrive; `on_mended` hears the number of each that was not UTF-8."""
    for number, raw in enumerate(_raw_lines(stream, name), start=1):
        if keep is not None and not next(keep, False):
            continue
        line = raw.removesuffix(b"\n").removesuffix(b"\r")
        if number == 1:
            _refuse_binary(raw, name)
            line = line.removeprefix(b"\xef\xbb\xbf")
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            if on_invalid == "error":
                column = len(line[: error.start].decode()) + 1
                raise _NotUtf8Error(
                    f"{name}:{number}: byte 0x{line[error.start]:02X} at column {column} is not UTF-8"
                ) from None
            if on_mended:
                on_mended(number)
            text = NOT_UTF8 if on_invalid == "skip" else line.decode(errors="replace")
        yield text


class _NotUtf8Error(DataError):
    """A line is not UTF-8."""


def check_counts(counts: Iterable[tuple[str, int]]) -> None:
    """Raise DataError, telling all, unless all (name, number of lines) have the same number."""
    counts = list(counts)
    if len({count for _, count in counts}) > 1:
        found = (f"{name} has {count} line{'' if count == 1 else 's'}" for name, count in counts)
        raise DataError(f"{', '.join(found)}; expected as many in each, line n with line n")


def _raw_lines(stream: BinaryIO, name: str) -> Iterator[bytes]:
    try:
        yield from iter(stream.readline, b"")
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, ZstdDamageError) as error:
        raise DataError(f"{name}: damaged compressed file: {error}") from error
    except OSError as error:
        raise StorageError(f"{name}: cannot be read: {error.strerror}") from error


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _refuse_binary(first_line: bytes, name: str) -> None:
    for start, kind in BINARY_STARTS.items():
        if first_line.startswith(start):
            raise DataError(f"{name}: not UTF-8 text (looks like {kind})")


# Writing


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file that appears under its name only when it is whole and on disk.

    It grows as `path` + `.part`. After a failure `path` is as it was, and `.part` keeps whole lines.
    A device or a pipe is written to directly.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        with _create(path) as stream:
            yield stream
        return
    path = path.resolve() if path.is_symlink() else path
    if path.is_dir():
        raise OutputError(f"{path}: is a folder, expected a file to write")
    part = path.with_name(path.name + ".part")
    stream = _create(part)
    try:
        yield stream
        stream.flush()
        _operate("fsync", part, lambda: os.fsync(stream.fileno()))
        stream.close()
        rename(part, path)
    except BaseException as error:
        num_lines = _keep_whole_lines(stream, part)
        error.add_note(f"{part.name} keeps {num_lines:,} whole lines")
        raise


def plain_file(path: Path) -> BinaryIO:
    """Open a new file in a folder that is yet to be published, which puts it on disk."""
    return _create(path)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file atomically; nothing is left of it after a failure."""
    try:
        with atomic_file(path) as stream:
            stream.write(data)
    except StorageError as error:
        with suppress(OSError):
            path.with_name(path.name + ".part").unlink()
        raise StorageError(str(error)) from error  # without the note on the lines kept


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def append_text(path: Path, text: str) -> None:
    """Add text to the end of a file in one write; for logs, not synced."""
    append_bytes(path, text.encode())


def append_bytes(path: Path, data: bytes) -> None:
    """Add bytes to the end of a file in one write; for logs, not synced."""
    with _create(path, mode="a") as stream:
        stream.write(data)


def append_at(path: Path, size: int, data: bytes) -> None:
    """Cut a file to its first `size` bytes and add others, all on disk then; DataError if it is shorter."""
    with _create(path, mode="a") as stream:
        found = stream.seek(0, os.SEEK_END)
        if found < size:
            raise DataError(f"{path}: has {found:,} bytes, expected at least {size:,}; begin anew")
        stream.truncate(size)
        stream.write(data)
        stream.flush()
        _operate("fsync", path, lambda: os.fsync(stream.fileno()))


def make_dir(path: Path, *, mode: int = 0o777) -> None:
    """Make a folder and those above it, if they are not there; `mode` is of the folder itself."""

    def make() -> None:
        for place in (path, *path.parents):
            if place.exists() and not place.is_dir():
                raise OutputError(f"{place}: is a file, expected a folder")
        path.mkdir(mode, parents=True, exist_ok=True)

    _operate("create", path, make)


def publish_dir(tmp_dir: Path, final_dir: Path) -> None:
    """Give a finished folder its final name in a single rename, after everything in it is on disk."""
    for folder, _, names in os.walk(tmp_dir):
        for name in names:
            _sync(Path(folder, name))
        _sync(Path(folder))
    rename(tmp_dir, final_dir)


def rename(old: Path, new: Path) -> None:
    """Rename within a folder, and see that the new name is on disk."""
    _operate("rename", new, lambda: os.replace(old, new))
    _sync(new.parent)


def remove_file(path: Path) -> None:
    """Remove a file if it is there."""
    _operate("unlink", path, lambda: path.unlink(missing_ok=True))


def remove_dir(path: Path) -> None:
    """Remove a folder; it is renamed to `.tmp` first, so that half of it is never taken for whole."""
    doomed = path
    if path.suffix != ".tmp":
        doomed = path.with_name(path.name + ".tmp")
        if doomed.exists():
            remove_dir(doomed)
        rename(path, doomed)
    for folder, folders, names in os.walk(doomed, topdown=False):
        for name in names:
            remove_file(Path(folder, name))
        for name in folders:
            _operate("unlink", Path(folder, name), Path(folder, name).rmdir)
    _operate("unlink", doomed, doomed.rmdir)


def _create(path: Path, mode: Literal["w", "a"] = "w") -> io.BufferedWriter:
    raw = _operate("create", path, lambda: _OutputFile(path, mode))
    return io.BufferedWriter(raw, buffer_size=1 << 16)


class _OutputFile(io.FileIO):
    """A file whose every write to the system is one operation that can be failed."""

    def write(self, data: Any) -> int:
        write = super().write
        return _operate("write", Path(os.fsdecode(self.name)), lambda: write(data))


def _sync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows can not open folders, and keeps their entries by itself
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)  # which fsync needs there
    try:
        _operate("fsync", path, lambda: os.fsync(descriptor))
    finally:
        os.close(descriptor)


def _keep_whole_lines(stream: io.BufferedWriter, part: Path) -> int:
    """Cut an unfinished file after its last line end; returns the number of lines in it."""
    with suppress(NmtError, OSError, ValueError):
        stream.flush()  # what is still in the buffer, unless it is the disk that failed
    stream.raw.close()  # not stream.close(): it would try to write again
    try:
        with part.open("r+b") as file:
            size = num_lines = 0
            for line in file:
                if line.endswith(b"\n"):
                    size += len(line)
                    num_lines += 1
            file.truncate(size)
            return num_lines
    except OSError:
        return 0


# The one place where the disk is changed


def _operate(operation: Operation, path: Path, action: Callable[[], T]) -> T:
    """Do one operation that changes the disk, and name the path if it fails."""
    try:
        if plan := os.environ.get("NMT_FAULT"):
            planned_fault(plan).strike(operation)
        return action()
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        if operation == "create" and error.errno not in DISK_FAILURES:
            raise OutputError(f"{path}: cannot be created: {reason}") from error
        raise StorageError(f"{path}: {operation} failed: {reason}") from error


@dataclass
class Fault:
    """A failure planned for a test: the n-th operation of a kind fails, once or from then on, or kills us."""

    op: str
    n: int
    errno: int = 0
    sticky: bool = False
    kill: int = 0
    num_seen: int = 0

    def strike(self, operation: Operation) -> None:
        """Count an operation, and fail it if it is the planned one."""
        if self.op not in (operation, "any"):
            return
        self.num_seen += 1
        if self.num_seen == self.n or (self.sticky and self.num_seen > self.n):
            if self.kill:
                os.kill(os.getpid(), self.kill)
            raise OSError(self.errno, os.strerror(self.errno))


@cache
def planned_fault(plan: str) -> Fault:
    """The fault of `NMT_FAULT`, as in `op=write,n=17,errno=ENOSPC,sticky=1` or `op=any,n=3,kill=9`."""
    values = dict(part.split("=", 1) for part in plan.split(","))
    return Fault(
        op=values["op"],
        n=int(values["n"]),
        errno=getattr(errno, values.get("errno", "EIO")),
        sticky=values.get("sticky") == "1",
        kill=int(values.get("kill", 0)),
    )
