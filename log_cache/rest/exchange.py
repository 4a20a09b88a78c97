"""One request on its way through: its answer, whoever reads it, and its line in the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
import trio
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message, Scope, Send

from log_cache.rest.parameters import understood
from log_cache.rest.refusals import Refusal
from log_cache.rest.routes import OTHER
from plumbing.auth import presented_token
from plumbing.config import join_listen
from plumbing.http_server import Connection

log = structlog.get_logger(__name__)

_LOGGED = 2000  # characters of what a client sends


@dataclass(slots=True)
class RestCounts:
    """What became of requests; another thread may read it."""

    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By what was asked for, and the class of the status: `2xx`, `4xx`, or `gone` for a client that left."""

    streams: int = 0
    """Open now."""

    events: int = 0
    """Batches written into streams."""


class Exchange:
    """A request, and the way its answer goes."""

    def __init__(self, scope: Scope, send: Send, now: Callable[[], float] = trio.current_time) -> None:
        self.headers = Headers(scope=scope)
        self.token = presented_token(self.headers.raw)
        self.route = OTHER
        self._scope = scope
        self._send = send
        self._now = now
        self._began_at = now()
        self._status = 0
        self._bytes = 0

    @property
    def connection(self) -> Connection:
        """The connection it came over."""
        connection: Connection = self._scope["state"]["connection"]
        return connection

    @property
    def has_begun(self) -> bool:
        """Whether a status was sent."""
        return self._status != 0

    async def send(self, message: Message) -> None:
        """Pass on, and take note."""
        self._status = message.get("status", self._status)
        self._bytes += len(message.get("body", b""))
        is_last = message["type"] == "http.response.body" and not message.get("more_body")
        with trio.CancelScope(shield=is_last):  # or the news of its end would end it before the server knows of it
            await self._send(message)

    async def answer(self, response: Response) -> None:
        """Send a whole answer. Nobody on the way may keep it."""
        response.headers["cache-control"] = "no-store"
        start = {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
        await self.send(start)
        await self.send({"type": "http.response.body", "body": response.body})

    async def refuse(self, refusal: Refusal) -> None:
        """Send a refusal."""
        await self.answer(Response(refusal.body, refusal.status, dict(refusal.headers)))

    def conclude(self, counts: RestCounts) -> None:
        """Count it, and write its line: the fields of a combined log, without what may hold a token.

        A line at "info" is for what was refused or failed alone: clients that follow ask several times a second.
        """
        counts.requests[self.route, f"{self._status // 100}xx" if self._status else "gone"] += 1
        scope = self._scope
        query = understood(scope["query_string"].decode("latin-1"))
        (log.info if self._status >= 400 else log.debug)(
            "rest_request",
            remote=_address(scope.get("client")),
            method=scope["method"],
            target=f"{scope['raw_path'].decode('latin-1')}{'?' if query else ''}{query}"[:_LOGGED],
            protocol=f"HTTP/{scope['http_version']}",
            status=self._status,
            bytes=self._bytes,
            referer=self.headers.get("referer", "-").partition("?")[0][:_LOGGED],
            user_agent=self.headers.get("user-agent", "-")[:_LOGGED],
            duration_s=round(self._now() - self._began_at, 3),
        )


def _address(client: Any) -> str:
    return join_listen(*client[:2]) if client else "-"
