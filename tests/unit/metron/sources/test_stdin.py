"""Reading standard input, whatever it is."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from metron.sources import SourceCounts, StdinSource, read_stdin
from tests.unit.metron.sources.fakes import FakeOutlet

CONFIG = StdinSource(source_id="job", instance_id="2", tags={"team": "blue"}, max_line_bytes=100)


@pytest.fixture
def pipe() -> Iterator[tuple[int, "Writer"]]:
    readable, writable = os.pipe()
    writer = Writer(writable)
    yield readable, writer
    os.close(readable)
    writer.close()


class Writer:
    def __init__(self, fd: int) -> None:
        self._fd: int | None = fd

    def write(self, content: bytes) -> None:
        assert self._fd is not None
        os.write(self._fd, content)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class Reader:
    def __init__(self, fd: int) -> None:
        self.outlet = FakeOutlet()
        self.counts = SourceCounts()
        self.stop = trio.Event()
        self.run = partial(read_stdin, CONFIG, self.outlet, self.counts, stop=self.stop, now_ns=lambda: 9, fd=fd)


@asynccontextmanager
async def reading(fd: int) -> AsyncIterator[Reader]:
    """Read; the block's end waits for the end of reading."""
    reader = Reader(fd)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(reader.run)
            yield reader


async def test_lines_are_sent_as_they_come(pipe: tuple[int, Writer]) -> None:
    fd, writer = pipe
    async with reading(fd) as reader:
        writer.write(b"one\r\n\ntw")
        assert await reader.outlet.wait_for(2) == [b"one", b""]
        writer.write(b"o\n")
        assert await reader.outlet.wait_for(3) == [b"one", b"", b"two"]
        writer.close()

    first = reader.outlet.envelopes[0]
    assert (first.source_id, first.instance_id, dict(first.tags), first.timestamp) == ("job", "2", {"team": "blue"}, 9)
    assert reader.counts.lines_read == 3


async def test_a_last_line_without_end_is_sent(pipe: tuple[int, Writer]) -> None:
    fd, writer = pipe
    async with reading(fd) as reader:
        writer.write(b"one\nhalf")
        writer.close()

    assert reader.outlet.lines == [b"one", b"half"]


async def test_stop_ends_a_wait_for_input(pipe: tuple[int, Writer]) -> None:
    fd, writer = pipe
    async with reading(fd) as reader:
        writer.write(b"one\nhalf")
        await reader.outlet.wait_for(1)
        reader.stop.set()

    assert reader.outlet.lines == [b"one", b"half"]


async def test_stop_reads_what_is_waiting(pipe: tuple[int, Writer]) -> None:
    fd, writer = pipe
    async with reading(fd) as reader:
        await trio.testing.wait_all_tasks_blocked()
        reader.stop.set()
        writer.write(b"last words\n")

    assert reader.outlet.lines == [b"last words"]


async def test_a_file_can_be_standard_input(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(b"x" * 250 + b"\n" + b"line\n" * 30_000)
    with path.open("rb") as file:
        async with reading(file.fileno()) as reader:
            pass

    assert reader.outlet.lines == [b"x" * 100, b"x" * 100, b"x" * 50] + [b"line"] * 30_000
    assert reader.counts.long_lines == 1


async def test_standard_input_can_be_empty() -> None:
    with Path(os.devnull).open("rb") as file:
        async with reading(file.fileno()) as reader:
            pass

    assert reader.outlet.batches == []


async def test_a_closed_standard_input_is_counted(tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as file:
        closed = file.fileno()
    async with reading(closed) as reader:
        pass

    assert reader.counts.errors == {"stdin": 1}
