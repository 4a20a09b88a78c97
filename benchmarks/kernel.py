"""Time every kernel function alone: the compiled one against the reference, in nanoseconds per envelope.

`python -m benchmarks.kernel` prints a table. The batches are like those of the pipeline's budgets: 100 envelopes of 518
bytes on average from 200 sources, 80 % logs, 10 % timers, 7 % gauges, 3 % counters.
"""

import random
import statistics
import time
import uuid
from collections.abc import Callable
from types import ModuleType
from typing import Any

from envelope import _compiled, reference
from envelope.kinds import Keep, Kind
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch, Log

BATCH_SIZE = 100
BATCHES = 20
SOURCES = 200
MEAN_BYTES = 518
REPEATS = 9
COMPILED_S = 0.05
"""How long one repeat of a compiled function runs; the reference makes do with one pass over the batches."""

DEFAULTS = Envelope(tags={"deployment": "cf", "job": "diego-cell", "index": str(uuid.UUID(int=7)), "ip": "10.0.16.23"})
HEAD = Envelope(source_id=str(uuid.UUID(int=1)), instance_id="0", tags={"source_type": "APP/PROC/WEB"})
LINES = [b"x" * 300] * BATCH_SIZE

type_of_envelope = ["log"] * 80 + ["timer"] * 10 + ["gauge"] * 7 + ["counter"] * 3
CONTAINER = {"cpu": "percentage", "memory": "bytes", "disk": "bytes", "memory_quota": "bytes", "disk_quota": "bytes"}


def batches(seed: int = 1) -> list[bytes]:
    """Make the batches, the same ones for the same seed."""
    chance = random.Random(seed)
    sources = [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(SOURCES)]
    made = [_batch(chance, sources) for _ in range(BATCHES)]
    return [batch.SerializeToString() for batch in made]


