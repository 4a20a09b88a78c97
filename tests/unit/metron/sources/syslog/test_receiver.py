"""The receiver as a whole, on real sockets, with an outlet in memory."""

import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from envelope.pb.loggregator_v2_pb2 import EnvelopeBatch
from metron.sources import SourceCounts, SyslogReceiver, receive_syslog
from plumbing.config import parse_listen
from plumbing.tls import TlsError, TlsFiles, client_context
from tests.unit.metron.sources.fakes import FakeOutlet

ANYWHERE = "127.0.0.1:0"


@dataclass
class Settings:
    syslog: SyslogReceiver
    tls: TlsFiles


@dataclass
class Receiver:
    """A receiver at work."""

    addresses: Mapping[str, str] = field(default_factory=dict)
    outlet: FakeOutlet = field(default_factory=FakeOutlet)
    counts: SourceCounts = field(default_factory=SourceCounts)
    stop: trio.Event = field(default_factory=trio.Event)
    dialled: list[trio.SocketStream] = field(default_factory=list)

    async def take(self, batch: bytes, count: int, *, malformed: int, overflowed: int) -> None:
        await self.outlet.send(batch, len(EnvelopeBatch.FromString(batch).batch))

    async def dial(self, name: str) -> trio.SocketStream:
        host, port = parse_listen(self.addresses[f"syslog_{name}"])
        self.dialled.append(await trio.open_tcp_stream(host, port))
        return self.dialled[-1]

    async def dial_tls(self, context: ssl.SSLContext) -> trio.SSLStream[trio.SocketStream]:
        stream = trio.SSLStream(await self.dial("tls"), context, server_hostname="metron", https_compatible=True)
        await stream.do_handshake()
        return stream


@asynccontextmanager
async def receiving(certs: Path, **settings: Any) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    config = Settings(SyslogReceiver(**settings), TlsFiles.named(certs, "metron"))
    run = partial(receive_syslog, config, receiver.outlet, receiver, receiver.counts, stop=receiver.stop)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            receiver.addresses = await nursery.start(run)
            try:
                yield receiver
            finally:
                receiver.stop.set()
                for stream in receiver.dialled:
                    await trio.aclose_forcefully(stream)


async def is_closed(stream: trio.abc.ReceiveStream) -> bool:
    """Wait for the other side to close."""
    try:
        return not await stream.receive_some()
    except trio.BrokenResourceError:
        return True


async def test_without_an_address_it_starts_and_ends(certs_dir: Path) -> None:
    async with receiving(certs_dir) as receiver:
        assert receiver.addresses == {}


async def test_over_tcp_tls_and_udp(certs_dir: Path) -> None:
    async with receiving(certs_dir, tcp_listen=ANYWHERE, tls_listen=ANYWHERE, udp_listen=ANYWHERE) as receiver:
        plain = await receiver.dial("tcp")
        await plain.send_all(b"<13>a: tcp\n")
        files = TlsFiles.named(certs_dir, "client")
        secure = await receiver.dial_tls(client_context(files.ca, files.cert, files.key))
        await secure.send_all(b"10 <13>a: tls")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"<13>a: udp", parse_listen(receiver.addresses["syslog_udp"]))

            lines = await receiver.outlet.wait_for(3)
        assert receiver.counts.syslog.connections == 2
        await plain.aclose()
        await secure.aclose()

    assert sorted(lines) == [b"tcp", b"tls", b"udp"]
    assert receiver.counts.syslog.connections == 0
    assert receiver.counts.doors["syslog"].datagrams == 1


async def test_a_client_without_a_certificate_is_sent_away_unless_that_is_allowed(certs_dir: Path) -> None:
    stranger = client_context(certs_dir / "ca.crt")
    async with receiving(certs_dir, tls_listen=ANYWHERE) as receiver:
        refused = await receiver.dial_tls(stranger)  # in TLS 1.3 the client learns of it when it reads
        assert await is_closed(refused)
    assert receiver.counts.syslog.closed == {"handshake": 1}

    async with receiving(certs_dir, tls_listen=ANYWHERE, require_client_cert=False) as receiver:
        welcome = await receiver.dial_tls(stranger)
        await welcome.send_all(b"<13>a: hello\n")
        assert await receiver.outlet.wait_for(1) == [b"hello"]
        await welcome.aclose()


async def test_another_authority_can_be_the_one_of_the_clients(certs_dir: Path, other_certs_dir: Path) -> None:
    theirs = TlsFiles.named(other_certs_dir, "client")
    settings = {"tls_listen": ANYWHERE, "tls_client_ca": other_certs_dir / "ca.crt"}
    async with receiving(certs_dir, **settings) as receiver:
        stream = await receiver.dial_tls(client_context(certs_dir / "ca.crt", theirs.cert, theirs.key))
        await stream.send_all(b"<13>a: hello\n")
        assert await receiver.outlet.wait_for(1) == [b"hello"]
        await stream.aclose()


async def test_what_speaks_no_tls_harms_nobody(certs_dir: Path) -> None:
    async with receiving(certs_dir, tls_listen=ANYWHERE, require_client_cert=False) as receiver:
        garbage = await receiver.dial("tls")
        await garbage.send_all(b"<13>a: not TLS\n")
        while not await is_closed(garbage):
            pass
        good = await receiver.dial_tls(client_context(certs_dir / "ca.crt"))
        await good.send_all(b"<13>a: TLS\n")
        assert await receiver.outlet.wait_for(1) == [b"TLS"]
        await good.aclose()


async def test_one_connection_too_many_is_closed(certs_dir: Path) -> None:
    async with receiving(certs_dir, tcp_listen=ANYWHERE, max_connections=1) as receiver:
        first = await receiver.dial("tcp")
        await first.send_all(b"<13>a: 1\n")
        await receiver.outlet.wait_for(1)
        for _ in range(3):
            assert await is_closed(await receiver.dial("tcp"))
        await first.send_all(b"<13>a: 2\n")
        assert await receiver.outlet.wait_for(2) == [b"1", b"2"]

    assert receiver.counts.syslog.closed == {"full": 3}


async def test_what_came_before_the_stop_is_taken(certs_dir: Path) -> None:
    many = b"".join(b"<13>a: %d\n" % number for number in range(2000))
    async with receiving(certs_dir, tcp_listen=ANYWHERE) as receiver:
        stream = await receiver.dial("tcp")
        await stream.send_all(b"<13>a: first\n")
        await receiver.outlet.wait_for(1)
        await stream.send_all(many)
        await stream.aclose()

    assert len(receiver.outlet.lines) == 2001


async def test_an_address_that_is_taken_is_named(certs_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ExceptionGroup) as caught:
            async with receiving(certs_dir, tcp_listen=address):
                pass
    assert f"syslog.tcp_listen {address}" in str(_leaf(caught.value))


async def test_files_that_cannot_be_used_are_named_before_anything_listens(certs_dir: Path, tmp_path: Path) -> None:
    settings = {"tls_cert": tmp_path / "none.crt", "tls_key": tmp_path / "none.key"}
    with pytest.raises(ExceptionGroup) as caught:
        async with receiving(certs_dir, tls_listen=ANYWHERE, tcp_listen=ANYWHERE, **settings):
            pass
    error = _leaf(caught.value)
    assert isinstance(error, TlsError)
    assert "none.crt" in str(error)


def _leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    return error
