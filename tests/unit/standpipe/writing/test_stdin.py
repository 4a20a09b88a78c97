import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trio
import trio.testing

from standpipe.errors import CommandFailed
from standpipe.writing.stdin import Stdin


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with suppress(OSError):
            os.close(end)


async def test_what_is_there_is_read_at_once(pipe: tuple[int, int]) -> None:
    stdin = Stdin(pipe[0])
    os.write(pipe[1], b"no newline yet")

    assert await stdin.read() == b"no newline yet"


async def test_the_end_is_read_as_nothing(pipe: tuple[int, int]) -> None:
    os.close(pipe[1])

    assert await Stdin(pipe[0]).read() == b""


async def test_a_file_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with (tmp_path / "file").open("rb") as file:
        stdin = Stdin(file.fileno())

        assert [await stdin.read(), await stdin.read()] == [b"content", b""]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it(pipe: tuple[int, int], number: signal.Signals) -> None:
    stdin = Stdin(pipe[0])
    async with trio.open_nursery() as nursery:
        await nursery.start(stdin.listen)
        nursery.start_soon(_raise_soon, number)

        assert await stdin.read() == b""
    assert stdin.ended_by == number
    assert await stdin.read() == b""


async def _raise_soon(number: signal.Signals) -> None:
    await trio.testing.wait_all_tasks_blocked()
    signal.raise_signal(number)


async def test_what_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(CommandFailed, match="cannot read standard input: Is a directory"):
            await Stdin(directory).read()
    finally:
        os.close(directory)


def test_a_closed_stdin_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(CommandFailed, match="closed"):
        Stdin()
