"""What strangers can make the HTTP doors hold, and for how long: of everything there is so much and no more."""

import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio
from websockets.frames import Frame, Opcode

from plumbing.config import parse_listen
from plumbing.lifecycle import Ports
from plumbing.tls import client_context
from reverse_log_proxy.gateway import service as gateway_service
from tests.raw_http import HANDSHAKE, Stream, ask, dial, exchange, request
from tests.running import eventually, get, running

PATIENCE_S = 0.3
"""Of the doors of these tests, with whoever says nothing."""

SOON_S = 10.0
"""Long enough for a busy machine; whatever takes as long hangs."""


@dataclass
class Door:
    """One HTTP door that lets everybody in, without Dopplers behind it."""

    address: str
    trusting: ssl.SSLContext
    stream: str
    ports: Ports
    certs: Path

    async def dial(self) -> Stream:
        return await dial(self.address, self.trusting)

    async def connect(self) -> trio.SocketStream:
        """Open a connection without TLS."""
        return await trio.open_tcp_stream(*parse_listen(self.address))

    async def is_well(self) -> bool:
        """Tell whether somebody else is answered."""
        with trio.fail_after(SOON_S):
            reply = await ask(self.address, self.trusting, request("/nothing"))
        return (reply.status, reply.body) == (404, b"404 page not found\n")

    async def metric(self, name: str) -> float:
        lines = (await get(self.ports, self.certs, "/metrics")).splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


@asynccontextmanager
async def traffic_controller(certs: Path, **settings: Any) -> AsyncIterator[Door]:
    defaults = {
        "auth": {"mode": "open"},
        "doppler_addresses": ["127.0.0.1:9"],
        "drain_grace_s": 0.3,
        "handshake_timeout_s": PATIENCE_S,
        "header_timeout_s": PATIENCE_S,
    }
    async with running("traffic_controller", certs, **{**defaults, **settings}) as ports:
        stream = f"GET /firehose/s HTTP/1.1\r\nHost: h\r\n{HANDSHAKE}\r\n\r\n"
        yield Door(ports["listen"], client_context(certs / "ca.crt"), stream, ports, certs)


@asynccontextmanager
async def gateway(certs: Path, **settings: Any) -> AsyncIterator[Door]:
    defaults = {
        "auth": {"mode": "open"},
        "doppler_addresses": ["127.0.0.1:9"],
        "drain_grace_s": 0.3,
        "gateway": {"enabled": True, "listen": "127.0.0.1:0", **settings},
    }
    async with running("reverse_log_proxy", certs, **defaults) as ports:
        stream = "GET /v2/read?log HTTP/1.1\r\nHost: h\r\n\r\n"
        yield Door(ports["gateway"], client_context(certs / "ca.crt"), stream, ports, certs)


@pytest.fixture(params=[traffic_controller, gateway])
async def door(request: pytest.FixtureRequest, certs_dir: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    monkeypatch.setattr(gateway_service, "_HANDSHAKE_S", PATIENCE_S)
    monkeypatch.setattr(gateway_service, "_HEADERS_S", PATIENCE_S)
    async with request.param(certs_dir) as door:
        yield door


Talk = Callable[[], Awaitable[None]]


async def hangs_up_on(stream: trio.abc.Stream, talk: Talk | None = None) -> bytes:
    """Read until the other side hangs up, while we talk; returns what it said."""
    said = b""

    async def speak() -> None:
        assert talk is not None
        while True:
            try:
                await talk()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return  # it does not listen any more

    with trio.fail_after(SOON_S):
        async with trio.open_nursery() as nursery:
            if talk is not None:
                nursery.start_soon(speak)
            try:
                while arrived := await stream.receive_some(65536):
                    said += arrived
            except trio.BrokenResourceError:
                pass  # it hung up on what it had not read
            nursery.cancel_scope.cancel()
    await trio.aclose_forcefully(stream)
    return said


async def test_a_connection_without_tls_ends(door: Door) -> None:
    assert await hangs_up_on(await door.connect()) == b""
    assert await door.is_well()


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"\x16\x03\x01\x40\x00" + b"x" * 9000])
async def test_what_is_no_tls_ends(door: Door, said: bytes) -> None:
    stranger = await door.connect()
    await stranger.send_all(said)

    said_back = await hangs_up_on(stranger)
    assert not said_back or said_back[:1] == b"\x15"  # an alert of TLS
    assert await door.is_well()


