"""The kinds that write metrics, and OTLP: logs over gRPC, counters over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import cramjam
import grpc
import httpx
import trio
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, Log, Timer
from envelope.wire import fields
from nozzles import opentsdb, otlp, prometheus, remote_write
from nozzles.http_sink import HttpSettings
from nozzles.prometheus.service import open_exporter
from nozzles.sdk import Batch, NozzleKind, Write
from tests.contracts.benches_http import HttpBench
from tests.contracts.nozzle_contract import SOURCES, Bench, Item, items
from tests.contracts.relayed import RelayedBench
from tests.fakes.http_receiver import HttpReceiver, Said
from tests.fakes.http_receiver import Posted as Received
from tests.fakes.http_sink_server import Posted
from tests.fakes.otlp_collector import OtlpCollector

_NS_PER_MS = 1_000_000


def counted(source: str, n: int) -> Envelope:
    """Make a counter whose total is `n`, at a millisecond of its own."""
    counter = Counter(name="items", delta=1, total=n)
    return Envelope(timestamp=(n + 1) * _NS_PER_MS, source_id=source, instance_id="0", counter=counter)


class OpentsdbTelnetBench(RelayedBench):
    """A server that reads lines, and says its version when it is asked."""

    kind = opentsdb.kind
    formless = Envelope(log=Log())
    answer = b"net.opentsdb"

    @asynccontextmanager
    async def sink(self) -> AsyncIterator[str]:
        self._items: list[Item] = []
        async with trio.open_nursery() as nursery:
            [listener] = await nursery.start(partial(trio.serve_tcp, self._converse, 0, host="127.0.0.1"))
            yield f"127.0.0.1:{listener.socket.getsockname()[1]}"
            nursery.cancel_scope.cancel()

    async def _converse(self, stream: trio.SocketStream) -> None:
        unread = b""
        try:
            while received := await stream.receive_some():
                *lines, unread = (unread + received).split(b"\n")
                for line in lines:
                    await self._read(stream, line.decode().split(" "))
        except trio.BrokenResourceError:
            pass  # the writer went away

    async def _read(self, stream: trio.SocketStream, words: list[str]) -> None:
        if words == ["version"]:
            await stream.send_all(b"net.opentsdb.tools 2.4.1 built at revision 0\nBuilt on 2021/09/03\n")
            return
        _put, _name, _time, total, *tags = words
        self._items += items([dict(tag.split("=") for tag in tags)], lambda each: each["source_id"], lambda _: total)

    @property
    def settings(self) -> opentsdb.Config:
        return opentsdb.Config(address=self.relay.address)

    def numbered(self, source: str, n: int) -> Envelope:
        return counted(source, n)

    async def received(self) -> list[Item]:
        return list(self._items)


class OpentsdbHttpBench(HttpBench):
    kind = opentsdb.kind
    formless = Envelope(log=Log())

    @property
    def settings(self) -> opentsdb.Config:
        return opentsdb.Config(transport="http", http=HttpSettings(url=self.url), points_per_request=4)

    def numbered(self, source: str, n: int) -> Envelope:
        return counted(source, n)

    def items_of(self, posted: Posted) -> Iterator[Item]:
        yield from items(posted.json, lambda point: point["tags"]["source_id"], lambda point: point["value"])


class OtlpGrpcBench(RelayedBench):
    """A collector; when it refuses, it is unavailable. Its answers are compressed: none can be told from the others."""

    kind = otlp.kind
    formless = Envelope(timer=Timer())
    unheard = Bench.unheard

    @asynccontextmanager
    async def sink(self) -> AsyncIterator[str]:
        self._collector = OtlpCollector()
        with self._collector.serving() as address:
            yield address

    @property
    def settings(self) -> otlp.Config:
        return otlp.Config(grpc={"address": self.relay.address, "plaintext": True}, items_per_request=4)

    @asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        self._collector.failures = [(grpc.StatusCode.UNAVAILABLE, b"")] * 10_000
        yield
        self._collector.failures = []

    @asynccontextmanager
    async def denying(self) -> AsyncIterator[None]:
        self._collector.failures = [(grpc.StatusCode.UNAUTHENTICATED, b"")] * 10_000
        yield
        self._collector.failures = []

    async def received(self) -> list[Item]:
        return items(
            self._collector.logs,
            lambda each: _source_of(each.attributes),
            lambda each: each.body.string_value,
        )


class OtlpHttpBench(HttpBench):
    kind = otlp.kind
    formless = Envelope(timer=Timer())

    @property
    def settings(self) -> otlp.Config:
        return otlp.Config(http={"url": self.url}, items_per_request=4)

    def numbered(self, source: str, n: int) -> Envelope:
        return counted(source, n)

    def items_of(self, posted: Posted) -> Iterator[Item]:
        if posted.path == "/v1/metrics":
            for resource in ExportMetricsServiceRequest.FromString(posted.body).resource_metrics:
                points = [point for metric in resource.scope_metrics[0].metrics for point in metric.sum.data_points]
                yield from items(points, lambda point: _source_of(point.attributes), lambda point: point.as_int)


def _source_of(attributes: Any) -> str:
    return {each.key: each.value.string_value for each in attributes}["source_id"]


class RemoteWriteBench(RelayedBench):
    """A receiver that unpacks what is sent, and takes every sample; when it refuses, it answers 503."""

    kind = remote_write.kind
    formless = Envelope(log=Log())
    answer = b"HTTP/1.1 2"

    @asynccontextmanager
    async def sink(self) -> AsyncIterator[str]:
        self._items: list[Item] = []
        self._refuses = False
        receiver = HttpReceiver(self._answer)
        yield receiver.url.removeprefix("http://")
        receiver.close()

    def _answer(self, posted: Received) -> Said:
        if self._refuses:
            return Said(503)
        self._items += list(_samples(bytes(cramjam.snappy.decompress_raw(posted.body))))
        return Said(204)

    @asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        self._refuses = True
        yield
        self._refuses = False

    @property
    def settings(self) -> remote_write.Config:
        return remote_write.Config(url=f"http://{self.relay.address}/api/v1/write", samples_per_request=4)

    def numbered(self, source: str, n: int) -> Envelope:
        return counted(source, n)

    async def received(self) -> list[Item]:
        return list(self._items)


def _values(message: bytes, number: int) -> list[bytes]:
    """List what a message has of one of its fields."""
    return [message[field.body : field.end] for field in fields(message) if field.tag >> 3 == number]


def _samples(request: bytes) -> Iterator[Item]:
    """Read a `prometheus.WriteRequest`; the time of a sample, in ms, is one more than its number."""
    for series in _values(request, 1):
        labels = {_values(label, 1)[0]: _values(label, 2)[0] for label in _values(series, 1)}
        source = labels.get(b"source_id", b"").decode()
        for sample in _values(series, 2) if source in SOURCES else ():
            [time] = _values(sample, 2)
            yield source, time[0] - 1


@asynccontextmanager
async def _scraped(config: Any) -> AsyncIterator[Write]:
    """Open an exporter that is scraped after each batch, into the list that belongs to its settings."""
    async with open_exporter(config.exporter) as exporter, httpx.AsyncClient(trust_env=False) as client:
        place = len(config.scraped)

        async def write(batch: Batch) -> None:
            await exporter.write(batch)
            config.scraped[place:] = [(await client.get(f"http://{exporter.address}/metrics")).text]

        yield write


class PrometheusBench(Bench):
    """A Prometheus that remembers the last of each exporter. A series shows its latest value: each number is one."""

    kind = NozzleKind(prometheus.Config, _scraped, prometheus.kind.delivery)
    formless = Envelope(log=Log())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.scraped: list[str] = []
        self.exporter = prometheus.Config(listen="127.0.0.1:0", plaintext=True)
        yield

    @property
    def settings(self) -> PrometheusBench:
        return self

    def numbered(self, source: str, n: int) -> Envelope:
        envelope = counted(source, n)
        envelope.tags["n"] = str(n)
        return envelope

    async def received(self) -> list[Item]:
        families = [family for text in self.scraped for family in text_string_to_metric_families(text)]
        samples = [sample for family in families for sample in family.samples if sample.name == "items_total"]
        return [(sample.labels["source_id"], int(sample.value)) for sample in samples]


BENCHES: tuple[type[Bench], ...] = (
    OpentsdbTelnetBench,
    OpentsdbHttpBench,
    OtlpGrpcBench,
    OtlpHttpBench,
    RemoteWriteBench,
    PrometheusBench,
)
"""The kinds that are here."""