def measure() -> list[dict[str, Any]]:
    """Time every function: name, compiled and reference ns per envelope (medians), and how many times faster."""
    work = batches()
    rows = []
    for name, call in _calls(work).items():
        compiled_ns = statistics.median(_time(call, _compiled, COMPILED_S) for _ in range(REPEATS))
        reference_ns = statistics.median(_time(call, reference, 0.0) for _ in range(3))
        rows.append(
            {
                "function": name,
                "compiled_ns": round(compiled_ns, 1),
                "reference_ns": round(reference_ns, 1),
                "times_faster": round(reference_ns / compiled_ns, 1),
            }
        )
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Lay the rows out as a Markdown table."""
    head = "| function | compiled, ns per envelope | reference, ns per envelope | times faster |\n|---|---|---|---|\n"
    line = "| {function} | {compiled_ns:,.0f} | {reference_ns:,.0f} | {times_faster:.0f} |"
    return head + "\n".join(line.format(**row) for row in rows)


def _calls(work: list[bytes]) -> dict[str, Callable[[ModuleType], None]]:
    """Name what is timed: each call does one pass over all batches with the kernel it is given."""
    ids = {span[3] for batch in work for span in reference.spans(batch)}
    one_source = {min(ids)}
    defaults = DEFAULTS.SerializeToString()
    head = HEAD.SerializeToString()
    frames = [reference.v1_frames(batch, Keep.ALL)[0] for batch in work]

    def over(call: Callable[[ModuleType, bytes], object], inputs: list[bytes] = work) -> Callable[[ModuleType], None]:
        def run(kernel: ModuleType) -> None:
            for item in inputs:
                call(kernel, item)

        return run

    return {
        "admit": over(lambda kernel, batch: kernel.admit(batch)),
        "spans": over(lambda kernel, batch: kernel.spans(batch)),
        "select (logs)": over(lambda kernel, batch: kernel.select(batch, int(Kind.LOG))),
        "split (one source)": over(lambda kernel, batch: kernel.split(batch, one_source)),
        "split (every source)": over(lambda kernel, batch: kernel.split(batch, ids)),
        "tag": over(lambda kernel, batch: kernel.tag(batch, defaults, bytes)),
        "converge (preferred)": over(lambda kernel, batch: kernel.converge(batch, True)),
        "converge (deprecated)": over(lambda kernel, batch: kernel.converge(batch, False)),
        "v1_frames (all)": over(lambda kernel, batch: kernel.v1_frames(batch, int(Keep.ALL))),
        "v1_frames (app)": over(lambda kernel, batch: kernel.v1_frames(batch, int(Keep.APP))),
        "v1_messages": over(lambda kernel, batch: kernel.v1_messages(batch)),
        "log_batch": over(lambda kernel, _: kernel.log_batch(LINES, head, 1_700_000_000_000_000_000, False)),
        "ws_payloads": over(lambda kernel, buffer: kernel.ws_payloads(buffer), frames),
    }


def _time(call: Callable[[ModuleType], None], kernel: ModuleType, at_least_s: float) -> float:
    """Return nanoseconds per envelope, over as many passes as take `at_least_s`."""
    passes = 0
    start = time.perf_counter()
    while True:
        call(kernel)
        passes += 1
        elapsed_s = time.perf_counter() - start
        if elapsed_s >= at_least_s:
            return elapsed_s / (passes * BATCHES * BATCH_SIZE) * 1e9


def _batch(chance: random.Random, sources: list[str]) -> EnvelopeBatch:
    kinds = chance.sample(type_of_envelope, BATCH_SIZE)
    batch = EnvelopeBatch(batch=[_envelope(chance, kind, chance.choice(sources)) for kind in kinds])
    logs = [envelope for envelope in batch.batch if envelope.WhichOneof("message") == "log"]
    missing = MEAN_BYTES * BATCH_SIZE - batch.ByteSize()
    for envelope in logs:
        size = max(20, round(chance.uniform(0.2, 1.8) * missing / len(logs)))
        envelope.log.payload = chance.randbytes(size // 2).hex().encode()
    return batch


def _envelope(chance: random.Random, kind: str, source_id: str) -> Envelope:
    envelope = Envelope(
        timestamp=1_700_000_000_000_000_000 + chance.getrandbits(40),
        source_id=source_id,
        instance_id=str(chance.randrange(8)),
        tags={
            "deployment": "cf-production",
            "job": "diego-cell",
            "index": str(uuid.UUID(int=chance.getrandbits(128))),
            "ip": f"10.0.{chance.randrange(256)}.{chance.randrange(256)}",
            "origin": "rep",
            "organization_name": "acme",
            "space_name": "production",
            "app_name": f"shop-{chance.randrange(SOURCES)}",
        },
    )
    _MESSAGES[kind](chance, envelope)
    return envelope


def _log(chance: random.Random, envelope: Envelope) -> None:
    envelope.log.type = chance.choice([Log.OUT, Log.OUT, Log.OUT, Log.ERR])
    envelope.tags["source_type"] = "APP/PROC/WEB"


def _timer(chance: random.Random, envelope: Envelope) -> None:
    envelope.timer.name = "http"
    envelope.timer.start = envelope.timestamp
    envelope.timer.stop = envelope.timestamp + chance.randrange(1_000_000, 900_000_000)
    tags = {
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
    envelope.tags.update(tags)


def _gauge(chance: random.Random, envelope: Envelope) -> None:
    units = CONTAINER if chance.random() < 0.5 else {"request_latency": "ms"}
    for name, unit in units.items():
        envelope.gauge.metrics[name].unit = unit
        envelope.gauge.metrics[name].value = round(chance.uniform(1, 1e9), 2)


def _counter(chance: random.Random, envelope: Envelope) -> None:
    envelope.counter.name = "requests"
    envelope.counter.delta = chance.randrange(1, 100)
    envelope.counter.total = chance.randrange(1_000_000)


_MESSAGES = {"log": _log, "timer": _timer, "gauge": _gauge, "counter": _counter}

if __name__ == "__main__":
    print(table(measure()))
