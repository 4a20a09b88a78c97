"""Events of the shape that the event store is measured with, made from a seed: logs of web servers and apps, metrics.

200 sources (Zipf 0.7) with 1-20 instances each, 1,111 events for each second of event time, 5 % up to 2 s late. 75 %
are logs: nginx access lines (40 % of the sources), JSON with ids (40 %), plain (12 %), Java (8 %, with stack traces);
25 % are metrics. Eight tags on each event, and ten fields on those that have them. About 270 bytes of text an event,
metrics counted in, and a rare word in 21 of them, however many they are.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import pyarrow as pa

SEED = 6
BATCH_EVENTS = 10_000
NEEDLE, NEEDLES = "deadbeefcafe", 21
"""The rare word, and how many messages have it: spread over all."""
START_NS = 1_790_000_000_000_000_000
STEP_NS = 900_000
_LATE_NS = 2_000_000_000
_TEXT = pa.dictionary(pa.int32(), pa.string())
_WEIGHTS = tuple(1 / (rank + 1) ** 0.7 for rank in range(200))
_LEVELS = ("info",) * 80 + ("debug",) * 10 + ("warn",) * 6 + ("error",) * 4
_PATHS = tuple(
    f"/api/v{v}/{what}/{part}"
    for v in (1, 2)
    for what in ("users", "orders", "carts", "items", "search", "login")
    for part in ("list", "detail", "update", "export")
)
_VERBS = ("started", "finished", "retried", "skipped", "cached", "evicted", "refreshed", "queued", "rejected")
_NOUNS = ["request", "session", "payment", "invoice", "shipment", "token", "lease", "replica", "shard", "checkpoint"]
_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Go-http-client/2.0",
    "okhttp/4.12.0",
)
_EXCEPTIONS = ("java.lang.IllegalStateException", "java.io.IOException", "java.lang.NullPointerException")
_METRICS = (
    ("gauge", "memory", "bytes"),
    ("gauge", "cpu", "percentage"),
    ("counter", "requests", ""),
    ("timer", "http", ""),
)
_DOUBLES = ("value", "f_status$num", "f_bytes$num", "f_latency_ms$num")
_INTEGERS = ("delta", "duration")
_CODED = ("source_id", "instance_id", "type", "severity", "stream", "name", "unit")
_TAGS = ("deployment", "job", "index", "ip", "origin", "org", "space", "app")
_FIELDS = ("method", "path", "client_ip", "logger", "trace_id", "user_id", "exception")

Row = dict[str, Any]


class _Source(NamedTuple):
    id: str
    app: str
    line: Callable[[random.Random, Row], None]
    instances: int


def batches(events: int, seed: int = SEED) -> Iterator[pa.RecordBatch]:
    """Make so many events, the same ones every time, in batches as the store is given them."""
    return (batch(number, events, seed) for number in range(-(-events // BATCH_EVENTS)))


def batch(number: int, events: int, seed: int = SEED) -> pa.RecordBatch:
    """Make one batch of those of `events` events; it does not matter which others are made."""
    sources, chance = _sources(seed), random.Random(f"{seed}/{number}")
    first = number * BATCH_EVENTS
    chosen = chance.choices(sources, _WEIGHTS, k=min(BATCH_EVENTS, events - first))
    needles = {events * needle // NEEDLES for needle in range(NEEDLES)}
    return batch_of(
        [_event(chance, source, first + place, needle=first + place in needles) for place, source in enumerate(chosen)]
    )


@lru_cache
def _sources(seed: int) -> tuple[_Source, ...]:
    chance = random.Random(seed)
    return tuple(_source(number, chance) for number in range(200))


def end_ns(events: int) -> int:
    """The time at which so many events are over."""
    return START_NS + events * STEP_NS


def batch_of(rows: list[Row]) -> pa.RecordBatch:
    """Make a batch of events, each a mapping of columns to values; columns that no event has are left out."""
    columns = {"time": pa.array([row["time"] for row in rows], pa.timestamp("ns"))}
    for name in (*_CODED, *(f"t_{tag}" for tag in _TAGS), *(f"f_{field}" for field in _FIELDS)):
        column = pa.array([row.get(name) for row in rows], pa.string())
        if column.null_count < len(rows):
            columns[name] = column.dictionary_encode().cast(_TEXT)
    columns["message"] = pa.array([row.get("message") for row in rows], pa.string())
    for names, kind in ((_DOUBLES, pa.float64()), (_INTEGERS, pa.int64())):
        columns |= {name: pa.array([row.get(name) for row in rows], kind) for name in names}
    return pa.RecordBatch.from_pydict(columns)


def _source(number: int, chance: random.Random) -> _Source:
    kind = (number * 37) % 100
    line = _nginx if kind < 40 else _json if kind < 80 else _plain if kind < 92 else _java
    return _Source(f"{chance.getrandbits(128):032x}", f"app-{number}", line, chance.randint(1, 20))


def _event(chance: random.Random, source: _Source, place: int, *, needle: bool) -> Row:
    late = chance.randrange(_LATE_NS) if chance.random() < 0.05 else 0
    instance = chance.randrange(source.instances)
    row: Row = {
        "time": START_NS + place * STEP_NS + chance.randrange(STEP_NS) - late,
        "source_id": source.id,
        "instance_id": str(instance),
        "t_deployment": "cf-production",
        "t_job": "diego-cell",
        "t_index": f"{hash_of(source.app, instance) % 40:08x}",
        "t_ip": f"10.0.16.{hash_of(source.app, instance) % 40}",
        "t_origin": "rep",
        "t_org": f"org-{hash_of(source.app) % 10}",
        "t_space": f"space-{hash_of(source.app) % 30}",
        "t_app": source.app,
    }
    if chance.random() < 0.75 or needle:
        row |= {"type": "log", "stream": "ERR" if chance.random() < 0.05 else "OUT"}
        source.line(chance, row)
        row["message"] += f" {NEEDLE}" * needle
    else:
        _metric(chance, row)
    return row


def hash_of(app: str, instance: int = 0) -> int:
    """Give a number that is the same every time."""
    return int(app.removeprefix("app-")) * 2_654_435_761 + instance * 40_503


def _metric(chance: random.Random, row: Row) -> None:
    kind, name, unit = chance.choice(_METRICS)
    row |= {"type": kind, "name": name}
    if kind == "timer":
        row["duration"] = int(chance.lognormvariate(17, 1))
    else:
        row["value"] = float(chance.randrange(1 << 30)) if unit != "percentage" else round(chance.random() * 100, 2)
        row |= {"unit": unit} if kind == "gauge" else {"delta": chance.randrange(100)}


def _request(chance: random.Random, row: Row) -> None:
    status = chance.choices((200, 201, 304, 404, 500, 503), (80, 6, 6, 5, 2, 1))[0]
    row |= {
        "f_method": chance.choices(("GET", "POST", "PUT", "DELETE"), (80, 14, 4, 2))[0],
        "f_path": chance.choice(_PATHS),
        "f_status$num": float(status),
        "f_latency_ms$num": round(chance.lognormvariate(3, 1), 2),
        "severity": "error" if status >= 500 else "info",
    }


def _nginx(chance: random.Random, row: Row) -> None:
    _request(chance, row)
    sent = int(chance.lognormvariate(8, 1.5))
    client = f"10.{chance.randrange(4)}.{chance.randrange(256)}.{chance.randrange(256)}"
    row |= {"f_bytes$num": float(sent), "f_client_ip": client}
    row["message"] = (
        f"{client} - - [21/Sep/2026:14:{row['time'] // 60_000_000_000 % 60:02d}:{row['time'] // 10**9 % 60:02d} +0000] "
        f'"{row["f_method"]} {row["f_path"]}?id={chance.getrandbits(32)} HTTP/1.1" {row["f_status$num"]:.0f} {sent} '
        f'"https://example.com{chance.choice(_PATHS)}" "{chance.choice(_AGENTS)}" {row["f_latency_ms$num"]}'
    )


def _json(chance: random.Random, row: Row) -> None:
    _request(chance, row)
    row["severity"] = chance.choice(_LEVELS)
    row |= {
        "f_logger": f"com.example.{chance.choice(_NOUNS)}",
        "f_trace_id": f"{chance.getrandbits(128):032x}",
        "f_user_id": f"u{chance.randrange(100_000)}",
    }
    row["message"] = (
        f'{{"time":{row["time"]},"thread":"http-nio-8080-exec-{chance.randrange(40)}","level":"{row["severity"]}","logger":"{row["f_logger"]}","msg":"{_sentence(chance)}",'
        f'"trace_id":"{row["f_trace_id"]}","span_id":"{chance.getrandbits(64):016x}","user_id":"{row["f_user_id"]}",'
        f'"method":"{row["f_method"]}","path":"{row["f_path"]}","status":{row["f_status$num"]:.0f},'
        f'"latency_ms":{row["f_latency_ms$num"]}}}'
    )


def _plain(chance: random.Random, row: Row) -> None:
    row["severity"] = chance.choice(_LEVELS)
    row["message"] = f"{row['severity'].upper()} worker-{chance.randrange(16)}: {_sentence(chance)}"


def _java(chance: random.Random, row: Row) -> None:
    row["severity"] = chance.choice(_LEVELS)
    row["f_logger"] = f"com.example.{chance.choice(_NOUNS)}.Service"
    row["message"] = f"[{row['f_logger']}] {_sentence(chance)}"
    if chance.random() < 0.4:
        row |= {"severity": "error", "f_exception": chance.choice(_EXCEPTIONS)}
        frames = (
            f"\n\tat com.example.{chance.choice(_NOUNS)}.internal.{chance.choice(_NOUNS)}.ServiceHandler."
            f"{chance.choice(_VERBS)}(ServiceHandler.java:{chance.randrange(900)})"
            for _ in range(chance.randint(20, 60))
        )
        row["message"] += f"\n{row['f_exception']}: {_sentence(chance)}" + "".join(frames)


def _sentence(chance: random.Random) -> str:
    parts = (f"{chance.choice(_NOUNS)} {chance.choice(_VERBS)} id={chance.getrandbits(24)}" for _ in range(3))
    return ", ".join(parts)
