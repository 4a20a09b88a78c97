"""What an operator may ask a component over mTLS: `/metrics`, `/healthz` and `/ledger`.

In:    GET requests of whoever has a certificate of ours.
Out:   Prometheus text (or OpenMetrics), JSON, JSON.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import orjson
import trio
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from plumbing.config import Settings
from plumbing.http.server import Limits, serve_http
from plumbing.metrics import Metrics
from plumbing.tls import TlsFiles, server_context

HANDSHAKE_S = 5.0
IDLE_S = 5.0
STALLED_S = 5.0
ANSWER_S = 5.0
CONNECTION_S = 600.0
CONNECTIONS = 200


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a component can do its work, and if not, why."""

    reasons: tuple[str, ...] = ()


Ledger: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]


async def start_admin(
    nursery: trio.Nursery,
    config: Settings,
    metrics: Metrics,
    ledger: Ledger,
    *,
    health: Callable[[], Health] = Health,
) -> str:
    """Serve a component's admin port as a task of `nursery`, as its settings say; returns the true `host:port`."""
    serve = partial(serve_admin, registry=metrics.registry, ledger=ledger, health=health)
    address: str = await nursery.start(serve, config.admin_listen, config.tls)
    return address


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
    limits = Limits(
        handshake_s=HANDSHAKE_S,
        idle_s=IDLE_S,
        stalled_s=STALLED_S,
        connection_s=CONNECTION_S,
        connections=CONNECTIONS,
    )
    context = server_context(tls, require_client_cert=True, alpn=["http/1.1"])
    app = _application(registry, ledger, health)
    await serve_http(listen, app, context, limits, setting="admin_listen", task_status=task_status)


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
