"""Open files to be imported, compressed or not, and standard input; and tell how far they were read.

In:    gzip, Zstandard, bzip2 and xz are known by how they begin, whatever the file is called; so are UTF-16 and UTF-32,
       if the mark of their byte order is there.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import os
import stat
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from envelope.numbers_as_text import INT64

CHUNK_BYTES = 1 << 20
STDIN = Path("-")
_PIECE_BYTES = 4096
_MAGIC_BYTES = 6
_ZSTD_BYTES = 1024
"""Compressed bytes that are taken at once: they become 32 MiB at most."""
_READ_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError)
_UTF_32 = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"}
_MARKS = {**_UTF_32, codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
"""What text begins with that is no UTF-8; the mark of one begins like that of another, which is shorter."""


class StreamBroken(Exception):
    """A file could not be read to its end: what came before is good."""


class Stream:
    """The content of one file."""

    def __init__(self, path: Path, raw: io.BufferedReader) -> None:
        self.path = path
        self._raw = raw
        self._head = b""
        self._broken: StreamBroken | None = None
        self._content = _decompressed(raw)
        found = os.fstat(raw.fileno())
        self.may_wait = not stat.S_ISREG(found.st_mode)
        """Whether there may be nothing to be read for a while."""
        self.bytes = 0 if self.may_wait else found.st_size
        """On disk; 0 if nobody knows."""
        self.newest_ns = time.time_ns() if self.may_wait else min(max(INT64[0], found.st_mtime_ns), INT64[-1])
        """No line of it is later."""

    def head(self) -> bytes:
        """Return how it begins: a chunk, which `read` returns once more."""
        self._head = self._head or self._filled()
        return self._head

    def read(self) -> bytes:
        """Return the next chunk, nothing at the end. StreamBroken, if it cannot be read or decompressed."""
        head, self._head = self._head, b""
        return head or self._read()

    @property
    def bytes_read(self) -> int:
        """How far it was read, on disk."""
        return self._raw.tell() if self.bytes else 0

    def _read(self) -> bytes:
        if self._broken is not None:
            raise self._broken
        try:
            return self._raw.read1(CHUNK_BYTES) if self._content is self._raw else self._decompress()
        except _READ_ERRORS as error:
            raise _broken(error) from error

    def _decompress(self) -> bytes:
        """Return the next chunk: bit by bit, as of what is read at once, nothing is left when it turns out broken."""
        parts: list[bytes] = []
        size = 0
        try:
            while size < CHUNK_BYTES and (part := self._content.read1(_PIECE_BYTES)):
                parts.append(part)
                size += len(part)
        except _READ_ERRORS as error:
            if not parts:
                raise
            self._broken = _broken(error)
        return b"".join(parts)

    def _filled(self) -> bytes:
        """Read what there is at once, and as much as there must be to see what it is."""
        parts = [self._read()]
        while parts[-1] and sum(map(len, parts)) < _MAGIC_BYTES:
            parts.append(self._read())
        return b"".join(parts)


@contextmanager
def open_stream(path: Path) -> Iterator[Stream]:
    """Open a file, or standard input for `-`; StreamBroken if it cannot be had."""
    try:
        # not Python's own object for stdin: whoever ends while a thread waits for it would be told of a fatal error
        file = open(0, "rb", closefd=False) if path == STDIN else path.open("rb")  # noqa: SIM115
    except OSError as error:
        raise StreamBroken(error.strerror or str(error)) from error
    stream = None
    try:
        stream = Stream(path, file)
        yield stream
    finally:
        if stream is None or not stream.may_wait:  # to close it would wait for who reads from it
            file.close()


def as_utf8(head: bytes, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Make UTF-8, without its mark, of text in UTF-16 or UTF-32 that begins with `head`; the rest stays as it is.

    What is no text in it becomes U+FFFD.
    """
    encoding = next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)
    if encoding is None:
        yield from chunks
    else:
        for text in codecs.iterdecode(chunks, encoding, "replace"):
            yield text.encode()


def _broken(error: Exception) -> StreamBroken:
    return StreamBroken(str(getattr(error, "strerror", None) or error) or "it ends too early")


def _decompressed(raw: io.BufferedReader) -> io.BufferedReader:
    try:
        magic = raw.peek(_MAGIC_BYTES)
    except OSError as error:
        raise StreamBroken(error.strerror or str(error)) from error
    opened: BinaryIO
    if magic.startswith(b"\x1f\x8b"):
        opened = cast(BinaryIO, gzip.GzipFile(fileobj=raw))
    elif magic.startswith(b"\x28\xb5\x2f\xfd"):
        opened = cast(BinaryIO, _Zstandard(raw))
    elif magic.startswith(b"BZh"):
        opened = cast(BinaryIO, bz2.BZ2File(raw))
    elif magic.startswith(b"\xfd7zXZ\0"):
        opened = cast(BinaryIO, lzma.LZMAFile(raw))  # noqa: SIM115  # so is what it reads
    else:
        return raw
    return cast(io.BufferedReader, opened)


class _Zstandard:
    """Decompresses frames: all there is of the last one, then an EOFError if its end is missing."""

    def __init__(self, raw: io.BufferedReader) -> None:
        self._raw = raw
        self._rest = b""
        self._frame: zstandard.ZstdDecompressionObj | None = None

    def read1(self, _: int) -> bytes:
        """Return some bytes, however many, or nothing at the end."""
        while part := self._rest or self._raw.read1(_ZSTD_BYTES):
            self._frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
            content = self._frame.decompress(part)
            self._rest = self._frame.unused_data
            if self._frame.eof:
                self._frame = None
            if content:
                return content
        if self._frame is not None:
            raise EOFError
        return b""
