"""The door: every path of the REST interface (loggregator.md 4.3), who may come in, and what they are handed.

In:    HTTP requests, with a token.
Out:   answers of the cache as JSON, streams of server-sent events, or a refusal; a line in the log for each request.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import structlog
import trio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from log_cache.query import MAX_LIMIT, Answer, Query
from log_cache.rest.access import Gate
from log_cache.rest.bodies import ClientGone, info_body, meta_body, read_body, read_form
from log_cache.rest.config import RestSettings
from log_cache.rest.exchange import Exchange, RestCounts
from log_cache.rest.parameters import Parameters, parse_bool, parse_parameters, parse_read
from log_cache.rest.prometheus import Prometheus
from log_cache.rest.reader import Reader
from log_cache.rest.refusals import Code, Refusal, error
from log_cache.rest.routes import Route, allowed_methods, check_method, find
from log_cache.rest.stream import JSON_OF_BATCH, Stream

log = structlog.get_logger(__name__)

REQUEST_S = 120.0
"""How long one request may take, its answer included: a wait, a query, questions to the authority."""

_SMALL_BYTES = 16 << 10  # less than this is written as JSON at once: a thread would take longer
_GONE_S = 1.0  # for a connection that was cut while further requests wait on it: nobody reads their answers
_GRACE_S = 60.0  # beyond the end of a stream, for its last event


class Door:
    """The REST interface as an ASGI application."""

    def __init__(self, config: RestSettings, gate: Gate, reader: Reader, prometheus: Prometheus) -> None:
        self.counts = RestCounts()
        self._config = config
        self._gate = gate
        self._reader = reader
        self._prometheus = prometheus
        self._is_stopping = False
        self._unsent_bytes = 0
        self._answering = 0
        self._answered = trio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, and give up when its client leaves."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        exchange = Exchange(scope, send)
        if exchange.connection.is_open:
            exchange.connection.lasts(REQUEST_S)
        self._answering += 1
        try:
            await self._answer(scope, receive, exchange)
        finally:
            self._answering -= 1
            self._answered.set()
            exchange.conclude(self.counts)
            if not exchange.connection.is_open:
                exchange.connection.lasts(_GONE_S)

    def stop(self) -> None:
        """End streams and waits."""
        self._is_stopping = True
        self._reader.stop()

    async def empty(self) -> None:
        """Wait until nobody is being answered."""
        while self._answering:
            self._answered = trio.Event()
            await self._answered.wait()

    async def _answer(self, scope: Scope, receive: Receive, exchange: Exchange) -> None:
        try:
            route = find(scope["raw_path"])
            exchange.route = route.name
            check_method(route.name, scope["method"])
            given = parse_parameters(scope["query_string"])
            if scope["method"] == "POST":  # a form goes before the query, as in Go
                form = parse_parameters(await read_form(exchange.headers, receive))
                given = {name: [*form.get(name, ()), *given.get(name, ())] for name in {**form, **given}}
        except ClientGone:
            return
        except Refusal as refusal:
            await exchange.refuse(refusal)
            return
        if scope["method"] == "OPTIONS":
            await exchange.answer(Response(status_code=204, headers={"Allow": ", ".join(allowed_methods(route.name))}))
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_until_gone, receive, nursery.cancel_scope)
            await self._serve(route, given, exchange, is_head=scope["method"] == "HEAD")
            nursery.cancel_scope.cancel()

    async def _serve(self, route: Route, given: Parameters, exchange: Exchange, *, is_head: bool) -> None:
        """Let nothing out but cancellation: whatever went wrong is an answer too."""
        try:
            if route.name == "read":
                await self._read(route.argument, given, exchange, is_head=is_head)
            else:
                body = await self._errand(route)(given, exchange)
                with self.holding(len(body)):
                    await exchange.answer(_json(body))
        except Refusal as refusal:
            await self._say(refusal, exchange)
        except Exception:
            log.exception("rest_request_failed", route=route.name)
            await self._say(error(Code.INTERNAL, "internal error"), exchange)

    async def _say(self, refusal: Refusal, exchange: Exchange) -> None:
        """Refuse; in the middle of a stream that is to break it off, for its client to come back."""
        if exchange.has_begun:
            exchange.connection.cut()
        else:
            await exchange.refuse(refusal)

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

    async def _read(self, source_id: str, given: Parameters, exchange: Exchange, *, is_head: bool) -> None:
        is_stream = "text/event-stream" in exchange.headers.get("accept", "").lower() and not is_head
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


async def _until_gone(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass  # a body, which nobody wants
    scope.cancel()


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
