from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio
import trio.testing

from plumbing.backlog import Backlog, Entry, Mode
from plumbing.spool import Spool, SpoolUnwritable

PLENTY = 1 << 20


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with closing(Spool.open(tmp_path, max_bytes=1 << 20)) as spool:
        yield spool


async def until(condition: Callable[[], bool]) -> None:
    """Wait without letting the clock jump: a thread may be at work."""
    while not condition():
        await trio.lowlevel.checkpoint()


class Safe(Counter[int]):
    """Counts how often each batch was said to be safe."""

    def of(self, number: int) -> Any:
        return lambda: self.update([number])

    def upto(self, count: int) -> bool:
        return self == Counter(range(count))


@asynccontextmanager
async def running(
    spool: Spool | None, mode: Mode = "when_slow", *, memory_bytes: int = PLENTY, patience_s: float = 3600.0
) -> AsyncIterator[Backlog]:
    backlog = Backlog(spool, memory_bytes=memory_bytes, mode=mode, patience_s=patience_s)
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: backlog.run(task_status=task_status))
        yield backlog
        nursery.cancel_scope.cancel()
    assert balanced(backlog)


def balanced(backlog: Backlog) -> bool:
    gone = backlog.delivered + backlog.refused + backlog.skipped + backlog.dropped + backlog.corrupt
    return backlog.received + backlog.recovered == gone + backlog.held


async def put(backlog: Backlog, safe: Safe, *numbers: int, size: int = 0) -> None:
    for number in numbers:
        await backlog.put(b"%d|" % number + bytes(size), 2, safe=safe.of(number))


async def upcoming(backlog: Backlog) -> Entry:
    entry = await backlog.next()
    assert entry is not None
    return entry


async def taken(backlog: Backlog, count: int) -> list[int]:
    numbers = []
    for _ in range(count):
        entry = await upcoming(backlog)
        numbers.append(int(entry.batch.split(b"|")[0]))
        await backlog.done(entry)
        assert balanced(backlog)
    return numbers


def files(spool: Spool) -> list[Path]:
    return list(spool._directory.glob("*.frames"))


async def test_what_is_taken_quickly_never_touches_the_disk(spool: Spool) -> None:
    safe = Safe()
    async with running(spool) as backlog:
        for number in range(20):
            await put(backlog, safe, number)
            assert await taken(backlog, 1) == [number]

    assert safe.upto(20)
    assert (backlog.delivered, spool.put_total, files(spool)) == (40, 0, [])


async def test_the_oldest_is_the_same_until_it_is_done(spool: Spool) -> None:
    async with running(spool) as backlog:
        await put(backlog, Safe(), 0, 1)
        entry = await upcoming(backlog)

        assert await upcoming(backlog) is entry
        assert entry.id == ""
        await backlog.done(entry)
        assert (await upcoming(backlog)).batch == b"1|"


async def test_what_waits_longer_than_patience_goes_to_disk_with_what_is_in_hand_first(
    spool: Spool, autojump_clock: trio.testing.MockClock
) -> None:
    safe = Safe()
    async with running(spool, patience_s=0.5) as backlog:
        await put(backlog, safe, 0, 1, 2)
        entry = await upcoming(backlog)
        await trio.sleep(0.4)
        assert safe == Counter()
        await trio.sleep(0.2)
        await until(lambda: safe.upto(3))

        assert backlog.on_disk == backlog.held == 6
        assert entry.id == f"{spool.id}-{entry.seq}"
        assert await upcoming(backlog) is entry
        assert await taken(backlog, 3) == [0, 1, 2]
        assert (backlog.held, spool.held) == (0, 0)
    assert safe.upto(3)


async def test_what_has_no_room_in_memory_goes_to_disk_in_order(spool: Spool) -> None:
    safe = Safe()
    async with running(spool, memory_bytes=1500) as backlog:
        await put(backlog, safe, *range(20))

        assert await taken(backlog, 20) == list(range(20))
    assert safe.upto(20)
    assert spool.put_total > 0


async def test_what_comes_while_anything_is_on_disk_goes_there_too_until_it_is_drained(spool: Spool) -> None:
    safe = Safe()
    async with running(spool, memory_bytes=1500) as backlog:
        await put(backlog, safe, *range(8))
        await until(lambda: backlog.on_disk > 0)
        await put(backlog, safe, 8)
        await until(lambda: safe.upto(9))
        assert await taken(backlog, 9) == list(range(9))
        written = spool.put_total

        await put(backlog, safe, 9)
        assert await taken(backlog, 1) == [9]
        assert spool.put_total == written


