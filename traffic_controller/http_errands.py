"""What is answered with a body instead of a stream: cookies, recent logs, container metrics. Lives on the island.

Drops: nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

import structlog

from envelope.pb import dropsonde_pb2 as v1
from traffic_controller.container_metrics import MAX_AGE_S, newest_of_each_instance
from traffic_controller.doors import Door, Endpoint
from traffic_controller.http_messages import NOT_FOUND, Answer, Request, text
from traffic_controller.log_cache_client import LogCache, LogCacheFailed
from traffic_controller.multipart import answer_parts
from traffic_controller.recent_logs import MAX_LINES, lines_asked_for, no_log_cache
from traffic_controller.set_cookie import set_cookie

log = structlog.get_logger(__name__)

_MAX_TURNS = 32  # each may hold an answer of `log_cache_max_bytes`


class Errands:
    """Answers whoever was let in."""

    def __init__(self, log_cache: LogCache | None, system_domain: str) -> None:
        self.log_cache_failures = 0
        self._log_cache = log_cache
        self._system_domain = system_domain
        self._turns = 0

    @contextmanager
    def turn(self, door: Door) -> Iterator[bool]:
        """Take a turn for the time of the block, the writing of the answer included; yields False if none is free."""
        holds = door.endpoint is not Endpoint.SET_COOKIE
        if holds and self._turns >= _MAX_TURNS:
            yield False
            return
        self._turns += holds
        try:
            yield True
        finally:
            self._turns -= holds

    async def answer(self, door: Door, request: Request, body: bytes, token: str | None) -> Answer:
        """Do what the door is for."""
        if door.endpoint is Endpoint.SET_COOKIE:
            return set_cookie(request, body, self._system_domain)
        if door.endpoint not in (Endpoint.RECENT_LOGS, Endpoint.CONTAINER_METRICS):
            return NOT_FOUND
        try:
            if door.endpoint is Endpoint.RECENT_LOGS:
                return _parts(await self._recent_logs(door, token))
            return _parts(await self._container_metrics(door, token))
        except LogCacheFailed as failure:
            self.log_cache_failures += 1
            log.warning("log_cache_failed", endpoint=door.endpoint.value, reason=str(failure))
            return text(HTTPStatus.INTERNAL_SERVER_ERROR, str(failure))

    async def close(self) -> None:
        """Let go of the log cache."""
        if self._log_cache is not None:
            await self._log_cache.close()

    async def _recent_logs(self, door: Door, token: str | None) -> Iterable[v1.Envelope]:
        if self._log_cache is None:
            return [no_log_cache(time.time_ns())]
        return await self._log_cache.newest(door.name, "LOG", limit=lines_asked_for(door.query), token=token)

    async def _container_metrics(self, door: Door, token: str | None) -> Iterable[v1.Envelope]:
        if self._log_cache is None:
            return []
        since_ns = time.time_ns() - MAX_AGE_S * 10**9
        gauges = await self._log_cache.newest(door.name, "GAUGE", limit=MAX_LINES, token=token, since_ns=since_ns)
        return newest_of_each_instance(gauges)


def _parts(envelopes: Iterable[v1.Envelope]) -> Answer:
    return answer_parts(envelope.SerializePartialToString() for envelope in envelopes)
