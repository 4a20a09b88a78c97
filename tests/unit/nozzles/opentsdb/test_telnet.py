"""Points over TCP, to a peer that answers as OpenTSDB does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio

from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, EnvelopeBatch, Log
from nozzles.opentsdb import kind
from nozzles.sdk import Batch
from tests.running import eventually


class FakeOpenTsdb:
    """Takes lines, says what is wrong with some, and answers `version` in two lines."""

    def __init__(self) -> None:
        self.puts: list[str] = []
        self.fails_on = "bad"
        self.hangs_up = False
        self.is_mute = False

    async def converse(self, stream: trio.SocketStream) -> None:
        unread = b""
        while received := await stream.receive_some():
            *lines, unread = (unread + received).split(b"\n")
            if self.hangs_up:
                return
            for line in lines:
                await self._answer(stream, line.decode())

    async def _answer(self, stream: trio.SocketStream, line: str) -> None:
        if line == "version":
            if not self.is_mute:
                await stream.send_all(b"net.opentsdb.tools 2.4.1 built at revision 0\nBuilt on 2021/09/03\n")
        elif self.fails_on in line:
            await stream.send_all(f"put: illegal argument: {line}\n".encode())
        else:
            self.puts.append(line)


@asynccontextmanager
async def serving(server: FakeOpenTsdb) -> AsyncIterator[str]:
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, server.converse, 0, host="127.0.0.1"))
        yield f"127.0.0.1:{listener.socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


def batch_of(*envelopes: Envelope) -> Batch:
    return Batch(EnvelopeBatch(batch=envelopes).SerializeToString(), len(envelopes))


def counter(name: str) -> Envelope:
    return Envelope(timestamp=10**9, source_id="a", counter=Counter(name=name, total=1))


@asynccontextmanager
async def writing(address: str, **settings: Any) -> AsyncIterator[Any]:
    async with kind.open(kind.Config(address=address, prefix="", **settings)) as write:
        yield write


async def test_a_batch_is_safe_when_the_peer_has_read_it() -> None:
    server = FakeOpenTsdb()
    async with serving(server) as address, writing(address) as write:
        for name in ("one", "two"):
            await write(batch_of(counter(name)))
            assert server.puts[-1] == f"put {name} 1 1 source_id=a"


async def test_errors_that_come_back_are_counted_as_refused() -> None:
    server = FakeOpenTsdb()
    async with serving(server) as address, writing(address) as write:
        first = batch_of(counter("bad1"), counter("good"), counter("bad2"))
        second = batch_of(counter("good"), counter("bad"))
        await write(first)
        await write(second)

    assert (first.refused, second.refused) == ({"refused": 2}, {"refused": 1})


async def test_what_is_no_number_or_no_line_is_counted_and_a_log_left_out() -> None:
    server = FakeOpenTsdb()
    long = counter("x" * 255)
    long.source_id = "y" * 255
    long.tags.update(dict.fromkeys(("deployment", "job", "index"), "z" * 255))
    batch = batch_of(Envelope(log=Log(payload=b"a line")), counter(""), long, counter("good"))
    async with serving(server) as address, writing(address) as write:
        await write(batch)

    assert (batch.refused, batch.skipped) == ({"no_number": 1, "too_long": 1}, 1)
    assert len(server.puts) == 1


async def test_many_errors_do_not_stop_the_two_sides_reading_each_other() -> None:
    server = FakeOpenTsdb()
    batch = batch_of(*[counter("bad" + "x" * 200)] * 20_000)
    async with serving(server) as address, writing(address) as write:
        await write(batch)

    assert batch.refused == {"refused": 20_000}


async def test_a_peer_that_hangs_up_has_taken_nothing() -> None:
    server = FakeOpenTsdb()
    server.hangs_up = True
    async with serving(server) as address, writing(address) as write:
        with pytest.raises(ConnectionError, match="connection"):
            await write(batch_of(counter("n")))


async def test_a_peer_that_does_not_answer_is_given_up() -> None:
    server = FakeOpenTsdb()
    server.is_mute = True
    async with serving(server) as address, writing(address, timeout_s=0.2) as write:
        with pytest.raises(trio.TooSlowError):
            await write(batch_of(counter("n")))


async def test_without_confirmation_errors_are_counted_with_a_later_batch() -> None:
    server = FakeOpenTsdb()
    server.is_mute = True
    refused = 0

    async def counted() -> bool:
        nonlocal refused
        later = batch_of(counter("good"))
        await write(later)
        refused += later.refused.get("refused", 0)
        return refused == 2

    async with serving(server) as address, writing(address, confirm=False) as write:
        first = batch_of(counter("bad1"), counter("bad2"))
        await write(first)
        refused = first.refused.get("refused", 0)
        await eventually(counted)
