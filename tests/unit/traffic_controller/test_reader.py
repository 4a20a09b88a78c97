"""What counts as read by a client, and what goes back to the Dopplers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.protocol import State

from envelope.kinds import Keep
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from traffic_controller import reader as reader_module
from traffic_controller.config import Config
from traffic_controller.doors import Stream
from traffic_controller.reader import Reader

BATCH = EnvelopeBatch(batch=[Envelope(source_id="a", log={"payload": b"x"})] * 2).SerializeToString()
WITH_EVENT = BATCH + EnvelopeBatch(batch=[Envelope(event={"title": "no v1 form"})]).SerializeToString()


class FakeTransport:
    def __init__(self) -> None:
        self.written = b""

    def write(self, frames: bytes) -> None:
        self.written += frames

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False


class FakeClient:
    """A WebSocket whose other end the test plays."""

    def __init__(self) -> None:
        self.transport = FakeTransport()
        self.state = State.OPEN
        self.paused = False
        self.answers = True
        self.pings = 0

    async def ping(self) -> asyncio.Future[float]:
        self.pings += 1
        pong: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        if self.answers:
            pong.set_result(0.0)
        return pong

    async def drain(self) -> None:
        raise ConnectionResetError("reset by peer")

    async def close(self, code: int, reason: str) -> None:
        pass

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await asyncio.Event().wait()
        raise StopAsyncIteration


class FakeFeed:
    """Brings the batches that the test puts."""

    blocked = False

    def __init__(self, relay: Callable[[Any], Awaitable[None]]) -> None:
        self._relay = relay
        self._batches: asyncio.Queue[bytes] = asyncio.Queue()
        self.confirmed = 0
        self.keeps = True

    def put(self, batch: bytes) -> None:
        self._batches.put_nowait(batch)

    async def run(self) -> None:
        while True:
            await self._relay(FakeArrival(await self._batches.get(), self))


class FakeArrival:
    def __init__(self, batch: bytes, feed: FakeFeed) -> None:
        self.batch = batch
        self._feed = feed
        self.is_kept = feed.keeps

    def confirm(self) -> None:
        self._feed.confirmed += 1


class FakeFeeds:
    def open(self, _: Stream, relay: Callable[[Any], Awaitable[None]]) -> FakeFeed:
        return FakeFeed(relay)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "_FIRST_PONG_S", 0.03)
    monkeypatch.setattr(reader_module, "_PROBE_INTERVAL_S", 0.01)


def make_config(pong_timeout_s: float = 5.0) -> Config:
    nowhere = Path("none.pem")
    return Config(tls_ca=nowhere, tls_cert=nowhere, tls_key=nowhere, pong_timeout_s=pong_timeout_s)


@asynccontextmanager
async def reading(client: FakeClient, *, pong_timeout_s: float = 5.0) -> AsyncIterator[tuple[Reader, FakeFeed]]:
    stream = Stream(endpoint="firehose", name="s", request=b"", keep=Keep.ALL, explain=False)
    reader = Reader(make_config(pong_timeout_s), client, stream, FakeFeeds())  # type: ignore[arg-type]  # fakes
    feed = reader._feed
    assert isinstance(feed, FakeFeed)
    running = asyncio.ensure_future(reader.run())
    async with asyncio.timeout(5):
        try:
            yield reader, feed
        finally:
            running.cancel()
            await asyncio.wait([running])
            assert reader.counts.account(stream).balance == 0


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_what_a_pong_came_behind_is_delivered() -> None:
    async def scenario() -> None:
        async with reading(FakeClient()) as (reader, feed):
            feed.put(BATCH)

            await until(lambda: feed.confirmed == 1)

            assert (reader.counts.delivered, reader.counts.frames, reader.counts.in_flight) == (2, 2, 0)

    asyncio.run(scenario())


def test_a_client_that_never_answers_is_believed_to_read() -> None:
    async def scenario() -> None:
        client = FakeClient()
        client.answers = False
        async with reading(client) as (_, feed):
            feed.put(BATCH)

            await until(lambda: feed.confirmed == 1)

    asyncio.run(scenario())


def test_a_client_that_has_answered_and_falls_silent_has_read_nothing_since() -> None:
    async def scenario() -> None:
        client = FakeClient()
        async with reading(client, pong_timeout_s=0.05) as (reader, feed):
            await until(lambda: client.pings == 1)  # the keep-alive's first, answered
            await asyncio.sleep(0.01)
            client.answers = False
            feed.put(BATCH)

            await until(lambda: client.pings >= 3)  # asked again, in vain

            assert (feed.confirmed, reader.counts.in_flight) == (0, 2)
        assert reader.counts.returned == 2

    asyncio.run(scenario())


def test_a_batch_that_does_not_parse_is_skipped_and_the_next_arrives() -> None:
    async def scenario() -> None:
        async with reading(FakeClient()) as (reader, feed):
            feed.put(b"\xff\xff")
            feed.put(BATCH)

            await until(lambda: feed.confirmed == 2)

            assert (reader.counts.arrived, reader.counts.skipped, reader.counts.delivered) == (3, 1, 2)

    asyncio.run(scenario())


def test_a_client_whose_connection_breaks_while_it_is_written_to_has_just_left() -> None:
    async def scenario() -> None:
        client = FakeClient()
        client.paused = True
        stream = Stream(endpoint="firehose", name="s", request=b"", keep=Keep.ALL, explain=False)
        reader = Reader(make_config(), client, stream, FakeFeeds())  # type: ignore[arg-type]  # fakes
        reader._feed.put(BATCH)  # type: ignore[attr-defined]
        async with asyncio.timeout(5):
            await reader.run()
        assert reader.counts.returned == 2

    asyncio.run(scenario())


def test_nothing_is_written_behind_a_close_and_what_came_then_goes_back() -> None:
    async def scenario() -> None:
        client = FakeClient()
        async with reading(client, pong_timeout_s=0.05) as (reader, feed):
            await until(lambda: client.pings == 1)
            await asyncio.sleep(0.01)
            client.answers = False
            client.state = State.CLOSING
            feed.put(BATCH)
            await until(lambda: reader.counts.in_flight == 2)
            assert client.transport.written == b""
        assert reader.counts.returned == 2

    asyncio.run(scenario())


def test_what_goes_back_to_the_dopplers_goes_back_whole() -> None:
    async def scenario() -> None:
        client = FakeClient()
        async with reading(client, pong_timeout_s=0.05) as (reader, feed):
            feed.put(WITH_EVENT)
            await until(lambda: feed.confirmed == 1)
            assert (reader.counts.delivered, reader.counts.skipped) == (2, 1)
            client.answers = False
            feed.put(WITH_EVENT)
            await until(lambda: reader.counts.in_flight == 3)
        account = reader.account()
        assert (account.received, account.returned, account.skipped) == (3, 3, 1)

    asyncio.run(scenario())


def test_what_an_original_doppler_sent_to_a_client_that_left_is_lost_and_counted() -> None:
    async def scenario() -> None:
        client = FakeClient()
        async with reading(client, pong_timeout_s=0.05) as (reader, feed):
            await until(lambda: client.pings == 1)
            await asyncio.sleep(0.01)
            client.answers = False
            feed.put(BATCH)
            await until(lambda: reader.counts.in_flight == 2)
            feed.keeps = False
            feed.put(WITH_EVENT)
            await until(lambda: reader.counts.in_flight == 5)
        account = reader.account()
        assert (account.returned, account.dropped["unread"], account.skipped) == (2, 2, 1)
        assert (account.received, account.outside) == (3, 3)

    asyncio.run(scenario())
