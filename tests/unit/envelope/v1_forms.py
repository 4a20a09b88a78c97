"""The two ways from v2 to v1, the converter and the kernel, so that one table holds both; short words for its rows."""

from collections.abc import Callable
from typing import Any

import pytest

from envelope import kernel
from envelope.framing import frame
from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.v2_to_v1 import CONTAINER_METRICS, to_v1

Convert = Callable[[v2.Envelope], list[v1.Envelope]]

LOW, HIGH = 0x7243CC580BC17AF4, 0x79D4C3B2020E67A5
NIL = "00000000-0000-0000-0000-000000000000"
BASE: dict[str, Any] = {"origin": "", "timestamp": 0, "deployment": "", "job": "", "index": "", "ip": ""}

INDICES = [
    ("", 0),
    ("3", 3),
    ("+3", 3),
    ("007", 7),
    ("-1", -1),
    ("three", 0),
    (" 3", 0),
    ("2147483647", 2**31 - 1),
    ("2147483648", 0),
    ("-2147483648", -(2**31)),
]
"""Instance ids, and the index that v1 makes of each: one that is no number of 32 bits is 0."""


def by_converter(envelope: v2.Envelope) -> list[v1.Envelope]:
    """Convert, and take the results over the wire."""
    return [v1.Envelope.FromString(result.SerializePartialToString()) for result in to_v1(envelope)]


def by_kernel(envelope: v2.Envelope) -> list[v1.Envelope]:
    """Convert with the kernel that runs."""
    return [v1.Envelope.FromString(payload) for payload in kernel.v1_messages(frame(envelope.SerializeToString()))]


both = pytest.mark.parametrize("convert", [by_converter, by_kernel], ids=["converter", "kernel"])
"""Run a test once with each of the two as its argument `convert`."""


def only(results: list[v1.Envelope]) -> v1.Envelope:
    """Return the one v1 form there is."""
    (result,) = results
    return result


def of_type(name: str, **others: Any) -> v1.Envelope:
    """Make a v1 envelope as it comes from v2: nothing that is optional is unset."""
    return v1.Envelope(**{**BASE, "eventType": name, **others})


def gauge(**metrics: tuple[str, float]) -> v2.Gauge:
    return v2.Gauge(metrics={name: v2.GaugeValue(unit=unit, value=value) for name, (unit, value) in metrics.items()})


def container(**metrics: tuple[str, float]) -> v2.Gauge:
    return gauge(**{**dict.fromkeys(CONTAINER_METRICS, ("bytes", 1.0)), **metrics})


def timer(**fields: Any) -> v2.Envelope:
    """Make a timer that has a v1 form, whatever its other tags."""
    tags = {"request_id": NIL, **fields.pop("tags", {})}
    return v2.Envelope(tags=tags, timer=v2.Timer(), **fields)
