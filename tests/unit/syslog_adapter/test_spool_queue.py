"""A drain's spool, on a real disk: what waits is in one place, and found again."""

import shutil
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from plumbing.backlog import Backlog
from plumbing.spool import Spool
from syslog_adapter import spool_queue
from syslog_adapter.binding import Binding
from syslog_adapter.spool_queue import SpoolPlace, SpoolQueue
from tests.unit.syslog_adapter.lines import lines, texts

BINDING = Binding(url="syslog://u:secret@drain.example", source_id="app")


def make(directory: Path, max_bytes: float = 1 << 20, capacity: int = 1000) -> SpoolQueue:
    return SpoolQueue(SpoolPlace.of(BINDING, directory, max_bytes), capacity, 1 << 20)


class Reader:
    """Takes what is in hand as often as it is let."""

    def __init__(self, queue: SpoolQueue) -> None:
        self.queue = queue
        self.texts: list[str] = []
        self.reading = True

    async def deliver(self) -> None:
        while await self.queue.more(1000):
            if not self.reading:
                await trio.sleep_forever()
            self.texts += texts(self.queue.hand.batch)
            self.queue.hand.let_go(self.queue.hand.count)
            await self.queue.done()


@asynccontextmanager
async def served(queue: SpoolQueue, reader: Reader) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(queue.serve, reader.deliver)
        yield
        nursery.cancel_scope.cancel()


async def until(condition: object) -> None:
    with trio.fail_after(20):
        while not condition():  # type: ignore[operator]
            await trio.sleep(0.01)


async def test_what_comes_goes_out_in_order(tmp_path: Path) -> None:
    queue = make(tmp_path)
    reader = Reader(queue)
    async with served(queue, reader):
        for number in range(20):
            queue.put(lines(str(number)), 1)
            await wait_all_tasks_blocked()
        await until(lambda: len(reader.texts) == 20)

    assert reader.texts == [str(n) for n in range(20)]
    assert (queue.held, queue.abandon()) == (0, 0)


async def test_what_is_not_taken_is_found_again_by_the_next(tmp_path: Path) -> None:
    first = make(tmp_path)
    reader = Reader(first)
    reader.reading = False
    async with served(first, reader):
        first.put(lines("1", "2"), 2)
        await until(lambda: first.hand.count == 2)
        first.hand.let_go(1)
        first.put(lines("3"), 1)
        await until(lambda: first.on_disk == 2)
        assert first.held == 2

    assert (first.held, first.abandon(), first.held, first.on_disk, first.recovered) == (2, 0, 0, 0, -2)
    second = make(tmp_path)
    reader = Reader(second)
    async with served(second, reader):
        await until(lambda: len(reader.texts) == 3)
    assert (reader.texts, second.recovered, second.held) == (["1", "2", "3"], 3, 0)


async def test_nothing_is_left_of_one_that_is_not_kept(tmp_path: Path) -> None:
    queue = make(tmp_path)
    reader = Reader(queue)
    reader.reading = False
    async with served(queue, reader):
        queue.put(lines("1"), 1)
        await until(lambda: queue.on_disk == 1)
        queue.close(keep=False)
        queue.close(keep=True)

    assert (queue.abandon(), queue.held) == (1, 0)
    assert list(tmp_path.iterdir()) == []


async def test_a_full_disk_space_drops_the_oldest_and_counts(tmp_path: Path) -> None:
    queue = make(tmp_path, max_bytes=1, capacity=10**6)
    reader = Reader(queue)
    reader.reading = False
    async with served(queue, reader):
        put = 0
        with trio.fail_after(20):
            while not queue.dropped["spool_full"]:
                queue.put(lines("x" * 20_000, str(put)), 2)
                put += 2
                await trio.sleep(0.01)
                assert queue.held + queue.dropped["spool_full"] == put
    left = queue.held
    assert queue.abandon() - queue.recovered == left


async def test_one_that_is_in_use_is_waited_for(tmp_path: Path) -> None:
    queue = make(tmp_path)
    spool = Spool.open(SpoolPlace.of(BINDING, tmp_path, 1).directory, max_bytes=1 << 20)
    reader = Reader(queue)
    async with served(queue, reader):
        queue.put(lines("1"), 1)
        await trio.sleep(0.15)
        assert reader.texts == []
        spool.close()
        await until(lambda: reader.texts == ["1"])


async def test_without_a_disk_it_works_in_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    queue = make(tmp_path / "file")
    reader = Reader(queue)
    async with served(queue, reader):
        queue.put(lines("1"), 1)
        await until(lambda: reader.texts == ["1"])
        reader.reading = False
        queue.put(lines("2"), 1)
        await until(lambda: queue.hand.count == 1)
        assert (queue.held, queue.unsafe) == (1, 0)
        queue.close(keep=True)

    assert (queue.on_disk, queue.abandon(), queue.held) == (0, 1, 0)


async def test_what_left_the_hand_is_done_with_once_even_if_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = make(tmp_path)
    reader = Reader(queue)
    commit, failures = Backlog.done, [OSError("full"), OSError("full")]

    async def fail_at_first(*args: Any) -> None:
        if failures:
            raise failures.pop()
        await commit(*args)

    monkeypatch.setattr(Backlog, "done", fail_at_first)
    monkeypatch.setattr(spool_queue, "_UNREADABLE_S", 0.01)

    async def deliver() -> None:
        with suppress(OSError):
            await reader.deliver()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(queue.serve, deliver)
        for text in "123":
            queue.put(lines(text), 1)
            await wait_all_tasks_blocked()
        await until(lambda: reader.texts[-1:] == ["3"])
        nursery.cancel_scope.cancel()

    assert reader.texts == ["1", "2", "3"]


async def test_what_is_being_deleted_is_not_handed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = make(tmp_path)
    reader = Reader(queue)
    reader.reading = False
    deleting, may_delete = trio.Event(), threading.Event()
    delete = shutil.rmtree

    def delete_late(*args: Any, **settings: Any) -> None:
        trio.from_thread.run_sync(deleting.set)
        may_delete.wait(20)
        delete(*args, **settings)

    monkeypatch.setattr(shutil, "rmtree", delete_late)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(queue.serve, reader.deliver)
        queue.put(lines("1"), 1)
        await until(lambda: queue.on_disk == 1)
        queue.close(keep=False)
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await deleting.wait()
            queue.hand_over()
            may_delete.set()

    assert list(tmp_path.iterdir()) == []
    assert queue.abandon() == 1


async def test_one_that_is_being_deleted_is_waited_for_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, faults = Spool.open, [FileNotFoundError("deleted")]

    def open_late(*args: Any, **settings: Any) -> Spool:
        if faults:
            raise faults.pop()
        return opened(*args, **settings)

    monkeypatch.setattr(Spool, "open", open_late)
    queue = make(tmp_path)
    reader = Reader(queue)
    reader.reading = False
    async with served(queue, reader):
        queue.put(lines("1"), 1)
        await until(lambda: queue.on_disk == 1)


def test_a_place_is_of_a_source_and_a_url_and_tells_nothing_of_them(tmp_path: Path) -> None:
    with_key = Binding(url=BINDING.url, source_id="app", key="k", cert="c", hostname="h")
    other = Binding(url=BINDING.url, source_id="other")

    assert SpoolPlace.of(BINDING, tmp_path, 1) == SpoolPlace.of(with_key, tmp_path, 1)
    assert SpoolPlace.of(BINDING, tmp_path, 1) != SpoolPlace.of(other, tmp_path, 1)
    assert "secret" not in str(SpoolPlace.of(BINDING, tmp_path, 1))
