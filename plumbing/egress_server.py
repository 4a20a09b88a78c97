"""The gRPC v2 `Egress` service, as Dopplers serve it (loggregator.md 1.8, 2.1).

In:    parcels from a `Reader`, which the component opens for each request.
Out:   batches; whatever waits leaves as one message.
Drops: nothing here. What a broken stream did not deliver goes back to the reader.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import grpc
import structlog

from envelope.errors import DecodeError
from plumbing.acks import ACKS_METADATA, Window, decode_ack
from plumbing.diode import Parcel
from plumbing.first_of import first_of
from plumbing.grpc_server import Method, Service

log = structlog.get_logger(__name__)

EGRESS = "loggregator.v2.Egress"
MESSAGE_BYTES = 256 << 10  # gRPC costs per message: join what waits, up to here
WINDOW_BYTES = 2 << 20  # sent and not acknowledged, per stream


class Reader(Protocol):
    """One open request for envelopes."""

    window: Window
    """What is on its way to the peer; the stream keeps it, the reader's books show it."""

    async def next(self, max_bytes: int) -> list[Parcel]:
        """Wait for parcels; an empty list ends the stream."""

    def delivered(self, envelopes: int) -> None:
        """So many more envelopes have arrived."""

    def leave(self, undelivered: list[Parcel]) -> None:
        """The stream is gone; these parcels were taken and did not arrive."""


class RequestRefused(ValueError):
    """A request that no stream can be opened for; `code` is a gRPC status name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Egress:
    """The service's methods around one `open_reader`."""

    def __init__(self, open_reader: Callable[[bytes], Reader]) -> None:
        self._open_reader = open_reader

    def service(self) -> Service:
        """Give the methods to be served under the name `EGRESS`."""
        return {"BatchedReceiver": Method(stream=self._batched_receiver), "Receiver": Method(stream=self._receiver)}

    async def _receiver(self, _: object, context: grpc.aio.ServicerContext) -> None:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "use BatchedReceiver instead")

    async def _batched_receiver(self, _: object, context: grpc.aio.ServicerContext) -> None:
        request = await context.read()
        if request is grpc.aio.EOF:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "an EgressBatchRequest is needed")
        try:
            reader = self._open_reader(request)
        except RequestRefused as error:
            await context.abort(getattr(grpc.StatusCode, error.code), str(error))
        stream = _Stream(context, reader)
        try:
            await stream.run()
        finally:
            reader.leave(reader.window.abandon())


class _Stream:
    """One open stream and its window."""

    def __init__(self, context: grpc.aio.ServicerContext, reader: Reader) -> None:
        self._context = context
        self._reader = reader
        self._acked = asyncio.Event()
        self._window = reader.window

    async def run(self) -> None:
        """Send until the reader ends or the peer leaves."""
        if ACKS_METADATA not in tuple(self._context.invocation_metadata() or ()):
            await self._send_unacknowledged()
            return
        await self._context.send_initial_metadata((ACKS_METADATA,))
        await first_of(self._send(), self._listen())

    async def _send_unacknowledged(self) -> None:
        window, reader = self._window, self._reader
        # An original client waits for the headers before its first read.
        await self._context.send_initial_metadata(())
        while parcels := await reader.next(MESSAGE_BYTES):
            window.sent(parcels)
            await self._context.write(_join(parcels))
            reader.delivered(window.acknowledge_all())

    async def _send(self) -> None:
        window, reader = self._window, self._reader
        while parcels := await reader.next(MESSAGE_BYTES):
            window.sent(parcels)
            await self._context.write(_join(parcels))
            while window.in_flight_bytes > WINDOW_BYTES:
                await self._next_ack()
        while window.in_flight:
            await self._next_ack()

    async def _next_ack(self) -> None:
        self._acked.clear()
        await self._acked.wait()

    async def _listen(self) -> None:
        while (message := await self._context.read()) is not grpc.aio.EOF:
            try:
                self._reader.delivered(self._window.acknowledge(decode_ack(message)))
            except DecodeError as error:
                log.warning("bad_acknowledgement", peer=self._context.peer(), error=str(error))
                return
            self._acked.set()


def _join(parcels: list[Parcel]) -> bytes:
    return parcels[0].batch if len(parcels) == 1 else b"".join([parcel.batch for parcel in parcels])
