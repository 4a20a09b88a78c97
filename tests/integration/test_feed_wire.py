"""A feed at real dopplers, and at one that knows nothing of acknowledgements."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from envelope.kinds import Kind
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.selectors import make_request
from plumbing import egress_server, peers
from plumbing.acks import BULK, PROMPT, WINDOW_ENVELOPES, Pace
from plumbing.egress_client import Arrival, Dopplers, Feed
from plumbing.island import open_island
from plumbing.lifecycle import Ports
from plumbing.tls import TlsFiles
from tests.fakes.original_router import router_that_hears_out
from tests.running import accounts, dial, readers_at, running, send_batches


class Fed:
    """What a feed has brought so far."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []

    async def relay(self, arrival: Arrival) -> None:
        self.payloads += [envelope.log.payload for envelope in v2.EnvelopeBatch.FromString(arrival.batch).batch]
        arrival.confirm()

    async def wait_for(self, count: int) -> None:
        with trio.fail_after(10):
            while len(self.payloads) < count:
                await trio.sleep(0.001)


@asynccontextmanager
async def feeding(certs: Path, *addresses: str, fed: Fed | None = None, pace: Pace = PROMPT) -> AsyncIterator[Fed]:
    """Keep a feed of the subscription `s` for the time of the block."""
    fed = fed or Fed()
    dopplers = Dopplers(addresses, TlsFiles.named(certs, "trafficcontroller"), random.Random(1), pace=pace)
    feed = Feed(dopplers, make_request(Kind.LOG, shard_id="s"), fed.relay)

    left = trio.Event()
    async with open_island() as island, trio.open_nursery() as nursery:

        async def run_feed() -> None:
            try:
                await feed.run()
            finally:
                island.to_trio(left.set)

        nursery.start_soon(island.run, run_feed)
        yield fed
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            with trio.fail_after(5):
                await left.wait()
            await island.run(dopplers.close)


async def send(ports: Ports, certs: Path, *payloads: bytes) -> None:
    with dial(ports["listen"], certs, "doppler") as channel:
        logs = [v2.Envelope(source_id="a", log={"payload": each}) for each in payloads]
        await send_batches(channel, [v2.EnvelopeBatch(batch=[each]) for each in logs])


async def test_a_feed_that_leaves_confirms_what_it_has_dealt_with(certs_dir: Path) -> None:
    async with running("doppler", certs_dir, drain_grace_s=0.2) as doppler:
        async with feeding(certs_dir, doppler["listen"]) as fed:
            await readers_at(doppler, certs_dir, 1)
            await send(doppler, certs_dir, b"1")
            await fed.wait_for(1)
            await send(doppler, certs_dir, b"2")
            await fed.wait_for(2)

        books = (await accounts(doppler, certs_dir))["s"]
        assert (books["delivered"], books["held"], books["in_flight"]) == (2, 0, 0)


async def test_a_feed_whose_relay_fails_confirms_what_was_dealt_with_before(certs_dir: Path) -> None:
    class Failing(Fed):
        async def relay(self, arrival: Arrival) -> None:
            if len(self.payloads) == 2:
                raise ConnectionResetError("the client has gone")
            await super().relay(arrival)

    async with running("doppler", certs_dir, drain_grace_s=0.2) as doppler:
        with pytest.RaisesGroup(ConnectionResetError):
            async with feeding(certs_dir, doppler["listen"], fed=Failing()) as fed:
                await readers_at(doppler, certs_dir, 1)
                for count, payload in enumerate([b"1", b"2", b"3"]):
                    await fed.wait_for(count)
                    await send(doppler, certs_dir, payload)
                await trio.sleep_forever()

        books = (await accounts(doppler, certs_dir))["s"]
        assert (books["delivered"], books["returned"]) == (2, 1)


class Hoarder(Fed):
    """Confirms nothing."""

    async def relay(self, arrival: Arrival) -> None:
        self.payloads += [envelope.log.payload for envelope in v2.EnvelopeBatch.FromString(arrival.batch).batch]


