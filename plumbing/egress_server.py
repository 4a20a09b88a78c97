"""Streams of envelopes to whoever subscribes, v1 and v2 (loggregator.md 1.8, 1.9, 2.1, 2.3).

In:    parcels from a `Reader`, which the component opens for each request.
Out:   batches; whatever waits leaves as one message.
Drops: nothing here. What a broken stream did not deliver goes back to the reader.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Protocol

import grpc
import structlog

from envelope.errors import DecodeError
from envelope.framing import frames
from envelope.pieces import pieces
from plumbing.acks import (
    ACKS_METADATA,
    BULK,
    BULK_METADATA,
    CHANGES_METADATA,
    PROMPT,
    WINDOW_ENVELOPES,
    Window,
    decode_ack,
    is_ack,
)
from plumbing.diode import Parcel
from plumbing.first_of import first_of
from plumbing.grpc_server import Method

log = structlog.get_logger(__name__)

EGRESS = "loggregator.v2.Egress"
MESSAGE_BYTES = 256 << 10  # gRPC costs per message: join what waits, up to here
_NEARLY_FULL_BYTES = MESSAGE_BYTES // 2


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


OpenReader = Callable[[bytes], Reader]
Change = Callable[[Any, bytes], None]


def batches(open_reader: OpenReader, change: Change | None = None) -> Method:
    """Serve a method that answers a request with a stream of batches: whatever waits leaves as one message.

    With `change(reader, request)`, a peer that acknowledges may replace its request while the stream is open; what
    it raises of `RequestRefused` or `DecodeError` ends the stream.
    """
    return Method(stream=partial(_serve, open_reader, partial(_send_batches, change)))


def singles(open_reader: OpenReader, messages: Callable[[bytes], Sequence[bytes]]) -> Method:
    """Serve a method that answers with one envelope to a message; `messages` cuts a batch into them."""
    return Method(stream=partial(_serve, open_reader, partial(_send_singles, messages)))


def refused(code: str, text: str) -> Method:
    """Serve a method that is always answered with an error; `code` is a gRPC status name."""

    async def refuse(_: object, context: grpc.aio.ServicerContext) -> None:
        await context.abort(getattr(grpc.StatusCode, code), text)

    return Method(stream=refuse)


async def _serve(
    open_reader: OpenReader,
    send: Callable[[grpc.aio.ServicerContext, Reader], Awaitable[None]],
    _: object,
    context: grpc.aio.ServicerContext,
) -> None:
    request = await context.read()
    if request is grpc.aio.EOF:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a request is needed")
    try:
        reader = open_reader(request)
    except RequestRefused as error:
        await context.abort(getattr(grpc.StatusCode, error.code), str(error))
    try:
        await send(context, reader)
    except grpc.aio.InternalError as error:  # a write that met the end of the stream
        log.info("reader_gone", peer=context.peer(), error=str(error))
    finally:
        reader.leave(reader.window.abandon())


async def _send_batches(change: Change | None, context: grpc.aio.ServicerContext, reader: Reader) -> None:
    await _Stream(context, reader, change).run()


async def _send_singles(
    messages: Callable[[bytes], Sequence[bytes]], context: grpc.aio.ServicerContext, reader: Reader
) -> None:
    window, done = reader.window, 0
    await context.send_initial_metadata(())
    while parcels := await reader.next(MESSAGE_BYTES):
        ready = [single for parcel in parcels for single in _singles(parcel, messages)]
        for _, single in ready:
            window.sent([single])
        for message, _ in ready:
            if message is not None:
                await context.write(message)
            done += 1
            reader.delivered(window.acknowledge(done))


def _singles(parcel: Parcel, messages: Callable[[bytes], Sequence[bytes]]) -> list[tuple[bytes | None, Parcel]]:
    """Give each message its own parcel; the last one settles the whole, or the parcel itself if it has no message."""
    found = messages(parcel.batch)
    if not found:
        return [(None, parcel)]
    singles = [parcel._replace(batch=framed, envelopes=1, settled=None) for framed in frames(parcel.batch)]
    singles[-1] = singles[-1]._replace(settled=parcel.settled)
    return list(zip(found, singles, strict=True))


class _Stream:
    """One open stream and its window."""

    def __init__(self, context: grpc.aio.ServicerContext, reader: Reader, change: Change | None) -> None:
        self._context = context
        self._reader = reader
        self._change = change
        self._acked = asyncio.Event()
        self._window = reader.window
        self._asked = tuple(context.invocation_metadata() or ())
        self._pace = BULK if BULK_METADATA in self._asked else PROMPT

    async def run(self) -> None:
        """Send until the reader ends or the peer leaves."""
        if ACKS_METADATA not in self._asked:
            await self._send_unacknowledged()
            return
        self._window.peer_acknowledges = True
        grants = (ACKS_METADATA, CHANGES_METADATA) if self._change else (ACKS_METADATA,)
        await self._context.send_initial_metadata(grants)
        await first_of(self._send(), self._listen())

    async def _send_unacknowledged(self) -> None:
        window, reader, done = self._window, self._reader, 0
        # An original client waits for the headers before its first read.
        await self._context.send_initial_metadata(())
        while parcels := await reader.next(MESSAGE_BYTES):
            messages = _messages(parcels)
            for message in messages:
                window.sent(message)
            for message in messages:
                await self._context.write(_join(message))
                done += 1
                reader.delivered(window.acknowledge(done))

    async def _send(self) -> None:
        window, reader, pace = self._window, self._reader, self._pace
        while parcels := await reader.next(MESSAGE_BYTES):
            window.sent(parcels)
            message = _join(parcels)
            await self._context.write(message)
            while window.in_flight_bytes > pace.window_bytes or window.in_flight > WINDOW_ENVELOPES:
                await self._next_ack()
            if pace.pause_s and len(message) < _NEARLY_FULL_BYTES:
                await asyncio.sleep(pace.pause_s)
        while window.in_flight:
            await self._next_ack()

    async def _next_ack(self) -> None:
        self._acked.clear()
        await self._acked.wait()

    async def _listen(self) -> None:
        while (message := await self._context.read()) is not grpc.aio.EOF:
            try:
                self._hear(message)
            except (DecodeError, RequestRefused) as error:
                log.warning("bad_message_of_reader", peer=self._context.peer(), error=str(error))
                return

    def _hear(self, message: bytes) -> None:
        if self._change is not None and not is_ack(message):
            self._change(self._reader, message)
            return
        self._reader.delivered(self._window.acknowledge(decode_ack(message)))
        self._acked.set()


def _messages(parcels: list[Parcel]) -> list[list[Parcel]]:
    """Say what leaves together: all of it, unless that is more than a client of gRPC's default takes, 4 MiB."""
    if sum(len(parcel.batch) for parcel in parcels) <= MESSAGE_BYTES:
        return [parcels]
    return [[part] for parcel in parcels for part in _parts(parcel)]


def _parts(parcel: Parcel) -> list[Parcel]:
    """Cut a large parcel; one of v1 of that size is a single envelope. The last part settles the whole."""
    if len(parcel.batch) <= MESSAGE_BYTES or parcel.envelopes == 1:
        return [parcel]
    parts = [
        parcel._replace(batch=batch, envelopes=count, settled=None)
        for batch, count in pieces(parcel.batch, MESSAGE_BYTES)
    ]
    parts[-1] = parts[-1]._replace(settled=parcel.settled)
    return parts


def _join(parcels: list[Parcel]) -> bytes:
    return parcels[0].batch if len(parcels) == 1 else b"".join([parcel.batch for parcel in parcels])
