"""What a log cache says of its sources: how much of each it holds, and how fast it comes. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

_MINUTE_S = 60.0
_NANOSECONDS = 10**9


class Order(StrEnum):
    """What sources are sorted by: by name, or whoever has most first."""

    SOURCE = "source"
    COUNT = "count"
    EXPIRED = "expired"
    DURATION = "duration"
    RATE = "rate"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMeta:
    """One source, as the log cache knows it."""

    source_id: str
    count: int
    """Envelopes that are held."""
    expired: int
    """Envelopes that were held once."""
    oldest: int
    """Nanoseconds since 1970."""
    newest: int
    rate: float
    """Envelopes a minute: of those that are held, or where an interval was measured, in that."""

    @property
    def duration_s(self) -> float:
        """How much time the envelopes that are held span: a second at least."""
        return _span_s(self.oldest, self.newest)


def parse_meta(answer: Any) -> list[SourceMeta]:
    """Read an answer to `/api/v1/meta`: the gateway's, or a proxy's, which leaves out zeros.

    What is none fails as it happens to: `ValueError`, `TypeError`, `AttributeError`.
    """
    return [_source(source_id, fields) for source_id, fields in answer.get("meta", {}).items()]


def measured(before: list[SourceMeta], after: list[SourceMeta], seconds: float) -> list[SourceMeta]:
    """Return `after` with the rates of the interval between; a source that began anew has all its envelopes in it."""
    earlier = {each.source_id: each.count + each.expired for each in before}
    return [_with_rate(each, earlier.get(each.source_id, 0), seconds) for each in after]


def in_order(sources: list[SourceMeta], order: Order) -> list[SourceMeta]:
    """Sort sources: those with the most first, equal ones by name."""
    return sorted(sources, key=lambda each: (-_KEYS[order](each), each.source_id))


_KEYS: Mapping[Order, Callable[[SourceMeta], float]] = {
    Order.SOURCE: lambda _: 0,
    Order.COUNT: lambda each: each.count,
    Order.EXPIRED: lambda each: each.expired,
    Order.DURATION: lambda each: each.duration_s,
    Order.RATE: lambda each: each.rate,
}


def _source(source_id: str, fields: Mapping[str, Any]) -> SourceMeta:
    count = int(fields.get("count", 0))
    oldest = int(fields.get("oldest_timestamp", fields.get("oldestTimestamp", 0)))
    newest = int(fields.get("newest_timestamp", fields.get("newestTimestamp", 0)))
    return SourceMeta(
        source_id=source_id,
        count=count,
        expired=int(fields.get("expired", 0)),
        oldest=oldest,
        newest=newest,
        rate=count * _MINUTE_S / _span_s(oldest, newest),
    )


def _with_rate(source: SourceMeta, earlier: int, seconds: float) -> SourceMeta:
    arrived = source.count + source.expired
    return replace(source, rate=(arrived - earlier if arrived >= earlier else arrived) * _MINUTE_S / seconds)


def _span_s(oldest: int, newest: int) -> float:
    return max(1.0, (newest - oldest) / _NANOSECONDS)
