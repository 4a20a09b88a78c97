"""Turn the bytes of a growing file into lines, and know how far they have safely gone. No I/O, no clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

FINGERPRINT_BYTES = 1024
MAX_RUN_LINES = 500
"""Lines handed on together: enough to pay for a batch, few enough for one batch to stay small whatever its tags."""


class FileKey(NamedTuple):
    """What a file is, whatever it is called."""

    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The first bytes of a file, up to 1 KiB, as far as they are known: tells replaced content from grown content."""

    size: int = 0
    digest: str = ""

    @classmethod
    def of(cls, head: bytes) -> Fingerprint:
        """Take the fingerprint of a file that begins with `head`."""
        head = head[:FINGERPRINT_BYTES]
        return cls(len(head), blake2b(head, digest_size=16).hexdigest()) if head else cls()

    def matches(self, head: bytes) -> bool:
        """Whether a file that now begins with `head` can be the same one, grown."""
        return len(head) >= self.size and Fingerprint.of(head[: self.size]) == self


@dataclass(frozen=True, slots=True)
class Run:
    """Lines that follow each other, the offset in the stream where they end, and how many lines were found too long.

    There may be no lines: the newline of one whose text was given out before moves the offset alone.
    """

    lines: list[bytes]
    end: int
    long_lines: int = 0


class LineSplitter:
    """Cuts a stream of bytes, come in chunks of any size, into lines; a line without its end is held back.

    A line ends with LF or CRLF and is given out without it. A line over `max_line_bytes` comes in pieces of that size.
    Nothing else is done to the bytes, and the chunks' borders never show.
    """

    def __init__(self, max_line_bytes: int, offset: int = 0, *, mid_line: bool = False) -> None:
        self.offset = offset
        """Where the last line given out ends: whoever starts again there loses nothing and repeats nothing."""
        self._max = max_line_bytes
        self._held = b""
        self._mid_line = mid_line  # the beginning of the present line has been given out already
        self._was_long = False  # the present line was found too long already

    @property
    def held(self) -> int:
        """Bytes held back for want of a newline."""
        return len(self._held)

    @property
    def read_offset(self) -> int:
        """Where the next chunk begins."""
        return self.offset + len(self._held)

    def feed(self, chunk: bytes) -> list[Run]:
        """Take the next chunk; give out the lines that it completes."""
        start = self.offset
        parts = (self._held + chunk).split(b"\n")
        self._held = parts.pop()
        runs: list[Run] = []
        lines: list[bytes] = []
        long_lines = 0
        for part in parts:
            self.offset += len(part) + 1
            text = part[:-1] if part[-1:] == b"\r" else part
            if len(text) > self._max:
                long_lines += not self._was_long
                lines += self._cut(text)
            elif text or not self._mid_line:
                lines.append(text)
            self._mid_line = self._was_long = False
            if len(lines) >= MAX_RUN_LINES:
                runs.append(Run(lines, self.offset, long_lines))
                lines, long_lines = [], 0
        if pieces := self._overflow():
            long_lines += not self._was_long
            self._was_long = True
            lines += pieces
        if self.offset > (runs[-1].end if runs else start):
            runs.append(Run(lines, self.offset, long_lines))
        return runs

    def flush(self) -> list[Run]:
        """Give out what is held back; if the line goes on after all, its rest is a line of its own."""
        text, self._held = self._held, b""
        if not text:
            return []
        self.offset += len(text)
        self._mid_line = True
        return [Run(self._cut(text), self.offset)]

    def _overflow(self) -> list[bytes]:
        """Give out whole pieces of a line that goes on, all but the last byte and a CR that may belong to its end."""
        size = max(len(self._held) - 2, 0) // self._max * self._max
        if not size:
            return []
        pieces, self._held = self._cut(self._held[:size]), self._held[size:]
        self.offset += size
        self._mid_line = True
        return pieces

    def _cut(self, text: bytes) -> list[bytes]:
        return [text[at : at + self._max] for at in range(0, len(text), self._max)]


@dataclass(slots=True)
class _Mark:
    end: int
    settled: bool = False


@dataclass(slots=True)
class Settlement:
    """How far into a stream everything sent has settled, in whatever order it does."""

    offset: int = 0
    _marks: deque[_Mark] = field(default_factory=deque, init=False)

    def expect(self, end: int) -> Callable[[], None]:
        """Note that what ends at `end` was sent; the answer is to be called when it has settled."""
        mark = _Mark(end)
        self._marks.append(mark)

        def settle() -> None:
            mark.settled = True
            while self._marks and self._marks[0].settled:
                self.offset = self._marks.popleft().end

        return settle
