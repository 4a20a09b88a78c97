"""A log cache with cursors and a stream of events, or without, like an original one: in memory, or over HTTPS."""

from __future__ import annotations

from base64 import b64encode
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import httpx
import orjson
import trio

from plumbing.tls import TlsFiles
from tests.fakes.https_in_trio import Cut, serving_https

Json = dict[str, Any]
HEARTBEAT = b": still here\n\n"


def log(text: str, time: int, *, source: str = "shop", err: bool = False) -> Json:
    """A log as the gateway writes it."""
    payload = b64encode(text.encode()).decode()
    return _envelope(time, source, log={"payload": payload, "type": "ERR" if err else "OUT"})


def counter(name: str, total: int, time: int, *, source: str = "shop") -> Json:
    """A counter as the gateway writes it."""
    return _envelope(time, source, counter={"name": name, "delta": "0", "total": str(total)})


def _envelope(time: int, source: str, **message: Any) -> Json:
    who = {"timestamp": str(time), "source_id": source, "instance_id": "0", "deprecated_tags": {}, "tags": {}}
    return {**who, **message}


@dataclass
class CursorLogCache:
    """Keeps what is put, in order of arrival, and every request."""

    address: str = ""
    cursors: bool = True
    """Whether it is one of ours."""
    token: str = "a-token"
    most: int = 1000
    """More envelopes in an answer are too much (429)."""
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """By path: what is answered whatever is asked."""
    asked: list[httpx.Request] = field(default_factory=list)
    streams: int = 0
    """Open now."""
    _held: dict[str, list[Json]] = field(default_factory=lambda: defaultdict(list))
    _expired: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _life: int = 1
    _cuts: int = 0
    _ends: int = 0
    _changed: trio.Event = field(default_factory=trio.Event)

    def put(self, *envelopes: Json, source: str = "shop") -> None:
        """Envelopes arrive."""
        self._held[source] += envelopes
        self._change()

    def expire(self, count: int, source: str = "shop") -> None:
        """The first to have arrived are no longer held."""
        del self._held[source][:count]
        self._expired[source] += count

    def restart(self) -> None:
        """Forget everything, the meaning of cursors too."""
        self._held.clear()
        self._expired.clear()
        self._life += 1
        self.cut()

    def end(self) -> None:
        """End every stream in good order, as the log cache does after a while."""
        self._ends += 1
        self._change()

    def cut(self) -> None:
        """End every stream in the middle."""
        self._cuts += 1
        self._change()

    def queries(self) -> list[dict[str, str]]:
        """The parameters of every request."""
        return [dict(request.url.params) for request in self.asked]

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer as the REST interface does (loggregator.md 4.3)."""
        self.asked.append(request)
        path = request.url.raw_path.decode().partition("?")[0]
        if path in self.answers:
            status, content = self.answers[path]
            return httpx.Response(status, content=content)
        if request.headers.get("authorization") != f"bearer {self.token}":
            return httpx.Response(404)
        if path == "/api/v1/meta":
            return httpx.Response(200, json={"meta": {source: self._meta(source) for source in self._held}})
        source, params = unquote(path.removeprefix("/api/v1/read/")), request.url.params
        if int(params.get("limit", 100)) > self.most:
            return httpx.Response(429, json={"code": 8, "message": "message too large", "details": []})
        if request.headers.get("accept") == "text/event-stream" and self.cursors:
            stream = self._stream(source, params["cursor"], params)
            return httpx.Response(200, content=stream, headers={"content-type": "text/event-stream; charset=utf-8"})
        return self._by_arrival(source, params) if "cursor" in params else self._by_time(source, params)

    def _meta(self, source: str) -> Json:
        times = [int(each["timestamp"]) for each in self._held[source]]
        fields = {"count": len(times), "expired": self._expired[source]}
        fields |= {"oldest_timestamp": min(times, default=0), "newest_timestamp": max(times, default=0)}
        return {name: str(value) for name, value in fields.items()}

    def _by_time(self, source: str, params: httpx.QueryParams) -> httpx.Response:
        start, end = int(params.get("start_time", 0)), int(params.get("end_time", 0)) or 1 << 62
        filed = self._filed(source)
        held = [filed[key] for key in sorted(filed) if start <= key[0] < end]
        found = _of_kinds(held, params)
        if params.get("descending") == "true":
            found.reverse()
        headers = {"Standpipe-Cursor": self._cursor(source, len(self._held[source]))} if self.cursors else {}
        return _batch(found[: int(params.get("limit", 100))], headers)

    def _filed(self, source: str) -> dict[tuple[int, int], Json]:
        """By time and, among equal ones, arrival; an original one files an envelope whose time is taken later."""
        filed: dict[tuple[int, int], Json] = {}
        for arrival, envelope in enumerate(self._held[source]):
            key = (int(envelope["timestamp"]), arrival if self.cursors else 0)
            while key in filed:
                key = (key[0] + 1, 0)
            filed[key] = envelope
        return filed

    def _by_arrival(self, source: str, params: httpx.QueryParams) -> httpx.Response:
        start, missed = self._at(source, params["cursor"])
        end = start + int(params.get("limit", 100))
        found = _of_kinds(self._held[source][start:end], params)
        headers = {"Standpipe-Cursor": self._cursor(source, min(end, len(self._held[source])))}
        headers["Standpipe-Missed"] = "unknown" if missed is None else str(missed)
        return _batch(found, headers | ({"Standpipe-Rest": "1"} if end < len(self._held[source]) else {}))

    async def _stream(self, source: str, cursor: str, params: httpx.QueryParams) -> AsyncIterator[bytes]:
        cuts, ends = self._cuts, self._ends
        self.streams += 1
        try:
            yield HEARTBEAT
            while True:
                if cuts != self._cuts:
                    raise Cut("the connection was cut")
                if ends != self._ends:
                    return
                start, missed = self._at(source, cursor)
                if missed != 0:
                    yield b"event: missed\ndata: " + orjson.dumps({"missed": missed}) + b"\n\n"
                found = _of_kinds(self._held[source][start:], params)
                cursor = self._cursor(source, len(self._held[source]))
                data = b"data: " + orjson.dumps({"batch": found}) + b"\n" if found else b""
                yield b"id: " + cursor.encode() + b"\n" + data + b"\n"
                if (cuts, ends) == (self._cuts, self._ends):
                    await self._changed.wait()
        finally:
            self.streams -= 1

    def _cursor(self, source: str, index: int) -> str:
        return f"{self._life}.{self._expired[source] + index}"

    def _at(self, source: str, cursor: str) -> tuple[int, int | None]:
        """Return the index that a cursor stands for, and how many were missed since."""
        life, _, number = (cursor or f"{self._life}.{self._expired[source]}").partition(".")
        if int(life) != self._life:
            return 0, None
        index = int(number) - self._expired[source]
        return max(0, index), max(0, -index)

    def _change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


def _of_kinds(envelopes: list[Json], params: httpx.QueryParams) -> list[Json]:
    kinds = {kind.lower() for kind in params.get_list("envelope_types")}
    return [each for each in envelopes if not kinds or kinds & each.keys()]


def _batch(envelopes: list[Json], headers: dict[str, str]) -> httpx.Response:
    return httpx.Response(200, json={"envelopes": {"batch": envelopes}}, headers=headers)


@asynccontextmanager
async def open_cursor_log_cache(files: TlsFiles) -> AsyncIterator[CursorLogCache]:
    """Serve over HTTPS for the time of the block."""
    fake = CursorLogCache()
    async with serving_https(files, fake.answer) as fake.address:
        yield fake
