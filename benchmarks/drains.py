"""What syslog drains cost, one and a thousand, and where one stops."""

from __future__ import annotations

from benchmarks.ceiling import Ceiling
from benchmarks.pipeline import SteadyPath
from benchmarks.rig import Layout

_ADAPTER = ["syslog adapter"]
_THOUSAND = 1_000
_DEAD = 10

PATHS = [
    SteadyPath(
        name="one drain over TCP",
        layout=Layout(drains=1, logs_only=True),
        rate=10_000,
        budget=5,
        original="42–49",
        only=_ADAPTER,
    ),
    Ceiling(
        name="highest rate, one drain over TCP",
        layout=Layout(drains=1, logs_only=True),
        original="35",
        budget=150,
    ),
    SteadyPath(
        name="a thousand drains over TCP",
        layout=Layout(drains=_THOUSAND, sources=_THOUSAND, logs_only=True),
        rate=20_000,
        budget=None,
        original="",
        only=_ADAPTER,
        memory=True,
    ),
    SteadyPath(
        name="a thousand drains over TCP, and ten dead ones",
        layout=Layout(drains=_THOUSAND, dead_drains=_DEAD, sources=_THOUSAND, logs_only=True),
        rate=20_000,
        budget=None,
        original="",
        only=_ADAPTER,
        memory=True,
    ),
]
