"""The client library `go-log-cache` as servers see it, written after its code (loggregator.md 4.3, 4.7).

It builds addresses as Go does, and reads JSON as strictly: a field it does not know is an error.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import grpc
import httpx
import trio
from google.protobuf import json_format

from envelope.pb import logcache_v1_pb2 as pb
from envelope.pb.loggregator_v2_pb2 import Envelope

ZERO_TIME = -6795364578871345152
"""The nanoseconds of Go's `time.Time{}`, from which old clients read when they mean "from the beginning"."""

_SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


class UnexpectedStatus(Exception):
    """Any other status than 200; clients look for the number in the message."""

    def __init__(self, status: int) -> None:
        super().__init__(f"unexpected status code {status}")
        self.status = status


class Read(Protocol):
    """Reads envelopes of a source from `start` on; options have the names of the query's parameters."""

    async def __call__(self, source_id: str, start: int, **options: Any) -> list[Envelope]:
        """Read once."""
        ...


@dataclass
class GoLogCache:
    """The client over HTTP. It asks for the version of the interface first, once."""

    address: str
    http: httpx.AsyncClient
    base: str = ""
    reads: int = 0
    """How often it has read."""

    async def version(self) -> tuple[int, ...]:
        """Ask which interface this is; one that does not say is the last that could not."""
        answer = await self.http.get(f"{self.address}/api/v1/info")
        if answer.status_code == 404:
            return 1, 4, 7
        _check(answer)
        parsed = _SEMVER.fullmatch(answer.json()["version"])
        assert parsed is not None, answer.text  # the library fails every read then
        return tuple(map(int, parsed.groups()))

    async def uptime_s(self) -> int:
        """Ask how long the machine has been up."""
        return int((await self.http.get(f"{self.address}/api/v1/info")).json()["vm_uptime"])

    async def read(self, source_id: str, start: int, **options: Any) -> list[Envelope]:
        """Read once."""
        query = urlencode({"start_time": start, **options}, doseq=True)
        answer = await self._get(f"{await self._base()}/read/{escaped(source_id)}?{query}")
        self.reads += 1
        return list(json_format.Parse(answer, pb.ReadResponse()).envelopes.batch)

    async def meta(self) -> dict[str, pb.MetaInfo]:
        """Ask what is held."""
        return dict(json_format.Parse(await self._get(f"{await self._base()}/meta"), pb.MetaResponse()).meta)

    async def promql(self, query: str, **times: str) -> pb.PromQL.InstantQueryResult:
        """Evaluate at a moment."""
        data = json.loads(await self._get(f"/api/v1/query?{urlencode({'query': query, **times})}"))["data"]
        result = pb.PromQL.InstantQueryResult()
        match data["resultType"]:
            case "scalar":
                at, value = _point(data["result"])
                result.scalar.CopyFrom(pb.PromQL.Scalar(time=at, value=value))
            case "vector":
                result.vector.SetInParent()
                for sample in data["result"]:
                    at, value = _point(sample["value"])
                    point = pb.PromQL.Point(time=at, value=value)
                    result.vector.samples.add(metric=sample["metric"]).point.CopyFrom(point)
            case "matrix":
                result.matrix.CopyFrom(_matrix(data["result"]))
            case kind:
                raise ValueError(f"unknown instant query resultType '{kind}'")
        return result

    async def promql_range(self, query: str, **times: str) -> pb.PromQL.RangeQueryResult:
        """Evaluate at several."""
        data = json.loads(await self._get(f"/api/v1/query_range?{urlencode({'query': query, **times})}"))["data"]
        assert data["resultType"] == "matrix"
        return pb.PromQL.RangeQueryResult(matrix=_matrix(data["result"]))

    async def promql_raw(self, path: str, query: str, **times: str) -> str:
        """Ask, and give the JSON as it came: of a refusal too, if its status is 400 or 500."""
        answer = await self.http.get(f"{self.address}/api/v1/{path}?{urlencode({'query': query, **times})}")
        if answer.status_code not in (200, 400, 500):
            raise UnexpectedStatus(answer.status_code)
        assert set(answer.json()) <= {"status", "data", "errorType", "error"}
        return answer.text

    async def _base(self) -> str:
        if not self.base:
            self.base = "/api/v1" if await self.version() >= (2, 0, 0) else "/v1"
        return self.base

    async def _get(self, target: str) -> bytes:
        """Ask for a target as it is; httpx would tidy it up."""
        answer = await self.http.get(self.address, extensions={"target": target.encode()})
        _check(answer)
        return answer.content


