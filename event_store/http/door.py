"""The door: every path of the event store's API and its page, who may come in, and what they are handed.

In:    HTTP requests, with a token.
Out:   answers as JSON, CSV or Arrow, live tails as server-sent events, files of the page, or a refusal.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.responses import Response

from event_store.http import tail
from event_store.http.answers import Answers
from event_store.http.asked import Sources, filter_of
from event_store.http.config import HttpSettings
from event_store.http.formats import JSON_TYPE
from event_store.http.missed import place_of
from event_store.http.openapi import document
from event_store.http.page import page_file
from event_store.http.parameters import Given, flag, read
from event_store.http.progress import answer_in_lines
from event_store.http.refusals import ApiError, bad_body, busy, forbidden, no_such_path, unauthorized, wrong
from event_store.http.routes import UNDERSTOOD, Route, find
from event_store.http.runs import Job
from event_store.http.tails import Tails
from plumbing.auth import Authority
from plumbing.http.door import HttpDoor, Manners, RequestCounts
from plumbing.http.exchange import Exchange, receive_body
from plumbing.http.gate import Gate
from plumbing.http.refusal import Refusal

MAX_BODY_BYTES = 64 << 10
_BODY_S = 10.0
_GRACE_S = 30.0  # beyond the time that a query may take: for its body, the authority, and the first of its answer


def manners(query_s: float) -> Manners:
    """Say how requests are treated; a query may take so long."""
    fault = ApiError("internal", "something went wrong here; the store's log says what")
    return Manners(name="event_store", shown=UNDERSTOOD - {"sql"}, fault=fault, request_s=query_s + _GRACE_S)


class Door(HttpDoor):
    """The API and the page as an ASGI application."""

    def __init__(
        self, config: HttpSettings, authority: Authority, answers: Answers, tails: Tails, *, query_s: float
    ) -> None:
        self.counts = RequestCounts()
        super().__init__(manners(query_s), self.counts)
        self._config = config
        self._gate = Gate(authority, unauthorized)
        self._answers = answers
        self._tails = tails
        self._unsent_bytes = 0

    def stop(self) -> None:
        """End live tails; queries end by themselves."""
        self._tails.stop()

    async def respond(self, exchange: Exchange) -> None:
        """Answer one request."""
        exchange.route = (route := find(exchange.scope["raw_path"], exchange.method)).name
        if route.is_open:
            await exchange.answer(_document(exchange) if route.name == "openapi" else _file(route, exchange))
            return
        body = b""
        if exchange.method == "POST":
            body = await receive_body(exchange.receive, MAX_BODY_BYTES, _BODY_S, bad_body)
        async with exchange.until_gone():
            sources = await self._sources(route, exchange.token)
            given = read(route, exchange.scope["query_string"], body, exchange.headers.get("content-type", ""))
            await self._respond(route, given, sources, exchange)

    async def _respond(self, route: Route, given: Given, sources: Sources, exchange: Exchange) -> None:
        if route.name == "tail":
            await self._tail(given, sources, exchange)
            return
        work = self._answers.prepare(route.name, given, sources, time.time_ns())
        job = Job(reads_everything=sources is None)
        if flag(given, "progress"):
            if given.get("format", "json") != "json":
                raise wrong("format", "progress goes with JSON alone")
            await answer_in_lines(exchange, work, job, self.holding)
            return
        answer = await work(job)
        with self.holding(len(answer.body)):
            await exchange.answer(Response(answer.body, headers=dict(answer.headers), media_type=answer.type))

    async def _sources(self, route: Route, token: str | None) -> Sources:
        """Return what may be read, None if it is everything; who is no administrator does not get into every route."""
        sources = await self._gate.sources(token)
        if route.for_admins and sources is not None:
            raise forbidden()
        return sources

    async def _tail(self, given: Given, sources: Sources, exchange: Exchange) -> None:
        async def still_good() -> bool:
            try:
                return await self._gate.sources(exchange.token) == sources
            except Refusal:
                return False

        filter_ = filter_of(given, time.time_ns(), sources)
        place = place_of(exchange.headers.get("last-event-id", ""))
        with self._tails.open(filter_) as opened:
            missed = await self._answers.missed(filter_, place, self._config.tail_events, sources)
            opened.begin(missed.end)
            with self.holding(sum(map(len, missed.events))):
                events = await tail.begin(exchange, missed)
            del missed
            await tail.stream(exchange, events, opened, self._config, still_good)

    @contextmanager
    def holding(self, size: int) -> Iterator[None]:
        """Count what waits to be sent; raises the `Refusal` of what would be too much for all clients together."""
        if self._unsent_bytes and self._unsent_bytes + size > self._config.max_unsent_bytes:
            raise busy("too much waits to be sent to clients that take their time")
        self._unsent_bytes += size
        try:
            yield
        finally:
            self._unsent_bytes -= size


def _document(exchange: Exchange) -> Response:
    return Response(document() if exchange.method == "GET" else b"", media_type=JSON_TYPE)


def _file(route: Route, exchange: Exchange) -> Response:
    file = page_file(route.argument)
    if file is None:
        raise no_such_path()
    if exchange.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=dict(file.headers))
    body = file.body if exchange.method == "GET" else b""
    return Response(body, headers={**file.headers, "Content-Type": file.content_type})
