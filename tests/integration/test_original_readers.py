"""The original's programs that read, each at components of ours in the place of theirs (loggregator.md 1, 2)."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import grpc
import trio

from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.pb import plumbing_pb2 as plumbing
from plumbing.lifecycle import Ports
from tests.fakes.original_program import Sending
from tests.fakes.original_readers import EnvelopeStreamConnector, reverse_log_proxy, traffic_controller
from tests.running import dial, eventually, in_thread, metric, metric_is, running

SELECTORS = [v2.Selector(**{kind: {}}) for kind in ("log", "counter", "gauge", "timer", "event")]
BATCH_SENDER = "/loggregator.v2.Ingress/BatchSender"


async def take(envelopes: Iterator[Any], count: int) -> list[Any]:
    return await in_thread(lambda: list(islice(envelopes, count)))


def batch(*payloads: bytes) -> v2.EnvelopeBatch:
    return v2.EnvelopeBatch(batch=[v2.Envelope(source_id="app", log={"payload": payload}) for payload in payloads])


# --- a traffic controller and a reverse log proxy, at dopplers --------------------------------------------------------


@asynccontextmanager
async def two_dopplers(certs: Path) -> AsyncIterator[list[Ports]]:
    async with running("doppler", certs, drain_grace_s=0.3) as one, running("doppler", certs, drain_grace_s=0.3) as two:
        yield [one, two]


async def send_to_each(dopplers: list[Ports], certs: Path, *payloads: bytes) -> None:
    for doppler in dopplers:
        with dial(doppler["listen"], certs, "doppler") as channel:
            sending = Sending(channel, BATCH_SENDER)
            sending.send(batch(*payloads))
            await in_thread(sending.close_and_receive)


async def test_a_traffic_controller_has_a_stream_for_each_client_from_every_doppler(certs_dir: Path) -> None:
    async with two_dopplers(certs_dir) as dopplers:
        addresses = [doppler["listen"] for doppler in dopplers]
        with traffic_controller(addresses, certs_dir) as controller:
            app = plumbing.SubscriptionRequest(filter={"appID": "app", "log": {}})
            clients = [controller.open(app) for _ in range(30)]
            for doppler in dopplers:
                await metric_is(doppler, certs_dir, "doppler_readers", 30)

            await send_to_each(dopplers, certs_dir, b"1", b"2")

            for stream in (stream for client in clients for stream in client):
                (response,) = await take(stream, 1)
                assert [v1.Envelope.FromString(each).logMessage.message for each in response.payload] == [b"1", b"2"]
            for stream in clients[0]:
                stream.cancel()
            for doppler in dopplers:
                await metric_is(doppler, certs_dir, "doppler_readers", 29)


async def test_a_reverse_log_proxy_has_a_stream_for_each_consumer_from_every_router(certs_dir: Path) -> None:
    async with two_dopplers(certs_dir) as dopplers:
        with reverse_log_proxy([doppler["listen"] for doppler in dopplers], certs_dir) as proxy:
            request = v2.EgressBatchRequest(selectors=SELECTORS, use_preferred_tags=True)
            consumers = [proxy.open(request) for _ in range(30)]
            for doppler in dopplers:
                await metric_is(doppler, certs_dir, "doppler_readers", 30)

            await send_to_each(dopplers, certs_dir, b"1", b"2")

            for stream in (stream for consumer in consumers for stream in consumer):
                (received,) = await take(stream, 1)
                assert [each.log.payload for each in received.batch] == [b"1", b"2"]


async def test_a_proxy_that_takes_10_mib_takes_the_longest_message_there_is_with_what_it_has_lost(
    certs_dir: Path,
) -> None:
    text = b"x" * ((10 << 20) - 30)
    async with running("doppler", certs_dir, diode_capacity=1, drain_grace_s=0.3) as doppler:
        with reverse_log_proxy([doppler["listen"]], certs_dir) as proxy:
            request = v2.EgressBatchRequest(selectors=SELECTORS, use_preferred_tags=True, shard_id="s")
            (leaving,) = proxy.open(request)
            await metric_is(doppler, certs_dir, "doppler_readers", 1)
            leaving.cancel()
            await metric_is(doppler, certs_dir, "doppler_readers", 0)
            await send_to_each([doppler], certs_dir, b"lost")
            await send_to_each([doppler], certs_dir, text)

            (stream,) = proxy.open(request)
            told, arrived = await take((envelope for message in stream for envelope in message.batch), 2)

    assert (told.counter.name, told.counter.delta) == ("dropped", 1)
    assert arrived.log.payload == text


# --- go-loggregator's EnvelopeStreamConnector, at a reverse log proxy -------------------------------------------------


async def test_a_connector_reads_on_from_a_proxy_that_comes_back(certs_dir: Path) -> None:
    request = v2.EgressBatchRequest(selectors=SELECTORS, use_preferred_tags=True, shard_id="nozzle")
    async with running("doppler", certs_dir, drain_grace_s=0.3) as doppler:
        settings: dict[str, Any] = {"doppler_addresses": [doppler["listen"]], "drain_grace_s": 0.3}
        async with running("reverse_log_proxy", certs_dir, **settings) as first:
            address = first["listen"]
            connector = EnvelopeStreamConnector(address, certs_dir, request)
            connector.open()
            await metric_is(doppler, certs_dir, "doppler_readers", 1)
            await send_to_each([doppler], certs_dir, b"before")
            assert [each.log.payload for each in await in_thread(connector.receive)] == [b"before"]
        async with running("reverse_log_proxy", certs_dir, listen=address, **settings) as second:
            with connector:
                await send_to_each([doppler], certs_dir, b"after")

                assert [each.log.payload for each in await in_thread(connector.receive)] == [b"after"]
                assert connector.opened > 1
                await metric_is(second, certs_dir, "reverse_log_proxy_subscribers", 1)


async def test_a_connector_that_is_refused_and_asks_again_at_once_harms_nobody(certs_dir: Path) -> None:
    request = v2.EgressBatchRequest(selectors=SELECTORS, use_preferred_tags=True)
    async with running("doppler", certs_dir, drain_grace_s=0.3) as doppler:
        settings: dict[str, Any] = {"doppler_addresses": [doppler["listen"]], "drain_grace_s": 0.3}
        async with running("reverse_log_proxy", certs_dir, max_egress_streams=1, **settings) as proxy:
            with (
                EnvelopeStreamConnector(proxy["listen"], certs_dir, request) as served,
                EnvelopeStreamConnector(proxy["listen"], certs_dir, request) as refused,
            ):
                served.open()
                await metric_is(doppler, certs_dir, "doppler_readers", 1)
                await send_to_each([doppler], certs_dir, b"1")
                assert [each.log.payload for each in await in_thread(served.receive)] == [b"1"]
                async with trio.open_nursery() as nursery:
                    got: list[v2.Envelope] = []

                    async def insist() -> None:
                        got.extend(await in_thread(refused.receive))

                    async def refused_often() -> bool:
                        return await metric(proxy, certs_dir, "reverse_log_proxy_streams_rejected_total") > 20

                    async def is_heard() -> bool:
                        await send_to_each([doppler], certs_dir, b"3")
                        return bool(got)

                    nursery.start_soon(insist)
                    await eventually(refused_often)
                    await send_to_each([doppler], certs_dir, b"2")
                    assert [each.log.payload for each in await in_thread(served.receive)] == [b"2"]

                    served.leave()
                    await eventually(is_heard)

                assert got[0].log.payload == b"3"
                assert set(refused.errors) == {grpc.StatusCode.RESOURCE_EXHAUSTED}
