"""Wire the OTLP nozzle together: each envelope into its signal, each signal to the collector.

In:    envelopes of any kind.
Out:   export requests of logs, metrics and traces, over gRPC or HTTP.
Drops: what the collector rejects, counted. Of signals that are switched off, and of timers that belong to no trace,
       nothing is sent: they are skipped. A collector that does not let us in is tried again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeAlias

import trio

from nozzles.http_sink import HttpSink, Item, Outcome, deliver, envelopes, grouped, open_http
from nozzles.otlp.config import Config
from nozzles.otlp.over_grpc import GrpcCollector
from nozzles.otlp.signals import Signal, items_of, request_of, switched_on
from nozzles.sdk import Batch, SinkUnavailable, Write
from plumbing.island import open_island

_CLOSING_S = 2.0
_FRAME_BYTES = 16  # of a request around its records, at most

Export: TypeAlias = Callable[[Signal, bytes], Awaitable[bytes]]


@asynccontextmanager
async def open_nozzle(config: Config) -> AsyncIterator[Write]:
    """Give the `write` of a collector; nothing is dialled yet."""
    if config.http is not None:
        async with open_http(config.http) as sink:
            yield partial(_write, config, partial(_over_http, sink), config.http.max_body_bytes)
    elif config.grpc is not None:
        async with open_island() as island:
            collector = GrpcCollector(island, config.grpc)
            try:
                yield partial(_write, config, collector.export, config.grpc.max_request_bytes)
            finally:
                with trio.move_on_after(_CLOSING_S, shield=True):
                    await collector.close()


async def _write(config: Config, export: Export, max_bytes: int, batch: Batch) -> None:
    groups: list[list[Item]] = []
    signals: dict[int, Signal] = {}
    for signal in switched_on(config):
        items = list(items_of(signal, batch))
        signals.update((index, signal) for item in items for index in item.indexes)
        groups += grouped(items, max_bytes=max_bytes - _FRAME_BYTES, max_entries=config.items_per_request)

    async def send(items: Sequence[Item]) -> Outcome:
        signal = signals[items[0].indexes[0]]
        answer = await export(signal, request_of(items))
        try:
            rejected = signal.rejected(answer)
        except ValueError as error:
            raise SinkUnavailable(str(error)) from error
        return Outcome({"rejected": min(rejected, envelopes(items))} if rejected else {})

    await deliver(batch, groups, send)


async def _over_http(sink: HttpSink, signal: Signal, request: bytes) -> bytes:
    response = await sink.post(request, path=signal.path, content_type="application/x-protobuf")
    return response.content
