"""Points over HTTP, to a server that answers as OpenTSDB does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, EnvelopeBatch, Gauge, GaugeValue, Log
from nozzles.http_sink import HttpSettings
from nozzles.opentsdb import kind
from nozzles.sdk import Batch, SinkRefused, SinkUnavailable
from tests.fakes.http_receiver import HttpReceiver, Posted, Said


class FakeOpenTsdb:
    """Takes points whose metric is not `bad`; answers requests as told by `statuses`, then well."""

    def __init__(self) -> None:
        self.points: list[dict[str, Any]] = []
        self.sizes: list[int] = []
        self.statuses: list[int] = []

    def answer(self, posted: Posted) -> Said:
        assert (posted.path, posted.query) == ("/api/put", "summary=true")
        if self.statuses and (status := self.statuses.pop(0)) != 200:
            return Said(status, b"not now")
        points = orjson.loads(posted.body)
        self.sizes.append(len(points))
        good = [point for point in points if point["metric"] != "bad"]
        self.points += good
        failed = len(points) - len(good)
        return Said(400 if failed else 200, orjson.dumps({"success": len(good), "failed": failed}))


@pytest.fixture
def server() -> Iterator[tuple[FakeOpenTsdb, str]]:
    fake = FakeOpenTsdb()
    receiver = HttpReceiver(fake.answer)
    yield fake, receiver.url
    receiver.close()


@asynccontextmanager
async def writing(url: str, **settings: Any) -> AsyncIterator[Any]:
    config = kind.Config(transport="http", http=HttpSettings(url=url), prefix="", **settings)
    async with kind.open(config) as write:
        yield write


def batch_of(*envelopes: Envelope) -> Batch:
    return Batch(EnvelopeBatch(batch=envelopes).SerializeToString(), len(envelopes))


def counter(name: str) -> Envelope:
    return Envelope(timestamp=10**9, source_id="a", counter=Counter(name=name, total=1))


async def test_points_are_sent_as_json(server: tuple[FakeOpenTsdb, str]) -> None:
    fake, url = server
    async with writing(url) as write:
        await write(batch_of(counter("n")))

    assert fake.points == [{"metric": "n", "timestamp": 1, "value": 1, "tags": {"source_id": "a"}}]


async def test_a_request_has_fifty_points_at_most_but_an_envelope_stays_whole(
    server: tuple[FakeOpenTsdb, str],
) -> None:
    fake, url = server
    gauge = Gauge(metrics={f"m{n}": GaugeValue(value=n) for n in range(60)})
    async with writing(url) as write:
        await write(batch_of(*[counter("n")] * 70, Envelope(gauge=gauge)))

    assert fake.sizes == [50, 20, 60]


async def test_points_that_failed_are_refused_and_the_others_safe(server: tuple[FakeOpenTsdb, str]) -> None:
    fake, url = server
    batch = batch_of(counter("bad"), counter("n"), Envelope(log=Log(payload=b"x")))
    async with writing(url) as write:
        await write(batch)

    assert (batch.refused, batch.skipped) == ({"refused": 1}, 1)
    assert len(fake.points) == 1


async def test_what_was_taken_is_not_sent_again(server: tuple[FakeOpenTsdb, str]) -> None:
    fake, url = server
    fake.statuses = [200, 503]
    async with writing(url, points_per_request=1) as write:
        with pytest.raises(SinkUnavailable) as caught:
            await write(batch_of(counter("one"), counter("two"), counter("three")))

        assert caught.value.left is not None
        assert [envelope.counter.name for envelope in caught.value.left] == ["two", "three"]
        await write(caught.value.left)

    assert [point["metric"] for point in fake.points] == ["one", "two", "three"]


async def test_a_refusal_without_a_summary_is_one_of_all(server: tuple[FakeOpenTsdb, str]) -> None:
    fake, url = server
    fake.statuses = [400]
    async with writing(url) as write:
        with pytest.raises(SinkRefused, match="not now"):
            await write(batch_of(counter("n")))
