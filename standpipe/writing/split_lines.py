"""Cut a stream of bytes into lines. No I/O, no clock.

Hot path: `emit -` and `run` put all their lines through here; whole chunks are split and measured in C.
"""

from __future__ import annotations

MAX_LINE_BYTES = 61_440
"""The longest log line of the platform itself (loggregator.md 8)."""


class LineSplitter:
    """Cuts what is fed, in chunks of any size, into lines without their LF or CRLF.

    A line over `max_line_bytes` comes in pieces of that size. The borders of the chunks never show.
    """

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max = max_line_bytes
        self._held = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next chunk; return the lines that it completes."""
        text = self._held + chunk
        if b"\r\n" in text:
            text = text.replace(b"\r\n", b"\n")
        *lines, self._held = text.split(b"\n")
        if lines and len(max(lines, key=len)) > self._max:
            lines = [piece for line in lines for piece in self.pieces(line)]
        return lines + self._overflow()

    def end(self) -> list[bytes]:
        """Return what is left of a last line that has no end."""
        rest, self._held = self._held, b""
        return self.pieces(rest) if rest else []

    def pieces(self, line: bytes) -> list[bytes]:
        """Cut one line, if it is too long."""
        return [line[at : at + self._max] for at in range(0, len(line), self._max)] or [line]

    def _overflow(self) -> list[bytes]:
        """Return whole pieces of a line that goes on, but for its last byte and a CR that may belong to its end."""
        size = (len(self._held) - 2) // self._max * self._max
        if size <= 0:
            return []
        pieces, self._held = self.pieces(self._held[:size]), self._held[size:]
        return pieces
