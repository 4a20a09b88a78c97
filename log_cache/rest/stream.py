"""Follow one source over one connection, in order of arrival.

In:    reads with a cursor, one behind the other, each waiting for the next envelope.
Out:   server-sent events: data with ids to come back with, what was missed, heartbeats.
Drops: nothing here. What the client does not take stays in the cache; what expires there meanwhile is told.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import trio

from log_cache.query import Answer, Query
from log_cache.rest import sse
from log_cache.rest.bodies import batch_json
from log_cache.rest.reader import Reader
from log_cache.rest.refusals import Code, error
from plumbing.http.door import RequestCounts
from plumbing.http.exchange import ClientGone, Exchange
from plumbing.http.refusal import Refusal
from plumbing.http.sse import EventStream, Pace

JSON_OF_BATCH = 2
"""JSON takes about so many times the bytes of the batch it is made of."""

_PAUSE_S = 1.0  # between two questions that come back at once, with nothing


@dataclass(slots=True)
class RestCounts(RequestCounts):
    """What became of requests; another thread may read it."""

    streams: int = 0
    """Open now."""

    events: int = 0
    """Batches written into streams."""


class Stream:
    """One answer that goes on, for `timeout_s` at most."""

    def __init__(
        self,
        exchange: Exchange,
        reader: Reader,
        counts: RestCounts,
        *,
        heartbeat_s: float,
        timeout_s: float,
        is_stopping: Callable[[], bool],
        holding: Callable[[int], AbstractContextManager[None]],
    ) -> None:
        """`holding` counts the bytes that wait to be sent, or raises the `Refusal` of too many."""
        self._events = EventStream(exchange.connection, exchange.send)
        self._reader = reader
        self._counts = counts
        self._heartbeat_s = heartbeat_s
        self._timeout_s = timeout_s
        self._is_stopping = is_stopping
        self._holding = holding

    async def run(self, query: Query) -> None:
        """Write from the cursor of `query` on, without one from now on, until time is up, the process stops, or the
        client is gone. Raises the `Refusal` of a stream that cannot begin, or cannot go on.
        """
        self._counts.streams += 1
        try:
            if query.cursor is None:
                query = replace(query, cursor=await self._newest(query.source_id))
            query, first = await self._next(replace(query, wait_s=0.0))
            await self._events.begin()
            if query.cursor:
                await self._events.put(sse.place(query.cursor))
            await self._follow(query, first)
            await self._events.put(b"", last=True)
        except ClientGone:
            pass
        finally:
            self._counts.streams -= 1

    async def _newest(self, source_id: str) -> str:
        """Return the cursor that stands for now; an empty one would stand for the oldest."""
        cursor = await self._reader.newest(source_id)
        if not cursor:
            raise error(Code.UNAVAILABLE, "the node that holds this source is away, or keeps no order of arrival")
        return cursor

    async def _follow(self, query: Query, answer: Answer) -> None:
        pace = Pace(self._heartbeat_s, self._timeout_s)
        while True:
            if await self._write(query, answer):
                pace.wrote()
            if self._is_stopping() or pace.is_over:
                return
            if pace.is_due:
                await self._events.put((sse.place(answer.cursor) if answer.cursor else b"") + sse.HEARTBEAT)
                pace.wrote()
            now = trio.current_time()
            query = replace(query, cursor=answer.cursor, wait_s=max(0.001, pace.wakes_at - now))
            query, answer = await self._next(query)
            if answer.cursor == query.cursor and not self._is_stopping():  # nothing came, or its node is away
                await trio.sleep_until(min(now + _PAUSE_S, pace.wakes_at))

    async def _next(self, query: Query) -> tuple[Query, Answer]:
        """Read on; where too much has arrived for one answer, by half as many envelopes."""
        while True:
            try:
                return query, await self._reader.read(query)
            except Refusal as refusal:
                if refusal.status != Code.RESOURCE_EXHAUSTED.value[1] or query.limit == 1:
                    raise
                query = replace(query, limit=query.limit // 2)

    async def _write(self, query: Query, answer: Answer) -> bool:
        """Write what was found; tell whether that was anything. Of a node that is away nobody knows what it missed."""
        told = sse.missed(answer.missed) if answer.missed != 0 and answer.cursor != query.cursor else b""
        with self._holding(JSON_OF_BATCH * len(answer.batch)):
            if answer.count:
                told += sse.data(answer.cursor, await trio.to_thread.run_sync(batch_json, answer.batch))
                self._counts.events += 1
            elif told:
                told += sse.place(answer.cursor)
            if told:
                await self._events.put(told)
        return bool(told)
