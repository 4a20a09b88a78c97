"""Wire the HTTP API of an event store together: queries, live tails and the page over HTTPS.

In:    HTTP requests, from clients that show a token; what is appended to the store.
Out:   what the store finds, as JSON, CSV or Arrow; new events as server-sent events.
Drops: for a live tail, what its client does not take; counted and told.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pyarrow as pa
import trio

from event_store.config import Config
from event_store.engine import Engine, Limits
from event_store.http.answers import Answers
from event_store.http.door import Door
from event_store.http.runs import Runs
from event_store.http.search import Search
from event_store.http.tails import Tails
from event_store.storage import Store
from plumbing.auth import make_authority
from plumbing.http import server

_HANDSHAKE_S = 5.0
_IDLE_S = 30.0
_REQUESTS = 1000
_HEADER_BYTES = 128 << 10  # a query may be long, and most of it percent-encoded


class Heard:
    """The store as its writer has it: what is appended is told to live tails."""

    def __init__(self, store: Store, tails: Tails) -> None:
        self._store = store
        self._tails = tails

    def append(self, batches: Sequence[pa.RecordBatch], marks: bytes = b"") -> int:
        """Append, as `Store.append` does."""
        end = self._store.append(batches, marks)
        self._tails.publish(batches, end)
        return end


class Http:
    """Serves every client of one store. What goes into the store goes through `heard`, for those who follow it."""

    def __init__(self, config: Config, store: Store) -> None:
        self.authority = make_authority(config.auth)
        self.runs = Runs(config.query.concurrent, config.http.queue_s)
        self.tails = Tails(config.http)
        self.heard = Heard(store, self.tails)
        self._engine = Engine(config.data_dir, memory_bytes=config.query.memory_bytes)
        limits = Limits(seconds=config.query.seconds, rows=config.query.rows, bytes=config.http.max_answer_bytes)
        answers = Answers(Search(self._engine, store, limits), self.runs)
        self.door = Door(config.http, self.authority, answers, self.tails, query_s=config.query.seconds)
        self._config = config

    async def serve(self, *, stop: trio.Event, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until `stop` is set, answer what was asked by then, within the grace, and return.

        Starts with the true `host:port`.
        """
        config = self._config
        serve = partial(
            self.door.serve,
            config.listen,
            config.tls,
            self._limits(),
            setting="listen",
            stop=stop,
            grace_s=config.drain_grace_s,
        )
        try:
            async with trio.open_nursery() as background:
                background.start_soon(self.tails.run)
                async with trio.open_nursery() as served:
                    task_status.started(await served.start(serve))
                background.cancel_scope.cancel()
        finally:
            with trio.move_on_after(config.drain_grace_s, shield=True):
                await self.authority.close()
                await trio.to_thread.run_sync(self._engine.close)

    def _limits(self) -> server.Limits:
        http = self._config.http
        return server.Limits(
            handshake_s=_HANDSHAKE_S,
            idle_s=_IDLE_S,
            stalled_s=http.slow_reader_s,
            connection_s=self._config.query.seconds + _IDLE_S,
            connections=http.max_connections,
            requests=_REQUESTS,
            header_bytes=_HEADER_BYTES,
        )
