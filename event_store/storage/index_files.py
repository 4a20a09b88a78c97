"""The indexes of segments on disk: written beside them, read, and made anew of what they stand for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from event_store.storage import index, parquet, verifying
from event_store.storage.crypto import Keyring, open_file, seal_file, secret_of
from event_store.storage.errors import SegmentDamaged
from event_store.storage.index import Index, Indexing
from event_store.storage.manifest import Segment
from event_store.storage.parquet import Written
from plumbing.private_files import sync_directory


def write(folder: Path, path: Path, indexing: Indexing, key: str, keys: Keyring | None) -> Written:
    """Write an index, sealed if its segment is: its bytes are on disk when this returns. An error leaves nothing."""
    content = indexing.form()
    if key and keys is not None:
        content = seal_file(keys.of_file(path.relative_to(folder).as_posix(), key), content)
    draft = path.with_name(f".{path.name}")
    try:
        written = parquet.write_bytes(draft, content)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return written


def read(folder: Path, segment: Segment, keys: Keyring | None) -> Index | None:
    """Read what lies beside a segment; None if there is none. SegmentDamaged, StoreLocked without its key."""
    if not segment.index_bytes:
        return None
    secret_of(segment, keys)
    content = verifying.index_bytes(folder, segment)
    try:
        if segment.key and keys is not None:
            content = open_file(keys.of_file(segment.index_file, segment.key), content)
        return index.parse(content)
    except ValueError as error:
        raise SegmentDamaged(str(error)) from error


def renew(folder: Path, segment: Segment, keys: Keyring | None, proceed: Callable[[], None]) -> Segment:
    """Make the index of a segment anew, in the place of the one there was, if any; SegmentDamaged, OSError.

    `proceed` is called before each part: what it raises ends this, and leaves the index there was.
    """
    indexing = Indexing(segment.rows)
    try:
        for group in parquet.row_groups(folder / segment.file, secret_of(segment, keys)):
            proceed()
            indexing.add(group)
    except pa.ArrowException as error:
        raise SegmentDamaged(f"it cannot be read: {error}") from error
    written = write(folder, folder / segment.index_file, indexing, segment.key, keys)
    sync_directory((folder / segment.file).parent)
    return replace(segment, index_bytes=written.bytes, index_checksum=written.checksum)
