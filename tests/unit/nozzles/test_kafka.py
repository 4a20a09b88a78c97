"""Envelopes produced to the mock cluster of librdkafka, and read back by a consumer of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from confluent_kafka import Consumer, Producer, TopicPartition
from pydantic import ValidationError

from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch, Log
from nozzles.kafka import Config, kind, open_nozzle, producer_settings
from nozzles.sdk import Batch, SinkDenied, SinkUnavailable


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """The address of a cluster of one, which lives as long as its producer."""
    producer = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "replaced:1"})
    [metadata] = producer.list_topics(timeout=60).brokers.values()
    yield f"{metadata.host}:{metadata.port}"
    del producer


def batch_of(numbers: range, payload: bytes = b"x") -> Batch:
    made = [Envelope(timestamp=n, source_id=f"app-{n % 3}", log=Log(payload=payload)) for n in numbers]
    return Batch(EnvelopeBatch(batch=made).SerializeToString(), len(made))


def read(broker: str, topic: str, count: int) -> list[Any]:
    consumer = Consumer({"bootstrap.servers": broker, "group.id": topic, "fetch.wait.max.ms": 10})
    try:
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        found: list[Any] = []
        while len(found) < count:
            messages = consumer.consume(count - len(found), timeout=0.1)
            assert all(message.error() is None for message in messages)
            found += messages
        return found
    finally:
        consumer.close()


async def read_back(broker: str, topic: str, count: int) -> list[Any]:
    with trio.fail_after(60):
        return await trio.to_thread.run_sync(read, broker, topic, count, abandon_on_cancel=True)


async def test_every_envelope_arrives_and_each_source_in_order(broker: str) -> None:
    async with open_nozzle(Config(brokers=(broker,), topic="ordered")) as write:
        await write(batch_of(range(300)))
        await write(batch_of(range(300, 600)))

    found = await read_back(broker, "ordered", 600)
    by_source: dict[bytes, list[int]] = {}
    for message in found:
        by_source.setdefault(message.key(), []).append(int(json.loads(message.value())["timestamp"]))
    assert by_source == {f"app-{n}".encode(): list(range(n, 600, 3)) for n in range(3)}


async def test_an_envelope_can_travel_as_protobuf(broker: str) -> None:
    async with open_nozzle(Config(brokers=(broker,), topic="protobuf", format="protobuf")) as write:
        await write(batch_of(range(1)))

    [message] = await read_back(broker, "protobuf", 1)
    assert Envelope.FromString(message.value()).source_id == "app-0"


async def test_what_is_too_large_is_refused_and_the_rest_is_safe(broker: str) -> None:
    large, small = batch_of(range(1), b"x" * 3000), batch_of(range(1, 3))
    both = Batch(large.data + small.data, 3)
    async with open_nozzle(Config(brokers=(broker,), topic="large", max_message_bytes=2000)) as write:
        await write(both)

    assert both.refused == {"too_large": 1}
    found = await read_back(broker, "large", 2)
    assert {int(json.loads(message.value())["timestamp"]) for message in found} == {1, 2}


async def test_brokers_that_are_not_there_mean_try_again_with_all_of_it() -> None:
    async with open_nozzle(Config(brokers=("127.0.0.1:1",), topic="t", delivery_timeout_s=0.5)) as write:
        with pytest.raises(SinkUnavailable, match="not delivered") as failed:
            await write(batch_of(range(3)))

    assert failed.value.left is not None
    assert failed.value.left.count == 3


async def test_brokers_that_do_not_let_us_in_are_told_of_at_once(broker: str, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("pa55")
    password.chmod(0o600)
    config = Config(
        brokers=(broker,),  # it knows no SASL
        topic="t",
        sasl_mechanism="PLAIN",
        user="nozzle",
        password_file=password,
        delivery_timeout_s=3600,
    )
    async with open_nozzle(config) as write:
        with trio.fail_after(60), pytest.raises(SinkDenied, match=r"SASL.*mend sasl_mechanism") as failed:
            await write(batch_of(range(3)))

    assert failed.value.left is not None
    assert failed.value.left.count == 3
    assert "pa55" not in str(failed.value)


async def test_a_write_that_waits_can_be_cancelled() -> None:
    async with open_nozzle(Config(brokers=("127.0.0.1:1",), topic="t", delivery_timeout_s=600)) as write:
        with trio.move_on_after(0.3) as scope:
            await write(batch_of(range(3)))

    assert scope.cancelled_caught


def test_the_producer_is_idempotent_and_waits_for_all_replicas(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("pa55\n")
    password.chmod(0o600)
    settings = producer_settings(
        Config(
            brokers=("a:1", "b:2"),
            topic="t",
            tls_ca=tmp_path / "ca",
            sasl_mechanism="SCRAM-SHA-512",
            user="nozzle",
            password_file=password,
        )
    )

    assert (settings["enable.idempotence"], settings["acks"]) == (True, "all")
    assert settings["bootstrap.servers"] == "a:1,b:2"
    assert settings["security.protocol"] == "SASL_SSL"
    assert (settings["sasl.username"], settings["sasl.password"]) == ("nozzle", "pa55")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"user": "a"}, "together"),
        ({"tls_cert": Path("c")}, "together"),
        ({"tls_cert": Path("c"), "tls_key": Path("k")}, "needs tls_ca"),
        ({"topic": "no topic"}, "pattern"),
        ({"brokers": ()}, "at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Config(**{"brokers": ("127.0.0.1:9092",), "topic": "t", **settings})


def test_it_promises_at_least_once() -> None:
    assert kind.delivery == "at-least-once"
