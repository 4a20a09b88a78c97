"""A batch as columns: a row for each envelope, or for each metric of a gauge that has any, and what each column holds.

Columns are bytes as they lie in an Arrow buffer, little-endian; whoever has Arrow needs no copy of them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from envelope.deprecated_tags import converge
from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import Envelope, Log

NO_STREAM = 255
"""In `streams`: the row is of no log."""

MOST_TAGS = 1000
"""As many tags have a column of their own, unless something else is asked for."""

MOST_CELLS = 32 << 20
"""Rows times tags, at most: each has a code of four bytes."""

MOST_MORE = 200_000
"""Tags without a column, of all rows together, at most."""

_MOST_TEXT = 0x7FFFFFFF


class Coded(NamedTuple):
    """A column of few different texts: `codes` are int32, each the place of a text in `values`, or -1 for none."""

    codes: bytes
    values: list[bytes]


class Columns(NamedTuple):
    """What `kernel.columns` makes of a batch. What a row's kind does not have is 0, and no text."""

    rows: int
    times: bytes
    """int64: the timestamp of the envelope, in nanoseconds."""
    kinds: bytes
    """uint8: its `envelope.kinds.Kind`."""
    streams: bytes
    """uint8: of a log, its type, 0 for OUT and 1 for ERR; else `NO_STREAM`."""
    values: bytes
    """float64: a gauge's value, a counter's total."""
    deltas: bytes
    """uint64: a counter's delta."""
    durations: bytes
    """int64: of a timer, from start to stop, in nanoseconds."""
    texts: bytes
    """The payload of each log and the body of each event, one behind the other."""
    ends: bytes
    """int32, one more than there are rows: a row's text is `texts[ends[row]:ends[row + 1]]`."""
    broken: bytes
    """uint8: 1 where a text is not UTF-8."""
    source_id: Coded
    instance_id: Coded
    name: Coded
    """Of a counter, a metric, a timer; the title of an event."""
    unit: Coded
    """Of a metric."""
    tags: dict[bytes, Coded]
    """By name. A row's code is missing at the end of `codes` if neither it nor any row behind it has the tag."""
    more: list[tuple[int, bytes, bytes]]
    """Tags that found no column: (row, name, text)."""


def columns_of(envelopes: Sequence[Envelope], most_tags: int) -> Columns:
    """Make the columns of some envelopes; both maps of tags are converged first (loggregator.md 1.9)."""
    making = _Making(most_tags)
    for envelope in envelopes:
        converge(envelope, True)
        making.add(envelope)
    return making.made()


class Coding:
    """A coded column as it grows."""

    def __init__(self) -> None:
        self._codes: list[int] = []
        self._numbers: dict[bytes, int] = {}

    def put(self, row: int, text: str) -> None:
        """Give a row a text."""
        self._codes.extend([-1] * (row + 1 - len(self._codes)))
        self._codes[row] = self._numbers.setdefault(text.encode(), len(self._numbers))

    def made(self, rows: int = 0) -> Coded:
        """Make a column of at least this many rows."""
        codes = self._codes + [-1] * (rows - len(self._codes))
        return Coded(struct.pack(f"<{len(codes)}i", *codes), [*self._numbers])


class _Row(NamedTuple):
    kind: int
    stream: int = NO_STREAM
    name: str | None = None
    unit: str | None = None
    value: float = 0.0
    delta: int = 0
    duration: int = 0
    text: bytes = b""


class _Making:
    def __init__(self, most_tags: int) -> None:
        self._most_tags = most_tags
        self._times: list[int] = []
        self._rows: list[_Row] = []
        self._source, self._instance, self._name, self._unit = Coding(), Coding(), Coding(), Coding()
        self._tags: dict[bytes, Coding] = {}
        self._more: list[tuple[int, bytes, bytes]] = []

    def add(self, envelope: Envelope) -> None:
        made = list(_rows(envelope))
        self._bound(len(made), len(envelope.tags))
        for one in made:
            row = len(self._rows)
            self._times.append(envelope.timestamp)
            self._rows.append(one)
            self._source.put(row, envelope.source_id)
            self._instance.put(row, envelope.instance_id)
            if one.name is not None:
                self._name.put(row, one.name)
            if one.unit is not None:
                self._unit.put(row, one.unit)
            for name, text in envelope.tags.items():
                self._tag(row, name, text)
        self._bound(0, 0)

    def _bound(self, rows: int, tags: int) -> None:
        """Refuse to grow beyond measure: a small gauge may have many metrics and many tags."""
        cells = (len(self._rows) + rows) * max(len(self._tags), tags)
        if cells > MOST_CELLS or len(self._more) > MOST_MORE:
            raise OverflowError("the envelopes of a batch have too many rows with too many tags")

    def _tag(self, row: int, name: str, text: str) -> None:
        key = name.encode()
        if key not in self._tags and len(self._tags) >= self._most_tags:
            self._more.append((row, key, text.encode()))
            return
        self._tags.setdefault(key, Coding()).put(row, text)

    def made(self) -> Columns:
        rows, count = self._rows, len(self._rows)
        ends = [0]
        for row in rows:
            ends.append(ends[-1] + len(row.text))
        if ends[-1] > _MOST_TEXT:
            raise OverflowError("the texts of a batch take more than 2 GiB")
        return Columns(
            rows=count,
            times=struct.pack(f"<{count}q", *self._times),
            kinds=bytes(row.kind for row in rows),
            streams=bytes(row.stream for row in rows),
            values=struct.pack(f"<{count}d", *(row.value for row in rows)),
            deltas=struct.pack(f"<{count}Q", *(row.delta for row in rows)),
            durations=struct.pack(f"<{count}q", *(row.duration for row in rows)),
            texts=b"".join(row.text for row in rows),
            ends=struct.pack(f"<{count + 1}i", *ends),
            broken=bytes(not _is_utf8(row.text) for row in rows),
            source_id=self._source.made(count),
            instance_id=self._instance.made(count),
            name=self._name.made(count),
            unit=self._unit.made(count),
            tags={name: coding.made() for name, coding in self._tags.items()},
            more=self._more,
        )


def _rows(envelope: Envelope) -> Iterator[_Row]:
    match envelope.WhichOneof("message"):
        case "log":
            yield _Row(Kind.LOG, stream=int(envelope.log.type == Log.ERR), text=envelope.log.payload)
        case "counter":
            counter = envelope.counter
            yield _Row(Kind.COUNTER, name=counter.name, value=float(counter.total), delta=counter.delta)
        case "gauge" if not envelope.gauge.metrics:
            yield _Row(Kind.GAUGE)
        case "gauge":
            for name, metric in envelope.gauge.metrics.items():
                yield _Row(Kind.GAUGE, name=name, unit=metric.unit, value=metric.value)
        case "timer":
            timer = envelope.timer
            yield _Row(Kind.TIMER, name=timer.name, duration=_wrapped(timer.stop - timer.start))
        case "event":
            yield _Row(Kind.EVENT, name=envelope.event.title, text=envelope.event.body.encode())
        case None:
            yield _Row(Kind.BARE)


def _wrapped(difference: int) -> int:
    """Keep to 64 bits, as a subtraction of two int64 does."""
    return (difference + (1 << 63)) % (1 << 64) - (1 << 63)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
