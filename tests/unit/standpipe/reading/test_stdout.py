"""Standard output: whole, in order, and no reason to stop for a reader who pauses or leaves."""

import os
from collections.abc import Iterator
from io import FileIO
from typing import NamedTuple

import pytest
import trio

from standpipe.reading.stdout import Stdout


class Pipe(NamedTuple):
    reader: FileIO
    writer: FileIO

    async def hear(self, size: int) -> bytes:
        """Read so many bytes, without haste."""
        heard = b""
        while len(heard) < size:
            heard += await trio.to_thread.run_sync(self.reader.read, 1 << 16)
        return heard


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    read_end, write_end = os.pipe()
    with FileIO(read_end, "r") as reader, FileIO(write_end, "w") as writer:
        yield Pipe(reader, writer)


async def _write_and_hear(pipe: Pipe, data: bytes) -> bytes:
    heard = b""

    async def listen() -> None:
        nonlocal heard
        heard = await pipe.hear(len(data))

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            assert await Stdout(pipe.writer.fileno()).write(data)
    return heard


async def test_everything_is_written_however_much_it_is(pipe: Pipe) -> None:
    data = os.urandom(1 << 20)
    assert await _write_and_hear(pipe, data) == data


async def test_an_output_that_is_busy_for_a_moment_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe.writer.fileno(), False)
    data = os.urandom(1 << 20)
    assert await _write_and_hear(pipe, data) == data


async def test_a_reader_who_left_is_noticed(pipe: Pipe) -> None:
    pipe.reader.close()
    assert not await Stdout(pipe.writer.fileno()).write(b"anyone?")


async def test_nothing_to_write_is_not_written(pipe: Pipe) -> None:
    pipe.reader.close()
    assert await Stdout(pipe.writer.fileno()).write(b"")


async def test_a_reader_who_pauses_holds_up_nobody_else(pipe: Pipe) -> None:
    with trio.move_on_after(0.05) as patience:
        await Stdout(pipe.writer.fileno()).write(bytes(1 << 20))
    assert patience.cancelled_caught
