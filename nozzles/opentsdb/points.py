"""What OpenTSDB is told of an envelope: a counter's total, each metric of a gauge, how long a timer took."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from envelope.pb.loggregator_v2_pb2 import Envelope
from nozzles.opentsdb.config import Config

_FOREIGN = re.compile(r"[^-_./a-zA-Z0-9]")
_LONGEST = 255  # characters of a name or a tag's value
_MOST_INTEGER = (1 << 63) - 1


class Point(NamedTuple):
    """One value at one time; all text in it is of characters that OpenTSDB takes."""

    metric: str
    timestamp: int
    value: int | float
    tags: dict[str, str]

    def line(self) -> bytes:
        """Write it as a line of the telnet protocol."""
        tags = " ".join(f"{key}={value}" for key, value in self.tags.items())
        return f"put {self.metric} {self.timestamp} {self.value!r} {tags}\n".encode()

    def json(self) -> dict[str, object]:
        """Give what its JSON is made of."""
        return self._asdict()


def clean(text: str) -> str:
    """Put `_` for each character that OpenTSDB does not take, and keep the first 255."""
    return _FOREIGN.sub("_", text[:_LONGEST])


def points(envelope: Envelope, config: Config) -> list[Point] | None:
    """Make the points of an envelope; None of a kind that has none.

    What has no name and what is no finite number is no point.
    """
    if envelope.WhichOneof("message") not in (("counter", "gauge", "timer") if config.timers else ("counter", "gauge")):
        return None
    prefix = [part for part in (clean(config.prefix), clean(envelope.tags.get("origin", ""))) if part]
    tags = _tags(envelope, config)
    timestamp = envelope.timestamp
    if envelope.HasField("timer"):
        timestamp = envelope.timer.stop or timestamp
    timestamp //= 1_000_000 if config.milliseconds else 1_000_000_000
    return [
        Point(".".join([*prefix, clean(name)]), timestamp, value, tags)
        for name, value in _values(envelope)
        if name and math.isfinite(value)
    ]


def _tags(envelope: Envelope, config: Config) -> dict[str, str]:
    """Give the tags that have a value; OpenTSDB wants one at least."""
    own = {"source_id": envelope.source_id, "instance_id": envelope.instance_id}
    found = ((key, own.get(key) or envelope.tags.get(key, "")) for key in config.tags)
    return {clean(key): clean(value) for key, value in found if value} or {"source_id": "unknown"}


def _values(envelope: Envelope) -> Iterator[tuple[str, int | float]]:
    match envelope.WhichOneof("message"):
        case "counter":
            total = envelope.counter.total
            yield envelope.counter.name, total if total <= _MOST_INTEGER else float(total)
        case "gauge":
            for name, metric in envelope.gauge.metrics.items():
                yield name, metric.value
        case "timer":
            yield envelope.timer.name, (envelope.timer.stop - envelope.timer.start) / 1e6
