"""Metrics that are read when they are scraped: hot paths count in plain ints of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector


class ByLabels(Protocol):
    """A mapping of tuples of label values to values; read-only, so that `dict[tuple[str], int]` is one."""

    def items(self) -> Iterable[tuple[tuple[str, ...], float]]:
        """Return its pairs."""


Reading: TypeAlias = float | ByLabels


class Metrics:
    """The metrics of one process, those of the process itself included. Names are unique."""

    def __init__(self, kernel: str | None = None) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        active = kernel or _active_kernel()
        self.gauge(
            "standpipe_kernel_active", "The wire kernel: compiled or reference.", lambda: {(active,): 1}, ("kernel",)
        )

    def counter(self, name: str, help: str, read: Callable[[], Reading], labels: Sequence[str] = ()) -> None:  # noqa: A002
        """Expose a number that only grows; `name` ends in `_total`."""
        if not name.endswith("_total"):
            raise ValueError(f"a counter's name ends in _total: {name}")
        self.registry.register(_Read(CounterMetricFamily, name, help, read, tuple(labels)))

    def gauge(self, name: str, help: str, read: Callable[[], Reading], labels: Sequence[str] = ()) -> None:  # noqa: A002
        """Expose a number that goes up and down."""
        self.registry.register(_Read(GaugeMetricFamily, name, help, read, tuple(labels)))


def _active_kernel() -> str:
    from envelope import kernel  # late: whoever says which kernel runs needs none

    return kernel.ACTIVE


@dataclass(frozen=True, eq=False)
class _Read(Collector):
    family: type[CounterMetricFamily] | type[GaugeMetricFamily]
    name: str
    meaning: str
    read: Callable[[], Reading]
    labels: tuple[str, ...]

    def describe(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Name the metric without reading it."""
        yield self.family(self.name, self.meaning, labels=self.labels)

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Read it."""
        metric = self.family(self.name, self.meaning, labels=self.labels)
        reading = self.read()
        for values, value in [((), reading)] if isinstance(reading, int | float) else reading.items():
            if len(values) != len(self.labels):
                raise ValueError(f"{self.name} has labels {self.labels}, and a reading for {values}")
            metric.add_metric(values, value)
        yield metric
