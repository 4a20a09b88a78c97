"""How envelopes stand in a serialised `EnvelopeBatch`: field 1, length-delimited, one after the other."""

from __future__ import annotations

from envelope.wire import fields

BATCH_TAG = 0x0A  # field 1, wire type 2


def varint(value: int) -> bytes:
    """Encode an unsigned integer as a protobuf varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def frame(envelope: bytes) -> bytes:
    """Make a batch of one from a serialised envelope."""
    return b"\x0a" + varint(len(envelope)) + envelope


def envelopes(batch: bytes) -> list[bytes]:
    """Give the serialised envelopes of a batch, in order; raises `DecodeError` where it cannot be taken apart."""
    return [batch[field.body : field.end] for field in fields(batch) if field.tag == BATCH_TAG]


def frames(batch: bytes) -> list[bytes]:
    """Give each envelope of a batch as a batch of one, the very bytes it is there; `DecodeError` as `envelopes`."""
    return [batch[field.start : field.end] for field in fields(batch) if field.tag == BATCH_TAG]
