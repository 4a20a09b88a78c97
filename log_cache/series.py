"""The series of one source: how its metrics and tags are called in PromQL (loggregator.md 4.4). No I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import numpy as np

from envelope.pb.loggregator_v2_pb2 import Envelope
from log_cache.promql.values import NAME, Labels, Series, labels_of

Key: TypeAlias = tuple[bytes, bytes, bytes]
"""The raw name of a metric, the instance_id, and the tags as entries of an `Envelope`."""

Samples: TypeAlias = Mapping[Key, tuple[bytes, bytes]]
"""What `kernel.samples` gives: nanoseconds (`<i8`) and values (`<f8`) of each key, in order of arrival."""

_SECOND_NS = 1_000_000_000
_SECOND_MS = 1000
# As the original has it: `[` and `\\` are between Z and a, so they pass the first half and fall to the second.
_NOT_IN_A_NAME = re.compile(r"^[^A-z_]|[\W_]", re.ASCII)


def sanitised(name: str) -> str:
    """Return what PromQL calls a metric: each character that may not stand in a name becomes one underscore."""
    return _NOT_IN_A_NAME.sub("_", name)


class Wanted(dict[bytes, bool]):
    """Says of a raw name whether `wants` asks for what PromQL calls it, and remembers it."""

    def __init__(self, wants: Callable[[str], bool]) -> None:
        super().__init__()
        self._wants = wants

    def __missing__(self, name: bytes) -> bool:
        wanted = self[name] = self._wants(sanitised(name.decode("utf-8", "replace")))
        return wanted


def series_of(source_id: str, parts: Iterable[Samples]) -> list[Series]:
    """Join what belongs to the same series, in order of time.

    Labels are the tags, by the names they have even where those are none in PromQL, then `source_id` and `instance_id`,
    which win, and `__name__`. Times are cut to whole seconds; what was sent within one second stays in order.
    """
    known: dict[Key, Labels] = {}
    joined: dict[Labels, tuple[list[bytes], list[bytes]]] = {}
    for part in parts:
        for key, (times, values) in part.items():
            labels = known.get(key)
            if labels is None:
                labels = known[key] = _labels(source_id, key)
            row = joined.setdefault(labels, ([], []))
            row[0].append(times)
            row[1].append(values)
    return [_series(labels, b"".join(times), b"".join(values)) for labels, (times, values) in joined.items()]


def _labels(source_id: str, key: Key) -> Labels:
    name, instance_id, tags = key
    pairs = dict(Envelope.FromString(tags).tags)
    pairs["source_id"] = source_id
    if instance_id:
        pairs["instance_id"] = instance_id.decode("utf-8", "replace")
    pairs[NAME] = sanitised(name.decode("utf-8", "replace"))
    return labels_of(pairs)


def _series(labels: Labels, times: bytes, values: bytes) -> Series:
    moments = np.frombuffer(times, "<i8")
    numbers = np.frombuffer(values, "<f8")
    if np.any(moments[1:] < moments[:-1]):
        order = np.argsort(moments, kind="stable")
        moments, numbers = moments[order], numbers[order]
    return Series(labels, moments // _SECOND_NS * _SECOND_MS, numbers)
