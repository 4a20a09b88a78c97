"""A client whose event store answers in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import httpx
import orjson

from standpipe.reading.event_store import EventStore

COUNTS = {
    "columns": [{"name": "severity", "type": "text"}, {"name": "count", "type": "integer"}],
    "rows": [["error", 3], [None, 1]],
    "warnings": [],
    "stats": {},
}
_COLUMNS = ("time", "source_id", "instance_id", "type", "severity", "stream", "message", "name", "value", "unit")
_COLUMNS += ("duration", "seq", "fields")


def event(seq: int, message: str | None = "hello", **others: Any) -> dict[str, Any]:
    """An event as the store writes it."""
    given = {"type": "log", "source_id": "web", "instance_id": "0", "message": message, "seq": seq, "fields": {}}
    time = f"2026-01-31T12:00:{seq:02}.000000000Z"
    return {**dict.fromkeys(_COLUMNS), "time": time, **given, **others}


def answer_of(*events: dict[str, Any]) -> dict[str, Any]:
    """A table of events."""
    columns = [{"name": name, "type": "time" if name == "time" else "text"} for name in _COLUMNS]
    return {**COUNTS, "columns": columns, "rows": [[each[name] for name in _COLUMNS] for each in events]}


def lines_of(value: Any) -> bytes:
    """An answer with progress."""
    lines = [{"progress": {"done": 0.5, "rows_scanned": 7}}, {"result": value}]
    return b"".join(orjson.dumps(line) + b"\n" for line in lines)


def sent(name: str, value: Any) -> bytes:
    """An event of a stream; one of the store has its place for an id."""
    place = b"id: p%d\n" % value["seq"] if "seq" in value else b""
    return b"%sevent: %s\ndata: %s\n\n" % (place, name.encode(), orjson.dumps(value))


@dataclass
class MemoryStore:
    """Answers what a test puts, and keeps what is asked: path and parameters."""

    answers: dict[str, Callable[[], tuple[int, bytes]]] = field(default_factory=dict)
    tails: list[Sequence[bytes]] = field(default_factory=list)
    """What each tail in turn brings before it ends; then there are no more."""
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    places: list[str | None] = field(default_factory=list)
    """Where each tail was to go on."""

    def answer(self, request: httpx.Request) -> httpx.Response:
        given = request.url.query if request.method == "GET" else request.content
        self.asked.append((request.url.path, dict(parse_qsl(given.decode()))))
        if request.url.path == "/api/tail":
            self.places.append(request.headers.get("last-event-id"))
            if not self.tails:
                return httpx.Response(400, content=b'{"error":{"code":"syntax","message":"the end"}}')
            return httpx.Response(200, stream=_Pieces(self.tails.pop(0)))
        status, body = self.answers[request.url.path]()
        return httpx.Response(status, content=body, headers=self.headers)


class _Pieces(httpx.AsyncByteStream):
    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if piece == b"cut":
                raise httpx.ReadError("the connection was cut")
            yield piece


@asynccontextmanager
async def client_of(store: MemoryStore) -> AsyncIterator[EventStore]:
    """Give a client, for the time of the block."""
    async with httpx.AsyncClient(base_url="https://store", transport=httpx.MockTransport(store.answer)) as client:
        yield EventStore(client, "event-store")
