"""`RLPGatewayClient` of go-loggregator as servers see it, written after its code (loggregator.md 2.8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx
import trio
from google.protobuf import json_format

from envelope.pb import loggregator_v2_pb2 as v2


class GaveUp(Exception):
    """Ten attempts in a row have failed."""


@dataclass
class RlpGatewayClient:
    """One client; `token` gives what is shown, as the token providers of its users do."""

    address: str
    http: httpx.AsyncClient
    token: Callable[[], str]
    max_failures: int = 10
    failures: list[str] = field(default_factory=list)
    connects: int = 0

    async def stream(self, request: v2.EgressBatchRequest, heard: Callable[[v2.Envelope], None]) -> None:
        """Hear envelopes over one connection after the other; raise `GaveUp` when none can be made."""
        in_a_row = 0
        while in_a_row < self.max_failures:
            try:
                await self._connect(request, heard)
                in_a_row = 0
            except (httpx.HTTPError, EOFError) as error:
                self.failures.append(str(error))
                in_a_row += 1
            await trio.sleep(0.01)  # a second, in the original
        raise GaveUp(self.failures[-1])

    async def _connect(self, request: v2.EgressBatchRequest, heard: Callable[[v2.Envelope], None]) -> None:
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-cache", "Authorization": self.token()}
        url = f"{self.address}/v2/read{query_of(request)}"
        async with self.http.stream("GET", url, headers=headers) as answer:
            if answer.status_code != 200:
                body = (await answer.aread()).decode()
                raise httpx.HTTPError(f"unexpected status code {answer.status_code}: {body}")
            self.connects += 1
            lines = _Lines(answer)
            buffered = b""
            while not (line := await lines.next()).startswith(b"event: closing"):
                if line.startswith(b"event: heartbeat"):
                    await lines.next()
                    await lines.next()
                elif line.startswith(b"data: "):
                    buffered += line.removeprefix(b"data: ")
                elif line == b"\n" and buffered:
                    batch, buffered = json_format.Parse(buffered, v2.EnvelopeBatch()), b""
                    for envelope in batch.batch:
                        heard(envelope)
            await lines.rest()


class _Lines:
    """Whole lines of an answer, with their ends."""

    def __init__(self, answer: httpx.Response) -> None:
        self._pieces = answer.aiter_raw()
        self._arrived = b""

    async def next(self) -> bytes:
        """Return the next one, or raise `EOFError`."""
        while b"\n" not in self._arrived:
            try:
                self._arrived += await anext(self._pieces)
            except StopAsyncIteration:
                raise EOFError("failed while reading stream: EOF") from None
        line, end, self._arrived = self._arrived.partition(b"\n")
        return line + end

    async def rest(self) -> None:
        """Read on to the end of the answer, and forget it."""
        async for _ in self._pieces:
            pass


def query_of(request: v2.EgressBatchRequest) -> str:
    """Write the query; as in the original, nothing is escaped, and a type with a name wins over one without."""
    query = [f"shard_id={request.shard_id}"] if request.shard_id else []
    query += [f"deterministic_name={request.deterministic_name}"] if request.deterministic_name else []
    for selector in request.selectors:
        query += [f"source_id={selector.source_id}"] if selector.source_id else []
        query.append(_type_of(selector))
    for kind in ("counter", "gauge"):
        if any(each.startswith(f"{kind}.name") for each in query):
            query = [each for each in query if each != kind]
    seen: Sequence[str] = [each for each in query if each.startswith("source_id=")]
    first = {each: query.index(each) for each in seen}
    query = [each for index, each in enumerate(query) if first.get(each, index) == index]
    return f"?{'&'.join(query)}" if query else ""


def _type_of(selector: v2.Selector) -> str:
    kind = selector.WhichOneof("message")
    if kind == "counter" and selector.counter.name:
        return f"counter.name={selector.counter.name}"
    if kind == "gauge" and selector.gauge.names:
        [name] = selector.gauge.names  # the original gives up on more
        return f"gauge.name={name}"
    return str(kind)
