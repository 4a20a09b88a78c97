"""Gauges of the machine."""

import threading
from collections.abc import Mapping
from types import SimpleNamespace

import psutil
import pytest
import trio

from envelope.pb.loggregator_v2_pb2 import Envelope
from metron.sources import HostMetrics, SourceCounts, send_host_metrics
from metron.sources.host_metrics import CpuReader, Incomplete, Reader, Reading, psutil_readers, read_disk_space
from tests.unit.metron.sources.fakes import FakeOutlet

CONFIG = HostMetrics(enabled=True, interval_s=0.01, instance_id="box", tags={"zone": "z1"}, reader_timeout_s=0.05)


async def collect(readers: Mapping[str, Reader], envelopes: int, counts: SourceCounts | None = None) -> list[Envelope]:
    """Run until so many envelopes have come."""
    outlet, stop = FakeOutlet(), trio.Event()

    async def run() -> None:
        await send_host_metrics(CONFIG, outlet, counts or SourceCounts(), stop=stop, now_ns=lambda: 5, readers=readers)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await outlet.wait_for(envelopes)
        stop.set()
    return outlet.envelopes


def good() -> list[Reading]:
    return [Reading({"good": (1.5, "bytes")}, {"device": "sda"})]


async def test_a_reading_becomes_a_gauge_envelope() -> None:
    envelope = (await collect({"good": good}, 1))[0]

    assert (envelope.source_id, envelope.instance_id, envelope.timestamp) == ("host", "box", 5)
    assert dict(envelope.tags) == {"zone": "z1", "device": "sda"}
    assert (envelope.gauge.metrics["good"].value, envelope.gauge.metrics["good"].unit) == (1.5, "bytes")


async def test_readings_come_at_every_interval_in_one_batch() -> None:
    counts = SourceCounts()
    outlet, stop = FakeOutlet(), trio.Event()
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            await send_host_metrics(
                CONFIG, outlet, counts, stop=stop, now_ns=lambda: 0, readers={"one": good, "two": good}
            )

        nursery.start_soon(run)
        await outlet.wait_for(6)
        stop.set()

    assert outlet.counts[:3] == [2, 2, 2]
    assert counts.gauges_read == sum(outlet.counts)


async def test_a_failing_reader_is_counted_and_stops_no_other() -> None:
    def bad() -> list[Reading]:
        raise RuntimeError("no such sensor")

    counts = SourceCounts()

    envelopes = await collect({"bad": bad, "good": good}, 2, counts)

    assert len(envelopes) >= 2
    assert counts.errors["host_bad"] >= 2


async def test_a_reader_that_fails_in_part_gives_the_rest() -> None:
    def partly() -> list[Reading]:
        raise Incomplete(good(), [OSError("one disk is broken")])

    counts = SourceCounts()

    envelopes = await collect({"partly": partly}, 1, counts)

    assert "good" in envelopes[0].gauge.metrics
    assert counts.errors["host_partly"] >= 1


async def test_a_hanging_reader_is_counted_and_not_started_twice() -> None:
    release = threading.Event()
    started: list[bool] = []

    def hang() -> list[Reading]:
        started.append(True)
        release.wait()
        return []

    counts = SourceCounts()
    try:
        await collect({"hung": hang, "good": good}, 2, counts)
    finally:
        release.set()

    assert counts.errors["host_hung"] >= 2
    assert started == [True]


def test_cpu_shares_are_of_the_time_since_the_last_reading() -> None:
    times = iter(
        [
            SimpleNamespace(
                user=100.0, nice=0.0, system=50.0, idle=1000.0, iowait=10.0, irq=0.0, softirq=0.0, steal=0.0
            ),
            SimpleNamespace(
                user=102.0, nice=1.0, system=51.0, idle=1005.0, iowait=11.0, irq=0.0, softirq=0.0, steal=0.0
            ),
        ]
    )
    read = CpuReader(lambda: next(times))

    assert read() == []
    [reading] = read()

    assert {name: value for name, (value, _) in reading.metrics.items()} == pytest.approx(
        {
            "cpu_user_percent": 20.0,
            "cpu_system_percent": 10.0,
            "cpu_idle_percent": 50.0,
            "cpu_iowait_percent": 10.0,
            "cpu_total_percent": 40.0,
        }
    )


def test_cpu_shares_need_not_know_every_mode() -> None:
    times = iter([SimpleNamespace(user=1.0, system=1.0, idle=1.0), SimpleNamespace(user=2.0, system=1.0, idle=2.0)])
    read = CpuReader(lambda: next(times))
    read()

    [reading] = read()

    assert set(reading.metrics) == {"cpu_user_percent", "cpu_system_percent", "cpu_idle_percent", "cpu_total_percent"}
    assert reading.metrics["cpu_total_percent"] == (50.0, "percentage")


def test_a_broken_mount_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def usage(mount: str) -> object:
        if mount == "/broken":
            raise OSError(107, "Transport endpoint is not connected")
        return SimpleNamespace(total=10, used=5, percent=50.0)

    partitions = [
        SimpleNamespace(device="/dev/a", mountpoint="/", fstype="ext4"),
        SimpleNamespace(device="/dev/a", mountpoint="/bind/mount", fstype="ext4"),
        SimpleNamespace(device="/dev/b", mountpoint="/broken", fstype="ext4"),
        SimpleNamespace(device="/dev/loop0", mountpoint="/snap/x", fstype="squashfs"),
    ]
    monkeypatch.setattr(psutil, "disk_partitions", lambda: partitions)
    monkeypatch.setattr(psutil, "disk_usage", usage)

    with pytest.raises(Incomplete, match="not connected") as caught:
        read_disk_space()

    assert [dict(reading.tags) for reading in caught.value.readings] == [{"mount": "/", "device": "/dev/a"}]


def test_this_machine_can_be_read() -> None:
    readers = psutil_readers()
    readers["cpu"]()

    names = {name for reader in readers.values() for reading in reader() for name in reading.metrics}

    assert {"memory_total_bytes", "memory_used_percent", "swap_total_bytes", "disk_used_percent"} <= names
    assert {"network_received_bytes", "network_receive_drops", "load_1m", "load_15m", "uptime_s", "processes"} <= names


def test_every_metric_names_its_unit_as_the_name_does() -> None:
    units = {"bytes": "bytes", "percent": "percentage", "s": "seconds", "packets": "packets", "errors": "errors"}
    readings = [reading for reader in psutil_readers().values() for reading in reader()]

    for name, (value, unit) in [item for reading in readings for item in reading.metrics.items()]:
        assert value >= 0
        assert unit == units.get(name.rsplit("_", 1)[-1], unit)
        assert unit
