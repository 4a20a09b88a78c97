"""Files that are opened, compressed or not."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import assume, given
from hypothesis import strategies as st

from envelope.numbers_as_text import INT64
from standpipe.importing.streams import STDIN, StreamBroken, as_utf8, open_stream

CONTENT = os.urandom(1000) * 1200
COMPRESSIONS: list[Callable[[bytes], bytes]] = [
    bytes,
    gzip.compress,
    bz2.compress,
    lzma.compress,
    zstandard.ZstdCompressor().compress,
]


def read(path: Path) -> bytes:
    with open_stream(path) as stream:
        assert stream.head() == stream.head()
        return b"".join(iter(stream.read, b""))


@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_what_is_compressed_is_known_by_how_it_begins(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    for parts in ([CONTENT], [b"one\n", b"two\n"], [b""]):
        path.write_bytes(b"".join(map(compress, parts)))
        assert read(path) == b"".join(parts)


@pytest.mark.parametrize("compress", COMPRESSIONS[1:])
def test_what_ends_too_early_is_said_to_be_broken(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path, content = tmp_path / "app.log", compress(CONTENT)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(StreamBroken):
        read(path)


@pytest.mark.parametrize("compress", COMPRESSIONS[1:4])
def test_what_is_damaged_is_said_to_be_broken(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path, content = tmp_path / "app.log", compress(CONTENT)
    path.write_bytes(content[:2000] + bytes(100) + content[2100:])
    with pytest.raises(StreamBroken):
        read(path)


def test_how_far_it_was_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(CONTENT)
    os.utime(path, ns=(5, 5))
    with open_stream(path) as stream:
        assert (stream.bytes, stream.newest_ns, stream.bytes_read) == (len(CONTENT), 5, 0)
        stream.read()
        assert 0 < stream.bytes_read < len(CONTENT)


def test_a_file_that_cannot_be_had_is_said_to_be_broken(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(StreamBroken, match="directory"), open_stream(path):
            pass


def test_standard_input_is_read_as_it_comes() -> None:
    ours, theirs = os.pipe()
    os.write(theirs, b"a\nb")
    os.close(theirs)
    stdin = os.dup(0)
    os.dup2(ours, 0)
    try:
        assert read(STDIN) == b"a\nb"
    finally:
        os.dup2(stdin, 0)
        os.close(stdin)
        os.close(ours)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_what_comes_before_the_end_that_is_missing_is_read(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path, content = tmp_path / "app.log", os.urandom(2_500_000).hex().encode()
    path.write_bytes(compress(content)[:-500_000])
    read: list[bytes] = []
    with open_stream(path) as stream, pytest.raises(StreamBroken):
        read.extend(iter(stream.read, b""))
    found = b"".join(read)
    assert content.startswith(found)
    assert len(found) > 3_000_000


@pytest.mark.parametrize(("seconds", "newest_ns"), [(10_413_792_000, INT64[-1]), (-9_300_000_000, INT64[0])])
def test_the_time_of_a_file_is_one_that_an_envelope_can_carry(seconds: int, newest_ns: int, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.touch()
    os.utime(path, (seconds, seconds))
    if path.stat().st_mtime_ns in INT64:
        pytest.skip("this disk has no such times")
    with open_stream(path) as stream:
        assert stream.newest_ns == newest_ns


@pytest.mark.parametrize("end", [zstandard.COMPRESSOBJ_FLUSH_BLOCK, zstandard.COMPRESSOBJ_FLUSH_FINISH])
def test_all_that_can_be_decompressed_is_read(end: int, tmp_path: Path) -> None:
    """Of blocks of any size, and of frames, wherever the end is missing."""
    path, rng = tmp_path / "app.log", random.Random(1)
    content, compressed = b"", [b""]
    frame = zstandard.ZstdCompressor().compressobj()
    wholes = [b""]
    for _ in range(10):
        part = rng.randbytes(rng.randrange(1, 10_000)).hex().encode()
        content += part
        wholes.append(content)
        compressed.append(compressed[-1] + frame.compress(part) + frame.flush(end))
        if end == zstandard.COMPRESSOBJ_FLUSH_FINISH:
            frame = zstandard.ZstdCompressor().compressobj()
    for whole, before, behind in zip(wholes, compressed, compressed[1:], strict=False):
        path.write_bytes(behind[: rng.randrange(len(before) + 1, len(behind))])
        found: list[bytes] = []
        with open_stream(path) as stream, pytest.raises(StreamBroken, match="it ends too early"):
            found.extend(iter(stream.read, b""))
        assert b"".join(found) == whole


def test_what_decompresses_to_very_much_is_read_bit_by_bit(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(zstandard.ZstdCompressor().compress(bytes(200 << 20)))
    with open_stream(path) as stream:
        sizes = [len(chunk) for chunk in iter(stream.read, b"")]
    assert (sum(sizes), max(sizes) <= 33 << 20) == (200 << 20, True)


@given(st.text(), st.sampled_from(["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]), st.integers(1, 9))
def test_text_of_other_encodings_becomes_utf_8(text: str, encoding: str, size: int) -> None:
    assume(encoding != "utf-16-le" or not text.startswith("\0"))  # it looks like UTF-32
    content = f"\ufeff{text}".encode(encoding)
    chunks = [content[at : at + size] for at in range(0, len(content), size)]
    assert b"".join(as_utf8(content, chunks)) == text.encode()


@given(st.binary(), st.sampled_from([b"", b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0", b"\0\0\xfe\xff"]))
def test_any_bytes_are_text_or_stay_as_they_are(content: bytes, mark: bytes) -> None:
    found = b"".join(as_utf8(mark + content, [mark + content]))
    if mark:
        found.decode()
    elif not content.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")):
        assert found == content
