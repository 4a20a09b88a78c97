"""Envelopes that somebody made to do harm: each is one that the wire lets through."""

from __future__ import annotations

import random
from typing import Any

from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, Event, Gauge, GaugeValue, Log, Timer, Value

_UGLY = 'a b\n\r\0"\\]={}é\u202e\U0010ffff'
_MOST, _LEAST = 2**63 - 1, -(2**63)


def _envelope(**fields: Any) -> Envelope:
    return Envelope(**{"timestamp": 1_700_000_000_123_456_789, "source_id": "hostile", "instance_id": "0", **fields})


def _log(payload: bytes, **fields: Any) -> Envelope:
    return _envelope(log=Log(payload=payload), **fields)


def _gauge(values: dict[str, float], unit: str = "") -> Envelope:
    metrics = {name: GaugeValue(unit=unit, value=value) for name, value in values.items()}
    return _envelope(gauge=Gauge(metrics=metrics))


HOSTILE: tuple[Envelope, ...] = (
    _log(b'a\0b\nc\r\nd "\\][" \x1b[31m'),
    _log(b"\xff\xfe\x80 \xed\xa0\x80 \xf4\x90\x80\x80"),
    _log(b"x" * (1 << 20)),
    _log(random.Random(5).randbytes(1 << 20)),
    _log(b"tags", tags={f"tag-{number}": "v" * 50 for number in range(500)}),
    _log(b"tags", tags={_UGLY: _UGLY, "": "empty", "é": "e", "source_id": "another", "message": "another"}),
    _log(b"names", source_id=_UGLY, instance_id=_UGLY),
    _log(b"names", source_id="", instance_id=""),
    _log(b"names", source_id="s" * 5000),
    _log(b"", timestamp=_LEAST),
    _log(b"later", timestamp=_MOST),
    _log(b"earlier", timestamp=-5),
    _gauge({"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf"), "zero": -0.0, "least": 5e-324}),
    _gauge({_UGLY: 1.0, "": 2.0, "é": 3.0}, unit=_UGLY),
    _gauge({f"metric-{number}": number for number in range(500)}),
    _gauge({}),
    _envelope(counter=Counter(name=_UGLY, total=2**64 - 1, delta=2**64 - 1)),
    _envelope(counter=Counter()),
    _envelope(timer=Timer(name=_UGLY, start=_LEAST, stop=_MOST), tags={"trace_id": "zz", "span_id": _UGLY}),
    _envelope(timer=Timer(start=10, stop=-5)),
    _envelope(event=Event(title=_UGLY, body="b" * 100_000)),
    _envelope(deprecated_tags={_UGLY: Value(text=_UGLY), "d": Value(decimal=float("nan")), "i": Value(integer=_LEAST)}),
    _envelope(),
)
