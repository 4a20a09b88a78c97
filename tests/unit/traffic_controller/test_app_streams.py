"""Every tail gets what its app sends, whoever else tails what, and the books say what became of the rest."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from plumbing.acks import PROMPT
from plumbing.diode import SharedDiode
from traffic_controller import app_streams as app_streams_module
from traffic_controller.app_streams import AppStreams, Tailed


class FakeFeed:
    """Remembers what it was asked for; the test plays its Dopplers."""

    def __init__(self, _: Any, __: Any, relay: Any) -> None:
        self.relay = relay
        self.asked: list[str] = []
        self.runs = 0
        self.fails = asyncio.Event()

    def ask_for(self, sources: Iterable[str]) -> None:
        self.asked = sorted(sources)

    async def run(self) -> None:
        self.runs += 1
        try:
            await self.fails.wait()
            raise RuntimeError("a fault of ours")
        finally:
            await asyncio.sleep(0.01)  # goodbyes take a while
            self.runs -= 1


class FakeArrival:
    def __init__(self, *sources: str) -> None:
        self.batch = EnvelopeBatch(
            batch=[Envelope(source_id=each, log={"payload": b"%d" % i}) for i, each in enumerate(sources)]
        ).SerializeToString()
        self.confirmed = False
        self.is_kept = True

    def confirm(self) -> None:
        self.confirmed = True


@pytest.fixture(autouse=True)
def _fake_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_streams_module, "SourcesFeed", FakeFeed)


class Client:
    """Takes what a tail relays, as soon as it may."""

    def __init__(self, streams: AppStreams, app: str, *, confirms: bool = True) -> None:
        self._confirms = confirms
        self.payloads: list[bytes] = []
        self.may_take = asyncio.Event()
        self.may_take.set()
        self.tail = streams.tail(app, self._take)
        self._running = asyncio.ensure_future(self.tail.run())

    async def _take(self, tailed: Tailed) -> None:
        await self.may_take.wait()
        self.payloads += [each.log.payload for each in EnvelopeBatch.FromString(tailed.batch).batch]
        if self._confirms:
            tailed.confirm()

    async def leave(self) -> None:
        self._running.cancel()
        await asyncio.wait([self._running])


def feed_of(streams: AppStreams) -> FakeFeed:
    feed = streams._feed
    assert isinstance(feed, FakeFeed)
    return feed


def make_streams(capacity: int = 100) -> AppStreams:
    return AppStreams(None, lambda: SharedDiode(capacity, 1 << 20))  # type: ignore[arg-type]  # the feed is a fake


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_each_client_gets_what_its_app_sends() -> None:
    async def scenario() -> None:
        streams = make_streams()
        a, again, b = (Client(streams, app) for app in ("a", "a", "b"))
        await settle()
        arrival = FakeArrival("a", "b", "a", "c")

        await feed_of(streams).relay(arrival)
        await settle()

        assert (a.payloads, again.payloads, b.payloads) == ([b"0", b"2"], [b"0", b"2"], [b"1"])
        assert arrival.confirmed
        account = streams.account()
        assert (account.received, account.delivered, account.skipped, account.balance) == (4, 3, 1, 0)
        for client in (a, again, b):
            await client.leave()

    asyncio.run(scenario())


def test_what_comes_of_an_original_doppler_is_nobodys_who_keeps_books() -> None:
    async def scenario() -> None:
        streams = make_streams()
        for is_kept, arrival in ((True, FakeArrival("a")), (False, FakeArrival("a", "b"))):
            arrival.is_kept = is_kept
            await feed_of(streams).relay(arrival)

        assert (streams.account().received, streams.account().outside) == (3, 2)

    asyncio.run(scenario())


def test_the_feed_asks_for_what_is_tailed_and_ends_with_the_last() -> None:
    async def scenario() -> None:
        streams = make_streams()
        feed = feed_of(streams)
        a, b = Client(streams, "a"), Client(streams, "b")
        await settle()
        assert (feed.asked, feed.runs) == (["a", "b"], 1)

        await a.leave()
        assert (feed.asked, feed.runs) == (["b"], 1)

        await b.leave()
        await streams.close()
        assert (feed.asked, feed.runs) == ([], 0)

    asyncio.run(scenario())


def test_a_slow_client_loses_its_own_oldest_and_holds_up_nobody() -> None:
    async def scenario() -> None:
        streams = make_streams(capacity=3)
        slow, quick = Client(streams, "a"), Client(streams, "a")
        slow.may_take.clear()
        await settle()
        for _ in range(10):
            await feed_of(streams).relay(FakeArrival("a"))
            await settle()

        assert len(quick.payloads) == 10
        assert slow.tail.blocked
        assert (slow.tail.diode.held, slow.tail.diode.dropped_total, slow.tail.diode.taken_total) == (3, 6, 1)
        for client in (slow, quick):
            await client.leave()

    asyncio.run(scenario())


def test_no_more_is_relayed_than_a_window_ahead_of_what_the_client_has_read() -> None:
    async def scenario() -> None:
        streams = make_streams()
        silent, quick = Client(streams, "a", confirms=False), Client(streams, "a")
        await settle()
        arrival = FakeArrival("a")
        arrival.batch = EnvelopeBatch(
            batch=[Envelope(source_id="a", log={"payload": b"x" * 100_000})]
        ).SerializeToString()
        for _ in range(40):
            await feed_of(streams).relay(arrival)
            await settle()

        assert sum(map(len, quick.payloads)) == 4_000_000
        assert PROMPT.window_bytes < sum(map(len, silent.payloads)) <= PROMPT.window_bytes + 100_000
        assert silent.tail.blocked
        for client in (silent, quick):
            await client.leave()

    asyncio.run(scenario())


def test_a_batch_that_does_not_parse_is_skipped_and_confirmed() -> None:
    async def scenario() -> None:
        streams = make_streams()
        arrival = FakeArrival()
        arrival.batch = b"\xff\xff"

        await feed_of(streams).relay(arrival)

        assert arrival.confirmed
        assert (streams.account().received, streams.account().skipped) == (1, 1)

    asyncio.run(scenario())


def test_a_feed_that_fails_ends_the_tails_and_the_next_one_gets_a_new_one() -> None:
    async def scenario() -> None:
        streams = make_streams()
        feed = feed_of(streams)
        tail = streams.tail("a", _ignore)
        running = asyncio.ensure_future(tail.run())
        await settle()

        feed.fails.set()
        await asyncio.wait_for(running, 5)

        feed.fails.clear()
        again = Client(streams, "a")
        await settle()
        assert (feed.asked, feed.runs) == (["a"], 1)
        await again.leave()
        await streams.close()

    asyncio.run(scenario())


def test_a_close_waits_for_the_feed_though_somebody_still_tails() -> None:
    async def scenario() -> None:
        streams = make_streams()
        client = Client(streams, "a")
        await settle()

        await streams.close()

        assert feed_of(streams).runs == 0
        await client.leave()

    asyncio.run(scenario())


async def _ignore(_: Tailed) -> None:
    pass
