"""Write to a drain over TCP, plain or with TLS: each message behind the count of its bytes (RFC 6587).

In:    batches.
Out:   one connection, dialled when there is something to send; what the drain says is read and forgotten.
Drops: nothing knowingly: what the system took is delivered as far as syslog can tell, which has no answers.
"""

from __future__ import annotations

import ssl
from bisect import bisect_right
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from syslog_adapter.addresses import Addresses
from syslog_adapter.drain_url import DrainUrl
from syslog_adapter.writers.config import WriterSettings
from syslog_adapter.writers.dialling import dial
from syslog_adapter.writers.line import Line
from syslog_adapter.writers.writer import DrainUnavailable, Form, Written, reason_of

_RECORD = 16 * 1024  # bytes that TLS encrypts at once
_GOODBYE_S = 1.0
_FAULTS = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)


@asynccontextmanager
async def open_tcp(
    drain: DrainUrl,
    form: Form,
    settings: WriterSettings,
    context: ssl.SSLContext | None,
    addresses: Addresses,
) -> AsyncIterator[TcpWriter]:
    """Open a drain over TCP, with TLS if there is a `context`."""
    failure: Exception | None = None
    async with trio.open_nursery() as readers:
        writer = TcpWriter(drain, form, settings, context, addresses, readers)
        try:
            yield writer
        except Exception as error:  # kept from being wrapped in a group by the nursery
            failure = error
        finally:
            await writer.close()
            readers.cancel_scope.cancel()
    if failure is not None:
        raise failure


class _Broken(Exception):
    """The connection broke; the drain has the first `taken` bytes for certain."""

    def __init__(self, reason: str, taken: int) -> None:
        super().__init__(reason)
        self.taken = taken


class _Connection:
    """One connection, and the reading of what comes back on it."""

    def __init__(self, line: Line, stream: trio.abc.Stream) -> None:
        self._line = line
        self._stream = stream
        self._scope = trio.CancelScope()
        self._at_end = False
        self._fault = "closes the connection"

    @property
    def is_over(self) -> bool:
        return self._at_end or self._line.is_over()

    async def watch(self) -> None:
        """Read until the drain has nothing more to say, which is the end of the connection."""
        with self._scope:
            try:
                while await self._stream.receive_some(4096):
                    pass
            except _FAULTS as error:
                self._fault = reason_of(error)
            self._at_end = True

    async def be_accepted(self, patience_s: float) -> None:
        """Raise `DrainUnavailable` if the drain refuses us after the handshake.

        With TLS 1.3 that is over for us before the drain has looked at our certificate: whatever was sent at once would
        be lost. What it says first tells: a ticket, or an alert and the end. One that says nothing is believed.
        """
        if isinstance(self._stream, trio.SSLStream):
            with trio.move_on_after(patience_s):
                await self._line.heard.wait()
            if self._at_end:
                raise DrainUnavailable(self._fault)

    async def send(self, data: bytes) -> None:
        """Send everything, or raise `_Broken`."""
        view = memoryview(data)
        at_once = len(data) if self._stream is self._line else _RECORD
        sent = [(self._line.sent, 0)]  # what the system had of the connection when it had how much of `data`
        try:
            for at in range(0, len(data), at_once):
                record = view[at : at + at_once]
                await self._stream.send_all(record)
                sent.append((self._line.sent, at + len(record)))
        except _FAULTS as error:
            raise _Broken(reason_of(error), self._taken(sent)) from error

    def _taken(self, sent: list[tuple[int, int]]) -> int:
        acknowledged = self._line.acknowledged()
        if self._stream is self._line:
            return max(0, acknowledged - sent[0][0])
        known = bisect_right([on_line for on_line, _ in sent], acknowledged)
        return sent[known - 1][1] if known else 0

    async def close(self) -> None:
        self._scope.cancel()
        with trio.move_on_after(_GOODBYE_S, shield=True):
            await self._stream.aclose()
        await trio.aclose_forcefully(self._line)


class TcpWriter:
    """An open drain over TCP."""

    def __init__(
        self,
        drain: DrainUrl,
        form: Form,
        settings: WriterSettings,
        context: ssl.SSLContext | None,
        addresses: Addresses,
        readers: trio.Nursery,
    ) -> None:
        self._drain = drain
        self._form = form
        self._settings = settings
        self._context = context
        self._addresses = addresses
        self._readers = readers
        self._connection: _Connection | None = None

    async def write(self, batch: bytes) -> Written:
        """Send what an admitted batch says, or raise `DrainUnavailable`."""
        messages = self._form.messages(batch)
        if not messages.data:
            return messages.written
        connection = await self._connected()
        try:
            await connection.send(messages.data)
        except _Broken as error:
            await self.close()
            raise messages.unavailable(str(error), error.taken) from error
        except trio.Cancelled:
            await self.close()  # half a message may be under way
            raise
        return messages.written

    async def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _connected(self) -> _Connection:
        if self._connection is not None and self._connection.is_over:
            await self.close()
        if self._connection is None:
            self._connection = await self._dial()
            self._readers.start_soon(self._connection.watch)
            await self._connection.be_accepted(self._settings.verdict_s)
        return self._connection

    async def _dial(self) -> _Connection:
        try:
            with trio.fail_after(self._settings.dial_timeout_s):
                return await self._connect()
        except trio.TooSlowError as error:
            raise DrainUnavailable("does not answer") from error
        except _FAULTS as error:
            raise DrainUnavailable(reason_of(error)) from error

    async def _connect(self) -> _Connection:
        host, port = self._drain.host, self._drain.port
        stream = await dial(host, port, self._addresses, self._settings.dial_timeout_s)
        line = Line(stream, write_timeout_s=self._settings.write_timeout_s, keepalive_s=self._settings.keepalive_s)
        if self._context is None:
            return _Connection(line, line)
        tls = trio.SSLStream(line, self._context, server_hostname=self._drain.host, https_compatible=True)
        try:
            await tls.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(line)
            raise
        line.heard = trio.Event()
        return _Connection(line, tls)
