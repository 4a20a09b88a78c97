from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from syslog_adapter.writers.line import Line


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Line, trio.SocketStream]]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    stream = await trio.open_tcp_stream(*listener.socket.getsockname())
    async with listener, Line(stream, write_timeout_s=0.2, keepalive_s=10) as line, await listener.accept() as other:
        yield line, other


async def settled(line: Line, taken: int) -> None:
    with trio.fail_after(30):
        while line.acknowledged() != taken:
            await trio.sleep(0.001)


async def test_what_the_other_side_has_is_known() -> None:
    async with connected() as (line, _):
        await line.send_all(b"hello")

        assert line.sent == 5
        await settled(line, 5)


async def test_what_waits_to_be_taken_is_not_acknowledged() -> None:
    async with connected() as (line, _):
        with pytest.raises(trio.BrokenResourceError, match="takes no more bytes"):
            await line.send_all(b"x" * 50_000_000)

        assert 0 < line.acknowledged() < line.sent < 50_000_000


async def test_the_end_is_seen_though_nobody_reads() -> None:
    async with connected() as (line, other):
        assert not line.is_over()
        await other.send_all(b"goodbye")
        await other.aclose()

        with trio.fail_after(30):
            while not line.is_over():
                await trio.sleep(0.001)
        assert await line.receive_some() == b"goodbye"
        assert await line.receive_some() == b""
