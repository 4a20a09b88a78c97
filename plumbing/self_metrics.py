"""What a component has to say of itself, as envelopes (`metricemitter`, loggregator.md 0.1). No I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, EnvelopeBatch, Event, Gauge, GaugeValue
from plumbing.diode import Parcel

KINDS = int(Kind.COUNTER | Kind.GAUGE)
"""The kinds of envelope in what `SelfMetrics.batch` gives."""

_VERSION = "2.0"


class SelfMetrics:
    """Readings with names; each becomes one envelope of every batch. Names may repeat with other tags."""

    def __init__(self, origin: str, source_id: str, tags: Mapping[str, str] | None = None) -> None:
        """Say who speaks; `tags` are on every envelope, and none of them replaces what the envelope itself says."""
        self._source_id = source_id
        self._tags = {**(tags or {}), "origin": origin}
        self._readings: list[Callable[[int], Envelope]] = []

    def counter(self, name: str, read: Callable[[], int], **tags: str) -> None:
        """Tell of a number that only grows: how much since the last batch, and how much in all."""
        told = 0

        def envelope(now_ns: int) -> Envelope:
            nonlocal told
            total = read()
            delta, told = max(total - told, 0), total
            return self._envelope(now_ns, tags, counter=Counter(name=name, delta=delta, total=total))

        self._readings.append(envelope)

    def gauge(self, name: str, unit: str, read: Callable[[], float], **tags: str) -> None:
        """Tell of a number that goes up and down, to two decimals."""

        def envelope(now_ns: int) -> Envelope:
            value = GaugeValue(unit=unit, value=round(read(), 2))
            return self._envelope(now_ns, tags, gauge=Gauge(metrics={name: value}))

        self._readings.append(envelope)

    def batch(self, now_ns: int) -> Parcel:
        """Read everything once."""
        return _parcel(*[reading(now_ns) for reading in self._readings])

    def event(self, title: str, body: str, now_ns: int) -> Parcel:
        """Tell of something that happened."""
        return _parcel(self._envelope(now_ns, {}, event=Event(title=title, body=body)))

    def _envelope(self, now_ns: int, tags: Mapping[str, str], **message: Counter | Gauge | Event) -> Envelope:
        versioned = {} if "event" in message else {"metric_version": _VERSION}
        all_tags = {**self._tags, **versioned, **tags}
        return Envelope(timestamp=now_ns, source_id=self._source_id, tags=all_tags, **message)  # type: ignore[arg-type]


def _parcel(*envelopes: Envelope) -> Parcel:
    return Parcel(EnvelopeBatch(batch=envelopes).SerializeToString(), len(envelopes))
