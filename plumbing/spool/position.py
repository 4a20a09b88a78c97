"""How far a spool has been read and written, in a small file that survives a kill at any moment.

Two records take turns, each with its checksum: of the two, the newer one that is whole counts. The file's name holds
the spool's id, which no flipped byte within the file can change.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import NamedTuple

from xxhash import xxh3_64_intdigest

from plumbing.private_files import PRIVATE

_SUFFIX = ".position"
_SLOT_BYTES = 64
_FIELDS = Struct("<QQQQQ")
_SUM = Struct("<Q")


class Marks(NamedTuple):
    """What is remembered; positions count the envelopes put in the life of the spool."""

    turn: int = 0
    done: int = 0
    """Where the first envelope is that is not done with."""
    done_seq: int = 0
    """The last frame that is done with."""
    end: int = 0
    """Where the next envelope to be put will be."""
    last_seq: int = 0


@dataclass(slots=True)
class Position:
    """The file, open for as long as the spool is."""

    id: str
    marks: Marks
    _handle: int

    @classmethod
    def open(cls, directory: Path) -> Position:
        """Read what is remembered in `directory`, or begin anew with an id of its own."""
        known = sorted(path for path in directory.iterdir() if path.suffix == _SUFFIX and _is_id(path.stem))
        path = known[0] if known else directory / f"{secrets.token_hex(8)}{_SUFFIX}"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
        seed = int(path.stem, 16)
        slots = [_read(os.pread(handle, _SLOT_BYTES, slot * _SLOT_BYTES), seed) for slot in (0, 1)]
        return cls(path.stem, max(slots), handle)

    @property
    def seed(self) -> int:
        """What the checksums of this spool start from."""
        return int(self.id, 16)

    def remember(self, marks: Marks) -> None:
        """Write down what is new in `marks`; OSError when the disk does not take it: it is part of the next, too."""
        self.marks = marks._replace(turn=self.marks.turn + 1)
        fields = _FIELDS.pack(*self.marks)
        record = fields + _SUM.pack(xxh3_64_intdigest(fields, self.seed))
        os.pwrite(self._handle, record, self.marks.turn % 2 * _SLOT_BYTES)

    def sync(self) -> None:
        """Force it to disk."""
        os.fsync(self._handle)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._handle)


def _read(slot: bytes, seed: int) -> Marks:
    fields, checksum = slot[: _FIELDS.size], slot[_FIELDS.size : _FIELDS.size + _SUM.size]
    if len(checksum) < _SUM.size or xxh3_64_intdigest(fields, seed) != _SUM.unpack(checksum)[0]:
        return Marks()
    return Marks._make(_FIELDS.unpack(fields))


def _is_id(stem: str) -> bool:
    return len(stem) == 16 and all(letter in "0123456789abcdef" for letter in stem)