async def test_a_handshake_that_comes_byte_by_byte_ends(door: Door) -> None:
    stranger = await door.connect()

    async def say_a_byte() -> None:
        await stranger.send_all(b"\x16")
        await trio.sleep(PATIENCE_S / 5)

    await hangs_up_on(stranger, say_a_byte)
    assert await door.is_well()


async def test_a_client_that_says_nothing_is_not_waited_for(door: Door) -> None:
    assert await hangs_up_on(await door.dial()) == b""
    assert await door.is_well()


async def test_a_head_that_comes_byte_by_byte_ends(door: Door) -> None:
    began = time.monotonic()
    slow = await door.dial()
    await slow.send_all(b"GET / HTTP/1.1\r\nHost: ")

    async def say_a_byte() -> None:
        await slow.send_all(b"x")
        await trio.sleep(PATIENCE_S / 5)

    assert (await hangs_up_on(slow, say_a_byte))[:12] in (b"", b"HTTP/1.1 408")
    assert time.monotonic() - began >= PATIENCE_S * 0.9
    assert await door.is_well()


async def test_a_head_without_an_end_is_refused(door: Door) -> None:
    endless = await door.dial()
    await endless.send_all(b"GET / HTTP/1.1\r\nHost: h\r\n")

    async def say_a_header() -> None:
        await endless.send_all(b"X: " + b"x" * 1000 + b"\r\n")

    assert (await hangs_up_on(endless, say_a_header))[:12] in (b"HTTP/1.1 431", b"")
    assert await door.is_well()


@pytest.mark.parametrize("length", ["Content-Length: 10000000000", "Transfer-Encoding: chunked"])
async def test_a_body_without_an_end_is_not_read(door: Door, length: str) -> None:
    endless = await door.dial()
    await endless.send_all(f"POST /nothing HTTP/1.1\r\nHost: h\r\n{length}\r\n\r\n".encode())

    async def say_more() -> None:
        await endless.send_all(b"10000\r\n" + b"x" * 65536 + b"\r\n")

    assert (await hangs_up_on(endless, say_more))[:12] in (b"HTTP/1.1 404", b"HTTP/1.1 400")
    assert await door.is_well()


async def test_a_connection_that_has_its_answer_does_not_stay(door: Door) -> None:
    polite = await door.dial()
    assert (await exchange(polite, request("/nothing"))).status == 404

    assert await hangs_up_on(polite) == b""


async def test_requests_without_end_are_read_no_faster_than_they_are_answered(door: Door) -> None:
    impatient = await door.dial()

    async def ask_again() -> None:
        await impatient.send_all(request("/nothing") * 100)

    answers = await hangs_up_on(impatient, ask_again)  # the one door after one answer, the other after a thousand
    assert 1 <= answers.count(b"HTTP/1.1 404") <= 1000
    assert await door.is_well()


async def test_whoever_takes_no_answers_is_asked_for_no_more(certs_dir: Path) -> None:
    async with gateway(certs_dir) as door:
        deaf = await door.dial()
        sent = 0
        with trio.move_on_after(2.0):
            while sent < 64 << 20:
                await deaf.send_all(request("/nothing") * 1000)
                sent += 1000 * len(request("/nothing"))

        assert sent < 32 << 20  # what the buffers of two sockets take, and no more
        await trio.aclose_forcefully(deaf)
        assert await door.is_well()


async def test_what_a_reader_says_while_it_reads_waits_with_the_reader(door: Door) -> None:
    reader = await door.dial()
    sent = 0
    await reader.send_all(door.stream.encode())
    assert (await reader.receive_some(65536))[:9] == b"HTTP/1.1 "
    frame = Frame(Opcode.BINARY, b"x" * 1000).serialize(mask=True) * 100
    with trio.move_on_after(2.0):
        while sent < 64 << 20:
            await reader.send_all(frame)
            sent += len(frame)

    assert sent < 32 << 20
    assert await door.is_well()
    await trio.aclose_forcefully(reader)


