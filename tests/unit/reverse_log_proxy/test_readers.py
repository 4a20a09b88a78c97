"""Subscribers come and go within a limit, and their books stay."""

import asyncio
from typing import Any

import pytest

from envelope.pb.loggregator_v2_pb2 import EgressBatchRequest, Selector
from plumbing.egress_server import RequestRefused
from reverse_log_proxy import reader as reader_module
from reverse_log_proxy.reader import Reader
from reverse_log_proxy.readers import Readers


class FakeFeed:
    """Waits for ever, and takes a moment to end."""

    ended = 0

    def __init__(self, *_: Any) -> None:
        pass

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            FakeFeed.ended += 1


@pytest.fixture(autouse=True)
def _fake_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "Feed", FakeFeed)
    FakeFeed.ended = 0


def make_readers(max_streams: int = 2) -> Readers:
    return Readers(None, max_streams=max_streams)  # type: ignore[arg-type]  # the feed is a fake


def request(shard_id: str = "") -> bytes:
    return EgressBatchRequest(shard_id=shard_id, selectors=[Selector(log={})]).SerializeToString()


async def leave(readers: Readers, *leaving: Reader) -> None:
    await asyncio.sleep(0)
    for reader in leaving:
        reader.leave([])
    await readers.gone()


def test_a_subscriber_is_called_by_its_shard_or_by_a_number() -> None:
    async def scenario() -> None:
        readers = make_readers(10)
        opened = [readers.open(request(shard_id)) for shard_id in ("nozzle", "", "x" * 5_000, "")]

        names = [reader.account().account for reader in opened]

        assert names == ["subscriber nozzle", "subscriber unnamed-1", f"subscriber {'x' * 100}", "subscriber unnamed-2"]
        await leave(readers, *opened)

    asyncio.run(scenario())


def test_the_limit_counts_those_that_are_there() -> None:
    async def scenario() -> None:
        readers = make_readers(1)
        first = readers.open(request())
        with pytest.raises(RequestRefused, match="unable to create stream, max egress streams reached: 1"):
            readers.open(request())
        assert (len(readers), readers.rejected) == (1, 1)
        await leave(readers, first)

        second = readers.open(request())

        assert (len(readers), readers.rejected) == (1, 1)
        await leave(readers, second)

    asyncio.run(scenario())


def test_who_is_refused_is_not_there() -> None:
    async def scenario() -> None:
        readers = make_readers()
        with pytest.raises(RequestRefused, match="Selectors cannot be empty"):
            readers.open(b"")

        assert (len(readers), readers.rejected, readers.accounts()) == (0, 0, [])

    asyncio.run(scenario())


def test_after_the_end_nobody_is_let_in_and_those_inside_see_it() -> None:
    async def scenario() -> None:
        readers = make_readers()
        reader = readers.open(request())
        readers.close()

        assert await reader.next(1) == []
        with pytest.raises(RequestRefused) as refusal:
            readers.open(request())
        assert refusal.value.code == "UNAVAILABLE"
        await leave(readers, reader)

    asyncio.run(scenario())


def test_goodbyes_are_waited_for() -> None:
    async def scenario() -> None:
        readers = make_readers()
        leaving = [readers.open(request()) for _ in range(2)]

        await leave(readers, *leaving)

        assert FakeFeed.ended == 2
        await readers.gone()

    asyncio.run(scenario())


def test_the_books_of_those_that_left_are_shown_with_those_of_the_others() -> None:
    async def scenario() -> None:
        readers = make_readers()
        first, second = readers.open(request("a")), readers.open(request("b"))
        await leave(readers, first)

        assert sorted(each.account for each in readers.accounts()) == ["subscriber a", "subscriber b"]
        assert readers.total().balance == 0
        await leave(readers, second)

    asyncio.run(scenario())
