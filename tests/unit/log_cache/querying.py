"""A log cache in memory that is asked PromQL."""

from collections.abc import Coroutine
from typing import Any

import pytest

from envelope.framing import frame
from envelope.pb.loggregator_v2_pb2 import Envelope
from log_cache.cache import Cache
from log_cache.promql.values import QueryError, Result
from log_cache.queries import Queries
from log_cache.reads import Reads
from log_cache.store import Store, StoreLimits

SECOND = 1_000_000_000
NOW_S = 1_700_000_000
NOW = NOW_S * SECOND + SECOND // 3


class Node:
    """A cache with its queries."""

    def __init__(self, *, timeout_s: float = 5.0, at_once: int = 2) -> None:
        self.cache = Cache(Store(StoreLimits()), lambda: NOW)
        reads = Reads(self.cache, incarnation=7, now_ns=lambda: NOW, settle_ns=0, threads=2)
        self.queries = Queries(reads, now_ns=lambda: NOW, timeout_s=timeout_s, at_once=at_once)

    def put(self, ago_s: float, source_id: str = "app", instance_id: str = "0", **fields: Any) -> None:
        time = NOW_S * SECOND - int(ago_s * SECOND)
        envelope = Envelope(source_id=source_id, instance_id=instance_id, timestamp=time, **fields)
        self.cache.put(frame(envelope.SerializeToString()), 1)

    def put_counter(self, ago_s: float, name: str, total: int, **fields: Any) -> None:
        self.put(ago_s, counter={"name": name, "total": total}, **fields)


def vector(result: Result) -> list[tuple[dict[str, str], float, float]]:
    assert result.kind == "vector"
    return [(dict(labels), time_s, value) for labels, time_s, value in result.data]


async def refusal(asking: Coroutine[Any, Any, Any]) -> tuple[str, str]:
    with pytest.raises(QueryError) as caught:
        await asking
    return caught.value.kind, str(caught.value)
