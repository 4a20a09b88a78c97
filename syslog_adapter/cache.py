"""What original agents ask a binding cache for, and how the drains fare; over mTLS (loggregator.md 5.1).

In:    GET requests of whoever has a certificate of ours.
Out:   `/v2/bindings` and `/v2/aggregate`, the original's JSON, credentials included; `/v2/drains`, URLs redacted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import orjson
import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from plumbing.http.server import Limits, serve_http
from plumbing.tls import TlsFiles, server_context
from syslog_adapter.binding import Binding
from syslog_adapter.bindings.table import Table
from syslog_adapter.bindings.wire import to_wire
from syslog_adapter.config import CacheSettings
from syslog_adapter.drain import Drain
from syslog_adapter.status import status_of, status_of_rejected

_HANDSHAKE_S = 5.0
_IDLE_S = 60.0
_STALLED_S = 10.0
_CONNECTION_S = 600.0


def application(
    table: Callable[[], Table],
    drains: Callable[[], Iterable[Drain]],
    left_out: Callable[[], Mapping[Binding, str]],
) -> Starlette:
    """Answer with what `table`, `drains`, and what was `left_out` and why, are at the moment of the request."""

    async def bindings(_: Request) -> Response:
        by_source = table().by_source
        return _json(to_wire(binding for bindings in by_source.values() for binding in bindings))

    async def aggregate(_: Request) -> Response:
        return _json(to_wire(table().aggregates))

    async def status(_: Request) -> Response:
        now = trio.current_time()
        rejected = [status_of_rejected(binding, reason) for binding, reason in left_out().items()]
        return _json([status_of(drain, now) for drain in drains()] + rejected)

    routes = [
        Route("/v2/bindings", bindings),
        Route("/v2/aggregate", aggregate),
        Route("/v2/drains", status),
    ]
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False
    return app


async def serve_cache(
    config: CacheSettings,
    tls: TlsFiles,
    app: Starlette,
    *,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer until cancelled; starts with the true `host:port`."""
    limits = Limits(
        handshake_s=_HANDSHAKE_S,
        idle_s=_IDLE_S,
        stalled_s=_STALLED_S,
        connection_s=_CONNECTION_S,
        connections=config.max_connections,
    )
    context = server_context(tls, require_client_cert=True, alpn=["http/1.1"])
    listen = partial(serve_http, config.listen, app, context, limits)
    await listen(setting="cache.listen", task_status=task_status)


def _json(content: list[dict[str, Any]]) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")