@pytest.mark.parametrize("preface", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/2.0\r\nHost: h\r\n\r\n"])
async def test_nobody_is_spoken_to_in_http_2(door: Door, preface: bytes) -> None:
    stream = await door.dial()
    await stream.send_all(preface)

    assert (await hangs_up_on(stream))[:9] == b"HTTP/1.1 "
    assert await door.is_well()


async def test_an_upgrade_to_http_2_is_not_taken_up(door: Door) -> None:
    headers = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAA")

    assert (await ask(door.address, door.trusting, request("/nothing", *headers))).status == 404


@pytest.mark.parametrize(
    ("open_door", "refused"),
    [
        (traffic_controller, "traffic_controller_connections_refused_total"),
        (gateway, "reverse_log_proxy_gateway_connections_refused_total"),
    ],
)
async def test_idle_connections_have_a_bound_and_make_room(certs_dir: Path, open_door: Any, refused: str) -> None:
    patient = {"handshake_timeout_s": 60.0} if open_door is traffic_controller else {}
    async with open_door(certs_dir, max_connections=50, **patient) as door:
        idle = [await door.connect() for _ in range(200)]

        async def are_refused() -> bool:
            return await door.metric(refused) >= 150

        await eventually(are_refused)
        for stranger in idle:
            await trio.aclose_forcefully(stranger)

        async def has_room() -> bool:
            try:
                return await door.is_well()
            except trio.BrokenResourceError:
                return False

        await eventually(has_room)


@asynccontextmanager
async def reading(door: Door) -> AsyncIterator[Stream]:
    """A WebSocket, as bare as it can be."""
    stream = await door.dial()
    try:
        assert (await exchange(stream, door.stream.encode())).status == 101
        yield stream
    finally:
        await trio.aclose_forcefully(stream)


FLOODS = {
    "pings": Frame(Opcode.PING, b"").serialize(mask=True) * 10_000,
    "pongs": Frame(Opcode.PONG, b"no ping of ours").serialize(mask=True) * 5_000,
    "messages": Frame(Opcode.BINARY, b"").serialize(mask=True) * 10_000,
    "parts of one message": Frame(Opcode.CONT, b"", fin=False).serialize(mask=True) * 10_000,
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_reader_that_floods_us_holds_up_nobody(certs_dir: Path, flood: str) -> None:
    async with traffic_controller(certs_dir) as door, reading(door) as socket, trio.open_nursery() as nursery:

        async def keep_sending() -> None:
            if flood == "parts of one message":
                await socket.send_all(Frame(Opcode.BINARY, b"", fin=False).serialize(mask=True))
            while True:
                await socket.send_all(FLOODS[flood])

        async def keep_reading() -> None:
            with suppress(trio.BrokenResourceError):  # what is cut off while it is sent breaks the stream at once
                while await socket.receive_some(65536):
                    pass

        nursery.start_soon(keep_sending)
        nursery.start_soon(keep_reading)
        await trio.sleep(0.5)
        took = []
        for _ in range(5):
            began = time.monotonic()
            assert await door.is_well()
            took.append(time.monotonic() - began)
        nursery.cancel_scope.cancel()

    assert min(took) < 0.5


async def test_a_reader_that_asks_for_pongs_and_takes_none_is_cut_off(certs_dir: Path) -> None:
    impatient = {"pong_timeout_s": PATIENCE_S, "goodbye_s": PATIENCE_S}
    async with traffic_controller(certs_dir, **impatient) as door, reading(door) as socket:
        with trio.fail_after(SOON_S), pytest.raises(trio.BrokenResourceError):
            while True:
                await socket.send_all(FLOODS["pings"])

        async def is_gone() -> bool:
            return await door.metric("traffic_controller_connections") == 0

        await eventually(is_gone)


async def test_a_message_that_is_too_long_is_not_read_to_its_end(certs_dir: Path) -> None:
    async with traffic_controller(certs_dir) as door, reading(door) as socket:
        await socket.send_all(b"\x82\xff" + (1 << 40).to_bytes(8, "big") + b"mask")

        assert (1009).to_bytes(2, "big") in await hangs_up_on(socket)
