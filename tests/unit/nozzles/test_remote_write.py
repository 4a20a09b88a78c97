"""Remote-write to a receiver that takes apart what it is sent: snappy, then protobuf with the schema of Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cramjam
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, EnvelopeBatch, Gauge, GaugeValue, Log
from nozzles.prometheus_series import Sample
from nozzles.remote_write import kind, write_request
from nozzles.sdk import Batch, SinkRefused, SinkUnavailable
from tests.fakes.http_receiver import HttpReceiver, Posted, Said

MS = 1_000_000


def _schema() -> Any:
    """Give the message class of `prometheus.WriteRequest`, as far as version 1.0 fills it."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="prometheus/remote.proto", package="prometheus", syntax="proto3")
    for message, fields in {
        "Label": [("name", 1, field.TYPE_STRING, ""), ("value", 2, field.TYPE_STRING, "")],
        "Sample": [("value", 1, field.TYPE_DOUBLE, ""), ("timestamp", 2, field.TYPE_INT64, "")],
        "TimeSeries": [("labels", 1, 11, "Label"), ("samples", 2, 11, "Sample")],
        "WriteRequest": [("timeseries", 1, 11, "TimeSeries")],
    }.items():
        described = file.message_type.add(name=message)
        for name, number, kind_of_field, of in fields:
            added = described.field.add(name=name, number=number, type=kind_of_field, label=3 if of else 1)
            if of:
                added.type_name = f".prometheus.{of}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("prometheus.WriteRequest"))


WriteRequest = _schema()


class Receiver:
    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.statuses: list[int] = []

    def answer(self, posted: Posted) -> Said:
        if self.statuses and (status := self.statuses.pop(0)) != 200:
            return Said(status, b"out of order sample")
        assert posted.path == "/api/v1/write"
        assert posted.headers["content-encoding"] == "snappy"
        assert posted.headers["content-type"] == "application/x-protobuf"
        assert posted.headers["x-prometheus-remote-write-version"] == "0.1.0"
        self.requests.append(WriteRequest.FromString(bytes(cramjam.snappy.decompress_raw(posted.body))))
        return Said(204)


@pytest.fixture
def peer() -> Iterator[tuple[Receiver, str]]:
    receiver = Receiver()
    server = HttpReceiver(receiver.answer)
    yield receiver, f"{server.url}/api/v1/write"
    server.close()


def batch_of(*envelopes: Envelope) -> Batch:
    return Batch(EnvelopeBatch(batch=envelopes).SerializeToString(), len(envelopes))


def counter(total: int, at_ms: int, name: str = "n") -> Envelope:
    return Envelope(timestamp=at_ms * MS, source_id="a", counter=Counter(name=name, total=total))


def told(request: Any) -> list[tuple[dict[str, str], list[tuple[int, float]]]]:
    return [
        ({label.name: label.value for label in one.labels}, [(each.timestamp, each.value) for each in one.samples])
        for one in request.timeseries
    ]


async def test_samples_of_a_series_are_in_the_order_of_their_times(peer: tuple[Receiver, str]) -> None:
    receiver, url = peer
    async with kind.open(kind.Config(url=url)) as write:
        batch = batch_of(counter(3, 30), counter(1, 10), Envelope(log=Log(payload=b"x")), counter(2, 20))
        await write(batch)

    assert batch.skipped == 1
    (request,) = receiver.requests
    assert told(request) == [({"__name__": "n_total", "source_id": "a"}, [(10, 1.0), (20, 2.0), (30, 3.0)])]


async def test_times_stay_in_order_from_one_request_to_the_next(peer: tuple[Receiver, str]) -> None:
    receiver, url = peer
    async with kind.open(kind.Config(url=url, samples_per_request=2)) as write:
        await write(batch_of(*(counter(at, at) for at in (5, 4, 3, 2, 1))))

    assert [told(request)[0][1] for request in receiver.requests] == [
        [(1, 1.0), (2, 2.0)],
        [(3, 3.0), (4, 4.0)],
        [(5, 5.0)],
    ]


async def test_requests_are_bounded_in_bytes(peer: tuple[Receiver, str]) -> None:
    receiver, url = peer
    async with kind.open(kind.Config(url=url, max_body_bytes=1024)) as write:
        await write(batch_of(*(counter(at, at, name=f"{at:0>150}") for at in range(20))))

    assert len(receiver.requests) >= 4
    assert all(request.ByteSize() <= 1024 for request in receiver.requests)
    assert sum(len(request.timeseries) for request in receiver.requests) == 20


async def test_a_refusal_is_final(peer: tuple[Receiver, str]) -> None:
    receiver, url = peer
    receiver.statuses = [400]
    async with kind.open(kind.Config(url=url)) as write:
        with pytest.raises(SinkRefused, match="out of order"):
            await write(batch_of(counter(1, 1)))


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_was_not_taken_is_left(peer: tuple[Receiver, str], status: int) -> None:
    receiver, url = peer
    receiver.statuses = [200, status]
    async with kind.open(kind.Config(url=url, samples_per_request=1)) as write:
        with pytest.raises(SinkUnavailable) as caught:
            await write(batch_of(counter(2, 20), counter(1, 10)))

    assert caught.value.left is not None
    assert [envelope.counter.total for envelope in caught.value.left] == [2]


async def test_every_metric_of_a_gauge_is_a_series(peer: tuple[Receiver, str]) -> None:
    receiver, url = peer
    gauge = Gauge(metrics={"cpu": GaugeValue(unit="percentage", value=0.5), "mem": GaugeValue(value=float("inf"))})
    async with kind.open(kind.Config(url=url)) as write:
        await write(batch_of(Envelope(timestamp=-MS, gauge=gauge)))

    assert sorted(told(receiver.requests[0]), key=str) == [
        ({"__name__": "cpu", "unit": "percentage"}, [(-1, 0.5)]),
        ({"__name__": "mem"}, [(-1, float("inf"))]),
    ]


def test_labels_are_sorted_by_name() -> None:
    request = WriteRequest.FromString(write_request([Sample("n", False, (("A", "1"), ("b", "2")), 1.0, 0)]))

    assert [label.name for label in request.timeseries[0].labels] == ["A", "__name__", "b"]
