"""Nodes of a log cache in memory, with their reads, for the time of a loop."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

from envelope.framing import frame
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from log_cache.cache import Cache
from log_cache.cluster import Cluster
from log_cache.query import Answer, Meta, Query
from log_cache.reads import Reads
from log_cache.store import Store, StoreLimits
from plumbing.unary_client import CallFailed

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
EVERYTHING = {"start": 0, "end": 1 << 62}


class OtherNode:
    """A cluster of two nodes: what begins with "their" is the other's."""

    def __init__(self) -> None:
        self.asked: list[Query] = []
        self.reads: Reads | None = None
        self.held: list[dict[str, Meta]] = []
        self.asked_meta = 0
        self.takes_s = 0.0

    def is_local(self, source_id: str) -> bool:
        return not source_id.startswith("their")

    async def read(self, query: Query) -> Answer:
        self.asked.append(query)
        if self.reads is None:
            raise CallFailed("UNKNOWN", "limit (0) must be something")
        return await self.reads.read(query)

    async def meta(self) -> list[dict[str, Meta]]:
        self.asked_meta += 1
        await asyncio.sleep(self.takes_s)
        return self.held if self.reads is None else [await self.reads.meta(local_only=True)]


class Node:
    """A cache with its reads."""

    def __init__(self, *, cluster: OtherNode | None = None, limits: StoreLimits | None = None) -> None:
        self.cache = Cache(Store(limits or StoreLimits()), lambda: NOW)
        self.reads = self.made(cluster)

    def made(self, cluster: OtherNode | None = None, incarnation: int = 7) -> Reads:
        return Reads(
            self.cache,
            cast(Cluster | None, cluster),
            incarnation=incarnation,
            now_ns=lambda: NOW,
            settle_ns=SECOND // 2,
            threads=2,
        )

    def put(self, *times: int, source_id: str = "app", **message: Any) -> None:
        for time in times:
            envelope = Envelope(source_id=source_id, timestamp=time, **(message or {"log": {}}))
            self.cache.put(frame(envelope.SerializeToString()), 1)

    async def times(self, **asked: Any) -> list[int]:
        return times_in(await self.answer(**asked))

    async def answer(self, **asked: Any) -> Answer:
        return await self.reads.read(Query(**{"source_id": "app", **EVERYTHING, **asked}))


def times_in(answer: Answer) -> list[int]:
    envelopes = EnvelopeBatch.FromString(answer.batch).batch
    assert len(envelopes) == answer.count
    return [envelope.timestamp for envelope in envelopes]


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(5):
            await scenario()

    asyncio.run(bounded())
