"""Send gauges of the machine at regular intervals.

In:    what psutil reads: processor, memory, disks, network, load, uptime, processes.
Out:   one batch of gauge envelopes per interval; what grows for ever (bytes, packets) is a gauge of the total so far.
Drops: a reading that fails or takes too long, counted as `host_<what>`; the others go out without it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import psutil
import structlog
import trio

from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch, GaugeValue
from metron.sources.config import HostMetrics
from metron.sources.counts import SourceCounts, printable
from metron.sources.outlet import Outlet

log = structlog.get_logger(__name__)

Metrics = dict[str, tuple[float, str]]
"""Value and unit by name."""

BYTES = "bytes"
PERCENTAGE = "percentage"

_IMAGE_FILESYSTEMS = {"squashfs", "iso9660", "erofs", "cramfs"}
"""Read-only images are always 100 % full: that is no news."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Metrics that belong together in one envelope, and what they are about."""

    metrics: Metrics
    tags: Mapping[str, str] = field(default_factory=dict)


Reader = Callable[[], list[Reading]]


class Incomplete(Exception):
    """Some of a reader's readings failed; the others go out all the same."""

    def __init__(self, readings: list[Reading], errors: Sequence[Exception]) -> None:
        super().__init__("; ".join(map(str, errors)))
        self.readings = readings


