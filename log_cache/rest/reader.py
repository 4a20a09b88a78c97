"""Ask the cache from trio's side: questions cross to the island, what is heavy runs in a worker thread.

In:    queries that are let through.
Out:   answers, or the `Refusal` that says why there is none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import trio

from log_cache.query import Answer, BadRequest, Meta, Query
from log_cache.rest.parameters import refused_read
from log_cache.rest.refusals import Code, error, error_named
from plumbing.grpc_client import PeerUnavailable
from plumbing.island import Island
from plumbing.unary_client import CallFailed

MAX_BATCH_BYTES = 50 << 20
"""The largest answer, as a batch: the bound of the original's gRPC. A client that is told asks for less."""

T = TypeVar("T")


class Reads(Protocol):
    """What the reads of a cache can be asked, on the island."""

    async def read(self, query: Query) -> Answer:
        """Answer one read."""
        ...

    async def meta(self, *, local_only: bool) -> dict[str, Meta]:
        """Say how much of each source is held."""
        ...


class Reader:
    """Reads through the island. Nobody waits for envelopes once the process is to stop."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._island: Island | None = None
        self._is_stopping = False
        self._waiting: set[trio.CancelScope] = set()

    def begin(self, island: Island) -> None:
        """Ask there from now on."""
        self._island = island

    def stop(self) -> None:
        """End every wait: those who wait are answered with what there is."""
        self._is_stopping = True
        for scope in self._waiting:
            scope.cancel()

    async def read(self, query: Query) -> Answer:
        """Answer one read; with a wait, as soon as there is something to say."""
        if query.wait_s and not self._is_stopping:
            with trio.CancelScope() as waiting:
                self._waiting.add(waiting)
                try:
                    return await self._read(query)
                finally:
                    self._waiting.discard(waiting)
        return await self._read(replace(query, wait_s=0.0))

    async def newest(self, source_id: str) -> str:
        """Return the cursor that stands behind all that has arrived from a source."""
        return (await self._read(Query(source_id=source_id, start=0, end=0, limit=1))).cursor

    async def meta(self, *, local_only: bool) -> dict[str, Meta]:
        """Say how much of each source is held."""

        async def ask() -> dict[str, Meta]:
            return await self._reads.meta(local_only=local_only)

        return await _translated(self.run(ask))

    async def run(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Run a coroutine function of the island's there."""
        assert self._island is not None
        return await self._island.run(function, *args)

    async def _read(self, query: Query) -> Answer:
        try:
            answer = await _translated(self.run(self._reads.read, query))
        except BadRequest as refused:
            raise refused_read(refused, is_ours=query.cursor is not None) from refused
        size = len(answer.batch)
        if size > MAX_BATCH_BYTES:
            message = f"grpc: received message larger than max ({size} vs. {MAX_BATCH_BYTES})"
            raise error(Code.RESOURCE_EXHAUSTED, message)
        return answer


async def _translated(asking: Awaitable[T]) -> T:
    """Say what another node of the cluster said."""
    try:
        return await asking
    except PeerUnavailable as away:
        raise error(Code.UNAVAILABLE, str(away)) from away
    except CallFailed as failed:
        raise error_named(failed.code, str(failed)) from failed
