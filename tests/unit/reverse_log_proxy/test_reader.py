"""What a subscriber gets, what is confirmed to the Dopplers and what stays with them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope import kernel
from envelope.pb.loggregator_v2_pb2 import EgressBatchRequest, Envelope, Value
from plumbing.diode import Parcel
from plumbing.egress_server import MESSAGE_BYTES
from plumbing.ledger import Account
from reverse_log_proxy import reader as reader_module
from reverse_log_proxy.reader import Reader, readable
from reverse_log_proxy.requests import Request
from tests.strategies import batch_of, batches, canonical, framed, odd_batches, parsed

MALFORMED = b"\x12\xff"


def log(payload: bytes) -> Envelope:
    return Envelope(source_id="a", log={"payload": payload})


BATCH = batch_of(log(b"1"), log(b"2"))


class FakeFeed:
    """Brings what the test puts, and fails when it is told to."""

    def __init__(self, _: Any, __: bytes, relay: Callable[[Any], Awaitable[None]]) -> None:
        self._relay = relay
        self._broken = asyncio.Event()
        self.confirmed: list[bytes] = []
        self.said_goodbye = False

    async def put(self, batch: bytes, *, is_kept: bool = True) -> None:
        await self._relay(FakeArrival(batch, self, is_kept))

    def break_down(self) -> None:
        self._broken.set()

    async def run(self) -> None:
        try:
            await self._broken.wait()
            raise RuntimeError("a fault of ours")
        finally:
            await asyncio.sleep(0)
            self.said_goodbye = True


class FakeArrival:
    def __init__(self, batch: bytes, feed: FakeFeed, is_kept: bool) -> None:
        self.batch = batch
        self.is_kept = is_kept
        self._feed = feed

    def confirm(self) -> None:
        self._feed.confirmed.append(self.batch)


@pytest.fixture(autouse=True)
def _fake_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "Feed", FakeFeed)


@asynccontextmanager
async def reading(*, preferred: bool = True) -> AsyncIterator[tuple[Reader, FakeFeed]]:
    """Keep a reader for the time of the block; its books balance whatever happens there."""
    request = Request(EgressBatchRequest().SerializeToString(), "s", preferred)
    reader = Reader("s", request, None, lambda _: None)  # type: ignore[arg-type]  # the feed is a fake
    feed = reader._feed
    assert isinstance(feed, FakeFeed)
    async with asyncio.timeout(5):
        reader.start()
        await asyncio.sleep(0)
        yield reader, feed
        assert reader.account().balance == 0
        reader.leave(reader.window.abandon())
        await reader.gone()
        assert (reader.account().balance, reader.account().held, reader.account().in_flight) == (0, 0, 0)


async def send(reader: Reader) -> list[Parcel]:
    """Take what waits and send it, as a stream does."""
    parcels = await reader.next(1 << 30)
    if parcels:
        reader.window.sent(parcels)
    return parcels


async def deliver(reader: Reader) -> list[Parcel]:
    """Send what waits to a client that acknowledges all of it."""
    parcels = await send(reader)
    reader.delivered(reader.window.acknowledge_all())
    return parcels


async def leave_behind(*, is_kept: bool = True) -> tuple[FakeFeed, Account]:
    """Send a message that is not acknowledged, let another wait, and leave."""
    async with reading() as (reader, feed):
        await feed.put(BATCH, is_kept=is_kept)
        await send(reader)
        await feed.put(BATCH, is_kept=is_kept)
    return feed, reader.account()


def test_a_message_is_confirmed_when_it_has_arrived() -> None:
    async def scenario() -> None:
        async with reading() as (reader, feed):
            await feed.put(BATCH)
            assert reader.account().held == 2
            (parcel,) = await send(reader)
            assert (parcel.batch, reader.account().in_flight, feed.confirmed) == (BATCH, 2, [])

            reader.delivered(reader.window.acknowledge_all())

            assert feed.confirmed == [BATCH]
            assert (reader.account().received, reader.account().delivered) == (2, 2)

    asyncio.run(scenario())


def test_what_did_not_arrive_stays_with_the_doppler() -> None:
    feed, books = asyncio.run(leave_behind())

    assert feed.confirmed == []
    assert feed.said_goodbye
    assert (books.received, books.delivered, books.returned, books.dropped_total) == (0, 0, 4, 0)


def test_what_did_not_arrive_and_no_doppler_keeps_is_dropped() -> None:
    _, books = asyncio.run(leave_behind(is_kept=False))

    assert (books.received, books.returned, books.dropped, books.outside) == (4, 0, {"unread": 4}, 4)


def test_malformed_envelopes_are_skipped_and_confirmed_in_their_turn() -> None:
    async def scenario() -> None:
        async with reading() as (reader, feed):
            spoilt = BATCH + framed(MALFORMED) + BATCH
            for message in (BATCH, b"\xff\xff", spoilt):
                await feed.put(message)
            assert feed.confirmed == []

            parcels = await deliver(reader)

            assert [parcel.batch for parcel in parcels] == [BATCH, b"", BATCH + BATCH]
            assert feed.confirmed == [BATCH, b"\xff\xff", spoilt]
            books = reader.account()
            assert (books.received, books.delivered, books.skipped) == (8, 6, 2)

    asyncio.run(scenario())


def test_a_large_message_comes_in_pieces_and_is_confirmed_with_the_last() -> None:
    async def scenario() -> None:
        async with reading() as (reader, feed):
            large = batch_of(*[log(b"x" * 100_000)] * 7)
            await feed.put(large)

            parcels = await deliver(reader)

            assert max(len(parcel.batch) for parcel in parcels) <= MESSAGE_BYTES
            assert b"".join(parcel.batch for parcel in parcels) == large
            assert [parcel.settled is not None for parcel in parcels] == [False, False, False, True]
            assert feed.confirmed == [large]

    asyncio.run(scenario())


def test_a_closed_reader_takes_nothing_more_and_ends_when_it_is_empty() -> None:
    async def scenario() -> None:
        async with reading() as (reader, feed):
            await feed.put(BATCH)
            reader.close()
            await feed.put(BATCH)

            assert len(await send(reader)) == 1
            assert await send(reader) == []

            reader.delivered(reader.window.acknowledge_all())
            assert feed.confirmed == [BATCH]

    asyncio.run(scenario())


def test_what_comes_too_late_and_no_doppler_keeps_is_dropped() -> None:
    async def scenario() -> None:
        async with reading() as (reader, feed):
            reader.close()
            await feed.put(BATCH, is_kept=False)

            assert await send(reader) == []
            assert (reader.account().received, reader.account().dropped) == (2, {"unread": 2})

    asyncio.run(scenario())


def test_a_feed_that_fails_ends_the_stream() -> None:
    async def scenario() -> None:
        async with reading() as (reader, feed):
            feed.break_down()

            assert await send(reader) == []

    asyncio.run(scenario())


@pytest.mark.parametrize(("preferred", "is_changed"), [(True, False), (False, True)])
def test_tags_are_passed_in_the_form_asked_for(preferred: bool, is_changed: bool) -> None:
    async def scenario() -> None:
        batch = batch_of(Envelope(source_id="a", tags={"k": "v"}, log={}))
        async with reading(preferred=preferred) as (reader, feed):
            await feed.put(batch)

            (parcel,) = await send(reader)

            assert (parcel.batch is not batch) == is_changed
            (envelope,) = parsed(parcel.batch)
            expected = Envelope(source_id="a", log={}, deprecated_tags={"k": Value(text="v")})
            assert not is_changed or envelope == expected

    asyncio.run(scenario())


@given(batches(), st.booleans())
def test_a_sound_batch_is_converged_whole(batch: bytes, preferred: bool) -> None:
    converged, count, malformed = readable(batch, preferred)

    expected = kernel.converge(batch, preferred)
    assert [canonical(each) for each in parsed(converged)] == [canonical(each) for each in parsed(expected)]
    assert (count, malformed) == (len(parsed(batch)), 0)


@given(odd_batches, st.booleans())
def test_of_any_bytes_what_parses_is_kept_and_the_rest_counted(batch: bytes, preferred: bool) -> None:
    converged, count, malformed = readable(batch, preferred)

    assert len(parsed(converged)) == count
    try:
        _, sound, _, broken = kernel.admit(batch)
    except ValueError:
        assert (count, malformed) == (0, 1)
    else:
        assert (count, malformed) == (sound, broken)
