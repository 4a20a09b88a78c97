"""Join lines that belong together to one message: the options `multiline` and `multiline-start`. No clock.

In:    envelopes.
Out:   the same, but lines joined: the first one says it all, and each of the others is left behind it as an envelope
       that is bare. So a batch keeps as many envelopes as came, and a bare one is sent with the line before it.
Drops: nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import re2  # type: ignore[import-untyped]  # ships no types

from envelope import kernel
from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch

_BARE = EnvelopeBatch(batch=[Envelope()]).SerializeToString()

Stream: TypeAlias = tuple[str, str, str, int]
"""Source, instance, source type, and whether it is the error stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one message may have of lines, and what may wait for its end."""

    lines: int = 500
    bytes: int = 256 << 10
    """Bytes of text; one line alone may have more."""
    age_s: float = 1.0
    """How long the first line waits for others."""
    streams: int = 1000
    held_bytes: int = 4 << 20
    """Bytes of all lines that wait together."""


@dataclass(slots=True)
class _Message:
    due_at: float
    first: Envelope
    lines: list[bytes] = field(default_factory=list)
    """The envelopes, each as it came."""
    texts: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, line: bytes, text: bytes) -> None:
        self.lines.append(line)
        self.texts.append(text.removesuffix(b"\n"))
        self.size += len(line)


class Joiner:
    """Joins the lines of each stream: one that `continues` belongs to the message before it, if that still waits."""

    def __init__(self, continues: Callable[[bytes], bool], bounds: Bounds | None = None) -> None:
        self._continues = continues
        self._bounds = bounds or Bounds()
        self._open: dict[Stream, _Message] = {}
        self._bytes = 0
        self.held = 0

    @classmethod
    def of(cls, multiline: str, multiline_start: str) -> Joiner:
        """Make one of patterns that were checked before, of which one is not empty."""
        pattern: Any = re2.compile((multiline or multiline_start).encode())
        wanted = bool(multiline)
        return cls(lambda text: (pattern.search(text) is not None) is wanted)

    @property
    def due_at(self) -> float:
        """When the first of the messages that wait is to go."""
        return next((message.due_at for message in self._open.values()), math.inf)

    def add(self, batch: bytes, now: float) -> bytes:
        """Take an admitted batch; return the messages that are complete, and what is no line."""
        gone: list[bytes] = []
        for start, end, kind, *_ in kernel.spans(batch):
            if kind == Kind.LOG:
                self._add(batch[start:end], now, gone)
            else:
                gone.append(batch[start:end])
        while len(self._open) > self._bounds.streams or self._bytes > self._bounds.held_bytes:
            gone.append(self._take(next(iter(self._open))))
        return b"".join(gone)

    def release(self, now: float) -> bytes:
        """Return the messages that have waited long enough."""
        gone: list[bytes] = []
        while self._open and self.due_at <= now:
            gone.append(self._take(next(iter(self._open))))
        return b"".join(gone)

    def _add(self, line: bytes, now: float, gone: list[bytes]) -> None:
        envelope = EnvelopeBatch.FromString(line).batch[0]
        stream = envelope.source_id, envelope.instance_id, envelope.tags.get("source_type", ""), envelope.log.type
        message = self._open.get(stream)
        if message and not (self._continues(envelope.log.payload) and self._fits(message, line)):
            gone.append(self._take(stream))
            message = None
        if message is None:
            message = self._open[stream] = _Message(now + self._bounds.age_s, envelope)
        message.add(line, envelope.log.payload)
        self._bytes += len(line)
        self.held += 1

    def _fits(self, message: _Message, line: bytes) -> bool:
        return len(message.lines) < self._bounds.lines and message.size + len(line) <= self._bounds.bytes

    def _take(self, stream: Stream) -> bytes:
        message = self._open.pop(stream)
        self._bytes -= message.size
        self.held -= len(message.lines)
        return _joined(message)


def _joined(message: _Message) -> bytes:
    """Return one line as it came, and several as one with bare ones behind it; those of no form stay what they are."""
    if len(message.lines) == 1 or _is_malformed(message.lines[0]):
        return b"".join(message.lines)
    message.first.log.payload = b"\n".join(message.texts)
    return EnvelopeBatch(batch=[message.first]).SerializeToString() + _BARE * (len(message.lines) - 1)


def _is_malformed(line: bytes) -> bool:
    *_, malformed = kernel.syslog(line, b"", int(Kind.LOG), True, octets=True)
    return malformed > 0
