"""Turn what a person writes on a command line into v2 envelopes. No I/O, no clock.

Whatever cannot be understood is a `typer.BadParameter` that names its option.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import typer

from envelope.framing import frame
from envelope.pb import loggregator_v2_pb2 as v2

_UINT64 = range(1 << 64)
_INT64 = range(-(1 << 63), 1 << 63)
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

V1_TIMER_TAGS = {"method": "GET", "peer_type": "Client"}
"""What a timer must say, beside its `request_id`, to have a form on the v1 wire (loggregator.md 2.6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What all envelopes of one command have in common."""

    source_id: str
    instance_id: str
    tags: dict[str, str]

    @property
    def head(self) -> bytes:
        """The common fields, serialised, as `kernel.log_batch` wants them."""
        return self.envelope(0).SerializeToString()

    def envelope(self, timestamp: int) -> v2.Envelope:
        """Begin an envelope."""
        return v2.Envelope(timestamp=timestamp, source_id=self.source_id, instance_id=self.instance_id, tags=self.tags)


def parse_origin(source: str, instance: str, tags: Sequence[str]) -> Origin:
    """Read `--source`, `--instance` and every `--tag`."""
    if not source:
        raise _bad("--source", "a source id must not be empty")
    pairs = [_pair("--tag", text, "KEY=VALUE") for text in tags]
    return Origin(source_id=_utf8("--source", source), instance_id=_utf8("--instance", instance), tags=dict(pairs))


def write_metrics(
    origin: Origin,
    timestamp: int,
    *,
    counters: Sequence[str] = (),
    gauges: Sequence[str] = (),
    timers: Sequence[str] = (),
    events: Sequence[str] = (),
    new_request_id: Callable[[], str],
) -> list[v2.Envelope]:
    """Write one envelope for each counter, timer and event, and a single one for all gauges together."""
    return [
        *(_counter(origin.envelope(timestamp), text) for text in counters),
        *([_gauge(origin.envelope(timestamp), gauges)] if gauges else []),
        *(_timer(origin.envelope(timestamp), text, new_request_id) for text in timers),
        *(_event(origin.envelope(timestamp), text) for text in events),
    ]


def batch_of(envelopes: Iterable[v2.Envelope]) -> bytes:
    """Serialise envelopes as one batch."""
    return b"".join(frame(envelope.SerializeToString()) for envelope in envelopes)


def parse_time(text: str) -> int:
    """Read a time as nanoseconds since the epoch, or as RFC 3339 with its offset; `ValueError` for anything else."""
    if re.fullmatch(r"-?\d{1,19}", text, re.ASCII):
        return int(text)
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is neither nanoseconds nor a time like 2026-01-31T12:00:00.5Z")
    seconds, fraction, offset = match.groups()
    moment = datetime.fromisoformat(seconds.upper() + offset.upper().replace("Z", "+00:00"))
    return int(moment.timestamp()) * 1_000_000_000 + int((fraction or "").ljust(9, "0"))


def _counter(envelope: v2.Envelope, text: str) -> v2.Envelope:
    name, delta = _pair("--counter", text, "NAME=DELTA")
    if not re.fullmatch(r"\d{1,20}", delta, re.ASCII) or int(delta) not in _UINT64:
        raise _bad("--counter", f"{delta!r} of {text!r} is not a whole number from 0 to {_UINT64[-1]}")
    envelope.counter.name, envelope.counter.delta = name, int(delta)
    return envelope


def _gauge(envelope: v2.Envelope, texts: Sequence[str]) -> v2.Envelope:
    for text in texts:
        name, reading = _pair("--gauge", text, "NAME=VALUE[:UNIT]")
        value, _, unit = reading.partition(":")
        if name in envelope.gauge.metrics:
            raise _bad("--gauge", f"{name!r} is given twice")
        envelope.gauge.metrics[name].value = _finite(value, text)
        envelope.gauge.metrics[name].unit = unit
    return envelope


def _finite(value: str, text: str) -> float:
    try:
        number = float(value.replace("_", "?"))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _bad("--gauge", f"{value!r} of {text!r} is not a number")
    return number


def _timer(envelope: v2.Envelope, text: str, new_request_id: Callable[[], str]) -> v2.Envelope:
    name, times = _pair("--timer", text, "NAME=START,STOP")
    start, comma, stop = times.partition(",")
    if not comma:
        raise _bad("--timer", f"{text!r} is not NAME=START,STOP")
    try:
        envelope.timer.start, envelope.timer.stop = _int64(parse_time(start)), _int64(parse_time(stop))
    except ValueError as error:
        raise _bad("--timer", str(error)) from error
    if envelope.timer.stop < envelope.timer.start:
        raise _bad("--timer", f"{text!r} stops before it starts")
    envelope.timer.name = name
    for key, value in {"request_id": new_request_id(), **V1_TIMER_TAGS}.items():
        if key not in envelope.tags:
            envelope.tags[key] = value
    return envelope


def _int64(number: int) -> int:
    if number not in _INT64:
        raise ValueError(f"{number} does not fit into 64 bits")
    return number


def _event(envelope: v2.Envelope, text: str) -> v2.Envelope:
    envelope.event.title, envelope.event.body = _pair("--event", text, "TITLE=BODY")
    return envelope


def _pair(option: str, text: str, form: str) -> tuple[str, str]:
    name, equals, value = _utf8(option, text).partition("=")
    if not name or not equals:
        raise _bad(option, f"{text!r} is not {form}")
    return name, value


def _utf8(option: str, text: str) -> str:
    """Refuse bytes of the command line that are no text: protobuf has no place for them but in a log's payload."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _bad(option, f"{text!r} is not UTF-8") from error
    return text


def _bad(option: str, message: str) -> typer.BadParameter:
    return typer.BadParameter(message, param_hint=[option])
