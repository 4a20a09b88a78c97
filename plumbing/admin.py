"""What an operator may ask a component over mTLS: `/metrics`, `/healthz` and `/ledger`.

In:    GET requests of whoever has a certificate of ours.
Out:   Prometheus text (or OpenMetrics), JSON, JSON.
"""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, cast

import orjson
import structlog
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config as HttpConfig
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from plumbing.config import join_listen, parse_listen
from plumbing.tls import TlsFiles, server_context

log = structlog.get_logger(__name__)

HANDSHAKE_S = 5.0
IDLE_S = 5.0  # from the connect or the last answer to the end of a request's headers
STALLED_S = 5.0  # for a client that takes nothing of what it is sent
ANSWER_S = 5.0
CONNECTION_S = 600.0
REQUESTS_PER_CONNECTION = 100
HEADER_BYTES = 16 << 10


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a component can do its work, and if not, why."""

    reasons: tuple[str, ...] = ()


Ledger: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]


async def serve_admin(
    listen: str,
    tls: TlsFiles,
    *,
    registry: CollectorRegistry,
    ledger: Ledger,
    health: Callable[[], Health],
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer until cancelled; starts with the true `host:port`. Raises `OSError` naming an address that is not free."""
    context = server_context(tls, require_client_cert=True, alpn=["http/1.1"])
    host, port = parse_listen(listen)
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"admin_listen {listen}") from error
    for listener in listeners:
        if sys.platform == "linux":  # hypercorn shields its sends from cancellation: this is what bounds them
            listener.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(STALLED_S * 1000))
    task_status.started(join_listen(*listeners[0].socket.getsockname()[:2]))
    await trio.serve_listeners(
        partial(_converse, ASGIWrapper(cast(ASGIFramework, _application(registry, ledger, health))), _http_config()),
        [trio.SSLListener(listener, context, https_compatible=True) for listener in listeners],
    )


async def _converse(app: ASGIWrapper, http: HttpConfig, stream: trio.SSLStream[trio.SocketStream]) -> None:
    """Serve one connection. `hypercorn.trio.serve` would let one malformed h2c upgrade end all of them."""
    try:
        with trio.move_on_after(CONNECTION_S):
            await TCPServer(app, http, WorkerContext(None), ConnectionState({}), stream).run()
    except Exception:
        log.exception("admin_connection_failed")


def _http_config() -> HttpConfig:
    http = HttpConfig()
    http.errorlog = logging.getLogger("hypercorn.error")
    http.include_server_header = False
    http.ssl_handshake_timeout = HANDSHAKE_S
    http.keep_alive_timeout = IDLE_S
    http.keep_alive_max_requests = REQUESTS_PER_CONNECTION
    http.h11_max_incomplete_size = HEADER_BYTES
    return http


def _application(registry: CollectorRegistry, ledger: Ledger, health: Callable[[], Health]) -> Starlette:
    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": content_type})

    async def healthz(_: Request) -> Response:
        if reasons := health().reasons:
            return _json({"status": "unhealthy", "reasons": reasons}, 503)
        return _json({"status": "ok"})

    async def books(_: Request) -> Response:
        try:
            with trio.fail_after(ANSWER_S):
                return _json(await ledger())
        except trio.TooSlowError:
            return _json({"error": f"the books took more than {ANSWER_S:g} s"}, 503)

    routes = [Route("/metrics", metrics), Route("/healthz", healthz), Route("/ledger", books)]
    app = Starlette(routes=routes, middleware=[Middleware(_NoBody)])
    app.router.redirect_slashes = False
    return app


def _json(content: Mapping[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


class _NoBody:
    """Turn away a request that announces a body: nobody here would read it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        announced = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        app = PlainTextResponse("Content Too Large", 413) if announced else self._app
        await app(scope, receive, send)
