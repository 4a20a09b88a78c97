"""A question is answered with bytes, trailing metadata or a refusal, over a real connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import trio

from plumbing.egress_server import RequestRefused
from plumbing.grpc_server import serve_grpc
from plumbing.island import open_island
from plumbing.tls import TlsFiles
from plumbing.unary import Call, Unsent, answered
from tests.running import dial, eventually


async def echo(message: bytes, call: Call) -> bytes:
    call.trail("first", str(call.metadata("asked")))
    call.trail("second", str(call.metadata("missing")))
    return message


async def echo_alone(message: bytes, _: Call) -> bytes:
    return message


async def refuse(message: bytes, call: Call) -> bytes:
    raise RequestRefused("UNKNOWN", message.decode())


UNSENT = Unsent(1 << 20)
SERVICES = {"test.Service": {"Echo": answered(echo), "Refuse": answered(refuse), "EchoBounded": answered(echo, UNSENT)}}


class FakeCall:
    """A call that ends, its answer sent, when the test says so."""

    def __init__(self, method: Any, message: bytes) -> None:
        self.told: tuple[str, str] | None = None
        self.answer = b""
        self._answered, self._ends = asyncio.Event(), asyncio.Event()
        self.task = asyncio.ensure_future(self._serve(method, message))

    async def abort(self, code: grpc.StatusCode, reason: str) -> None:
        self.told = (code.name, reason)

    async def answered(self) -> "FakeCall":
        await self._answered.wait()
        return self

    async def end(self) -> None:
        self._ends.set()
        await self.task

    async def _serve(self, method: Any, message: bytes) -> None:
        self.answer = await method(message, self)
        self._answered.set()
        await self._ends.wait()


@asynccontextmanager
async def channel(certs: Path, **settings: int) -> AsyncIterator[grpc.Channel]:
    async with open_island() as island:
        files = TlsFiles.named(certs, "doppler")
        async with serve_grpc(island, "127.0.0.1:0", files, SERVICES, grace_s=0.1, **settings) as address:
            with dial(address, certs, "doppler", ("grpc.max_receive_message_length", -1)) as opened:
                yield opened


async def ask(opened: grpc.Channel, method: str, message: bytes, **metadata: str) -> tuple[bytes, grpc.Call]:
    call = opened.unary_unary(f"/test.Service/{method}").with_call
    asked = tuple(metadata.items())
    answer: tuple[bytes, grpc.Call] = await trio.to_thread.run_sync(lambda: call(message, metadata=asked, timeout=5))
    return answer


async def test_an_answer_carries_metadata_behind_it(certs_dir: Path) -> None:
    async with channel(certs_dir) as opened:
        answer, call = await ask(opened, "Echo", b"hello", asked="this")

    assert answer == b"hello"
    assert dict(call.trailing_metadata()) == {"first": "this", "second": "None"}


async def test_a_refusal_has_its_code_and_its_words(certs_dir: Path) -> None:
    async with channel(certs_dir) as opened:
        with pytest.raises(grpc.RpcError) as caught:
            await ask(opened, "Refuse", "limit (ä) must be less".encode())

    assert caught.value.code() is grpc.StatusCode.UNKNOWN
    assert caught.value.details() == "limit (ä) must be less"


async def test_the_words_of_a_refusal_have_a_bound(certs_dir: Path) -> None:
    async with channel(certs_dir) as opened:
        with pytest.raises(grpc.RpcError) as caught:
            await ask(opened, "Refuse", "ä".encode() * 100_000)

    assert caught.value.details() == "ä" * 1_000


async def test_a_server_says_how_large_a_message_may_be(certs_dir: Path) -> None:
    async with channel(certs_dir, max_message_bytes=20 << 20) as opened:
        answer, _ = await ask(opened, "Echo", bytes(11 << 20))
        with pytest.raises(grpc.RpcError) as caught:
            await ask(opened, "Echo", bytes(21 << 20))

    assert len(answer) == 11 << 20
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_answers_that_nobody_takes_have_a_bound() -> None:
    unsent = Unsent(1 << 20)
    method = answered(echo_alone, unsent).handler.unary_unary

    async def scenario() -> None:
        first = await FakeCall(method, bytes(800_000)).answered()
        second = await FakeCall(method, bytes(800_000)).answered()
        third = await FakeCall(method, bytes(1000)).answered()
        await first.end()
        fourth = await FakeCall(method, bytes(2_000_000)).answered()

        assert (len(first.answer), len(third.answer), len(fourth.answer)) == (800_000, 1000, 2_000_000)
        assert second.told == (
            "RESOURCE_EXHAUSTED",
            "too much waits to be sent to clients that take their time",
        )
        for call in (second, third, fourth):
            await call.end()

    asyncio.run(scenario())
    assert unsent.held_bytes == 0


async def test_an_answer_that_was_taken_does_not_count(certs_dir: Path) -> None:
    async with channel(certs_dir) as opened:
        for _ in range(3):
            await ask(opened, "EchoBounded", bytes(5 << 20))

        async def taken() -> bool:
            return UNSENT.held_bytes == 0

        await eventually(taken)
