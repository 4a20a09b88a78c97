"""Cut a stream of bytes into syslog messages (RFC 6587): octet-counted or by newlines, as each message shows. No I/O.

A message that begins with a count and `<` is counted (3.4.1); anything else ends with LF or NUL (3.4.2). After a
counted message there may be LF, CR and NUL, and then only another count or `<`: whatever else stands there shows that
the counts are wrong. So does a count over 16 MiB. Between lines, empty ones are passed over.
"""

from __future__ import annotations

import re

_MOST_COUNTED_BYTES = 16 << 20
_COUNT = re.compile(rb"([1-9][0-9]{0,9}) <")
_COUNT_AGAIN = re.compile(rb"([1-9][0-9]{0,9}) ")
_PERHAPS_A_COUNT = re.compile(rb"[1-9][0-9]{0,9} ?\Z")
_LINE_END = re.compile(rb"[\n\0]")
_BETWEEN = re.compile(rb"[\r\n\0]++")


class Framer:
    """Gives out the messages of one connection, each `max_bytes` long at most; a longer one is cut off there.

    The borders of the chunks never show. It holds no more than one message of that size, and one chunk, and looks at
    each byte a few times at most, however small the chunks are.
    """

    def __init__(self, max_bytes: int) -> None:
        self.truncated = 0
        """Messages that were cut off."""
        self.fault = ""
        """Why the stream cannot be read on; `offset` is where."""
        self.offset = 0
        """How many bytes of the stream are done with."""
        self._max = max_bytes
        self._held = bytearray()
        self._enough = 0  # bytes that must be held before a counted message can be whole
        self._searched = 0  # bytes held of a line, in which there is no end of it
        self._skip = 0  # bytes of a counted message that are still to come and too many
        self._skips_line = False
        self._counted = False  # the last message was

    @property
    def holds_some(self) -> bool:
        """Whether the beginning of a message has come, and not its end."""
        return bool(self._held)

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next chunk; give out the messages that it completes, those before a fault too."""
        if self._held:
            self._held += chunk
            if self._needs_more():
                return []
            chunk = bytes(self._held)
        messages: list[bytes] = []
        at = self._enough = self._searched = 0
        while not self.fault and (end := self._next(chunk, at, messages)) > at:
            at = end
        self.offset += at
        self._held = bytearray(chunk[at:])
        return messages

    def flush(self) -> list[bytes]:
        """Give out a last line that has no end; a counted message that is not whole stays held."""
        expects_count = self._counted and self._held[:1] != b"<"
        if not self._held or self.fault or expects_count or _COUNT.match(self._held):
            return []
        line, self._held = bytes(self._held), bytearray()
        self.offset += len(line)
        self.truncated += len(line) > self._max  # what could have been a count
        return [line[: self._max]]

    def _needs_more(self) -> bool:
        """Say whether what was last added to what is held is certain to complete nothing."""
        if self._searched and len(self._held) <= self._max and not _LINE_END.search(self._held, self._searched):
            self._searched = len(self._held)
            return True
        return bool(self.fault) or len(self._held) < self._enough

    def _next(self, buffer: bytes, at: int, messages: list[bytes]) -> int:
        """Read one thing, and say where it ends; the same place if more must come first."""
        if self._skip:
            skipped = min(self._skip, len(buffer) - at)
            self._skip -= skipped
            return at + skipped
        if self._skips_line:
            return self._rest_of_line(buffer, at)
        if between := _BETWEEN.match(buffer, at):
            return between.end()
        if count := (_COUNT_AGAIN if self._counted else _COUNT).match(buffer, at):
            return self._take_counted(buffer, at, count, messages)
        if at == len(buffer) or _PERHAPS_A_COUNT.match(buffer, at):
            return at
        if self._counted and buffer[at] != 0x3C:
            self.fault = "neither a count nor a message follows a counted message"
            return at
        return self._take_line(buffer, at, messages)

    def _take_counted(self, buffer: bytes, at: int, count: re.Match[bytes], messages: list[bytes]) -> int:
        size, start = int(count[1]), count.end(1) + 1
        if size > _MOST_COUNTED_BYTES:
            self.fault = f"a message of {size} bytes is announced"
            return at
        end = start + min(size, self._max)
        if end > len(buffer):
            self._enough = end - at
            return at
        self._counted = True
        self._skip = size - (end - start)
        self.truncated += self._skip > 0
        messages.append(buffer[start:end])
        return end

    def _take_line(self, buffer: bytes, at: int, messages: list[bytes]) -> int:
        end = _LINE_END.search(buffer, at, at + self._max + 1)
        if end is None and len(buffer) - at <= self._max:
            self._searched = len(buffer) - at
            return at
        self._counted = False
        if end is None:
            self._skips_line = True
            self.truncated += 1
            messages.append(buffer[at : at + self._max])
            return at + self._max
        messages.append(buffer[at : end.start()])
        return end.end()

    def _rest_of_line(self, buffer: bytes, at: int) -> int:
        end = _LINE_END.search(buffer, at)
        if end is None:
            return len(buffer)
        self._skips_line = False
        return end.end()
