"""Events for the page to show: a quarter of an hour of a small system, the same every time."""

from __future__ import annotations

import random
from typing import Any

from tests.fakes.event_answers import iso

SECOND_NS = 10**9
_PATHS = ("/api/orders", "/api/orders/{}", "/api/basket", "/login", "/static/app.js", "/health")
_SOURCES = (("web", 3), ("orders", 2), ("payments", 1), ("worker", 2))


def event(time_ns: int, seq: int, **given: Any) -> dict[str, Any]:
    """Return one event; what is not given is null, and `fields` are empty."""
    absent = dict.fromkeys(("instance_id", "severity", "stream", "message", "name", "value", "unit", "duration"))
    usual = {"time": iso(time_ns), "source_id": "web", "type": "log", "seq": seq, "fields": {}}
    return {**absent, **usual, **given}


def events(now_ns: int, count: int = 1500, seed: int = 7) -> list[dict[str, Any]]:
    """Return events of the last 14 minutes, oldest first; in the tenth, payments fail."""
    choose = random.Random(seed)
    start = now_ns - 14 * 60 * SECOND_NS
    places = sorted(choose.betavariate(1.6, 1.2) for _ in range(count))
    return [_one(choose, start + int(place * 14 * 60 * SECOND_NS), seq, place) for seq, place in enumerate(places)]


def _one(choose: random.Random, time_ns: int, seq: int, place: float) -> dict[str, Any]:
    source, copies = choose.choice(_SOURCES)
    instance = str(choose.randrange(copies))
    tags = {"deployment": "shop", "job": source}
    troubled = 0.62 < place < 0.72
    if choose.random() < 0.08:
        gauge = {"type": "gauge", "name": "memory", "value": choose.randrange(40, 90) * 1e6, "unit": "bytes"}
        return event(time_ns, seq, source_id=source, instance_id=instance, fields=tags, **gauge)
    if source == "payments" and choose.random() < (0.9 if troubled else 0.05):
        message = f"payment failed: connection to bank timed out after {choose.randrange(2000, 5000)} ms"
        return event(
            time_ns,
            seq,
            source_id=source,
            instance_id=instance,
            severity="error",
            stream="ERR",
            message=message,
            fields=tags,
        )
    if source == "worker":
        severity = choose.choices(("debug", "info", "warn"), (5, 4, 2 if troubled else 0.4))[0]
        message = f"job {choose.randrange(10**6)} took {choose.randrange(3, 900)} ms"
        return event(
            time_ns,
            seq,
            source_id=source,
            instance_id=instance,
            severity=severity,
            stream="OUT",
            message=message,
            fields=tags,
        )
    status = choose.choices((200, 201, 304, 404, 503), (70, 10, 8, 4, 40 if troubled else 1))[0]
    path = choose.choice(_PATHS).format(choose.randrange(1000))
    latency = round(choose.lognormvariate(3, 0.8), 1)
    severity = "error" if status >= 500 else "warn" if status >= 400 else "info"
    message = f'method=GET path={path} status={status} latency_ms={latency} user="u{choose.randrange(50)}"'
    fields = {**tags, "path": path, "method": "GET", "status": status, "latency_ms": latency}
    return event(
        time_ns,
        seq,
        source_id=source,
        instance_id=instance,
        severity=severity,
        stream="OUT",
        message=message,
        fields=fields,
    )
