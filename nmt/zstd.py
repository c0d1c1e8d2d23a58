"""A stream of what a .zst file holds, which notices if the file is cut short."""

import io
from types import ModuleType
from typing import Any, BinaryIO


class ZstdDamageError(Exception):
    """A .zst file is cut short or damaged."""


class ZstdReader(io.RawIOBase):
    """Decompressed bytes of a .zst file; zstandard's own reader does not notice that a file is cut short."""

    def __init__(self, file: BinaryIO, zstandard: ModuleType) -> None:
        self._file = file
        self._zstandard = zstandard
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._inside_frame = False
        self._ready = b""

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, or some of it, with what comes next; returns the number of bytes, 0 at the end."""
        while not self._ready:
            compressed = self._next_compressed()
            if not compressed:
                return 0
            try:
                self._ready = self._frame.decompress(compressed)
            except self._zstandard.ZstdError as error:
                raise ZstdDamageError(str(error)) from error
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        return size

    def _next_compressed(self) -> bytes:
        rest = b""
        if self._frame.eof:
            rest = self._frame.unused_data
            self._frame = self._zstandard.ZstdDecompressor().decompressobj()
            self._inside_frame = False
        rest = rest or self._file.read(1 << 17)
        if not rest and self._inside_frame:
            raise ZstdDamageError("the file ends in the middle")
        self._inside_frame = bool(rest)
        return rest

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
