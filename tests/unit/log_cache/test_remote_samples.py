"""Pages of another node's envelopes are put together without a loss or a double."""

import asyncio

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from envelope import kernel
from envelope.framing import frame
from envelope.pb.loggregator_v2_pb2 import Envelope
from log_cache.query import Answer, Query
from log_cache.remote_samples import Pages, everything, newest_first, samples_oldest_first


def sent(times: list[int]) -> list[Envelope]:
    return [
        Envelope(source_id="app", timestamp=time, counter={"name": "requests", "total": number})
        for number, time in enumerate(times)
    ]


class Owner:
    """A node that answers descending reads by time."""

    def __init__(self, envelopes: list[Envelope]) -> None:
        self._envelopes = sorted(envelopes, key=lambda envelope: envelope.timestamp)
        self.asked = 0

    async def read(self, query: Query) -> Answer:
        self.asked += 1
        found = [each for each in reversed(self._envelopes) if query.start <= each.timestamp < query.end]
        page = found[: query.limit]
        batch = b"".join(frame(envelope.SerializeToString()) for envelope in page)
        return Answer(batch=batch, count=len(page), cursor="")


def pages(owner: Owner, limit: int, start: int = 0, end: int = 100) -> list[bytes]:
    async def read() -> list[bytes]:
        query = Query(source_id="app", start=start, end=end, limit=limit, descending=True)
        return [page async for page in newest_first(query, owner.read)]

    return asyncio.run(read())


class Everything(dict[bytes, bool]):
    def __missing__(self, name: bytes) -> bool:
        return True


@given(
    times=st.lists(st.integers(0, 99), max_size=40),
    limit=st.integers(2, 7),
    window=st.tuples(st.integers(0, 50), st.integers(50, 100)),
)
def test_every_envelope_comes_once_unless_a_page_has_one_timestamp(
    times: list[int], limit: int, window: tuple[int, int]
) -> None:
    times = [time for time in times if times.count(time) < limit]
    start, end = window
    expected = sorted((each for each in sent(times) if start <= each.timestamp < end), key=lambda each: each.timestamp)
    batch = b"".join(frame(envelope.SerializeToString()) for envelope in expected)

    found = samples_oldest_first(Pages(pages(Owner(sent(times)), limit, start, end), descending=True), Everything())

    assert found == kernel.samples(batch, Everything())


def test_a_timestamp_that_fills_pages_is_passed() -> None:
    owner = Owner(sent([5] * 10 + [4, 6]))

    found = [envelope for page in pages(owner, 3) for *_, envelope in kernel.spans(page)]

    assert found == [6, 5, 5, 5, 4]


def test_nothing_is_asked_for_in_no_time() -> None:
    owner = Owner([])

    assert pages(owner, 3, 5, 5) == []
    assert owner.asked == 0


class Original:
    """A node of the original: where a time is taken, it files an envelope under the next nanosecond that is free."""

    def __init__(self, envelopes: list[Envelope]) -> None:
        self._filed: dict[int, Envelope] = {}
        for envelope in envelopes:
            key = envelope.timestamp
            while key in self._filed:
                key += 1
            self._filed[key] = envelope

    async def read(self, query: Query) -> Answer:
        keys = sorted((key for key in self._filed if query.start <= key < query.end), reverse=query.descending)
        page = [self._filed[key] for key in keys[: query.limit]]
        batch = b"".join(frame(envelope.SerializeToString()) for envelope in page)
        return Answer(batch=batch, count=len(page), cursor="")


@given(times=st.lists(st.integers(0, 30), max_size=60), limit=st.integers(2, 7))
def test_of_an_original_every_envelope_comes_once_however_many_have_one_timestamp(times: list[int], limit: int) -> None:
    query = Query(source_id="app", start=0, end=1000, limit=limit, descending=True)

    found = samples_oldest_first(asyncio.run(everything(query, Original(sent(times)).read)), Everything())

    totals = [value for _, values in found.values() for value in np.frombuffer(values, "<f8")]
    assert sorted(totals) == list(range(len(times)))