@pytest.mark.parametrize("pace", [PROMPT, BULK])
async def test_who_confirms_nothing_is_sent_a_window_and_what_it_leaves_is_kept(certs_dir: Path, pace: Pace) -> None:
    payload, message_bytes = b"x" * 10_000, 256 << 10
    count = 2 * pace.window_bytes // len(payload)
    async with running("doppler", certs_dir, drain_grace_s=0.2) as doppler:
        async with feeding(certs_dir, doppler["listen"], fed=Hoarder(), pace=pace) as fed:
            await readers_at(doppler, certs_dir, 1)
            await send(doppler, certs_dir, *[payload] * count)
            await fed.wait_for(pace.window_bytes // (len(payload) + 100))
            await trio.sleep(0.2)
            assert len(fed.payloads) * len(payload) <= pace.window_bytes + message_bytes

        books = (await accounts(doppler, certs_dir))["s"]
        assert (books["delivered"], books["held"], books["in_flight"]) == (0, count, 0)


async def test_of_small_envelopes_a_window_is_so_many(certs_dir: Path) -> None:
    batch = v2.EnvelopeBatch(batch=[v2.Envelope(source_id="a", log={"payload": b"1"})] * 1000)
    message_envelopes = (256 << 10) // (batch.ByteSize() // 1000)
    async with running("doppler", certs_dir, drain_grace_s=0.2) as doppler:
        async with feeding(certs_dir, doppler["listen"], fed=Hoarder(), pace=BULK) as fed:
            await readers_at(doppler, certs_dir, 1)
            with dial(doppler["listen"], certs_dir, "doppler") as channel:
                await send_batches(channel, [batch] * 150)
            await fed.wait_for(WINDOW_ENVELOPES)
            await trio.sleep(0.2)
            assert len(fed.payloads) <= WINDOW_ENVELOPES + message_envelopes


async def test_who_reads_in_bulk_is_sent_at_once_what_came_in_a_pause(
    certs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Telling(Fed):
        def __init__(self) -> None:
            super().__init__()
            self.messages: list[int] = []

        async def relay(self, arrival: Arrival) -> None:
            await super().relay(arrival)
            self.messages.append(len(self.payloads))

    monkeypatch.setattr(egress_server, "BULK", replace(BULK, pause_s=1.0))
    fed = Telling()
    async with running("doppler", certs_dir, drain_grace_s=0.2) as doppler:
        async with feeding(certs_dir, doppler["listen"], fed=fed, pace=BULK):
            await readers_at(doppler, certs_dir, 1)
            await send(doppler, certs_dir, b"1")
            await fed.wait_for(1)
            await send(doppler, certs_dir, b"2")
            await send(doppler, certs_dir, b"3")
            await fed.wait_for(3)

    assert fed.messages == [1, 3]


async def test_a_doppler_that_no_name_stands_for_any_more_is_left(
    certs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "LOOK_AGAIN_S", 0.05)
    async with running("doppler", certs_dir) as staying, running("doppler", certs_dir) as going:
        known = {staying["listen"], going["listen"]}

        async def resolve_all(*_: object) -> set[str]:
            return set(known)

        monkeypatch.setattr(peers, "resolve_all", resolve_all)
        async with feeding(certs_dir, "doppler.example:8082"):
            await readers_at(going, certs_dir, 1)

            known.remove(going["listen"])

            await readers_at(going, certs_dir, 0)
            await readers_at(staying, certs_dir, 1)


async def test_a_notice_before_the_largest_message_there_is_does_not_block_the_stream(certs_dir: Path) -> None:
    largest = b"x" * ((10 << 20) - 30)
    async with running("doppler", certs_dir, diode_capacity=1, drain_grace_s=0.2) as doppler:
        async with feeding(certs_dir, doppler["listen"]):
            await readers_at(doppler, certs_dir, 1)
        await send(doppler, certs_dir, b"lost", largest)

        async with feeding(certs_dir, doppler["listen"]) as fed:
            await fed.wait_for(2)

    assert fed.payloads[1] == largest


async def test_a_router_that_waits_for_the_end_of_the_request_is_served_it(certs_dir: Path) -> None:
    with router_that_hears_out(certs_dir) as address:
        async with feeding(certs_dir, address) as fed:
            await fed.wait_for(1)

    assert fed.payloads[0] == b"served"
