import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from plumbing.tls import TlsFiles, server_context
from standpipe.errors import AccessDenied, NotRunning
from standpipe.system import System
from standpipe.writing.knock import knock


@asynccontextmanager
async def serving(certs: Path) -> AsyncIterator[str]:
    """Serve as a component does: over mTLS, and speaking first."""
    context = server_context(TlsFiles.named(certs, "metron"), require_client_cert=True, alpn=["h2"])

    async def greet(stream: trio.SocketStream) -> None:
        tls = trio.SSLStream(stream, context, server_side=True)
        try:
            await tls.do_handshake()
            await tls.send_all(b"settings")
            await tls.receive_some()
        except (trio.BrokenResourceError, ssl.SSLError):
            await stream.aclose()

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, greet, 0, host="127.0.0.1"))
        yield f"127.0.0.1:{listener.socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


def system_at(address: str, ca: Path, own: Path) -> System:
    return System.find(address=address, ca=ca / "ca.crt", cert=own / "client.crt", key=own / "client.key")


async def test_who_is_at_home_answers(certs_dir: Path) -> None:
    async with serving(certs_dir) as address:
        await knock(system_at(address, certs_dir, certs_dir), "metron", "metron")


async def test_nobody_is_at_home(certs_dir: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"

        with pytest.raises(NotRunning, match=f"metron at {address} does not answer: Connection refused"):
            await knock(system_at(address, certs_dir, certs_dir), "metron", "metron")


async def test_somebody_else_is_at_home(certs_dir: Path) -> None:
    async with serving(certs_dir) as address:
        with pytest.raises(NotRunning, match=r"its certificate: .*not valid for 'doppler'"):
            await knock(system_at(address, certs_dir, certs_dir), "doppler", "doppler")


async def test_a_stranger_is_at_home(certs_dir: Path, other_certs_dir: Path) -> None:
    async with serving(certs_dir) as address:
        with pytest.raises(NotRunning, match="its certificate: self-signed certificate"):
            await knock(system_at(address, other_certs_dir, other_certs_dir), "metron", "metron")


async def test_we_are_a_stranger(certs_dir: Path, other_certs_dir: Path) -> None:
    async with serving(certs_dir) as address:
        with pytest.raises(AccessDenied, match=f"does not accept the certificate {other_certs_dir}/client.crt"):
            await knock(system_at(address, certs_dir, other_certs_dir), "metron", "metron")


async def test_who_is_at_home_does_not_speak_tls(certs_dir: Path) -> None:
    async def shout(stream: trio.SocketStream) -> None:
        await stream.send_all(b"220 mail.example.com\r\n")

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, shout, 0, host="127.0.0.1"))
        address = f"127.0.0.1:{listener.socket.getsockname()[1]}"
        with pytest.raises(NotRunning, match=r"does not answer: .*SSL"):
            await knock(system_at(address, certs_dir, certs_dir), "metron", "metron")
        nursery.cancel_scope.cancel()
