"""Push samples to whatever takes Prometheus remote-write 1.0.

In:    counters and gauges.
Out:   POST of a `prometheus.WriteRequest`, snappy over protobuf.
Drops: samples that the receiver refuses, counted. Logs, timers and events have no samples and are skipped.

At least once: the same sample twice is one, to most receivers. The samples of a series are sent in the order of their
times, of two at the same millisecond the last. A receiver that refuses samples that are out of order says so of a whole
request, though it may have taken the others.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Literal

import cramjam
from pydantic import PositiveInt

from envelope.framing import varint
from nozzles.http_sink import HttpSettings, HttpSink, Item, deliver, grouped, open_http
from nozzles.prometheus_series import Sample, SeriesSettings, samples
from nozzles.sdk import Batch, NozzleKind, Write

_HEADERS = {"Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}
_UNSIGNED = (1 << 64) - 1  # how protobuf writes a negative int64
_SAMPLE_BYTES = 24  # at most, with tag and length


class Config(HttpSettings):
    """A receiver's address, and what its series look like; `url` is the whole URL, like `/api/v1/write`."""

    series: SeriesSettings = SeriesSettings()
    """How names and labels are made."""

    samples_per_request: PositiveInt = 2000
    """Samples in one request; an envelope of more has a request to itself."""

    compression: Literal["none"] = "none"
    """Bodies are always compressed with snappy, and with nothing on top of it."""


@asynccontextmanager
async def open_nozzle(config: Config) -> AsyncIterator[Write]:
    """Give the `write` of a receiver."""
    async with open_http(config) as sink:
        yield partial(_write, sink, config)


kind = NozzleKind(Config, open_nozzle, "at-least-once")


def write_request(found: Iterable[Sample]) -> bytes:
    """Make the protobuf message: each series once, its labels by name, its samples by time."""
    series: dict[tuple[tuple[str, str], ...], dict[int, float]] = {}
    for sample in found:
        labels = (("__name__", sample.name), *sample.labels)
        series.setdefault(labels, {})[sample.timestamp // 1_000_000] = sample.value
    return b"".join(_field(1, _time_series(labels, values)) for labels, values in series.items())


async def _write(sink: HttpSink, config: Config, batch: Batch) -> None:
    found = {index: own for index, envelope in enumerate(batch) if (own := list(samples(envelope, config.series)))}
    by_time = sorted(found, key=lambda index: found[index][0].timestamp)
    # An item's bytes stand for the size of its samples: the body is made of all of a group's, each series once.
    items = (Item((index,), bytes(sum(map(_most_bytes, found[index]))), len(found[index])) for index in by_time)
    groups = grouped(items, max_bytes=config.max_body_bytes, max_entries=config.samples_per_request)

    async def send(group: Sequence[Item]) -> None:
        body = write_request(sample for item in group for index in item.indexes for sample in found[index])
        packed = bytes(cramjam.snappy.compress_raw(body))
        await sink.post(packed, content_type="application/x-protobuf", headers=_HEADERS)

    await deliver(batch, groups, send)


def _most_bytes(sample: Sample) -> int:
    """Say how large a sample is in a request at most, as one of a series of its own."""
    texts = len(sample.name.encode()) + sum(len(name.encode()) + len(value.encode()) for name, value in sample.labels)
    return _SAMPLE_BYTES + texts + 16 * (len(sample.labels) + 2)


def _time_series(labels: Sequence[tuple[str, str]], values: dict[int, float]) -> bytes:
    label_fields = (_field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in sorted(labels))
    sample_fields = (
        _field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(at & _UNSIGNED))
        for at, value in sorted(values.items())
    )
    return b"".join((*label_fields, *sample_fields))


def _field(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value
