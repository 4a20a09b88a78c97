"""A place in a source's order of arrival, and the text a reader carries it in."""

from __future__ import annotations

import base64
import binascii
import struct
from typing import NamedTuple

import xxhash

from log_cache.query import BadRequest

_FIELDS = struct.Struct("<QQQ")
_TEXT_LENGTH = 38
"""28 bytes in base64."""


class Position(NamedTuple):
    """Between two envelopes of a source: just before the one that has the number `seq`.

    Envelopes are numbered without gaps in order of arrival. The first number of a source, its `birth`, is larger than
    any that a source of that name had before; a source that is not there has the birth 0.
    """

    birth: int
    seq: int


class Cursor(NamedTuple):
    """A position in the cache of one process, its incarnation: to any other the numbers mean nothing.

    All three numbers are unsigned and of 64 bits.
    """

    incarnation: int
    position: Position

    def text(self, source_id: str) -> str:
        """Write it down for a reader of that source: 38 characters that stand in a header or a query as they are."""
        fields = _FIELDS.pack(self.incarnation, *self.position)
        return base64.urlsafe_b64encode(fields + _check(fields, source_id)).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str, source_id: str) -> Cursor:
        """Read what `text` wrote for the same source; BadRequest if it is anything else."""
        if len(text) != _TEXT_LENGTH:
            raise BadRequest("the cursor is not one of this cache")
        try:
            packed = base64.b64decode(f"{text}==".encode("ascii"), altchars=b"-_", validate=True)
        except (binascii.Error, UnicodeEncodeError) as error:
            raise BadRequest("the cursor is not one of this cache") from error
        incarnation, birth, seq = _FIELDS.unpack_from(packed)
        cursor = cls(incarnation, Position(birth, seq))
        if cursor.text(source_id) != text:
            raise BadRequest("the cursor is broken or was given for another source")
        return cursor


def _check(fields: bytes, source_id: str) -> bytes:
    return xxhash.xxh32_digest(fields + source_id.encode("utf-8", "surrogatepass"))
