"""What the write-ahead log keeps of one append: a frame of the spool's form, its batch an Arrow stream in lz4.

The head, the checksum and the search for the next frame behind a damaged one are `plumbing.spool.frames`; a head's
`before` is the `seq` of the first event. An append is one frame, so that a kill leaves all of it, marks included, or
nothing. With keys, events and marks are sealed together. No I/O.
"""

from __future__ import annotations

import msgpack  # type: ignore[import-untyped]  # it ships no types
import pyarrow as pa

from event_store.storage.crypto import Keyring
from event_store.storage.errors import StoreLocked
from plumbing.spool import MAX_FRAME_BYTES, Frame, Kept

_PLAIN = b"\0"
_SEALED = b"\1"
_OVERHEAD = 1 << 16  # what msgpack adds, at most
_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


class FrameDamaged(Exception):
    """These bytes are no batch of events, though nobody changed them."""


def pack(batch: pa.RecordBatch | None, marks: tuple[bytes, ...] = (), keys: Keyring | None = None) -> Frame:
    """Make a frame of a batch, or of marks alone; ValueError if it is too large for one."""
    body: pa.Buffer | bytes = b""
    count = 0
    if batch is not None:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema, options=_OPTIONS) as writer:
            writer.write_batch(batch)
        body, count = sink.getvalue(), batch.num_rows
    if keys is None:
        frame = Frame(b"".join((_PLAIN, body)), count, marks)
    else:
        frame = Frame(_SEALED + keys.seal(msgpack.packb((bytes(body), marks))), count)
    size = len(frame.batch) + sum(map(len, frame.marks))
    if size > MAX_FRAME_BYTES - _OVERHEAD:
        raise ValueError(f"an append of {count} events takes {size} bytes of the log, more than {MAX_FRAME_BYTES}")
    return frame


def unpack(kept: Kept, keys: Keyring | None = None) -> tuple[pa.RecordBatch | None, tuple[bytes, ...]]:
    """Read the batch of a frame, without the places of its events, and its marks.

    FrameDamaged if it has none; StoreLocked if it is sealed, and not with the key that is there.
    """
    form, body, marks = kept.batch[:1], memoryview(kept.batch)[1:], kept.marks
    if form == _SEALED:
        body, marks = msgpack.unpackb(_opened(bytes(body), keys), use_list=False)
    elif form != _PLAIN:
        raise FrameDamaged(f"a frame of a form that nobody knows, {form!r}")
    try:
        return _read(body, kept.count), marks
    except StopIteration:
        raise FrameDamaged("a frame is whole, and there is no batch of events in it") from None
    except (pa.ArrowException, ValueError, TypeError, OSError, EOFError, MemoryError) as error:
        raise FrameDamaged(f"a frame is whole, and its events cannot be read: {error}") from error


def _opened(body: bytes, keys: Keyring | None) -> bytes:
    if keys is None:
        raise StoreLocked("it is sealed, and there is no key file")
    try:
        return keys.open(body)
    except ValueError as error:
        raise FrameDamaged(f"a frame is whole, and cannot be opened: {error}") from error


def _read(body: memoryview | bytes, count: int) -> pa.RecordBatch | None:
    if not body:
        return None
    with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
        batch = reader.read_next_batch()
    batch.validate(full=False)
    if batch.num_rows != count:
        raise FrameDamaged(f"a frame says {count} events, and has {batch.num_rows}")
    return batch
