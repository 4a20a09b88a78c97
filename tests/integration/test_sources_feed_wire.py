"""A feed of single sources at real dopplers, and at one that cannot change an open request."""

import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from envelope.kinds import Kind
from envelope.pb import loggregator_v2_pb2 as v2
from plumbing import grpc_client
from plumbing.egress_client import Arrival, Dopplers, Stream
from plumbing.island import Island, open_island
from plumbing.lifecycle import Ports
from plumbing.sources_feed import SourcesFeed
from plumbing.tls import TlsFiles
from tests.fakes.original_router import router_of_sources
from tests.running import accounts, dial, eventually, get, metric_is, running, send_over


class Fed:
    """A feed on an island, and what it has brought so far."""

    def __init__(self, island: Island, dopplers: Dopplers) -> None:
        self.payloads: list[bytes] = []
        self.feed = SourcesFeed(dopplers, Kind.LOG, self._relay)
        self._island = island

    async def ask_for(self, *sources: str) -> None:
        await self._island.call(self.feed.ask_for, sources)

    async def has(self, *payloads: bytes) -> None:
        """Wait until so many have come; they must be these, in any order."""
        with trio.fail_after(10):
            while len(self.payloads) < len(payloads):
                await trio.sleep(0.001)
        assert sorted(self.payloads) == sorted(payloads)

    async def _relay(self, arrival: Arrival) -> None:
        self.payloads += [envelope.log.payload for envelope in v2.EnvelopeBatch.FromString(arrival.batch).batch]
        arrival.confirm()


@asynccontextmanager
async def feeding(certs: Path, *addresses: str) -> AsyncIterator[Fed]:
    dopplers = Dopplers(addresses, TlsFiles.named(certs, "trafficcontroller"), random.Random(1))
    async with open_island() as island, trio.open_nursery() as nursery:
        fed = Fed(island, dopplers)
        nursery.start_soon(island.run, fed.feed.run)
        yield fed
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await island.run(dopplers.close)


async def send(ports: Ports, certs: Path, *logs: tuple[str, bytes]) -> None:
    with dial(ports["listen"], certs, "doppler") as channel:
        await send_over(channel, *[v2.Envelope(source_id=source, log={"payload": payload}) for source, payload in logs])


async def sources_are(ports: Ports, certs: Path, count: int) -> None:
    """Wait until the doppler's subscribers ask for so many sources."""
    await metric_is(ports, certs, "doppler_selected_sources", count)


async def test_sources_come_and_go_over_one_open_stream(certs_dir: Path) -> None:
    everything = [("a", b"a"), ("b", b"b"), ("c", b"c")]
    async with running("doppler", certs_dir, drain_grace_s=0.2) as doppler:
        async with feeding(certs_dir, doppler["listen"]) as fed:
            await fed.ask_for("a", "b")
            await sources_are(doppler, certs_dir, 2)
            await send(doppler, certs_dir, *everything)
            await fed.has(b"a", b"b")

            await fed.ask_for("c")
            await sources_are(doppler, certs_dir, 1)
            await send(doppler, certs_dir, *everything)
            await fed.has(b"a", b"b", b"c")

            await fed.ask_for()
            await sources_are(doppler, certs_dir, 0)
            await send(doppler, certs_dir, *everything)
            assert "doppler_readers 1.0" in await get(doppler, certs_dir, "/metrics")
            books = await accounts(doppler, certs_dir)

    assert books["unnamed-1"]["received"] == 3


async def test_a_source_that_stays_loses_nothing_while_others_come_and_go(certs_dir: Path) -> None:
    async with running("doppler", certs_dir, drain_grace_s=0.2) as doppler:
        async with feeding(certs_dir, doppler["listen"]) as fed:
            await fed.ask_for("stays")
            await sources_are(doppler, certs_dir, 1)
            for number in range(30):
                await fed.ask_for("stays", *(f"other-{each}" for each in range(number % 5)))
                await send(doppler, certs_dir, ("stays", b"%d" % number))

            await fed.has(*(b"%d" % number for number in range(30)))