async def send_host_metrics(
    config: HostMetrics,
    outlet: Outlet,
    counts: SourceCounts,
    *,
    stop: trio.Event,
    now_ns: Callable[[], int],
    readers: Mapping[str, Reader] | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Send the gauges at once, and then at every interval until `stop` is set."""
    readings = _Readings(config, counts, psutil_readers() if readers is None else readers)
    task_status.started()
    while not stop.is_set():
        next_at = trio.current_time() + config.interval_s
        found = await readings.take()
        if found:
            counts.gauges_read += len(found)
            await outlet.send(gauge_batch(found, config, now_ns()), len(found))
        with trio.move_on_at(next_at):
            await stop.wait()


def gauge_batch(readings: Sequence[Reading], config: HostMetrics, timestamp: int) -> bytes:
    """Serialise one gauge envelope per reading."""
    batch = EnvelopeBatch()
    for reading in readings:
        envelope = Envelope(
            timestamp=timestamp,
            source_id=config.source_id,
            instance_id=config.instance_id,
            tags={**config.tags, **reading.tags},
        )
        for name, (value, unit) in reading.metrics.items():
            envelope.gauge.metrics[name].CopyFrom(GaugeValue(value=value, unit=unit))
        batch.batch.append(envelope)
    return batch.SerializeToString()


class _Readings:
    """Calls the readers, each in a thread; one that fails or hangs is counted and does not stop the others."""

    def __init__(self, config: HostMetrics, counts: SourceCounts, readers: Mapping[str, Reader]) -> None:
        self._timeout_s = config.reader_timeout_s
        self._counts = counts
        self._readers = readers
        self._limits = {name: trio.CapacityLimiter(1) for name in readers}  # a hung reader is not started again
        self._failing: set[str] = set()

    async def take(self) -> list[Reading]:
        return [reading for name in self._readers for reading in await self._take_one(name)]

    async def _take_one(self, name: str) -> list[Reading]:
        try:
            with trio.fail_after(self._timeout_s):
                readings = await trio.to_thread.run_sync(
                    self._readers[name], abandon_on_cancel=True, limiter=self._limits[name]
                )
        except Exception as error:  # whatever one reader of the host does, the others go on
            self._failed(name, error)
            return error.readings if isinstance(error, Incomplete) else []
        self._failing.discard(name)
        return readings

    def _failed(self, name: str, error: Exception) -> None:
        self._counts.errors[f"host_{name}"] += 1
        if name not in self._failing:
            self._failing.add(name)
            log.warning("host_metrics_unreadable", what=name, error=repr(error), exc_info=error)


def psutil_readers() -> dict[str, Reader]:
    """Make the readers of this machine, by name."""
    return {
        "cpu": CpuReader(psutil.cpu_times),
        "memory": read_memory,
        "disk_space": read_disk_space,
        "disk_io": read_disk_io,
        "network": read_network,
        "load": read_load,
        "uptime": read_uptime,
        "processes": read_processes,
    }


class CpuReader:
    """Says what part of the time since it was last called the processors spent on what; nothing at the first call.

    (psutil's own `cpu_times_percent` remembers the last call per thread, and each call here may be in another one.)
    """

    def __init__(self, cpu_times: Callable[[], object]) -> None:
        self._cpu_times = cpu_times
        self._before: dict[str, float] = {}

    def __call__(self) -> list[Reading]:
        """Read the times again."""
        times = self._cpu_times()
        now = {mode: float(getattr(times, mode)) for mode in _CPU_MODES if hasattr(times, mode)}
        before, self._before = self._before, now
        spent = {mode: max(now[mode] - before[mode], 0.0) for mode in before}
        total = sum(spent.values())
        if not total:
            return []
        shares = {mode: 100 * seconds / total for mode, seconds in spent.items()}
        metrics = {f"cpu_{mode}_percent": (shares[mode], PERCENTAGE) for mode in _CPU_MODES_SENT if mode in shares}
        metrics["cpu_total_percent"] = (100 - shares["idle"] - shares.get("iowait", 0.0), PERCENTAGE)
        return [Reading(metrics)]


_CPU_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")  # guest time is part of user's
_CPU_MODES_SENT = ("user", "system", "idle", "iowait")


def read_memory() -> list[Reading]:
    """Read how much memory and swap there is, and is used."""
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    metrics: Metrics = {
        "memory_total_bytes": (memory.total, BYTES),
        "memory_available_bytes": (memory.available, BYTES),
        "memory_used_bytes": (memory.used, BYTES),
        "memory_used_percent": (memory.percent, PERCENTAGE),
        "swap_total_bytes": (swap.total, BYTES),
        "swap_used_bytes": (swap.used, BYTES),
        "swap_used_percent": (swap.percent, PERCENTAGE),
    }
    return [Reading(metrics)]


def read_disk_space() -> list[Reading]:
    """Read how full each disk is, under the shortest path that it is mounted at."""
    readings: list[Reading] = []
    errors: list[OSError] = []
    for mount, device in sorted(_mounts().items()):
        try:
            usage = psutil.disk_usage(mount)
        except OSError as error:
            errors.append(error)
            continue
        metrics: Metrics = {
            "disk_total_bytes": (usage.total, BYTES),
            "disk_used_bytes": (usage.used, BYTES),
            "disk_used_percent": (usage.percent, PERCENTAGE),
        }
        readings.append(Reading(metrics, {"mount": printable(mount), "device": printable(device)}))
    if errors:
        raise Incomplete(readings, errors)
    return readings


def _mounts() -> dict[str, str]:
    """Return the device by mount: one mount of each device, and always the root, which in a container is no device."""
    mounts = {"/": "/"}
    devices: set[str] = set()
    for partition in sorted(psutil.disk_partitions(), key=lambda partition: len(partition.mountpoint)):
        if partition.fstype not in _IMAGE_FILESYSTEMS and partition.device not in devices:
            devices.add(partition.device)
            mounts[partition.mountpoint] = partition.device
    return mounts


def read_disk_io() -> list[Reading]:
    """Read how much was ever read from and written to each device that was ever used."""
    return [
        Reading(
            {"disk_read_bytes": (io.read_bytes, BYTES), "disk_written_bytes": (io.write_bytes, BYTES)}, {"device": name}
        )
        for name, io in psutil.disk_io_counters(perdisk=True).items()
        if io.read_count or io.write_count
    ]


def read_network() -> list[Reading]:
    """Read what ever passed through each network interface."""
    return [
        Reading(
            {
                "network_received_bytes": (io.bytes_recv, BYTES),
                "network_sent_bytes": (io.bytes_sent, BYTES),
                "network_received_packets": (io.packets_recv, "packets"),
                "network_sent_packets": (io.packets_sent, "packets"),
                "network_receive_errors": (io.errin, "errors"),
                "network_send_errors": (io.errout, "errors"),
                "network_receive_drops": (io.dropin, "packets"),
                "network_send_drops": (io.dropout, "packets"),
            },
            {"interface": name},
        )
        for name, io in psutil.net_io_counters(pernic=True).items()
    ]


def read_load() -> list[Reading]:
    """Read the load averages of the last 1, 5 and 15 minutes."""
    names = ("load_1m", "load_5m", "load_15m")
    return [Reading({name: (load, "processes") for name, load in zip(names, psutil.getloadavg(), strict=True)})]


def read_uptime() -> list[Reading]:
    """Read how long the machine has been up."""
    return [Reading({"uptime_s": (time.time() - psutil.boot_time(), "seconds")})]


def read_processes() -> list[Reading]:
    """Count the processes."""
    return [Reading({"processes": (len(psutil.pids()), "processes")})]
