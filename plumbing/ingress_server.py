"""The gRPC v2 `Ingress` service, as agents and Dopplers serve it (loggregator.md 2.1).

In:    envelopes and batches of original and own clients, over mTLS.
Out:   `accept(batch, count, kinds)` on the island's thread.
Drops: what is not an envelope, counted in `IngressCounts.malformed`; the stream goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
import structlog

from envelope import kernel
from envelope.errors import DecodeError
from envelope.framing import frame
from plumbing.acker import Acker
from plumbing.acks import ACKS_METADATA
from plumbing.grpc_server import Method, Service

log = structlog.get_logger(__name__)

INGRESS = "loggregator.v2.Ingress"
_COMPLAINT_EVERY_S = 1.0
Accept = Callable[[bytes, int, int], None]


@dataclass(slots=True)
class IngressCounts:
    """What came in by this door."""

    received: int = 0
    """Envelopes, whether they were any good or not."""
    outside: int = 0
    """Those of them that strangers sent, who ask for no acknowledgements and keep no books."""
    malformed: int = 0
    """Envelopes that do not parse; a message whose framing is broken counts as one."""
    messages: int = 0
    streams: int = 0
    broken_streams: int = 0
    """Streams that did not end in good order: the client vanished, or sent a message over the limit."""


class ClientStreams:
    """Streams of messages from clients, each read until the client ends it or we close; counted all the while."""

    def __init__(self, counts: IngressCounts) -> None:
        self._counts = counts
        self._streams: set[asyncio.Task[Any]] = set()
        self._closing = False
        self._unlogged = 0
        self._complains_at = 0.0

    def method(self, take: Callable[[bytes], None]) -> Method:
        """Serve a method that calls `take` with every message; a `DecodeError` of it skips that message alone."""
        return Method(stream=partial(self._receive, take))

    def close(self) -> None:
        """Finish every open stream in good order and take no new one: what was not read stays with its sender."""
        self._closing = True
        for task in self._streams:
            task.cancel()

    async def refuse_if_closing(self, context: grpc.aio.ServicerContext) -> None:
        """Take nothing in that nobody would come for any more."""
        if self._closing:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "this server is about to stop")

    async def _receive(self, take: Callable[[bytes], None], _: object, context: grpc.aio.ServicerContext) -> None:
        await self.refuse_if_closing(context)
        acker = None
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        self._counts.streams += 1
        try:
            try:
                if ACKS_METADATA in tuple(context.invocation_metadata() or ()):
                    await context.send_initial_metadata((ACKS_METADATA,))
                    acker = Acker(context.write)
                await self._read_all(context, take, acker)
            except asyncio.CancelledError:
                if not self._closing:
                    raise
            finally:
                self._streams.discard(task)
            await self._conclude(context, acker)
        except asyncio.CancelledError:
            self._counts.broken_streams += 1
            raise
        finally:
            self._counts.streams -= 1
            if acker is not None:
                acker.cancel()

    async def _conclude(self, context: grpc.aio.ServicerContext, acker: Acker | None) -> None:
        """Say what has arrived, and give the one answer that an original client waits for."""
        if acker is not None:
            await acker.finish()
        await context.write(b"")

    def _complain(self, context: grpc.aio.ServicerContext, size: int, error: DecodeError) -> None:
        """Log what could not be read, now and then: clients must not be able to fill the log."""
        self._unlogged += 1
        now = asyncio.get_running_loop().time()
        if now >= self._complains_at:
            log.warning("malformed_skipped", peer=context.peer(), size=size, error=str(error), count=self._unlogged)
            self._unlogged, self._complains_at = 0, now + _COMPLAINT_EVERY_S

    async def _read_all(
        self, context: grpc.aio.ServicerContext, take: Callable[[bytes], None], acker: Acker | None
    ) -> None:
        read, counts = context.read, self._counts
        while (message := await read()) is not grpc.aio.EOF:
            before = counts.received
            try:
                take(message)
            except DecodeError as error:
                self._complain(context, len(message), error)
            if acker is not None:
                acker.done(len(message))
            else:
                counts.outside += counts.received - before


class Ingress:
    """The service's methods around one `accept`."""

    def __init__(self, accept: Accept, counts: IngressCounts, *, unary_send: bool) -> None:
        self._accept = accept
        self._counts = counts
        self._unary_send = unary_send
        self._streams = ClientStreams(counts)

    def service(self) -> Service:
        """Give the methods to be served under the name `INGRESS`."""
        return {
            "Sender": self._streams.method(self._take_envelope),
            "BatchSender": self._streams.method(self._take),
            "Send": Method(unary=self._send),
        }

    def close(self) -> None:
        """Finish every open stream in good order and take no new one: what was not read stays with its sender."""
        self._streams.close()

    async def _send(self, message: bytes, context: grpc.aio.ServicerContext) -> bytes:
        if not self._unary_send:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "this endpoint is not yet implemented")
        await self._streams.refuse_if_closing(context)
        try:
            self._take(message)
        except DecodeError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"not an EnvelopeBatch: {error}")
        return b""

    def _take_envelope(self, message: bytes) -> None:
        self._take(frame(message))

    def _take(self, message: bytes) -> None:
        counts = self._counts
        counts.messages += 1
        try:
            batch, count, kinds, malformed = kernel.admit(message)
        except DecodeError:
            counts.received += 1
            counts.malformed += 1
            raise
        counts.received += count + malformed
        counts.malformed += malformed
        if count:
            self._accept(batch, count, kinds)
