"""An agent's UDP doors as programs see them: datagrams in, envelopes at a doppler's subscriber, books that balance."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.config import parse_listen
from plumbing.lifecycle import Ports
from tests.running import accounts, dial, eventually, get, in_thread, running
from tests.running_proxy import open_stream

AGENT = {"deployment": "cf", "job": "cell", "index": "7", "ip": "10.0.0.1", "colour": "red"}
APP = "f47ac10b-58cc-4372-a567-0e02b2c3d479"
APP_UUID = v1.UUID(low=0x7243CC580BC17AF4, high=0x79D4C3B2020E67A5)
HTTP = v1.HttpStartStop(
    startTimestamp=1,
    stopTimestamp=2,
    requestId=APP_UUID,
    peerType="Client",
    method="GET",
    uri="/",
    remoteAddress="",
    userAgent="",
    statusCode=200,
    contentLength=3,
    applicationId=APP_UUID,
)
V1_MESSAGES: dict[str, dict[str, Any]] = {
    "LogMessage": {"logMessage": {"message": b"hello", "message_type": "ERR", "timestamp": 5, "app_id": APP}},
    "HttpStartStop": {"httpStartStop": HTTP},
    "ValueMetric": {"valueMetric": {"name": "depth", "value": 1.5, "unit": "m"}},
    "CounterEvent": {"counterEvent": {"name": "requests", "delta": 3}},
    "ContainerMetric": {
        "containerMetric": {
            "applicationId": APP,
            "instanceIndex": 2,
            "cpuPercentage": 0.5,
            "memoryBytes": 6,
            "diskBytes": 7,
        }
    },
    "Error": {"error": {"source": "s", "code": 4, "message": "oh"}},
}


@dataclass
class Pipeline:
    """An agent with both doors open, and a subscriber to its doppler."""

    agent: Ports
    certs: Path
    stream: Any
    socket: socket.socket

    def send(self, door: str, *datagrams: bytes) -> None:
        for datagram in datagrams:
            self.socket.sendto(datagram, parse_listen(self.agent[door]))

    async def receive(self, count: int) -> list[v2.Envelope]:
        return await in_thread(_receive, self.stream, count)

    async def books(self) -> dict[str, Any]:
        return (await accounts(self.agent, self.certs))["agent"]

    async def received(self, envelopes: int) -> dict[str, Any]:
        async def enough() -> bool:
            return bool((await self.books())["received"] >= envelopes)

        await eventually(enough)
        return await self.books()


def _receive(stream: Any, count: int) -> list[v2.Envelope]:
    envelopes: list[v2.Envelope] = []
    while len(envelopes) < count:
        envelopes += next(stream).batch
    return envelopes


@contextmanager
def subscribed(address: str, certs: Path) -> Iterator[Any]:
    with dial(address, certs, "doppler") as channel:
        stream = open_stream(channel)
        try:
            yield stream
        finally:
            stream.cancel()


def doors(host: str = "127.0.0.1", **statsd: Any) -> dict[str, Any]:
    return {
        "dropsonde": {"enabled": True, "listen": f"{host}:0"},
        "statsd": {"enabled": True, "listen": f"{host}:0", **statsd},
    }


@asynccontextmanager
async def pipeline(certs: Path, **settings: Any) -> AsyncIterator[Pipeline]:
    async with running("doppler", certs, drain_grace_s=1.0) as doppler:
        with subscribed(doppler["listen"], certs) as stream, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            defaults = {"doppler_addresses": [doppler["listen"]], "drain_grace_s": 2.0, "tags": AGENT, **doors()}
            async with running("metron", certs, **{**defaults, **settings}) as agent:
                yield Pipeline(agent, certs, stream, sender)


def dropsonde(event_type: str, **fields: Any) -> bytes:
    common = {"origin": "rep", "eventType": event_type, "timestamp": 99}
    return v1.Envelope(**{**common, **V1_MESSAGES[event_type], **fields}).SerializeToString()


@pytest.mark.parametrize(
    ("event_type", "source_id", "message"),
    [
        ("LogMessage", APP, {"log": {"payload": b"hello", "type": "ERR"}}),
        ("HttpStartStop", APP, {"timer": {"name": "http", "start": 1, "stop": 2}}),
        ("ValueMetric", "rep", {"gauge": {"metrics": {"depth": {"unit": "m", "value": 1.5}}}}),
        ("CounterEvent", "rep", {"counter": {"name": "requests", "delta": 3, "total": 3}}),
        (
            "ContainerMetric",
            APP,
            {
                "gauge": {
                    "metrics": {
                        "cpu": {"unit": "percentage", "value": 0.5},
                        "memory": {"unit": "bytes", "value": 6},
                        "disk": {"unit": "bytes", "value": 7},
                        "memory_quota": {"unit": "bytes", "value": 0},
                        "disk_quota": {"unit": "bytes", "value": 0},
                    }
                }
            },
        ),
        ("Error", "rep", {"log": {"payload": b"oh", "type": "OUT"}}),
    ],
)
async def test_every_type_of_dropsonde_arrives(
    certs_dir: Path, event_type: str, source_id: str, message: dict[str, Any]
) -> None:
    async with pipeline(certs_dir) as line:
        line.send("dropsonde", dropsonde(event_type, job="own"))

        (envelope,) = await line.receive(1)

    assert (envelope.timestamp, envelope.source_id) == (99, source_id)
    expected = {**AGENT, "job": "own", "origin": "rep", "__v1_type": event_type}
    assert expected.items() <= dict(envelope.tags).items()
    got = v2.Envelope(**{envelope.WhichOneof("message") or "log": getattr(envelope, envelope.WhichOneof("message"))})
    assert got == v2.Envelope(**message)


async def test_counters_of_dropsonde_are_totalled_once(certs_dir: Path) -> None:
    async with pipeline(certs_dir) as line:
        line.send("dropsonde", *[dropsonde("CounterEvent")] * 3)

        envelopes = await line.receive(3)

    assert [envelope.counter.total for envelope in envelopes] == [3, 6, 9]
    assert all(envelope.tags["job"] == "cell" for envelope in envelopes)


async def test_lines_of_statsd_arrive(certs_dir: Path) -> None:
    async with pipeline(certs_dir) as line:
        line.send("statsd", b"web.hits:3|c|#route:a\nweb.load:0.5|g\nweb.time:12|ms|@0.5\n", b"web.hits:4|c")

        envelopes = await line.receive(4)

    assert [(envelope.source_id, envelope.tags["origin"]) for envelope in envelopes] == [("web", "web")] * 4
    values = [(name, value.unit, value.value) for each in envelopes for name, value in each.gauge.metrics.items()]
    assert values == [("hits", "counter", 3), ("load", "gauge", 0.5), ("time", "ms", 24), ("hits", "counter", 7)]
    assert (envelopes[0].tags["route"], envelopes[0].tags["job"]) == ("a", "cell")


async def test_statsd_counters_can_arrive_as_counters(certs_dir: Path) -> None:
    async with pipeline(certs_dir, **doors(counters="counter")) as line:
        line.send("statsd", b"web.hits:3|c\nweb.hits:0|c\nweb.hits:4|c")

        envelopes = await line.receive(3)

    assert [(each.counter.delta, each.counter.total) for each in envelopes] == [(3, 3), (0, 3), (4, 7)]


async def test_what_is_malformed_is_counted_and_the_rest_goes_on(certs_dir: Path) -> None:
    async with pipeline(certs_dir) as line:
        line.send("dropsonde", b"", b"junk", dropsonde("LogMessage", eventType="Error"), dropsonde("LogMessage"))
        line.send("statsd", b"junk\nweb.load:1|g\nweb.load:nan|g\n")

        books = await line.received(7)
        assert books["dropped"] == {"malformed": 5, "overflow": 0, "too_large": 0, "udp_overflow": 0}
        assert {envelope.source_id for envelope in await line.receive(2)} == {APP, "web"}
        text = await get(line.agent, certs_dir, "/metrics")

    assert 'metron_udp_malformed_total{door="dropsonde"} 3.0' in text
    assert 'metron_udp_datagrams_total{door="statsd"} 1.0' in text
    assert 'metron_envelopes_dropped_total{reason="malformed"} 5.0' in text


async def test_what_the_kernel_had_no_room_for_is_in_the_books(certs_dir: Path) -> None:
    async with pipeline(certs_dir, **doors(receive_buffer_bytes=4096)) as line:
        line.send("statsd", *[b"web.hits:1|c"] * 1000)  # the agent, on this very thread, has no turn meanwhile

        books = await line.received(1000)
        arrived = await line.receive(1000 - books["dropped"]["udp_overflow"])
        text = await get(line.agent, certs_dir, "/metrics")

    assert books["dropped"]["udp_overflow"] > 900
    assert [envelope.gauge.metrics["hits"].value for envelope in arrived] == list(range(1, len(arrived) + 1))
    assert f'metron_udp_overflowed_total{{door="statsd"}} {books["dropped"]["udp_overflow"]}.0' in text


async def test_a_door_does_not_wait_for_dopplers_that_are_away(certs_dir: Path) -> None:
    async with pipeline(certs_dir, doppler_addresses=["127.0.0.1:1"], diode_capacity=20, drain_grace_s=0.1) as line:
        for number in range(1, 6):
            line.send("statsd", *[b"web.hits:1|c"] * 20)
            books = await line.received(20 * number)

    assert books["received"] == books["held"] + books["dropped"]["overflow"] == 100
    assert books["dropped"]["overflow"] >= 80


async def test_what_came_before_the_stop_is_delivered(certs_dir: Path) -> None:
    async with running("doppler", certs_dir, drain_grace_s=1.0) as doppler:
        with subscribed(doppler["listen"], certs_dir) as stream:
            async with running("metron", certs_dir, doppler_addresses=[doppler["listen"]], **doors()) as agent:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                    for _ in range(300):
                        sender.sendto(b"web.hits:1|c", parse_listen(agent["statsd"]))

            envelopes = await in_thread(_receive, stream, 300)

    assert envelopes[-1].gauge.metrics["hits"].value == 300


async def test_the_doors_listen_on_ipv6_too(certs_dir: Path) -> None:
    async with running("metron", certs_dir, doppler_addresses=["127.0.0.1:1"], **doors("[::1]")) as agent:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"web.hits:1|c", parse_listen(agent["statsd"]))

        async def there() -> bool:
            return bool((await accounts(agent, certs_dir))["agent"]["received"] == 1)

        await eventually(there)


async def test_doors_are_closed_unless_asked_for(certs_dir: Path) -> None:
    async with running("metron", certs_dir, doppler_addresses=["127.0.0.1:1"]) as agent:
        assert sorted(agent) == ["admin", "listen"]