class GrpcLogCache:
    """The client over gRPC, on a channel of the test."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    async def read(self, source_id: str, start: int, **options: Any) -> list[Envelope]:
        """Read once; types have names, as over HTTP."""
        options = {**options, "descending": "descending" in options}
        request = pb.ReadRequest(source_id=source_id, start_time=start, **options)
        answer: pb.ReadResponse = await self._call("Egress/Read", request, pb.ReadResponse)
        return list(answer.envelopes.batch)

    async def meta(self) -> dict[str, pb.MetaInfo]:
        """Ask what is held."""
        answer: pb.MetaResponse = await self._call("Egress/Meta", pb.MetaRequest(), pb.MetaResponse)
        return dict(answer.meta)

    async def promql(self, query: str, **times: str) -> pb.PromQL.InstantQueryResult:
        """Evaluate at a moment."""
        request = pb.PromQL.InstantQueryRequest(query=query, **times)
        return await self._call("PromQLQuerier/InstantQuery", request, pb.PromQL.InstantQueryResult)

    async def promql_range(self, query: str, **times: str) -> pb.PromQL.RangeQueryResult:
        """Evaluate at several."""
        request = pb.PromQL.RangeQueryRequest(query=query, **times)
        return await self._call("PromQLQuerier/RangeQuery", request, pb.PromQL.RangeQueryResult)

    async def _call(self, method: str, request: Any, answer: Any) -> Any:
        ask = self._channel.unary_unary(f"/logcache.v1.{method}", type(request).SerializeToString, answer.FromString)
        return await trio.to_thread.run_sync(lambda: ask(request, timeout=20))


async def walk(
    read: Read,
    source_id: str,
    visit: Callable[[list[Envelope]], bool],
    *,
    start: int,
    delay_s: float = 2e-9,
    pause_s: float = 0.25,
    max_errors: int = 5,
    **options: Any,
) -> None:
    """`Walk`: read on from the last timestamp that was seen, and one nanosecond, until the visitor returns False.

    What is younger than `delay_s` is thrown away, and read again. Its own delay is the nanoseconds of its default.
    """
    failed = 0
    while True:
        try:
            envelopes = await read(source_id, start, **options)
        except UnexpectedStatus:
            failed += 1
            if failed >= max_errors:
                return
            await trio.sleep(pause_s)
            continue
        young = time.time_ns() - round(delay_s * 1e9)
        while envelopes and envelopes[-1].timestamp > young:
            envelopes.pop()
        if not envelopes:
            await trio.sleep(pause_s)
            continue
        failed = 0
        if not visit(envelopes):
            return
        start = envelopes[-1].timestamp + 1


def escaped(source_id: str) -> str:
    """Escape a path as Go's `URL.EscapedPath` does."""
    return quote(source_id, safe="/$&+,:;=@")


def _check(answer: httpx.Response) -> None:
    if answer.status_code != 200:
        raise UnexpectedStatus(answer.status_code)


def _point(point: Any) -> tuple[str, float]:
    at, value = point
    assert isinstance(at, int | float)
    assert isinstance(value, str)
    return f"{at:.3f}", float(value)


def _matrix(result: Any) -> pb.PromQL.Matrix:
    matrix = pb.PromQL.Matrix()
    for series in result:
        points = [pb.PromQL.Point(time=at, value=value) for at, value in map(_point, series["values"])]
        matrix.series.add(metric=series["metric"], points=points)
    return matrix
