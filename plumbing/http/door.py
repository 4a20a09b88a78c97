"""A door: what is the same for every HTTP interface, whatever its paths are.

In:    HTTP requests.
Out:   what `respond` answers, or its refusal; every request counted, and a line in the log.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

import structlog
import trio
from starlette.types import Receive, Scope, Send

from plumbing.http.exchange import ClientGone, Exchange
from plumbing.http.refusal import Refusal
from plumbing.http.server import HttpCounts, Limits, serve_http
from plumbing.tls import TlsFiles, server_context

log = structlog.get_logger(__name__)

_GONE_S = 1.0  # for a connection that was cut while further requests wait on it: nobody reads their answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How a door treats every request."""

    name: str
    """Of its lines in the log: `NAME_request`, and `NAME_request_failed` for a fault of ours."""

    shown: frozenset[str]
    """Parameters that are shown in the log; a client may put its token into any other."""

    fault: Refusal
    """What is answered when something of ours goes wrong."""

    cache_control: str = "no-store"
    """Of every whole answer that does not say another; empty for none."""

    request_s: float | None = None
    """How long one request may take, its answer included; None leaves it to the connection with all its requests."""

    tells_successes: bool = False
    """Whether an answer that is no refusal has its line at "info" too."""


@dataclass(slots=True)
class RequestCounts:
    """What became of requests; another thread may read it."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    """By what was asked for, and the status; 0 for a client that left before there was one."""

    @property
    def requests(self) -> Counter[tuple[str, str]]:
        """By what was asked for, and the class of the status: `2xx`, `4xx`, or `gone` for a client that left."""
        found: Counter[tuple[str, str]] = Counter()
        for (route, status), count in self.answers.copy().items():
            found[route, f"{status // 100}xx" if status else "gone"] += count
        return found

    @property
    def refused(self) -> Counter[int]:
        """Those that were refused or failed, by status."""
        found: Counter[int] = Counter()
        for (_, status), count in self.answers.copy().items():
            if status >= 400:
                found[status] += count
        return found


class HttpDoor(ABC):
    """An ASGI application; `respond` says what is answered, `stop` ends what would go on by itself."""

    def __init__(self, manners: Manners, counts: RequestCounts) -> None:
        self.connections = HttpCounts()
        self._manners = manners
        self._tally = counts
        self._answering = 0
        self._answered = trio.Event()

    @abstractmethod
    async def respond(self, exchange: Exchange) -> None:
        """Answer one request; what takes time is done `exchange.until_gone`. A `Refusal` that it raises is sent."""

    @abstractmethod
    def stop(self) -> None:
        """End streams and waits: the process stops."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        exchange = Exchange(scope, receive, send, cache_control=self._manners.cache_control)
        if self._manners.request_s is not None and exchange.connection.is_open:
            exchange.connection.lasts(self._manners.request_s)
        self._answering += 1
        try:
            await self._answer(exchange)
        finally:
            self._answering -= 1
            self._answered.set()
            self._conclude(exchange)

    async def serve(
        self,
        listen: str,
        tls: TlsFiles,
        limits: Limits,
        *,
        setting: str,
        stop: trio.Event,
        grace_s: float,
        task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until `stop` is set, answer what was asked by then, for `grace_s` at most, and return.

        Clients need no certificate. Starts with the true `host:port`; raises `OSError` naming `setting` when its
        address is not free.
        """
        context = server_context(tls, require_client_cert=False, alpn=["http/1.1"])
        serve = partial(serve_http, listen, self, context, limits, setting=setting, counts=self.connections)
        async with trio.open_nursery() as connections:
            address: str = await connections.start(serve)
            task_status.started(address)
            await stop.wait()
            self.stop()
            with trio.move_on_after(grace_s):
                await self.empty()
            connections.cancel_scope.cancel()

    async def empty(self) -> None:
        """Wait until nobody is being answered."""
        while self._answering:
            self._answered = trio.Event()
            await self._answered.wait()

    async def _answer(self, exchange: Exchange) -> None:
        """Let nothing out but cancellation: whatever went wrong is an answer too."""
        try:
            await self.respond(exchange)
        except ClientGone:
            pass
        except Refusal as refusal:
            refusal.with_traceback(None)  # a constant would hold the frames of every request that it was raised in
            await exchange.refuse(refusal)
        except Exception:
            log.exception(f"{self._manners.name}_request_failed", route=exchange.route)
            await exchange.refuse(self._manners.fault)

    def _conclude(self, exchange: Exchange) -> None:
        """Count it, and write its line; one of a success at "debug" as a rule: who follows asks many times a second."""
        self._tally.answers[exchange.route, exchange.status] += 1
        tell = log.info if exchange.status >= 400 or self._manners.tells_successes else log.debug
        tell(f"{self._manners.name}_request", **exchange.line(self._manners.shown))
        if not exchange.connection.is_open:
            exchange.connection.lasts(_GONE_S)
