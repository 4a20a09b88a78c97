"""Wire the REST interface of a log cache together: reads, metadata and PromQL over HTTPS.

In:    HTTP requests, from clients that show a token.
Out:   what the cache on the island answers, as JSON or as server-sent events.
Drops: nothing; what a client does not take stays in the cache.
"""

from __future__ import annotations

import trio

from log_cache.rest.access import Gate
from log_cache.rest.config import RestSettings
from log_cache.rest.door import REQUEST_S, Door
from log_cache.rest.prometheus import Prometheus, Queries
from log_cache.rest.reader import Reader, Reads
from plumbing.auth import Authority
from plumbing.http.server import Limits
from plumbing.island import Island
from plumbing.tls import TlsFiles

_HANDSHAKE_S = 5.0
_IDLE_S = 5.0  # a client that follows asks every 250 ms, and should find its connection open
_REQUESTS = 1000
_HEADER_BYTES = 64 << 10  # a source id may be long


class Rest:
    """Serves every client of one cache."""

    def __init__(
        self,
        config: RestSettings,
        tls: TlsFiles,
        authority: Authority,
        reads: Reads,
        queries: Queries,
        *,
        drain_grace_s: float,
    ) -> None:
        """Take what is served; `reads` and `queries` live on the island that `serve` is given."""
        self.authority = authority
        self._reader = Reader(reads)
        gate = Gate(authority)
        self.door = Door(config, gate, self._reader, Prometheus(gate, self._reader, queries, is_on=config.promql))
        self._config = config
        self._tls = tls
        self._drain_grace_s = drain_grace_s

    async def serve(
        self, island: Island, *, stop: trio.Event, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until `stop` is set, answer what was asked by then, end the streams, and return.

        Starts with the true `host:port`.
        """
        self._reader.begin(island)
        await self.door.serve(
            self._config.listen,
            self._tls,
            self._limits(),
            setting="rest.listen",
            stop=stop,
            grace_s=self._drain_grace_s,
            task_status=task_status,
        )
        with trio.move_on_after(self._drain_grace_s, shield=True):
            await self.authority.close()

    def _limits(self) -> Limits:
        return Limits(
            handshake_s=_HANDSHAKE_S,
            idle_s=_IDLE_S,
            stalled_s=self._config.slow_reader_s,
            connection_s=REQUEST_S,
            connections=self._config.max_connections,
            requests=_REQUESTS,
            header_bytes=_HEADER_BYTES,
        )
