"""Wire the SSE gateway together: Dopplers in, server-sent events out.

In:    batches from every Doppler (gRPC `Egress`), one subscription to a session.
Out:   server-sent events over TLS, to clients that show a token.
Drops: nothing here; the Dopplers hold, drop and count for a client that is too slow.
"""

from __future__ import annotations

import trio

from plumbing.auth import Authority
from plumbing.egress_client import Dopplers
from plumbing.http.server import Limits
from plumbing.island import Island
from plumbing.tls import TlsFiles
from reverse_log_proxy.gateway.config import GatewaySettings
from reverse_log_proxy.gateway.door import Door
from reverse_log_proxy.gateway.sessions import Sessions

_HANDSHAKE_S = 5.0
_HEADERS_S = 2.0
_CONNECTION_S = 120.0  # until a stream begins: for what the authority may take over a thousand sources
_REQUESTS = 1000
_HEADER_BYTES = 64 << 10  # of a query that names a thousand sources


class Gateway:
    """Serves every client of one gateway, and shows their books."""

    def __init__(
        self,
        config: GatewaySettings,
        tls: TlsFiles,
        authority: Authority,
        dopplers: Dopplers,
        *,
        drain_grace_s: float,
    ) -> None:
        self.authority = authority
        self.sessions = Sessions(config, dopplers)
        self.door = Door(config, self.authority, self.sessions, trio.Event())
        self._config = config
        self._tls = tls
        self._drain_grace_s = drain_grace_s

    async def serve(
        self, island: Island, *, stop: trio.Event, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until `stop` is set, say goodbye to every client, let the Dopplers know what arrived, and return.

        Starts with the true `host:port`.
        """
        async with trio.open_nursery() as sessions:
            self.sessions.begin(island, sessions)
            await self.door.serve(
                self._config.listen,
                self._tls,
                self._limits(),
                setting="gateway.listen",
                stop=stop,
                grace_s=self._drain_grace_s,
                task_status=task_status,
            )
            sessions.cancel_scope.cancel()
        with trio.move_on_after(self._drain_grace_s, shield=True):
            await self.authority.close()

    def _limits(self) -> Limits:
        return Limits(
            handshake_s=_HANDSHAKE_S,
            idle_s=_HEADERS_S,
            stalled_s=self._config.slow_reader_s,
            connection_s=_CONNECTION_S,
            connections=self._config.max_connections,
            requests=_REQUESTS,
            header_bytes=_HEADER_BYTES,
        )