async def test_a_doppler_that_comes_back_is_asked_for_what_is_wanted_then(certs_dir: Path) -> None:
    async with running("doppler", certs_dir, drain_grace_s=0.2) as doppler:
        address = doppler["listen"]
    async with feeding(certs_dir, address) as fed:
        await fed.ask_for("a")
        async with running("doppler", certs_dir, listen=address, drain_grace_s=0.2) as revived:
            await sources_are(revived, certs_dir, 1)
            await send(revived, certs_dir, ("a", b"there"), ("b", b"not wanted"))

            await fed.has(b"there")


async def test_a_named_subscription_cannot_be_changed(certs_dir: Path) -> None:
    request = v2.EgressBatchRequest(shard_id="s", selectors=[v2.Selector(log={})]).SerializeToString()
    async with running("doppler", certs_dir, drain_grace_s=0.2) as doppler:
        with dial(doppler["listen"], certs_dir, "doppler") as channel:
            call = channel.stream_stream("/loggregator.v2.Egress/BatchedReceiver")(
                iter([request, request]), metadata=(("standpipe-acks", "1"),)
            )
            with trio.fail_after(10):
                assert await trio.to_thread.run_sync(list, call) == []
            assert ("standpipe-changes", "1") in tuple(call.initial_metadata())


async def test_an_original_router_is_given_a_stream_for_each_source(certs_dir: Path) -> None:
    served: list[list[str]] = []
    with router_of_sources(certs_dir, served) as address:
        async with feeding(certs_dir, address) as fed:
            await fed.ask_for("a")
            await fed.has(b"a")

            await fed.ask_for("a", "b")
            await fed.has(b"a", b"b")

    assert served[-2:] == [["a"], ["b"]]


async def test_a_doppler_that_was_late_to_say_that_it_takes_changes_is_asked_again(
    certs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpc_client, "LEGACY_AFTER_S", 0.5)
    served: list[list[str]] = []
    with router_of_sources(certs_dir, served, grants_from=2) as address:
        async with feeding(certs_dir, address) as fed:
            await fed.ask_for("a", "b")

            async def asked_together_again() -> bool:
                return len(served) > 1 and served[-1] == ["a", "b"]

            await eventually(asked_together_again)

    assert served[0] == ["a", "b"]


async def test_many_changes_of_many_sources_do_not_keep_a_doppler_busy(
    certs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: list[int] = []
    change = Stream.change

    def counted(stream: Stream, request: bytes) -> None:
        changes.append(len(request))
        change(stream, request)

    monkeypatch.setattr(Stream, "change", counted)
    many = [f"app-{number}" for number in range(1000)]
    async with running("doppler", certs_dir, drain_grace_s=0.2) as doppler:
        async with feeding(certs_dir, doppler["listen"]) as fed:
            await fed.ask_for(*many)
            await sources_are(doppler, certs_dir, 1000)
            begun = time.monotonic()
            for number in range(300):
                await fed.ask_for(*many, f"other-{number}")
                await fed.ask_for(*many, f"other-{number}")
            took_s = time.monotonic() - begun
            await fed.ask_for(*many, "the", "last")
            await sources_are(doppler, certs_dir, 1002)

    assert len(changes) <= 4 + took_s * 10


async def test_many_sources_take_one_stream(certs_dir: Path) -> None:
    count = 500
    async with running("doppler", certs_dir, drain_grace_s=0.2) as doppler:
        async with feeding(certs_dir, doppler["listen"]) as fed:
            for number in range(count):
                await fed.ask_for(*(f"app-{each}" for each in range(number + 1)))
            await sources_are(doppler, certs_dir, count)

            assert "doppler_readers 1.0" in await get(doppler, certs_dir, "/metrics")
