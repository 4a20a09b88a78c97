"""The latest value of each series, in a bounded table. No clock, no tasks, no I/O."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from nozzles.prometheus_series import Sample

_OWN = "standpipe_prometheus_series"
_KEPT = "The latest value that an envelope told."


class Latest(NamedTuple):
    """What is known of a series."""

    sample: Sample
    heard_at: float


Key: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(slots=True, kw_only=True)
class Table:
    """Keeps `max_series` of those heard of within `expire_s`; who was heard of longest ago goes first."""

    max_series: int
    expire_s: float
    evicted_total: int = field(default=0, init=False)
    expired_total: int = field(default=0, init=False)
    _latest: OrderedDict[Key, Latest] = field(default_factory=OrderedDict, init=False)

    def put(self, sample: Sample, now: float) -> None:
        """Take a sample; one that is older than what is known of its series changes no value.

        A name that begins as those of our own metrics do has a `_` put in front: a family that is there twice would
        spoil the whole page.
        """
        if sample.name.startswith(_OWN):
            sample = sample._replace(name=f"_{sample.name}")
        key = sample.name, sample.labels
        known = self._latest.get(key)
        if known is not None and known.sample.timestamp > sample.timestamp:
            sample = known.sample
        self._latest[key] = Latest(sample, now)
        self._latest.move_to_end(key)
        if len(self._latest) > self.max_series:
            self._latest.popitem(last=False)
            self.evicted_total += 1

    def samples(self, now: float) -> list[Sample]:
        """Forget what has expired, and give the rest."""
        while self._latest and next(iter(self._latest.values())).heard_at <= now - self.expire_s:
            self._latest.popitem(last=False)
            self.expired_total += 1
        return [latest.sample for latest in self._latest.values()]

    def snapshot(self, now: float) -> list[Metric]:
        """Give every series that is kept, and how many there are and were, as `prometheus_client` has them."""
        shown = self.samples(now)
        own: list[Metric] = [
            GaugeMetricFamily(_OWN, "Series that are shown.", len(shown)),
            CounterMetricFamily(f"{_OWN}_evicted", "Series that others took the place of.", self.evicted_total),
            CounterMetricFamily(f"{_OWN}_expired", "Series that nothing was heard of.", self.expired_total),
        ]
        return [*families(shown), *own]


def families(samples: Iterable[Sample]) -> list[Metric]:
    """Put the samples of one name together."""
    found: dict[str, Metric] = {}
    for sample in samples:
        family = found.get(sample.name)
        if family is None:
            name = sample.name.removesuffix("_total")
            family = Metric(name, _KEPT, "counter") if sample.is_counter else Metric(sample.name, _KEPT, "gauge")
            found[sample.name] = family
        family.add_sample(sample.name, dict(sample.labels), sample.value)
    return list(found.values())
