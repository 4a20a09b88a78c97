from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio
from trio.testing import memory_stream_one_way_pair

from standpipe.supervisor import child as child_module
from standpipe.supervisor.child import Child, StartFailed, Surroundings, in_words, lines
from tests.unit.standpipe.supervisor.fakes import (
    DIE_AT_ONCE,
    DRAIN_WHEN_ASKED,
    END_WITH_PARENT,
    NEVER_DRAIN,
    NEVER_READY,
    REFUSE,
    fake,
)

PATIENCE_S = 10.0


class _World:
    """What a child reports to those around it."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.buried: list[int] = []
        self.news = trio.Event()

    def pass_on(self, name: str, line: str) -> None:
        self.said.append(f"{name}: {line}")
        self._tell()

    async def bury(self, child: Child) -> None:
        self.buried.append(child.code)
        self._tell()

    def _tell(self) -> None:
        self.news.set()
        self.news = trio.Event()

    async def until_said(self, line: str, times: int = 1) -> None:
        with trio.fail_after(PATIENCE_S):
            while self.said.count(line) < times:
                await self.news.wait()


@asynccontextmanager
async def _child(program: str) -> AsyncIterator[tuple[Child, _World, trio.Nursery]]:
    world = _World()
    lifeline, alive = os.pipe()
    child = Child(fake(program), Surroundings(pass_on=world.pass_on, bury=world.bury, lifeline=lifeline))
    try:
        async with trio.open_nursery() as nursery:
            yield child, world, nursery
            nursery.cancel_scope.cancel()
    finally:
        os.close(lifeline)
        os.close(alive)


async def test_is_started_once_it_says_where_it_listens() -> None:
    async with _child(DRAIN_WHEN_ASKED) as (child, _, nursery):
        await nursery.start(child.run)
        assert child.endpoints == {"listen": "127.0.0.1:4711"}


async def test_drains_and_ends_when_asked_and_does_not_come_back() -> None:
    async with _child(DRAIN_WHEN_ASKED) as (child, world, nursery):
        await nursery.start(child.run)
        child.ask_to_end()
        with trio.fail_after(PATIENCE_S):
            await child.ended.wait()
    assert (child.ended_cleanly, child.restarts, world.buried) == (True, 0, [])
    assert world.said == ["fake-0: draining"]


async def test_comes_back_each_time_it_dies() -> None:
    async with _child(DIE_AT_ONCE) as (child, world, nursery):
        await nursery.start(child.run)
        await world.until_said("fake-0: alive at 127.0.0.1:4711", times=3)
    assert child.restarts == 2
    assert world.buried[:2] == [3, 3]


async def test_does_not_come_back_when_it_is_asked_to_end_while_it_is_dead() -> None:
    async with _child(DIE_AT_ONCE) as (child, world, nursery):
        await nursery.start(child.run)
        with trio.fail_after(PATIENCE_S):
            while not world.buried:
                await world.news.wait()
            child.ask_to_end()
            await child.ended.wait()
    assert len(world.buried) == 1


async def test_that_it_never_begins_to_work_is_an_error_with_its_last_words() -> None:
    async with _child(REFUSE) as (child, _, nursery):
        with pytest.raises(StartFailed, match="fake: flag --listen: nowhere") as failure:
            await nursery.start(child.run)
    assert failure.value.code == 2
    assert child.ended.is_set()


async def test_that_it_cannot_be_executed_is_an_error() -> None:
    async with _child("") as (child, _, nursery):
        child.component = replace(child.component, program="#" * (3 << 20))  # no kernel takes that
        with pytest.raises(StartFailed, match=r"fake-0: cannot be executed: .*Argument list too long"):
            await nursery.start(child.run)


async def test_that_it_takes_too_long_to_begin_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "READY_WITHIN_S", 0.2)
    async with _child(NEVER_READY) as (child, _, nursery):
        with pytest.raises(StartFailed, match=r"fake-0 was not ready after 0\.2 s"):
            await nursery.start(child.run)


async def test_can_be_asked_to_end_before_it_is_ready() -> None:
    async with _child(NEVER_READY) as (child, world, nursery):
        nursery.start_soon(child.run)
        await world.until_said("fake-0: thinking")
        child.ask_to_end()
        with trio.fail_after(PATIENCE_S):
            await child.ended.wait()
    assert child.ended_cleanly


async def test_can_be_killed() -> None:
    async with _child(NEVER_DRAIN) as (child, world, nursery):
        await nursery.start(child.run)
        await world.until_said("fake-0: deaf")
        child.kill()
        with trio.fail_after(PATIENCE_S):
            await child.ended.wait()
    assert (child.code, child.ended_cleanly, child.restarts) == (-signal.SIGKILL, False, 0)


async def test_cancelling_kills() -> None:
    with trio.fail_after(PATIENCE_S):
        async with _child(NEVER_DRAIN) as (child, _, nursery):
            await nursery.start(child.run)
    assert child.ended.is_set()


async def test_ends_when_its_lifeline_is_cut() -> None:
    world = _World()
    lifeline, alive = os.pipe()
    child = Child(fake(END_WITH_PARENT), Surroundings(pass_on=world.pass_on, bury=world.bury, lifeline=lifeline))
    async with trio.open_nursery() as nursery:
        await nursery.start(child.run)
        os.close(alive)
        await world.until_said("fake-0: orphaned")
        nursery.cancel_scope.cancel()
    os.close(lifeline)


async def test_output_is_cut_into_lines_whatever_its_chunks() -> None:
    sender, receiver = memory_stream_one_way_pair()
    for chunk in (b"one\ntw", b"o\n", b"\nsch\xf6n\nrest"):
        await sender.send_all(chunk)
    await sender.aclose()
    assert [line async for line in lines(receiver)] == ["one", "two", "", "sch�n", "rest"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "exited with code 0"),
        (70, "exited with code 70"),
        (-9, "was killed by SIGKILL"),
        (-64, "was killed by SIGRTMAX"),
    ],
)
def test_an_exit_code_is_put_into_words(code: int, words: str) -> None:
    assert in_words(code) == words
