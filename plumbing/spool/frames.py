"""The form of a batch on disk: a head of fixed size with a checksum of its own, and a body in msgpack.

A head says how long the body is, what its checksum is, and how many envelopes were put before it: from the next head
that can be read it is known how many were lost in between. Checksums are xxh3_64, seeded with the spool's id: bytes
that somebody sends us never look like a frame of ours. No I/O.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

import msgpack  # type: ignore[import-untyped]  # it ships no types
from xxhash import xxh3_64_intdigest

MAX_FRAME_BYTES = 64 << 20
"""What a body may have. A head that says more is none."""

_MAX_COUNT = 0xFFFF_FFFF
_MAGIC = b"SPf1"
_FIELDS = Struct("<4sIQQIQ")
_SUM = Struct("<Q")
HEAD_BYTES = _FIELDS.size + _SUM.size


class Frame(NamedTuple):
    """A batch to be kept, how many envelopes it has, and what whoever put it wants to know it by."""

    batch: bytes
    count: int  # type: ignore[assignment]  # nobody asks for a tuple's own
    marks: tuple[bytes, ...] = ()


class Kept(NamedTuple):
    """A batch that was kept. A `seq` is never given twice in the life of a spool, and later ones are larger."""

    seq: int
    batch: bytes
    count: int  # type: ignore[assignment]  # nobody asks for a tuple's own
    marks: tuple[bytes, ...]


class Head(NamedTuple):
    """What stands in front of a body."""

    length: int
    seq: int
    before: int
    """Envelopes put before this frame in the life of the spool."""
    envelopes: int
    checksum: int

    @property
    def end(self) -> int:
        """Envelopes put in the life of the spool, up to and with this frame."""
        return self.before + self.envelopes

    @property
    def frame_bytes(self) -> int:
        """What the frame has on disk."""
        return HEAD_BYTES + self.length


def encode(frame: Frame, seq: int, before: int, seed: int) -> list[bytes]:
    """Make head and body of `frame`; ValueError if it is too large to be kept."""
    body = msgpack.packb((frame.batch, frame.marks))
    if len(body) > MAX_FRAME_BYTES or not 0 <= frame.count <= _MAX_COUNT:
        raise ValueError(f"a frame of {len(body)} bytes and {frame.count} envelopes cannot be kept")
    fields = _FIELDS.pack(_MAGIC, len(body), seq, before, frame.count, xxh3_64_intdigest(body, seed))
    return [fields + _SUM.pack(xxh3_64_intdigest(fields, seed)), body]


def read_head(data: bytes, available: int, seed: int, offset: int = 0) -> Head | None:
    """Read the head at `offset` of `data`; None if there is none, or its frame has more than `available` bytes."""
    if len(data) - offset < HEAD_BYTES or not data.startswith(_MAGIC, offset):
        return None
    fields = data[offset : offset + _FIELDS.size]
    if xxh3_64_intdigest(fields, seed) != _SUM.unpack_from(data, offset + _FIELDS.size)[0]:
        return None
    head = Head._make(_FIELDS.unpack(fields)[1:])
    return head if head.length <= MAX_FRAME_BYTES and head.frame_bytes <= available else None


def find_head(data: bytes, seed: int) -> int:
    """Say where in `data` the first frame begins that is all there; its length if there is none."""
    offset = data.find(_MAGIC)
    while offset >= 0:
        if read_head(data, len(data) - offset, seed, offset) is not None:
            return offset
        offset = data.find(_MAGIC, offset + 1)
    return len(data)


def read_body(head: Head, body: bytes, seed: int) -> Kept | None:
    """Read the batch behind `head`; None if its bytes are not those that were written."""
    if len(body) != head.length or xxh3_64_intdigest(body, seed) != head.checksum:
        return None
    batch, marks = msgpack.unpackb(body, use_list=False)
    return Kept(head.seq, batch, head.envelopes, marks)
