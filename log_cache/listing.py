"""What Grafana asks beside queries: which labels there are, and what kind of numbers a metric has. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from envelope.pb.loggregator_v2_pb2 import EnvelopeBatch
from log_cache.promql.values import Labels
from log_cache.series import sanitised


class Description(NamedTuple):
    """What kind of numbers a metric has, in the words of Prometheus; `unit` is the gauge's own, or empty."""

    name: str
    type: str
    unit: str


def series_of(series: Iterable[Labels]) -> list[dict[str, str]]:
    """Return all series, sorted, each as its labels."""
    return [dict(labels) for labels in sorted(series)]


def names_of(series: Iterable[Labels]) -> list[str]:
    """Return the names of all labels, sorted."""
    return sorted({name for labels in series for name, _ in labels})


def values_of(series: Iterable[Labels], name: str) -> list[str]:
    """Return the values that a label has anywhere, sorted."""
    return sorted({value for labels in series for label, value in labels if label == name})


def descriptions(batch: bytes) -> set[Description]:
    """Say what the metrics in a batch are: a timer is a gauge of nanoseconds."""
    found = set()
    for envelope in EnvelopeBatch.FromString(batch).batch:
        match envelope.WhichOneof("message"):
            case "counter":
                found.add(Description(sanitised(envelope.counter.name), "counter", ""))
            case "timer":
                found.add(Description(sanitised(envelope.timer.name), "gauge", "ns"))
            case "gauge":
                for name, value in envelope.gauge.metrics.items():
                    found.add(Description(sanitised(name), "gauge", value.unit))
    return found


def by_metric(found: Iterable[Description]) -> dict[str, list[dict[str, str]]]:
    """Arrange descriptions as Prometheus's `/api/v1/metadata` does; a metric may have several."""
    metrics: dict[str, list[dict[str, str]]] = {}
    for name, kind, unit in sorted(found):
        metrics.setdefault(name, []).append({"type": kind, "help": "", "unit": unit})
    return metrics
