"""Take server-sent events out of the bytes of a stream. No I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass

MAX_EVENT_BYTES = 256 << 20
"""A log cache writes what comes to 50 MiB as protobuf into one event; as JSON that is a few times as much."""


class EventTooLarge(ValueError):
    """The server sends an event, or a line, of more than `MAX_EVENT_BYTES`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event, with the id that the stream had reached by then."""

    name: str
    data: bytes
    id: str


class EventParser:
    """Splits what has arrived into events, as the WHATWG's standard has it; comments are passed over.

    A carriage return alone ends no line here: no server of log caches sends one.
    """

    def __init__(self) -> None:
        self.last_id = ""
        """Where the stream has come to: an id may come without an event."""
        self._rest = bytearray()
        self._searched = 0
        self._name = ""
        self._id = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[Event]:
        """Take some bytes and return the events that are whole now. Raises `EventTooLarge`."""
        self._rest += chunk
        events: list[Event] = []
        start = 0
        while (end := self._rest.find(b"\n", max(start, self._searched))) >= 0:
            event = self._hear(bytes(self._rest[start:end]).removesuffix(b"\r"))
            if event is not None:
                events.append(event)
            start = end + 1
        del self._rest[:start]
        self._searched = len(self._rest)
        if self._searched + self._size > MAX_EVENT_BYTES:
            raise EventTooLarge(f"an event of more than {MAX_EVENT_BYTES >> 20} MiB")
        return events

    def _hear(self, line: bytes) -> Event | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match field:
            case b"data":
                self._data.append(value)
                self._size += len(value)
            case b"event":
                self._name = value.decode("utf-8", "replace")
            case b"id" if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
        return None

    def _dispatch(self) -> Event | None:
        name, self._name = self._name or "message", ""
        data, self._data, self._size = self._data, [], 0
        self.last_id = self._id
        return Event(name=name, data=b"\n".join(data), id=self._id) if data else None
