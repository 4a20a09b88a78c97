"""One HTTP request on its way through: what it brings, its answer, its client, and its line in the log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any

import trio
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from plumbing.auth import presented_token
from plumbing.config import join_listen
from plumbing.http.refusal import Refusal
from plumbing.http.server import Connection

OTHER = "other"
"""What a path is called that is none of the door's."""

_LOGGED = 2000  # characters of what a client sends


class ClientGone(Exception):
    """The client has left, or takes nothing: what was being written may or may not have arrived."""


class Exchange:
    """A request, and the way its answer goes."""

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        cache_control: str = "",
        now: Callable[[], float] = trio.current_time,
    ) -> None:
        """`cache_control` is that of every whole answer that does not say another."""
        self.scope = scope
        self.headers = Headers(scope=scope)
        self.token = presented_token(self.headers.raw)
        self.route = OTHER
        self.status = 0
        self.receive = receive
        self._send = send
        self._cache_control = cache_control
        self._now = now
        self._began_at = now()
        self._bytes = 0

    @property
    def method(self) -> str:
        """How it asks: `GET`, `POST` …"""
        return str(self.scope["method"])

    @property
    def connection(self) -> Connection:
        """The connection it came over."""
        connection: Connection = self.scope["state"]["connection"]
        return connection

    @property
    def has_begun(self) -> bool:
        """Whether a status was sent."""
        return self.status != 0

    @asynccontextmanager
    async def until_gone(self) -> AsyncIterator[None]:
        """Give the block up when the client leaves; what else it sends meanwhile is discarded.

        Whoever wants the body reads it before. What the block raises comes out as it is.
        """
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._notice_the_end, nursery.cancel_scope)
            try:
                yield
            except Exception as error:
                failure = error
            nursery.cancel_scope.cancel()
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # or this frame and the traceback would hold each other

    async def send(self, message: Message) -> None:
        """Pass on, and take note."""
        self.status = message.get("status", self.status)
        self._bytes += len(message.get("body", b""))
        is_last = message["type"] == "http.response.body" and not message.get("more_body")
        with trio.CancelScope(shield=is_last):  # or the news of its end would end it before the server knows of it
            await self._send(message)

    async def answer(self, response: Response) -> None:
        """Send a whole answer."""
        if self._cache_control:
            response.headers.setdefault("cache-control", self._cache_control)
        start = {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
        await self.send(start)
        await self.send({"type": "http.response.body", "body": response.body})

    async def refuse(self, refusal: Refusal) -> None:
        """Send a refusal; in the middle of an answer, break it off for the client to come back."""
        if self.has_begun:
            self.connection.cut()
        else:
            await self.answer(Response(refusal.body, refusal.status, dict(refusal.headers)))

    def line(self, shown: Collection[str]) -> dict[str, Any]:
        """Return the fields of a combined log, without what may hold a token: of the query, the parameters `shown`."""
        scope = self.scope
        query = shown_query(scope["query_string"].decode("latin-1"), shown)
        return {
            "remote": _address(scope.get("client")),
            "method": scope["method"],
            "target": f"{scope['raw_path'].decode('latin-1')}{'?' if query else ''}{query}"[:_LOGGED],
            "protocol": f"HTTP/{scope['http_version']}",
            "status": self.status,
            "bytes": self._bytes,
            "referer": self.headers.get("referer", "-").partition("?")[0][:_LOGGED],
            "user_agent": self.headers.get("user-agent", "-")[:_LOGGED],
            "duration_s": round(self._now() - self._began_at, 3),
        }

    async def _notice_the_end(self, scope: trio.CancelScope) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass  # a body, which nobody wants
        scope.cancel()


async def receive_body(
    receive: Receive, max_bytes: int, within_s: float, refusal: Callable[[int, str], Refusal]
) -> bytes:
    """Return the body of a request; raises `ClientGone`, or the `refusal` (status, reason) of a large or a slow one."""
    body = bytearray()
    with trio.move_on_after(within_s):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            body += message.get("body", b"")
            if len(body) > max_bytes:
                raise refusal(413, f"the body is longer than {max_bytes} bytes")
            if not message.get("more_body"):
                return bytes(body)
    raise refusal(408, f"the body took longer than {within_s:g} s")


def shown_query(query: str, shown: Collection[str]) -> str:
    """Return a query without the parameters that mean nothing here: a client may have put its token there."""
    pairs = (pair for pair in query.split("&") if pair.partition("=")[0].replace("%5B%5D", "[]") in shown)
    return "&".join(pairs)


def _address(client: Any) -> str:
    return join_listen(*client[:2]) if client else "-"
