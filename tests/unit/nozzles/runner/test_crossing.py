"""Crossing from the island: everything arrives, in order, with few wake-ups, and the row is bounded."""

import asyncio
from collections.abc import Callable

import trio

from nozzles.runner.crossing import Crossing
from plumbing.island import open_island

COUNT = 3000


class Ferry:
    """Both shores in one thread: what is sent over waits until it is run."""

    def __init__(self) -> None:
        self.to: list[Callable[[], object]] = []

    def post(self, function: Callable[[], object]) -> None:
        function()

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
