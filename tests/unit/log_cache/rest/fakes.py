"""What stands around the REST interface in tests: an island that is trio, a cache, an authority, a visitor."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import trio
import trio.testing

from envelope import kernel
from envelope.pb.loggregator_v2_pb2 import Envelope
from log_cache.promql.query import Query as PromQuery
from log_cache.promql.values import Result
from log_cache.query import Answer, BadRequest, Meta, Query
from log_cache.rest.access import Gate
from log_cache.rest.config import RestSettings
from log_cache.rest.door import Door
from log_cache.rest.prometheus import Prometheus
from log_cache.rest.reader import Reader
from plumbing.auth import Access, Decision, Readable
from tests.fakes.http_connection import FakeConnection
from tests.strategies import batch_of

MINE = "9f3c2a41-58cc-4372-a567-0e02b2c3d479"
ALSO_MINE = "9f3c2a41-58cc-4372-a567-0e02b2c3d480"
THEIRS = "11111111-2222-3333-4444-555555555555"

GRANTED, DENIED = Decision(Access.GRANTED), Decision(Access.DENIED)


class FakeAuthority:
    """Knows an `admin`, and somebody who shows `mine`, with two apps: both are called `web`, as one of others is."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.looked_up: list[str] = []
        self.refusal = DENIED
        self.names: Mapping[str, frozenset[str]] | Decision = {"web": frozenset({MINE, ALSO_MINE, THEIRS})}
        self.is_open = False

    async def admin(self, token: str | None) -> Decision:
        return GRANTED if token == "admin" or self.is_open else self.refusal

    async def source(self, token: str | None, source_id: str, *, services: bool = False) -> Decision:
        assert services
        self.asked.append(source_id)
        return GRANTED if token == "mine" and source_id in (MINE, ALSO_MINE) else self.refusal

    async def readable(self, token: str | None) -> Readable:
        if (await self.admin(token)).access is Access.GRANTED:
            return Readable(GRANTED, None)
        return Readable(GRANTED, frozenset({MINE, ALSO_MINE})) if token == "mine" else Readable(self.refusal)

    async def named(self, token: str | None, names: Collection[str]) -> Mapping[str, frozenset[str]] | Decision:
        self.looked_up += names
        return self.names


class Here:
    """An island that is where it is asked from."""

    async def run(self, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:
        return await function(*args)


class FakeReads:
    """A cache whose cursors are how much has arrived."""

    def __init__(self) -> None:
        self.asked: list[Query] = []
        self.held: dict[str, list[bytes]] = {}
        self.missed: int | None = 0
        self.fault: Exception | None = None
        self.local_only: bool | None = None
        self._arrived = trio.Event()

    def put(self, source_id: str, *payloads: bytes) -> None:
        batches = [batch_of(Envelope(source_id=source_id, log={"payload": payload})) for payload in payloads]
        self.held.setdefault(source_id, []).extend(batches)
        self._arrived.set()
        self._arrived = trio.Event()

    async def read(self, query: Query) -> Answer:
        self.asked.append(query)
        if self.fault:
            raise self.fault
        if query.cursor is None:
            found = [] if query.end == 0 else self.held.get(query.source_id, [])[: query.limit]
            return self._answer(found, str(len(self.held.get(query.source_id, ()))))
        if query.cursor and not query.cursor.isdigit():
            raise BadRequest("the cursor is not one of this cache")
        start = int(query.cursor or 0)
        with trio.move_on_after(query.wait_s):
            while len(self.held.get(query.source_id, ())) <= start:
                await self._arrived.wait()
        found = self.held.get(query.source_id, [])[start : start + query.limit]
        end = start + len(found)
        return self._answer(found, str(end), self.missed, rest=end < len(self.held.get(query.source_id, ())))

    async def meta(self, *, local_only: bool) -> dict[str, Meta]:
        self.local_only = local_only
        return {source: Meta(count=len(found), expired=0, oldest=1, newest=2) for source, found in self.held.items()}

    def _answer(self, found: list[bytes], cursor: str, missed: int | None = 0, *, rest: bool = False) -> Answer:
        return Answer(batch=b"".join(found), count=len(found), cursor=cursor, missed=missed, rest=rest)


class FakeQueries:
    """Answers every question alike, and keeps what it was asked, and which sources about."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.sources: list[tuple[str, ...]] = []
        self.everything: list[bool] = []
        self.fault: Exception | None = None

    async def instant(self, query: PromQuery, time: str, *, everything: bool) -> Result:
        self._ask([query], everything, time)
        return Result("scalar", (1.0, 2.0))

    async def range(self, query: PromQuery, start: str, end: str, step: str, *, everything: bool) -> Result:
        self._ask([query], everything, start, end, step)
        return Result("matrix", [])

    async def series(
        self, matches: Sequence[PromQuery], start: str, end: str, *, everything: bool
    ) -> list[dict[str, str]]:
        self._ask(matches, everything, start, end)
        return [{"__name__": "up"}]

    async def labels(self, matches: Sequence[PromQuery], start: str, end: str, *, everything: bool) -> list[str]:
        self._ask(matches, everything, start, end)
        return ["__name__"]

    async def label_values(
        self, name: str, matches: Sequence[PromQuery], start: str, end: str, *, everything: bool
    ) -> list[str]:
        self._ask(matches, everything, name, start, end)
        return ["up"]

    async def metadata(self, sources: Iterable[str] | None) -> dict[str, list[dict[str, str]]]:
        self.asked.append(tuple(sorted(sources or ())))
        return {"up": [{"type": "gauge", "help": "", "unit": ""}]}

    def _ask(self, queries: Sequence[PromQuery], everything: bool, *rest: str) -> None:
        self.asked.append(rest)
        self.sources += [query.sources() for query in queries]
        self.everything.append(everything)
        if self.fault:
            raise self.fault


@dataclass
class Visitor:
    """Knocks at a door, and remembers what it was told."""

    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.authority, self.reads, self.queries = FakeAuthority(), FakeReads(), FakeQueries()
        config = RestSettings(**self.settings)
        reader = Reader(self.reads)  # type: ignore[arg-type]  # a fake
        reader.begin(Here())  # type: ignore[arg-type]  # a fake
        gate = Gate(self.authority)  # type: ignore[arg-type]  # a fake
        prometheus = Prometheus(gate, reader, self.queries, is_on=config.promql)
        self.door = Door(config, gate, reader, prometheus)
        self.connection = FakeConnection()
        self.messages: list[Any] = []
        self.gone = trio.Event()

    async def ask(
        self,
        target: str,
        token: str | None = "admin",
        *,
        method: str = "GET",
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        **scope: Any,
    ) -> int:
        """Ask, wait for the whole answer, and return the status."""
        given = {"authorization": f"bearer {token}"} if token else {}
        path, _, query = target.partition("?")
        self.messages = []
        self.gone = trio.Event()
        incoming = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            if incoming:
                return incoming.pop()
            await self.gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            self.messages.append(message)

        asked: dict[str, Any] = {
            "type": "http",
            "method": method,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "http_version": "1.1",
            "headers": [(name.encode(), value.encode()) for name, value in {**given, **(headers or {})}.items()],
            "client": ("192.0.2.1", 99),
            "state": {"connection": self.connection},
            **scope,
        }
        await self.door(asked, receive, send)
        return int(self.messages[0].get("status", 0)) if self.messages else 0

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def payloads(self) -> list[str]:
        return [each["log"]["payload"] for each in self.json["envelopes"]["batch"]]


def count_of(batch: bytes) -> int:
    return kernel.count(batch)
