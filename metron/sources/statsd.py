"""Take statsd: each line of a datagram becomes an envelope (loggregator.md 1.4).

`origin.name:[+-]value|ms|g|c[|@rate][|#k:v,k:v]`. As in the original everything is a gauge, divided by its sample
rate: of a counter (`c`) the running sum, of a gauge (`g`) the value, or with a sign the last one moved by it, of a
time (`ms`) what it says. What other dialects put behind (`|c:container`, `|T1656581400`) is passed over. A line that
is none of this is malformed, and the others go on.
"""

from __future__ import annotations

import math
import re
from typing import Literal, NamedTuple

from envelope.framing import frame
from envelope.pb.loggregator_v2_pb2 import Envelope, GaugeValue
from metron.sources.counts import DoorCounts
from metron.sources.remembered import Remembered
from metron.sources.udp import Parsed

_NUMBER = r"(?:[0-9]++\.?+[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?"  # nothing is tried twice: the match is linear
_LINE = re.compile(rf"([^.]++)\.([^:]++):([+-]?)({_NUMBER})\|(ms|g|c)(?:\|(.*))?")
_RATE = re.compile(_NUMBER)
_UNITS = {"c": "counter", "g": "gauge", "ms": "ms"}
_MAX_COUNT = 2.0**64


class BadLine(Exception):
    """A line is no statsd: count it and go on with the next."""


class Stat(NamedTuple):
    """What one line says. The value is divided by the sample rate and unsigned; the sign says what it does."""

    origin: str
    name: str
    sign: str
    value: float
    kind: str
    tags: dict[str, str]

    @property
    def signed(self) -> float:
        """The value with its sign."""
        return -self.value if self.sign == "-" else self.value


def parse_line(line: bytes) -> Stat:
    """Read one line, or raise `BadLine`."""
    try:
        match = _LINE.fullmatch(line.decode())
    except UnicodeDecodeError:
        raise BadLine("text that is not UTF-8") from None
    if match is None:
        raise BadLine("not origin.name:value|type")
    origin, name, sign, number, kind, extras = match.groups()
    rate, tags = _extras(extras)
    value = float(number) / rate
    if not math.isfinite(value):
        raise BadLine("a value too large")
    return Stat(origin, name, sign, value, kind, {"origin": origin, **tags})


def _extras(text: str | None) -> tuple[float, dict[str, str]]:
    """Read what follows the type: the sample rate, 1 unless given, and the tags."""
    rate = 1.0
    tags: dict[str, str] = {}
    for part in text.split("|") if text else ():
        if part.startswith("@"):
            rate = float(part[1:]) if _RATE.fullmatch(part, 1) else 0.0
            if rate <= 0 or math.isinf(rate):
                raise BadLine("a sample rate that is no number above 0")
        elif part.startswith("#"):
            tags |= _tags(part[1:])
    return rate, tags


def _tags(text: str) -> dict[str, str]:
    """Read `k:v,k:v`; a key alone has an empty value."""
    pairs = (pair.partition(":") for pair in text.split(",") if pair)
    return {key: value for key, _, value in pairs if key}


class StatsdParser:
    """Makes envelopes of the lines of datagrams; remembers the values of `max_names` gauges and as many counters.

    Gauges, and counters that are sent as gauges, are known by origin and name, whatever their tags: so does the
    original. Counters that are sent as counters are known by their tags as well, and cannot go down.
    """

    def __init__(self, counters: Literal["gauge", "counter"], max_names: int, counts: DoorCounts) -> None:
        self._as_counters = counters == "counter"
        self._gauges = Remembered(max_names, 0.0, counts)
        self._sums = Remembered(max_names, 0.0, counts)
        self._counts = Remembered(max_names, (0, 0.0), counts)

    def __call__(self, datagram: bytes, now_ns: int) -> Parsed:
        """Return the envelopes of one datagram, stamped `now_ns` and one more each; empty lines are nothing."""
        made: list[bytes] = []
        malformed, fault = 0, ""
        for line in map(_stripped, datagram.split(b"\n")):
            if not line:
                continue
            try:
                envelope = self._envelope(parse_line(line))
            except BadLine as error:
                malformed, fault = malformed + 1, str(error)
            else:
                envelope.timestamp = now_ns + len(made)
                made.append(frame(envelope.SerializeToString()))
        return Parsed(b"".join(made), len(made), malformed, fault)

    def _envelope(self, stat: Stat) -> Envelope:
        envelope = Envelope(source_id=stat.origin, tags=stat.tags)
        if stat.kind == "c" and self._as_counters:
            delta, total = self._count(stat)
            envelope.counter.name, envelope.counter.delta, envelope.counter.total = stat.name, delta, total
        else:
            gauge = GaugeValue(unit=_UNITS[stat.kind], value=self._gauge(stat))
            envelope.gauge.metrics[stat.name].CopyFrom(gauge)
        return envelope

    def _gauge(self, stat: Stat) -> float:
        """Give a gauge's value, or a counter's running sum."""
        if stat.kind == "ms":
            return stat.signed
        values = self._sums if stat.kind == "c" else self._gauges
        name = f"{stat.origin}.{stat.name}".encode()
        moves = stat.kind == "c" or bool(stat.sign)
        value = values.get(name) + stat.signed if moves else stat.value
        if not math.isfinite(value):
            raise BadLine("a sum too large")
        values.set(name, value)
        return value

    def _count(self, stat: Stat) -> tuple[int, int]:
        """Give a counter's delta and total, which are whole; what is left of a fraction goes to the next one."""
        if stat.signed < 0:
            raise BadLine("a counter that goes down")
        if stat.value >= _MAX_COUNT:
            raise BadLine("a count too large")
        name = repr((stat.origin, stat.name, sorted(stat.tags.items()))).encode()
        total, rest = self._counts.get(name)
        rest, delta = math.modf(rest + stat.value)
        total = (total + int(delta)) % 2**64
        self._counts.set(name, (total, rest))
        return int(delta), total


def _stripped(line: bytes) -> bytes:
    """Take the carriage return off a line's end, if it has one."""
    return line.removesuffix(b"\r")
