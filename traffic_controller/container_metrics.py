"""The newest ContainerMetric of each instance of an app, as old clients ask for it (loggregator.md 3.1).

Without a log cache there is nothing to look in, and the answer is no metric at all. The original, in its last release
with this path, made one up, all zeros; an app that uses no memory is not what a client should read.
"""

from __future__ import annotations

from collections.abc import Iterable

from envelope.pb import dropsonde_pb2 as v1

MAX_AGE_S = 60
"""How far back the original looks; an instance that was silent for longer is taken for gone."""


def newest_of_each_instance(envelopes: Iterable[v1.Envelope]) -> list[v1.Envelope]:
    """Leave out what is no ContainerMetric or is older than another of the same instance; instances in order."""
    newest: dict[int, v1.Envelope] = {}
    for envelope in envelopes:
        if envelope.HasField("containerMetric"):
            metric: v1.ContainerMetric = envelope.containerMetric
            index = metric.instanceIndex
            if index not in newest or newest[index].timestamp < envelope.timestamp:
                newest[index] = envelope
    return [newest[index] for index in sorted(newest)]
