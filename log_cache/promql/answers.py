"""Results as they go out: Prometheus's JSON, and the messages of the gRPC service."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import add
from typing import TypeAlias

import orjson

from envelope.framing import varint
from envelope.numbers_as_text import shortest
from envelope.pb import logcache_v1_pb2 as logcache
from log_cache.promql.values import Labels, QueryError, Result, Sample

Points: TypeAlias = Sequence[tuple[float, float]]


def to_json(result: Result) -> bytes:
    """Write a result as Prometheus's HTTP API does: times with three decimals, values as the shortest decimal text.

    Hot path of large ranges: about 0.3 µs a point.
    """
    match result.kind:
        case "scalar" | "string":
            time_s, value = result.data
            text = orjson.dumps(value if isinstance(value, str) else shortest(value))
            written = b"[%.3f,%b]" % (time_s, text)
        case "vector":
            written = b"[%b]" % b",".join(_vector(result.data))
        case "matrix":
            written = b"[%b]" % b",".join(_matrix(result.data))
    return b'{"status":"success","data":{"resultType":"%b","result":%b}}' % (result.kind.encode(), written)


def _vector(samples: Sequence[Sample]) -> Iterable[bytes]:
    opened = _Opened()
    texts = _texts([sample.value for sample in samples])
    for sample, text in zip(samples, texts, strict=True):
        yield b'{"metric":%b,"value":%b%b"]}' % (_metric(sample.labels), opened[sample.time_s], text)


def _matrix(series: Sequence[tuple[Labels, Points]]) -> Iterable[bytes]:
    opened = _Opened()
    for labels, points in series:
        if points:
            times, values = zip(*points, strict=True)
            joined = b'"],'.join(map(add, map(opened.__getitem__, times), _texts(values)))
            yield b'{"metric":%b,"values":[%b"]]}' % (_metric(labels), joined)


class _Opened(dict[float, bytes]):
    """By its time, how a point begins: all series have the same times, so each is written once."""

    def __missing__(self, time_s: float) -> bytes:
        self[time_s] = text = b'[%.3f,"' % time_s
        return text


def _texts(values: Sequence[float]) -> list[bytes]:
    """Write numbers as Go's `FormatFloat(value, 'f', -1, 64)` does.

    orjson writes the same digits; what it writes with an exponent, or not at all, is rare and written again.
    """
    if not values:
        return []
    dumped = orjson.dumps(values)[1:-1] + b","
    texts = dumped.replace(b".0,", b",").split(b",")[:-1]
    if b"e" in dumped or b"n" in dumped:
        return [
            shortest(value).encode() if b"e" in text or b"n" in text else text
            for value, text in zip(values, texts, strict=True)
        ]
    return texts


def _metric(labels: Labels) -> bytes:
    return orjson.dumps(dict(labels))


def to_instant_result(result: Result) -> bytes:
    """Write a result as a serialised `PromQL.InstantQueryResult`; there is none for a string."""
    answer = logcache.PromQL.InstantQueryResult()
    match result.kind:
        case "scalar":
            time_s, value = result.data
            answer.scalar.time, answer.scalar.value = f"{time_s:.3f}", value
        case "vector":
            answer.vector.SetInParent()
            for labels, time_s, value in result.data:
                sample = answer.vector.samples.add(metric=dict(labels))
                sample.point.time, sample.point.value = f"{time_s:.3f}", value
        case "matrix":
            return _matrix_result(b"\x1a", result.data)
        case "string":
            raise QueryError("bad_data", "a string has no form in this answer")
    return answer.SerializeToString()


def to_range_result(result: Result) -> bytes:
    """Write a matrix as a serialised `PromQL.RangeQueryResult`."""
    return _matrix_result(b"\x0a", result.data)


def _matrix_result(tag: bytes, series: Sequence[tuple[Labels, Points]]) -> bytes:
    """Write a result whose field of that tag is a matrix, a series at a time: no other thread runs meanwhile."""
    written = [_series(labels, points) for labels, points in series]
    matrix = b"".join([b"\x0a" + varint(len(each)) + each for each in written])
    return tag + varint(len(matrix)) + matrix


def _series(labels: Labels, points: Points) -> bytes:
    series = logcache.PromQL.Series(metric=dict(labels))
    for time_s, value in points:
        series.points.add(time=f"{time_s:.3f}", value=value)
    return series.SerializeToString()
