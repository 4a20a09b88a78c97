"""Crossing from the island: everything arrives, in order, with few wake-ups, and the row is bounded."""

import asyncio
from collections.abc import Callable

import trio
import trio.testing

from plumbing.gathering.crossing import Crossing, Here
from plumbing.island import open_island

COUNT = 3000


class Ferry:
    """Both shores in one thread: what is sent over waits until it is run."""

    def __init__(self) -> None:
        self.to: list[Callable[[], object]] = []
        self.due: list[Callable[[], object]] = []

    def post(self, function: Callable[[], object]) -> None:
        function()

    def later(self, _: float, function: Callable[[], object]) -> None:
        self.due.append(function)

    def to_trio(self, function: Callable[[], object]) -> None:
        self.to.append(function)


def test_many_items_make_one_call() -> None:
    ferry = Ferry()
    crossing: Crossing[int] = Crossing(ferry, 100)

    for number in range(10):
        crossing.put(number)

    assert len(ferry.to) == 1
    ferry.to.pop()()
    assert [crossing.take() for _ in range(11)] == [*range(10), None]
    crossing.put(10)
    assert len(ferry.to) == 1


def test_it_lingers_before_it_calls_unless_there_is_a_crowd() -> None:
    ferry = Ferry()
    crossing: Crossing[int] = Crossing(ferry, 100, linger_s=0.1, crowd=3)

    crossing.put(1)
    crossing.put(2)
    assert (len(ferry.due), len(ferry.to)) == (1, 0)
    crossing.put(3)
    assert (len(ferry.due), len(ferry.to)) == (1, 1)
    ferry.to.pop()()
    assert [crossing.take() for _ in range(4)] == [1, 2, 3, None]
    ferry.due.pop()()
    assert not ferry.to
    crossing.put(4)
    ferry.due.pop()()
    ferry.to.pop()()
    assert crossing.take() == 4


def test_what_was_taken_before_the_call_is_not_waited_for_ever_after() -> None:
    ferry = Ferry()
    crossing: Crossing[int] = Crossing(ferry, 100, linger_s=0.1)

    crossing.put(1)
    assert crossing.take() == 1
    ferry.due.pop()()
    crossing.put(2)
    assert len(ferry.due) == 1


def test_there_is_no_room_in_a_full_row_until_one_is_taken() -> None:
    async def fill() -> bool:
        crossing: Crossing[int] = Crossing(Ferry(), 2)
        crossing.put(1)
        crossing.put(2)
        waiting = asyncio.ensure_future(crossing.room())
        await asyncio.sleep(0)
        stuck = not waiting.done()
        crossing.take()
        await asyncio.wait_for(waiting, 5)
        return stuck

    assert asyncio.run(fill())


def test_all_that_wait_for_room_get_it() -> None:
    async def fill() -> int:
        crossing: Crossing[int] = Crossing(Ferry(), 1)
        crossing.put(0)

        async def put(number: int) -> None:
            await crossing.room()
            crossing.put(number)

        putting = [asyncio.ensure_future(put(number)) for number in (1, 2)]
        taken = 0
        while taken < 3:
            await asyncio.sleep(0)
            taken += crossing.take() is not None
        await asyncio.wait_for(asyncio.gather(*putting), 5)
        return taken

    assert asyncio.run(asyncio.wait_for(fill(), 20)) == 3


async def test_within_trio_it_is_a_bounded_row(autojump_clock: trio.testing.MockClock) -> None:
    crossing: Crossing[int] = Crossing(Here(), 2, new_event=trio.Event)
    filled = 0

    async def fill() -> None:
        nonlocal filled
        for number in range(COUNT):
            await crossing.room()
            crossing.put(number)
            filled += 1

    arrived: list[int] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fill)
        await trio.testing.wait_all_tasks_blocked()
        assert filled == 2
        while len(arrived) < COUNT:
            await crossing.wait()
            while (item := crossing.take()) is not None:
                arrived.append(item)

    assert arrived == list(range(COUNT))


async def test_everything_arrives_in_order() -> None:
    async with open_island() as island:
        crossing: Crossing[int] = Crossing(island, 7)

        async def send() -> None:
            for number in range(COUNT):
                await crossing.room()
                crossing.put(number)

        arrived: list[int] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(island.run, send)
            with trio.fail_after(20):
                while len(arrived) < COUNT:
                    await crossing.wait()
                    while (item := crossing.take()) is not None:
                        arrived.append(item)

    assert arrived == list(range(COUNT))
