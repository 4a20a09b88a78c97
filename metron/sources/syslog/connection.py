"""Read the messages of each connection of the syslog receiver, so that no peer can harm another.

A peer waits while there is no room for what it sends. One whose bytes cannot be read on, or that sends no whole message
for too long, is closed, and one line of the log says who it was and where.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Sequence

import structlog
import trio

from metron.sources.counts import SyslogCounts
from metron.sources.outlet import Outlet
from metron.sources.syslog.config import SyslogReceiver
from metron.sources.syslog.framing import Framer
from metron.sources.syslog.mapping import SyslogParser
from metron.sources.udp import DatagramOutlet
from plumbing.config import join_listen

log = structlog.get_logger(__name__)

_CHUNK_BYTES = 32 << 10  # one batch; of the shortest lines that is 0.1 s of work, of what programs send far less
_HANDSHAKE_S = 10.0
_SILENCE_S = 0.1  # at the end, a peer that says nothing for so long has said all


class Connections:
    """All connections of one receiver."""

    def __init__(
        self,
        config: SyslogReceiver,
        parser: SyslogParser,
        outlet: Outlet,
        datagrams: DatagramOutlet,
        counts: SyslogCounts,
    ) -> None:
        self._config = config
        self._parser = parser
        self._outlet = outlet
        self._never_waits = datagrams
        self._counts = counts
        self._is_full = False
        self._is_ending = False
        self._waits: set[trio.CancelScope] = set()

    def hurry(self) -> None:
        """Wait no longer for what peers may still say: read what is there, and close."""
        self._is_ending = True
        for wait in self._waits:
            wait.deadline = trio.current_time() + _SILENCE_S

    async def converse(self, accepted: trio.SocketStream, context: ssl.SSLContext | None = None) -> None:
        """Serve one connection, over TLS if there is a context, and close it; raises nothing."""
        peer = _peer_of(accepted)
        try:
            if self._has_room(peer):
                self._counts.connections += 1
                try:
                    await self._serve(accepted, peer, context)
                finally:
                    self._counts.connections -= 1
        except Exception:
            log.exception("syslog_connection_failed", peer=peer)
        finally:
            await trio.aclose_forcefully(accepted)

    async def _serve(self, accepted: trio.SocketStream, peer: str, context: ssl.SSLContext | None) -> None:
        reason = "handshake"
        try:
            stream = await _secured(accepted, context)
            reason = "broken"
            await self.read(stream, peer)
        except (trio.BrokenResourceError, trio.TooSlowError) as error:
            self._close(reason, peer, error=str(error.__cause__ or error)[:200])

    async def read(self, stream: trio.abc.ReceiveStream, peer: str) -> None:
        """Hand on what the peer sends until it ends; `BrokenResourceError` if that is not of its own will."""
        framer = Framer(self._config.max_message_bytes)
        last_message = trio.current_time()
        try:
            while chunk := await self._receive(stream, last_message):
                if await self._pass_on(framer, framer.feed(bytes(chunk))):
                    last_message = trio.current_time()
                if framer.fault:
                    self._close("framing", peer, fault=framer.fault, offset=framer.offset)
                    break
            if chunk == b"":
                await self._pass_on(framer, framer.flush())
            elif chunk is None and not self._is_ending:
                self._close("idle", peer, offset=framer.offset)
        finally:
            if framer.holds_some:
                await self._lose_one()

    def _has_room(self, peer: str) -> bool:
        """Whether one more connection may be opened; the first of those that may not is logged."""
        was_full, self._is_full = self._is_full, self._counts.connections >= self._config.max_connections
        if self._is_full:
            self._counts.closed["full"] += 1
            if not was_full:
                log.warning("syslog_connections_full", peer=peer, most=self._config.max_connections)
        return not self._is_full

    async def _receive(self, stream: trio.abc.ReceiveStream, last_message: float) -> bytes | bytearray | None:
        """Wait for the next bytes; none at all are the end, None is that it took too long."""
        with trio.CancelScope() as wait:
            if self._is_ending:
                wait.deadline = trio.current_time() + _SILENCE_S
            else:
                wait.deadline = last_message + self._config.idle_timeout_s
            self._waits.add(wait)
            try:
                return await stream.receive_some(_CHUNK_BYTES)
            finally:
                self._waits.remove(wait)
        return None

    async def _pass_on(self, framer: Framer, messages: Sequence[bytes]) -> int:
        """Hand messages on as soon as there is room; cancelled, at once: what was read is never lost uncounted."""
        self._counts.truncated += framer.truncated
        framer.truncated = 0
        if not messages:
            return 0
        batch, count, malformed, _ = self._parser.of_messages(messages, time.time_ns())
        try:
            if count:
                await self._outlet.send(batch, count)
        except trio.Cancelled:
            await self._hand_over(batch, count, malformed)
            raise
        if malformed:
            await self._hand_over(b"", 0, malformed)
        return len(messages)

    async def _hand_over(self, batch: bytes, count: int, malformed: int) -> None:
        with trio.CancelScope(shield=True):
            await self._never_waits.take(batch, count, malformed=malformed, overflowed=0)

    async def _lose_one(self) -> None:
        """Count a message whose end never came."""
        self._counts.messages += 1
        self._counts.malformed += 1
        await self._hand_over(b"", 0, 1)

    def _close(self, reason: str, peer: str, **about: object) -> None:
        self._counts.closed[reason] += 1
        log.warning("syslog_connection_closed", reason=reason, peer=peer, **about)


async def _secured(accepted: trio.SocketStream, context: ssl.SSLContext | None) -> trio.abc.ReceiveStream:
    if context is None:
        return accepted
    over_tls: trio.SSLStream[trio.SocketStream]
    over_tls = trio.SSLStream(accepted, context, server_side=True, https_compatible=True)
    with trio.fail_after(_HANDSHAKE_S):
        await over_tls.do_handshake()
    return over_tls


def _peer_of(accepted: trio.SocketStream) -> str:
    try:
        return join_listen(*accepted.socket.getpeername()[:2])
    except OSError:
        return "gone"
