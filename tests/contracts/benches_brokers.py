"""The kinds that hand messages to a broker or a forwarder."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import nats
import orjson
import trio
from confluent_kafka import Consumer, Producer, TopicPartition

from nozzles import fluent, kafka, nats_jetstream
from plumbing.island import open_island
from tests.contracts.nozzle_contract import Bench, Item, items
from tests.contracts.relayed import RelayedBench
from tests.fakes.fluent_server import FluentServer, running_fluent
from tests.fakes.nats_server import running_nats


def items_of(messages: Iterable[bytes]) -> list[Item]:
    """Read messages that are each an envelope's JSON."""
    envelopes = map(orjson.loads, messages)
    return items(envelopes, lambda each: each["source_id"], lambda each: base64.b64decode(each["log"]["payload"]))


class FluentBench(RelayedBench):
    """A receiver that acknowledges what it takes."""

    kind = fluent.kind
    answer = b"\xa3ack"

    @asynccontextmanager
    async def sink(self) -> AsyncIterator[str]:
        async with running_fluent(FluentServer()) as self._server:
            yield self._server.address

    @property
    def settings(self) -> fluent.Config:
        return fluent.Config(address=self.relay.address, max_message_bytes=200)

    async def received(self) -> list[Item]:
        records = [event.record for event in self._server.events]
        return items(records, lambda each: each["source_id"], lambda each: each["message"])


class NatsJetstreamBench(RelayedBench):
    """A real server with a stream; when it is away, it was killed."""

    kind = nats_jetstream.kind
    answer = b'"seq":'

    @asynccontextmanager
    async def sink(self) -> AsyncIterator[str]:
        async with running_nats(self.directory) as self._server:
            yield self._server.address

    @asynccontextmanager
    async def stopped(self) -> AsyncIterator[None]:
        self._server.kill()
        yield
        await self._server.start()

    @property
    def settings(self) -> nats_jetstream.Config:
        return nats_jetstream.Config(
            servers=(self.relay.address,), stream="items", create_stream=True, max_stream_bytes=10_000_000
        )

    async def received(self) -> list[Item]:
        async with open_island() as island:
            return await island.run(self._stored)

    async def _stored(self) -> list[Item]:
        client = await nats.connect(f"nats://{self._server.address}")
        try:
            stream = client.jetstream()
            last = (await stream.stream_info("items")).state.last_seq
            messages = [await stream.get_msg("items", number) for number in range(1, last + 1)]
            return items_of(message.data or b"" for message in messages)
        finally:
            await client.close()


class KafkaBench(Bench):
    """The mock cluster of librdkafka, which is up for as long as its producer is and can be made to suffer nothing."""

    kind = kafka.kind

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        cluster = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "replaced:1", "log_level": 2})
        brokers = (await trio.to_thread.run_sync(cluster.list_topics)).brokers.values()
        self._brokers = tuple(f"{broker.host}:{broker.port}" for broker in brokers)
        yield

    @property
    def settings(self) -> kafka.Config:
        return kafka.Config(brokers=self._brokers, topic="items", linger_ms=0)

    async def received(self) -> list[Item]:
        return await trio.to_thread.run_sync(self._consumed)

    def _consumed(self) -> list[Item]:
        settings = {"bootstrap.servers": self._brokers[0], "group.id": "g", "fetch.wait.max.ms": 10, "log_level": 2}
        consumer = Consumer(settings)
        try:
            partitions = consumer.list_topics("items", timeout=30).topics["items"].partitions
            places = [TopicPartition("items", number, 0) for number in partitions]
            count = sum(consumer.get_watermark_offsets(place, timeout=30)[1] for place in places)
            consumer.assign(places)
            found: list[bytes] = []
            while len(found) < count:
                found += [message.value() for message in consumer.consume(count - len(found), timeout=0.1)]
            return items_of(found)
        finally:
            consumer.close()


BENCHES: tuple[type[Bench], ...] = (FluentBench, KafkaBench, NatsJetstreamBench)
"""The kinds that are here."""