async def test_always_means_on_disk_before_it_is_given(spool: Spool) -> None:
    safe = Safe()
    async with running(spool, "always") as backlog:
        await put(backlog, safe, 0)
        entry = await upcoming(backlog)

        assert safe.upto(1)
        assert entry.id.startswith(f"{spool.id}-")
        await backlog.done(entry)
        assert await taken_while_putting(backlog, safe, range(1, 30)) == list(range(1, 30))
    assert safe.upto(30)


async def taken_while_putting(backlog: Backlog, safe: Safe, numbers: range) -> list[int]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(put, backlog, safe, *numbers)
        return await taken(backlog, len(numbers))


async def test_what_was_not_done_comes_first_after_a_restart_under_the_same_id(tmp_path: Path) -> None:
    with closing(Spool.open(tmp_path, max_bytes=PLENTY)) as spool:
        async with running(spool, "always") as backlog:
            await backlog.put(b"first", 2, marks=[b"mark"], safe=lambda: None)
            await put(backlog, Safe(), 1, 2)
            before = await upcoming(backlog)

    with closing(Spool.open(tmp_path, max_bytes=PLENTY)) as spool:
        async with running(spool, "always") as backlog:
            assert (backlog.recovered, backlog.held) == (6, 6)
            await put(backlog, Safe(), 3)
            after = await upcoming(backlog)
            assert (after.id, after.batch, after.marks) == (before.id, b"first", (b"mark",))
            await backlog.done(after)
            assert await taken(backlog, 3) == [1, 2, 3]


async def test_what_is_in_memory_when_it_is_cancelled_goes_to_disk(spool: Spool) -> None:
    safe = Safe()
    async with running(spool) as backlog:
        await put(backlog, safe, 0, 1)
        await upcoming(backlog)

    assert safe.upto(2)
    assert (spool.held, backlog.held) == (4, 4)


async def test_what_is_in_hand_while_it_is_dropped_is_counted_once(spool: Spool) -> None:
    async with running(spool, "always") as backlog:
        await put(backlog, Safe(), 0)
        entry = await upcoming(backlog)
        await put(backlog, Safe(), *range(1, 300), size=10_000)
        await until(lambda: backlog.dropped > 0)
        await until(lambda: backlog.held - backlog.on_disk == 2)  # what is in hand is on no disk any more
        await backlog.done(entry)

        assert backlog.delivered == 2
        await until(lambda: backlog.held == backlog.on_disk)
        assert balanced(backlog)
        assert backlog.dropped + backlog.held == 2 * 299


async def test_what_is_in_hand_at_the_end_and_on_no_disk_any_more_was_dropped(spool: Spool) -> None:
    async with running(spool, "always") as backlog:
        await put(backlog, Safe(), 0)
        await upcoming(backlog)
        await put(backlog, Safe(), *range(1, 300), size=10_000)
        await until(lambda: backlog.held - backlog.on_disk == 2)

    assert backlog.held == backlog.on_disk == spool.held
    assert backlog.dropped + backlog.held == 2 * 300


async def test_what_is_refused_is_not_counted_as_delivered(spool: Spool) -> None:
    async with running(spool) as backlog:
        await put(backlog, Safe(), 0)
        await backlog.done(await upcoming(backlog), refused=1)

        assert (backlog.delivered, backlog.refused) == (1, 1)


async def test_what_is_skipped_is_neither_delivered_nor_refused_and_no_more_than_there_is(spool: Spool) -> None:
    async with running(spool) as backlog:
        await put(backlog, Safe(), 0, 1)
        await backlog.done(await upcoming(backlog), skipped=1)
        await backlog.done(await upcoming(backlog), refused=1, skipped=5)

        assert (backlog.delivered, backlog.refused, backlog.skipped) == (1, 1, 2)


async def test_only_what_is_in_hand_can_be_done_and_once(spool: Spool) -> None:
    async with running(spool) as backlog:
        await put(backlog, Safe(), 0)
        entry = await upcoming(backlog)
        await backlog.done(entry)

        with pytest.raises(ValueError, match="once"):
            await backlog.done(entry)


