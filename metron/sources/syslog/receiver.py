"""Listen for syslog: over TCP and TLS with back-pressure, over UDP with none.

In:    streams of messages; datagrams of one each.
Out:   one batch of what has come, 32 KiB of a stream at most, which is read on once there is room for the batch.
Drops: what has no end because its connection broke (`malformed`); of datagrams, see `metron.sources.udp`.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Protocol

import trio

from metron.sources.counts import DoorCounts, SourceCounts
from metron.sources.outlet import Outlet
from metron.sources.syslog.config import SyslogReceiver
from metron.sources.syslog.connection import Connections
from metron.sources.syslog.mapping import SyslogParser
from metron.sources.udp import DatagramOutlet, UdpDoor, address_of, bind_udp
from plumbing.config import join_listen, parse_listen
from plumbing.tls import TlsFiles, server_context

_LAST_S = 1.0


class SyslogConfig(Protocol):
    """What of an agent's settings is about syslog."""

    @property
    def syslog(self) -> SyslogReceiver:
        """Whether, where and how syslog is taken."""

    @property
    def tls(self) -> TlsFiles:
        """Who the agent is, and whom it trusts."""


async def receive_syslog(
    config: SyslogConfig,
    outlet: Outlet,
    datagrams: DatagramOutlet,
    counts: SourceCounts,
    *,
    stop: trio.Event,
    task_status: trio.TaskStatus[Mapping[str, str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Receive wherever the settings say, until `stop` is set; started with the true addresses, by name.

    What has come by then is still taken: from each connection until it is silent, for a second at most.
    """
    settings = config.syslog
    parser = SyslogParser(settings, counts.syslog)
    connections = Connections(settings, parser, outlet, datagrams, counts.syslog)
    context = server_context_of(config) if settings.tls_listen else None
    addresses: dict[str, str] = {}
    async with trio.open_nursery() as udp, trio.open_nursery() as conversations:
        async with trio.open_nursery() as listening:

            async def listen_at(name: str, address: str, context: ssl.SSLContext | None) -> None:
                listeners = await _open(f"syslog.{name}_listen", address)
                addresses[f"syslog_{name}"] = join_listen(*listeners[0].socket.getsockname()[:2])
                converse = partial(connections.converse, context=context)
                listening.start_soon(partial(trio.serve_listeners, handler_nursery=conversations), converse, listeners)

            if settings.tls_listen:
                await listen_at("tls", settings.tls_listen, context)
            if settings.tcp_listen:
                await listen_at("tcp", settings.tcp_listen, None)
            if settings.udp_listen:
                socket = await bind_udp(settings.udp_listen, settings.receive_buffer_bytes)
                addresses["syslog_udp"] = address_of(socket)
                door = UdpDoor("syslog", socket, parser, datagrams, counts.doors.setdefault("syslog", DoorCounts()))
                udp.start_soon(partial(door.run, stop=stop))
            task_status.started(addresses)
            await stop.wait()
            listening.cancel_scope.cancel()
        connections.hurry()
        conversations.cancel_scope.deadline = trio.current_time() + _LAST_S


def server_context_of(config: SyslogConfig) -> ssl.SSLContext:
    """Return what speaks TLS with the clients; raises `TlsError` naming the file that cannot be used."""
    settings = config.syslog
    return server_context(settings.tls_files(config.tls), require_client_cert=settings.require_client_cert)


async def _open(setting: str, listen: str) -> Sequence[trio.SocketListener]:
    host, port = parse_listen(listen)
    try:
        return await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"{setting} {listen}") from error
