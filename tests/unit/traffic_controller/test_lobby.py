"""Connections before they speak TLS, on a real loop and real sockets: counted, bounded, and ended in time."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from plumbing.tls import TlsFiles, client_context, server_context
from traffic_controller import lobby as module
from traffic_controller.lobby import Lobby


class Guest(asyncio.Protocol):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard = b""
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard += data
        self.transport.write(b"heard")


class Scene:
    """A lobby for so many connections, its guests, and how to call on it."""

    def __init__(self, certs: Path, most: int, handshake_timeout_s: float) -> None:
        self.guests: list[Guest] = []
        self.callers: list[asyncio.StreamWriter] = []
        self.most = most
        self.trusting = client_context(certs / "ca.crt")
        self.lobby = Lobby(
            self._receive,
            server_context(TlsFiles.named(certs, "trafficcontroller"), require_client_cert=False),
            handshake_timeout_s=handshake_timeout_s,
            goodbye_s=0.2,
            is_full=lambda: len(self.lobby) >= self.most,
        )

    def _receive(self) -> Guest:
        self.guests.append(Guest())
        return self.guests[-1]

    async def call(self, context: ssl.SSLContext | None = None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self.lobby.sockets[0].getsockname()[:2]
        name = "127.0.0.1" if context else None
        reader, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=name)
        self.callers.append(writer)
        return reader, writer


@asynccontextmanager
async def opened(certs: Path, most: int, handshake_timeout_s: float) -> AsyncIterator[Scene]:
    scene = Scene(certs, most, handshake_timeout_s)
    await scene.lobby.open("127.0.0.1", 0)
    try:
        yield scene
    finally:
        scene.lobby.close()
        await scene.lobby.wait_closed()
        for caller in scene.callers:
            caller.transport.abort()
        await asyncio.sleep(0.01)
        assert not scene.lobby.is_serving()


def on_a_loop(
    certs: Path, play: Callable[[Scene], Awaitable[None]], *, most: int = 10, handshake_timeout_s: float = 10.0
) -> None:
    """Play against a lobby, within ten seconds, on the loop that components have."""

    async def play_it() -> None:
        async with asyncio.timeout(10), opened(certs, most, handshake_timeout_s) as scene:
            await play(scene)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(play_it())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def test_a_guest_has_its_connection_over_tls(certs_dir: Path) -> None:
    async def play(scene: Scene) -> None:
        reader, writer = await scene.call(scene.trusting)
        writer.write(b"hello")

        assert await reader.read(5) == b"heard"
        assert (scene.guests[0].heard, len(scene.lobby)) == (b"hello", 0)

    on_a_loop(certs_dir, play)


def test_one_more_than_there_is_room_for_is_closed_and_counted(certs_dir: Path) -> None:
    async def play(scene: Scene) -> None:
        silent = [await scene.call() for _ in range(3)]
        await until(lambda: scene.lobby.turned_away == 1)

        assert (await silent[2][0].read(), len(scene.lobby)) == (b"", 2)
        silent[0][1].close()
        await until(lambda: len(scene.lobby) == 1)
        reader, writer = await scene.call(scene.trusting)
        writer.write(b"hello")
        assert await reader.read(5) == b"heard"

    on_a_loop(certs_dir, play, most=2)


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"\x16\x03\x01" + b"garbage" * 99])
def test_whoever_does_not_get_as_far_as_tls_is_not_waited_for(certs_dir: Path, said: bytes) -> None:
    async def play(scene: Scene) -> None:
        reader, writer = await scene.call()
        writer.write(said)
        await until(lambda: bool(scene.guests))

        await reader.read()
        await until(lambda: len(scene.lobby) == 0)
        assert scene.guests[0].transport is None

    on_a_loop(certs_dir, play, handshake_timeout_s=0.2)


def test_whoever_leaves_in_the_middle_is_forgotten(certs_dir: Path) -> None:
    async def play(scene: Scene) -> None:
        _, writer = await scene.call()
        await until(lambda: len(scene.lobby) == 1)
        writer.transport.abort()

        await until(lambda: len(scene.lobby) == 0)

    on_a_loop(certs_dir, play)


def test_the_end_waits_for_nobody(certs_dir: Path) -> None:
    async def play(scene: Scene) -> None:
        await scene.call()
        await until(lambda: len(scene.lobby) == 1)

    on_a_loop(certs_dir, play, handshake_timeout_s=60.0)


def test_a_process_that_may_open_no_more_files_accepts_again_later(
    certs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BREATHER_S", 0.01)
    refusals = []

    async def play(scene: Scene) -> None:
        loop = asyncio.get_running_loop()
        accept = loop.sock_accept

        async def sometimes(listener: Any) -> Any:
            connection, address = await accept(listener)
            if not refusals:
                connection.close()
                refusals.append(address)
                raise OSError(24, "Too many open files")
            return connection, address

        scene.lobby.accept = sometimes  # type: ignore[method-assign]
        first, _ = await scene.call()
        assert await first.read() == b""
        reader, writer = await scene.call(scene.trusting)
        writer.write(b"hello")
        assert await reader.read(5) == b"heard"

    on_a_loop(certs_dir, play)


def test_an_address_that_is_taken_is_an_error(certs_dir: Path) -> None:
    async def play(scene: Scene) -> None:
        other = Scene(certs_dir, 1, 1.0)
        with pytest.raises(OSError, match="in use"):
            await other.lobby.open(*scene.lobby.sockets[0].getsockname()[:2])

    on_a_loop(certs_dir, play)
