"""Wire one traffic controller together: Dopplers in, WebSockets out.

In:    batches of v2 envelopes from every Doppler (gRPC `Egress`), one subscription per client.
Out:   v1 envelopes, one to a WebSocket frame, over TLS.
Drops: nothing here; the Dopplers hold, drop and count for a client that is too slow.
"""

from __future__ import annotations

import random
import time
from functools import partial

import trio
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.trio.server import ServerConnection
from websockets.trio.server import serve as serve_websockets

from plumbing.admin import Health, serve_admin
from plumbing.auth import TokenVerifier, presented_token
from plumbing.config import parse_listen
from plumbing.egress_client import open_dopplers, open_feed
from plumbing.island import open_island
from plumbing.ledger import Incarnation
from plumbing.lifecycle import Ports
from plumbing.metrics import Metrics
from plumbing.tls import server_context
from traffic_controller.config import Config
from traffic_controller.doors import FULL, NOT_A_WEBSOCKET, Refusal, Stream, knock
from traffic_controller.metrics import expose
from traffic_controller.reader import Reader
from traffic_controller.readers import Readers


class Client(ServerConnection):
    """A WebSocket and what was asked for when it was opened."""

    asked_for: Stream


async def serve(
    config: Config, *, stop: trio.Event, task_status: trio.TaskStatus[Ports] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve clients until `stop` is set, then close each with 1001."""
    incarnation = Incarnation(config.name)
    readers = Readers()
    verifier = TokenVerifier(config.tokens_dir)
    metrics = Metrics()
    expose(metrics, readers)

    async def books() -> dict[str, object]:
        return incarnation.book([readers.total(), *readers.accounts()])

    async with (
        open_island() as island,
        open_dopplers(island, config.doppler_addresses, config.tls, rng=random.Random()) as dopplers,
        trio.open_nursery() as background,
    ):

        async def pump(client: ServerConnection) -> None:
            assert isinstance(client, Client)
            async with open_feed(island, dopplers, client.asked_for.request) as feed:
                reader = Reader(config, client, client.asked_for, feed)
                with readers.enter(reader):
                    await reader.run()

        host, port = parse_listen(config.listen)
        server = await background.start(
            partial(
                serve_websockets,
                pump,
                port,
                host=host,
                ssl=server_context(config.tls, require_client_cert=False),
                create_connection=Client,
                process_request=partial(_answer, readers, verifier, config),
                compression=None,  # frames are written ready-made; clients of the original get none either
                server_header=None,
                open_timeout=config.handshake_timeout_s,
                ping_interval=None,  # `Reader` pings as the original does
                max_size=1 << 20,
            )
        )
        admin = await background.start(
            partial(
                serve_admin,
                config.admin_listen,
                config.tls,
                registry=metrics.registry,
                ledger=books,
                health=Health,
            )
        )
        bound = server.listeners[0].socket.getsockname()[1]
        task_status.started({"listen": f"{host}:{bound}", "admin": admin})

        await stop.wait()
        with trio.move_on_after(config.drain_grace_s):
            await server.aclose()
        background.cancel_scope.cancel()


def _answer(
    readers: Readers, verifier: TokenVerifier, config: Config, connection: ServerConnection, request: Request
) -> Response | None:
    """Let a request through to its stream, or answer it with a plain HTTP response."""
    asked = knock(request.path, presented_token(request.headers), verifier, time.time())
    if isinstance(asked, Stream):
        if len(readers) >= config.max_readers:
            asked = FULL
        elif request.headers.get("Upgrade", "").lower() != "websocket":
            asked = NOT_A_WEBSOCKET
    if isinstance(asked, Refusal):
        readers.refused[asked.status] += 1
        return _response(asked)
    assert isinstance(connection, Client)
    connection.asked_for = asked
    return None


def _response(refusal: Refusal) -> Response:
    body = refusal.body.encode()
    headers = Headers(
        {
            **refusal.headers,
            "Content-Type": "text/plain; charset=utf-8",
            "X-Content-Type-Options": "nosniff",
            "Content-Length": str(len(body)),
            "Connection": "close",
        }
    )
    return Response(refusal.status, refusal.status.phrase, headers, body)
