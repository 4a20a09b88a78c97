"""What the write-ahead log keeps of one append: a frame of the spool's form, its batch an Arrow stream in lz4.

The stream is compressed as a whole (measured: 100 events of 30 columns take 0.06 ms, and 0.5 where Arrow compresses
each of its buffers by itself, as it was done before; 10,000 take 2.2 and 2.5 ms). Its size stands before it, in four
bytes.

The head, the checksum and the search for the next frame behind a damaged one are `plumbing.spool.frames`; a head's
`before` is the `seq` of the first event. An append is one frame, so that a kill leaves all of it, marks included, or
nothing. With keys, events and marks are sealed together. No I/O.
"""

from __future__ import annotations

import struct

import msgpack  # type: ignore[import-untyped]  # it ships no types
import pyarrow as pa

from event_store.storage.crypto import Keyring
from event_store.storage.errors import StoreLocked
from plumbing.spool import MAX_FRAME_BYTES, Frame, Kept

MAX_BATCH_BYTES = 1 << 30
"""Of one append, not compressed."""

_PLAIN = b"\2"
_SEALED = b"\3"
_ONCE_PLAIN = b"\0"
_ONCE_SEALED = b"\1"
"""So frames of before begin, whose Arrow stream is compressed by parts."""
_OVERHEAD = 1 << 16  # what msgpack adds, at most
_LZ4 = pa.Codec("lz4_raw")
_MOST_LZ4 = 255
"""Bytes that come of one, at most."""
_SIZE = struct.Struct("<I")


class FrameDamaged(Exception):
    """These bytes are no batch of events, though nobody changed them."""


def pack(batch: pa.RecordBatch | None, marks: tuple[bytes, ...] = (), keys: Keyring | None = None) -> Frame:
    """Make a frame of a batch, or of marks alone; ValueError if it is too large for one."""
    body, count = ((), 0) if batch is None else (_compressed(batch), batch.num_rows)
    if keys is None:
        frame = Frame(b"".join((_PLAIN, *body)), count, marks)
    else:
        frame = Frame(_SEALED + keys.seal(msgpack.packb((b"".join(body), marks))), count)
    size = len(frame.batch) + sum(map(len, frame.marks))
    if size > MAX_FRAME_BYTES - _OVERHEAD:
        raise ValueError(f"an append of {count} events takes {size} bytes of the log, more than {MAX_FRAME_BYTES}")
    return frame


def unpack(kept: Kept, keys: Keyring | None = None) -> tuple[pa.RecordBatch | None, tuple[bytes, ...]]:
    """Read the batch of a frame, without the places of its events, and its marks.

    FrameDamaged if it has none; StoreLocked if it is sealed, and not with the key that is there.
    """
    form, body, marks = kept.batch[:1], memoryview(kept.batch)[1:], kept.marks
    if form not in (_PLAIN, _SEALED, _ONCE_PLAIN, _ONCE_SEALED):
        raise FrameDamaged(f"a frame of a form that nobody knows, {form!r}")
    if form in (_SEALED, _ONCE_SEALED):
        body, marks = msgpack.unpackb(_opened(bytes(body), keys), use_list=False)
    try:
        stream = _decompressed(body) if form in (_PLAIN, _SEALED) else pa.py_buffer(body)
        return _read(stream, kept.count), marks
    except StopIteration:
        raise FrameDamaged("a frame is whole, and there is no batch of events in it") from None
    except (pa.ArrowException, ValueError, TypeError, OSError, EOFError, MemoryError) as error:
        raise FrameDamaged(f"a frame is whole, and its events cannot be read: {error}") from error


def _compressed(batch: pa.RecordBatch) -> tuple[bytes, pa.Buffer]:
    """Write a batch as a stream: its size, and what it is compressed to."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    stream = sink.getvalue()
    if stream.size > MAX_BATCH_BYTES:
        raise ValueError(f"an append of {batch.num_rows} events takes {stream.size} bytes, more than {MAX_BATCH_BYTES}")
    return _SIZE.pack(stream.size), _LZ4.compress(stream)


def _decompressed(body: memoryview | bytes) -> pa.Buffer:
    """Undo what was done to a stream; FrameDamaged before memory is taken that it does not need."""
    if not body:
        return pa.py_buffer(b"")
    packed = memoryview(body)[_SIZE.size :]
    size = _SIZE.unpack_from(body)[0] if packed else 0
    if not 0 < size <= min(MAX_BATCH_BYTES, _MOST_LZ4 * len(packed)):
        raise FrameDamaged(f"a frame says that its events take {size} bytes, and has {len(packed)} compressed")
    return _LZ4.decompress(packed, size)


def _opened(body: bytes, keys: Keyring | None) -> bytes:
    if keys is None:
        raise StoreLocked("it is sealed, and there is no key file")
    try:
        return keys.open(body)
    except ValueError as error:
        raise FrameDamaged(f"a frame is whole, and cannot be opened: {error}") from error


def _read(stream: pa.Buffer, count: int) -> pa.RecordBatch | None:
    if not stream.size:
        return None
    with pa.ipc.open_stream(stream) as reader:
        batch = reader.read_next_batch()
    batch.validate(full=False)
    if batch.num_rows != count:
        raise FrameDamaged(f"a frame says {count} events, and has {batch.num_rows}")
    return batch
