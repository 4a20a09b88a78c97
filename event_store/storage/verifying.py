"""Whether the files of segments are what was written: by a glance at their size and ends, or by each byte.

An OSError, here, says that nobody can tell now, as when too many files are open.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

from xxhash import xxh3_64

from event_store.storage import parquet
from event_store.storage.errors import SegmentDamaged
from event_store.storage.manifest import Segment

Proceed: TypeAlias = Callable[[int], None]
"""Is told how many bytes were read, again and again, and may wait; what it raises ends the reading."""

_READ_BYTES = 1 << 20
_DAMAGE = (errno.ENOENT, errno.EIO, errno.EUCLEAN, errno.EBADMSG, errno.EINVAL)


def look(folder: Path, segment: Segment) -> None:
    """Raise SegmentDamaged if a glance shows that the file is not what was written: its size, its ends."""
    try:
        with open(folder / segment.file, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size != segment.bytes:
                raise SegmentDamaged(f"it has {size} bytes, and had {segment.bytes}")
            file.seek(-8, os.SEEK_END)
            length, magic = file.read(4), file.read(4)
    except OSError as error:
        raise _told(error) from error
    if magic not in parquet.MAGICS or int.from_bytes(length, "little") > size:
        raise SegmentDamaged("its end is none of a segment")


def verify(folder: Path, segment: Segment, proceed: Proceed = lambda _: None) -> None:
    """Raise SegmentDamaged unless each byte of the file is as it was written."""
    look(folder, segment)
    try:
        checksum = checksum_of(folder / segment.file, proceed)
    except OSError as error:
        raise _told(error) from error
    if checksum != segment.checksum:
        raise SegmentDamaged("its checksum is wrong")


def checksum_of(path: Path, proceed: Proceed = lambda _: None) -> str:
    """Read a file, and return what it should be known by; OSError."""
    checksum = xxh3_64()
    with path.open("rb") as file:
        while part := file.read(_READ_BYTES):
            checksum.update(part)
            proceed(len(part))
    return checksum.hexdigest()


def verify_index(folder: Path, segment: Segment, proceed: Proceed = lambda _: None) -> None:
    """Raise SegmentDamaged unless what lies beside a segment is there, if it is to be, as it was written."""
    if segment.index_bytes:
        proceed(len(index_bytes(folder, segment)))


def index_bytes(folder: Path, segment: Segment) -> bytes:
    """Read what lies beside a segment; SegmentDamaged if it is not what was written."""
    try:
        content = (folder / segment.index_file).read_bytes()
    except OSError as error:
        raise _told(error) from error
    if xxh3_64(content).hexdigest() != segment.index_checksum:
        raise SegmentDamaged("its checksum is wrong")
    return content


def verify_all(
    folder: Path, segments: Iterable[Segment], proceed: Proceed = lambda _: None
) -> tuple[dict[Segment, str], dict[Segment, str]]:
    """Read all there is: (what is wrong with which segment, and with the index of which that is sound itself)."""
    bad: dict[Segment, str] = {}
    without: dict[Segment, str] = {}
    for segment in segments:
        for look_at, found in ((verify, bad), (verify_index, without)):
            try:
                look_at(folder, segment, proceed)
            except SegmentDamaged as error:
                found[segment] = str(error)
                break
    return bad, without


def _told(error: OSError) -> Exception:
    """Return what is to be raised: a fault that is not the file's is no damage."""
    return SegmentDamaged(f"it cannot be read: {error.strerror}") if error.errno in _DAMAGE else error
