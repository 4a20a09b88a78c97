"""The envelopes that every path is measured with: made once from a seed, serialised, kept in memory and cycled.

Batches of 100 envelopes of 518 bytes on average: 80 % logs, 10 % timers, 7 % gauges, 3 % counters, of 200 sources. Each
envelope has exactly one v1 form, so that what arrives at a WebSocket can be counted against what was sent.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence

from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch, Log

BATCH_SIZE = 100
BATCHES = 100
SOURCES = 200
MEAN_BYTES = 518
SEED = 1

LOGS = ["log"] * 100
KINDS = ["log"] * 80 + ["timer"] * 10 + ["gauge"] * 7 + ["counter"] * 3
CONTAINER = {"cpu": "percentage", "memory": "bytes", "disk": "bytes", "memory_quota": "bytes", "disk_quota": "bytes"}
AGENT_TAGS = {"deployment": "cf-production", "job": "diego-cell", "index": str(uuid.UUID(int=7)), "ip": "10.0.16.23"}
"""What an agent adds; envelopes that go straight to a Doppler have them already."""


def source_ids(count: int = SOURCES) -> list[str]:
    """Give the sources, the same ones every time."""
    chance = random.Random(SEED)
    return [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(count)]


def make_batches(
    *,
    tagged: bool,
    size: int = BATCH_SIZE,
    count: int = BATCHES,
    sources: int = SOURCES,
    kinds: Sequence[str] = KINDS,
) -> list[bytes]:
    """Make serialised batches; `tagged` says whether an agent has had them already."""
    chance = random.Random(SEED + 1)
    names, tags = source_ids(sources), AGENT_TAGS if tagged else {}
    return [_batch(chance, names, chance.sample(kinds, size), tags).SerializeToString() for _ in range(count)]


def _batch(chance: random.Random, sources: list[str], kinds: list[str], tags: dict[str, str]) -> EnvelopeBatch:
    batch = EnvelopeBatch(batch=[_envelope(chance, kind, chance.choice(sources), tags) for kind in kinds])
    logs = [envelope.log for envelope in batch.batch if envelope.HasField("log")]
    spare_bytes = MEAN_BYTES * len(kinds) - batch.ByteSize()
    for log in logs:
        length = max(20, round(chance.uniform(0.2, 1.8) * spare_bytes / len(logs)))
        log.payload = chance.randbytes(length // 2).hex().encode()
    return batch


def _envelope(chance: random.Random, kind: str, source_id: str, tags: dict[str, str]) -> Envelope:
    envelope = Envelope(
        timestamp=1_700_000_000_000_000_000 + chance.getrandbits(40),
        source_id=source_id,
        instance_id=str(chance.randrange(8)),
        tags={
            **tags,
            "origin": "rep",
            "organization_name": "acme",
            "space_name": "production",
            "app_name": f"shop-{chance.randrange(SOURCES)}",
        },
    )
    _FILL[kind](chance, envelope)
    return envelope


def _log(chance: random.Random, envelope: Envelope) -> None:
    envelope.log.type = chance.choice([Log.OUT, Log.OUT, Log.OUT, Log.ERR])
    envelope.tags["source_type"] = "APP/PROC/WEB"


def _timer(chance: random.Random, envelope: Envelope) -> None:
    envelope.timer.name = "http"
    envelope.timer.start = envelope.timestamp
    envelope.timer.stop = envelope.timestamp + chance.randrange(1_000_000, 900_000_000)
    envelope.tags.update(
        {
            "request_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            "peer_type": chance.choice(["Client", "Server"]),
            "method": chance.choice(["GET", "GET", "GET", "POST", "PUT", "DELETE", "PATCH"]),
            "uri": f"https://shop.example.com/api/v1/orders/{chance.randrange(100_000)}",
            "remote_address": f"10.0.4.{chance.randrange(256)}:{chance.randrange(20_000, 60_000)}",
            "user_agent": "Mozilla/5.0 (X11; Linux x86_64)",
            "status_code": chance.choice(["200", "200", "204", "404"]),
            "content_length": str(chance.randrange(10_000)),
            "routing_instance_id": str(uuid.UUID(int=chance.getrandbits(128))),
            "forwarded": "203.0.113.7\n10.0.4.4",
        }
    )


def _gauge(chance: random.Random, envelope: Envelope) -> None:
    units = CONTAINER if chance.random() < 0.5 else {"request_latency": "ms"}
    for name, unit in units.items():
        envelope.gauge.metrics[name].unit = unit
        envelope.gauge.metrics[name].value = round(chance.uniform(1, 1e9), 2)


def _counter(chance: random.Random, envelope: Envelope) -> None:
    envelope.counter.name = "requests"
    envelope.counter.delta = chance.randrange(1, 100)
    envelope.counter.total = chance.randrange(1, 1_000_000)


_FILL = {"log": _log, "timer": _timer, "gauge": _gauge, "counter": _counter}
