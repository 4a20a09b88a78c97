"""Read the protobuf wire format as far as a message can be taken apart without knowing what it means.

What is accepted here is what protobuf's own parser (upb) accepts: tags and lengths of at most five bytes, varints of at
most ten (none need be the shortest), groups at most a hundred deep.
"""

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from envelope.errors import DecodeError

_MAX_TAG = 0xFFFFFFFF
_MAX_LENGTH = 0x7FFFFFFF
_MAX_GROUP_DEPTH = 100


class WireType(IntEnum):
    """How a field's value is laid out: the low three bits of its tag."""

    VARINT = 0
    FIXED64 = 1
    LENGTH_DELIMITED = 2
    START_GROUP = 3
    END_GROUP = 4
    FIXED32 = 5


class Field(NamedTuple):
    """One field of a message: `buffer[start:end]` is all of it, `buffer[body:end]` its value without tag and length."""

    tag: int
    start: int
    body: int
    end: int


def fields(buffer: bytes) -> Iterator[Field]:
    """Yield the fields of a message, in order, down to the first broken one: DecodeError names its offset."""
    at, size = 0, len(buffer)
    while at < size:
        try:
            tag, body = _tag(buffer, at)
            body, end = _value(buffer, tag, body)
        except IndexError:
            raise DecodeError(f"malformed field at byte {at}: truncated") from None
        except DecodeError as error:
            raise DecodeError(f"malformed field at byte {at}: {error}") from None
        yield Field(tag, at, body, end)
        at = end


def _tag(buffer: bytes, at: int) -> tuple[int, int]:
    """Return (tag, offset after it)."""
    tag, end = _varint(buffer, at, max_bytes=5)
    if tag > _MAX_TAG:
        raise DecodeError("tag too large")
    return tag, end


def _value(buffer: bytes, tag: int, at: int) -> tuple[int, int]:
    """Return (start, end) of the value whose tag ends at `at`."""
    start = at
    match tag & 7:
        case WireType.VARINT:
            _, end = _varint(buffer, at, max_bytes=10)
        case WireType.FIXED64:
            end = at + 8
        case WireType.LENGTH_DELIMITED:
            length, start = _varint(buffer, at, max_bytes=5)
            if length > _MAX_LENGTH:
                raise DecodeError("length too large")
            end = start + length
        case WireType.START_GROUP:
            end = _end_of_group(buffer, tag, at)
        case WireType.FIXED32:
            end = at + 4
        case wire_type:
            raise DecodeError(f"unexpected wire type {wire_type}")
    if end > len(buffer):
        raise DecodeError("truncated")
    return start, end


def _end_of_group(buffer: bytes, tag: int, at: int) -> int:
    """Return the offset after the end tag of the group that `tag` opened; groups inside it are counted, not called."""
    open_groups = [tag >> 3]
    while open_groups:
        if len(open_groups) > _MAX_GROUP_DEPTH:
            raise DecodeError("groups nested too deep")
        tag, at = _tag(buffer, at)
        if tag & 7 == WireType.START_GROUP:
            open_groups.append(tag >> 3)
        elif tag & 7 == WireType.END_GROUP:
            if open_groups.pop() != tag >> 3:
                raise DecodeError("group closed by the end of another")
        else:
            _, at = _value(buffer, tag, at)
    return at


def _varint(buffer: bytes, at: int, *, max_bytes: int) -> tuple[int, int]:
    """Return (value, offset after it); IndexError when the buffer ends first."""
    value = 0
    for index in range(max_bytes):
        byte = buffer[at + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, at + index + 1
    raise DecodeError("varint too long")