async def test_without_a_spool_a_put_waits_while_memory_is_full(autojump_clock: trio.testing.MockClock) -> None:
    safe = Safe()
    async with running(None, memory_bytes=600, mode="always") as backlog:
        await put(backlog, safe, 0, 1)
        with trio.move_on_after(5) as waiting:
            await put(backlog, safe, 2)
        assert waiting.cancelled_caught
        assert backlog.received == 4

        assert await taken_while_putting(backlog, safe, range(2, 9)) == [0, 1, 2, 3, 4, 5, 6]
        assert await taken(backlog, 2) == [7, 8]
    assert safe.upto(9)


async def test_a_batch_larger_than_memory_is_held_alone() -> None:
    async with running(None, memory_bytes=10) as backlog:
        await put(backlog, Safe(), 0, size=1000)

        assert (backlog.held, backlog.held_bytes) == (2, 1002)
        assert await taken(backlog, 1) == [0]


async def test_while_the_disk_takes_nothing_memory_is_kept_and_tried_again(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    safe, tries = Safe(), []

    def full(frames: Any) -> None:
        tries.append(len(frames))
        raise SpoolUnwritable("no space")

    async with running(spool, "always") as backlog:
        with monkeypatch.context() as patch:
            patch.setattr(spool, "put", full)
            await put(backlog, safe, 0, 1)
            while len(tries) < 2:
                await trio.sleep(1)
            assert safe == Counter()
            assert backlog.held == 4
        assert await taken(backlog, 2) == [0, 1]
    assert safe.upto(2)


async def test_closed_it_gives_what_it_holds_and_then_none(spool: Spool) -> None:
    backlog = Backlog(spool, memory_bytes=PLENTY)
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: backlog.run(task_status=task_status))
        await put(backlog, Safe(), 0, 1)
        backlog.close()
        assert await taken(backlog, 2) == [0, 1]
        assert await backlog.next() is None
        with pytest.raises(trio.ClosedResourceError):
            await put(backlog, Safe(), 2)


async def test_closing_ends_a_put_that_waits() -> None:
    backlog = Backlog(None, memory_bytes=10)
    await put(backlog, Safe(), 0)
    with pytest.RaisesGroup(trio.ClosedResourceError):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(put, backlog, Safe(), 1)
            await trio.testing.wait_all_tasks_blocked()
            backlog.close()


async def test_what_is_corrupt_on_disk_is_counted_and_passed_over(tmp_path: Path) -> None:
    with closing(Spool.open(tmp_path, max_bytes=PLENTY)) as spool:
        async with running(spool, "always") as backlog:
            await put(backlog, Safe(), 0, 1)
            await until(lambda: backlog.on_disk == 4)
        (path,) = files(spool)
    data = bytearray(path.read_bytes())
    data[48] ^= 1  # within the first batch
    path.write_bytes(data)

    with closing(Spool.open(tmp_path, max_bytes=PLENTY)) as spool:
        async with running(spool, "always") as backlog:
            assert await taken(backlog, 1) == [1]
            assert (backlog.corrupt, backlog.delivered, backlog.held) == (2, 2, 0)


@pytest.mark.parametrize("mode", ["when_slow", "always"])
@pytest.mark.parametrize("seed", range(3))
async def test_however_fast_each_side_is_nothing_is_lost_or_out_of_order(spool: Spool, mode: Mode, seed: int) -> None:
    chance, safe = Random(seed), Safe()

    async def hesitate() -> None:
        for _ in range(chance.choice([0, 0, 1, 20])):
            await trio.lowlevel.checkpoint()

    async def producing() -> None:
        for number in range(150):
            await put(backlog, safe, number, size=chance.choice([0, 300]))
            assert balanced(backlog)
            await hesitate()

    async with running(spool, mode, memory_bytes=3000) as backlog:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(producing)
            for number in range(150):
                assert await taken(backlog, 1) == [number]
                await hesitate()
    assert safe.upto(150)
    assert (backlog.delivered, backlog.dropped, backlog.held) == (300, 0, 0)


async def test_what_no_disk_takes_is_not_taken(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plumbing.backlog.MAX_FRAME_BYTES", 1000)
    async with running(spool) as backlog:
        with pytest.raises(ValueError, match="cannot be kept"):
            await put(backlog, Safe(), 0, size=1000)
        assert backlog.received == 0
