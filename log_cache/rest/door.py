"""The door: every path of the REST interface (loggregator.md 4.3), who may come in, and what they are handed.

In:    HTTP requests, with a token.
Out:   answers of the cache as JSON, streams of server-sent events, or a refusal; a line in the log for each request.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import trio
from starlette.responses import Response

from log_cache.query import MAX_LIMIT, Answer, Query
from log_cache.rest.access import Gate
from log_cache.rest.bodies import info_body, meta_body, read_body, read_form
from log_cache.rest.config import RestSettings
from log_cache.rest.parameters import UNDERSTOOD, Parameters, parse_bool, parse_parameters, parse_read
from log_cache.rest.prometheus import Prometheus
from log_cache.rest.reader import Reader
from log_cache.rest.refusals import Code, error
from log_cache.rest.routes import Route, allowed_methods, check_method, find
from log_cache.rest.stream import JSON_OF_BATCH, RestCounts, Stream
from plumbing.http.door import HttpDoor, Manners
from plumbing.http.exchange import Exchange

REQUEST_S = 120.0
"""How long one request may take, its answer included: a wait, a query, questions to the authority."""

_SMALL_BYTES = 16 << 10  # less than this is written as JSON at once: a thread would take longer
_GRACE_S = 60.0  # beyond the end of a stream, for its last event

_MANNERS = Manners(name="rest", shown=UNDERSTOOD, fault=error(Code.INTERNAL, "internal error"), request_s=REQUEST_S)


class Door(HttpDoor):
    """The REST interface as an ASGI application."""

    def __init__(self, config: RestSettings, gate: Gate, reader: Reader, prometheus: Prometheus) -> None:
        self.counts = RestCounts()
        super().__init__(_MANNERS, self.counts)
        self._config = config
        self._gate = gate
        self._reader = reader
        self._prometheus = prometheus
        self._is_stopping = False
        self._unsent_bytes = 0

    def stop(self) -> None:
        """End streams and waits."""
        self._is_stopping = True
        self._reader.stop()

    async def respond(self, exchange: Exchange) -> None:
        """Answer one request; a form goes before the query, as in Go."""
        route = find(exchange.scope["raw_path"])
        exchange.route = route.name
        check_method(route.name, exchange.method)
        given = parse_parameters(exchange.scope["query_string"])
        if exchange.method == "POST":
            form = parse_parameters(await read_form(exchange.headers, exchange.receive))
            given = {name: [*form.get(name, ()), *given.get(name, ())] for name in {**form, **given}}
        if exchange.method == "OPTIONS":
            await exchange.answer(Response(status_code=204, headers={"Allow": ", ".join(allowed_methods(route.name))}))
            return
        async with exchange.until_gone():
            if route.name == "read":
                await self._read(route.argument, given, exchange)
                return
            body = await self._errand(route)(given, exchange)
            with self.holding(len(body)):
                await exchange.answer(_json(body))

    def _errand(self, route: Route) -> Callable[[Parameters, Exchange], Awaitable[bytes]]:
        match route.name:
            case "info":
                return _info
            case "meta":
                return self._meta
            case name:
                return lambda given, exchange: self._prometheus.answer(name, route.argument, given, exchange.token)

    async def _meta(self, given: Parameters, exchange: Exchange) -> bytes:
        """Say how much is held of what may be read.

        Whoever shows a token sees the form of the original's proxy, whoever needs none that of its gateway; every
        known client reads either.
        """
        local_only = parse_bool("local_only", given)
        readable = await self._gate.sources(exchange.token)
        meta = await self._reader.meta(local_only=local_only)
        if readable is not None:
            meta = {source: each for source, each in meta.items() if source in readable}
        return await trio.to_thread.run_sync(lambda: meta_body(meta, as_proxy=exchange.token is not None))

    async def _read(self, source_id: str, given: Parameters, exchange: Exchange) -> None:
        wants_stream = "text/event-stream" in exchange.headers.get("accept", "").lower()
        is_stream = wants_stream and exchange.method != "HEAD"
        await self._gate.source(exchange.token, source_id)
        last_event_id = exchange.headers.get("last-event-id", "") if is_stream else ""
        query = parse_read(source_id, given, now_ns=time.time_ns(), last_event_id=last_event_id)
        if is_stream:
            await self._stream(query, given, exchange)
            return
        answer = await self._reader.read(query)
        with self.holding(JSON_OF_BATCH * len(answer.batch)):
            small = len(answer.batch) < _SMALL_BYTES
            body = read_body(answer.batch) if small else await trio.to_thread.run_sync(read_body, answer.batch)
            await exchange.answer(_json(body, _headers(query, answer)))

    async def _stream(self, query: Query, given: Parameters, exchange: Exchange) -> None:
        if given.keys() & {"start_time", "startTime", "end_time", "endTime", "descending"}:
            raise error(Code.INVALID_ARGUMENT, "a stream goes on in order of arrival: times do not go with it")
        if self._is_stopping or self.counts.streams >= self._config.max_streams:
            raise error(Code.UNAVAILABLE, "no more streams at the moment")
        limit = query.limit if "limit" in given else MAX_LIMIT
        exchange.connection.lasts(self._config.stream_timeout_s + _GRACE_S)
        stream = Stream(
            exchange,
            self._reader,
            self.counts,
            heartbeat_s=self._config.heartbeat_s,
            timeout_s=self._config.stream_timeout_s,
            is_stopping=lambda: self._is_stopping,
            holding=self.holding,
        )
        await stream.run(replace(query, limit=limit))

    @contextmanager
    def holding(self, size: int) -> Iterator[None]:
        """Count what waits to be sent; raises the `Refusal` of what would be too much for all clients together."""
        if self._unsent_bytes and size and self._unsent_bytes + size > self._config.max_unsent_bytes:
            raise error(Code.RESOURCE_EXHAUSTED, "too much waits to be sent to clients that take their time")
        self._unsent_bytes += size
        try:
            yield
        finally:
            self._unsent_bytes -= size


async def _info(_: Parameters, __: Exchange) -> bytes:
    """Say which interface this is, to anybody."""
    return info_body()


def _json(body: bytes, headers: dict[str, str] | None = None) -> Response:
    return Response(body, headers=headers, media_type="application/json")


def _headers(query: Query, answer: Answer) -> dict[str, str]:
    """Say where to read on, and with a cursor what was missed and whether there is more."""
    headers = {"Standpipe-Cursor": answer.cursor}
    if query.cursor is not None:
        headers["Standpipe-Missed"] = "unknown" if answer.missed is None else str(answer.missed)
        if answer.rest:
            headers["Standpipe-Rest"] = "1"
    return headers
