"""A diode loses nothing but the oldest, and counts that exactly."""

import asyncio
from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from hypothesis import given

from plumbing.diode import Diode, DiodePool, Parcel, SharedDiode, level_of

PARCELS = st.lists(st.tuples(st.integers(1, 20), st.integers(1, 200)), max_size=60)


def parcel(count: int, size: int, settled: Callable[[], None] | None = None) -> Parcel:
    return Parcel(b"x" * size, count, settled)


@given(parcels=PARCELS, capacity=st.integers(1, 100), capacity_bytes=st.integers(1, 1000))
def test_every_envelope_is_held_or_dropped(parcels: list[tuple[int, int]], capacity: int, capacity_bytes: int) -> None:
    diode = Diode(capacity, capacity_bytes)

    for count, size in parcels:
        diode.put(parcel(count, size))

    assert diode.put_total == sum(count for count, _ in parcels)
    assert diode.put_total == diode.dropped_total + diode.held


@given(parcels=PARCELS, capacity=st.integers(1, 100), capacity_bytes=st.integers(1, 1000))
def test_holds_no_more_than_its_bounds_or_one_parcel(
    parcels: list[tuple[int, int]], capacity: int, capacity_bytes: int
) -> None:
    diode = Diode(capacity, capacity_bytes)

    for count, size in parcels:
        diode.put(parcel(count, size))
        within = diode.held <= capacity and diode.held_bytes <= capacity_bytes
        alone = (diode.held, diode.held_bytes) == (count, size)
        assert within or alone


@given(parcels=PARCELS, max_bytes=st.integers(1, 500))
def test_gives_parcels_out_in_order_and_within_the_size_asked_for(
    parcels: list[tuple[int, int]], max_bytes: int
) -> None:
    diode = Diode(10**6, 10**6)
    put = [parcel(count, size) for count, size in parcels]
    for each in put:
        diode.put(each)

    taken: list[Parcel] = []
    while diode:
        some = diode.take(max_bytes)
        assert len(some) == 1 or sum(len(each.batch) for each in some) <= max_bytes
        taken += some

    assert taken == put
    assert (diode.held, diode.held_bytes, diode.taken_total) == (0, 0, diode.put_total)


def test_what_is_given_back_comes_first_again() -> None:
    diode = Diode(100, 1000)
    first, second, third = parcel(1, 1), parcel(2, 2), parcel(3, 3)
    for each in (first, second, third):
        diode.put(each)

    diode.give_back(diode.take(3))

    assert diode.take(1000) == [first, second, third]
    assert diode.put_total == diode.taken_total == 6


def test_the_oldest_go_when_what_is_given_back_does_not_fit() -> None:
    diode = Diode(3, 1000)
    diode.put(parcel(2, 1))
    taken = diode.take(1000)
    diode.put(parcel(2, 1))

    diode.give_back(taken)

    assert (diode.held, diode.dropped_total) == (2, 2)


def test_whoever_asked_is_told_when_a_parcel_is_dropped() -> None:
    settled: list[str] = []
    diode = Diode(1, 1000)
    diode.put(parcel(1, 1, lambda: settled.append("first")))

    diode.put(parcel(1, 1, lambda: settled.append("second")))
    diode.clear()

    assert settled == ["first", "second"]


def test_clearing_counts_what_was_held_as_dropped() -> None:
    diode = Diode(10, 1000)
    diode.put(parcel(4, 1))

    assert diode.clear() == 4
    assert (diode.dropped_total, diode.held, diode.held_bytes) == (4, 0, 0)


def test_a_reader_waits_until_something_is_put() -> None:
    async def scenario() -> list[Parcel]:
        diode = SharedDiode(10, 1000)
        reader = asyncio.ensure_future(diode.next(1000))
        await asyncio.sleep(0)
        assert not reader.done()
        diode.put(parcel(1, 1))
        return await reader

    assert len(asyncio.run(scenario())) == 1


def test_readers_take_turns() -> None:
    async def scenario() -> list[str]:
        diode = SharedDiode(100, 1000)
        turns: list[str] = []

        async def read(name: str) -> None:
            while await diode.next(1000):
                turns.append(name)

        readers = [asyncio.ensure_future(read(name)) for name in "ab"]
        for _ in range(4):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            diode.put(parcel(1, 1))
        await asyncio.sleep(0)
        diode.close()
        await asyncio.gather(*readers)
        return turns

    assert asyncio.run(scenario()) == ["a", "b", "a", "b"]


@pytest.mark.parametrize("cancelled_first", [True, False])
def test_a_reader_that_is_cancelled_passes_its_turn_on(cancelled_first: bool) -> None:
    async def scenario() -> list[Parcel]:
        diode = SharedDiode(10, 1000)
        first, second = (asyncio.ensure_future(diode.next(1000)) for _ in range(2))
        await asyncio.sleep(0)
        if cancelled_first:
            first.cancel()
            diode.put(parcel(1, 1))
        else:
            diode.put(parcel(1, 1))
            first.cancel()
        async with asyncio.timeout(1):
            taken = await second
        with pytest.raises(asyncio.CancelledError):
            await first
        return taken

    assert len(asyncio.run(scenario())) == 1


def test_what_one_reader_leaves_is_the_next_ones_turn() -> None:
    async def scenario() -> list[list[Parcel]]:
        diode = SharedDiode(10, 1000)
        readers = [asyncio.ensure_future(diode.next(1)) for _ in range(2)]
        await asyncio.sleep(0)
        diode.give_back([parcel(1, 1), parcel(2, 1)])
        async with asyncio.timeout(1):
            return await asyncio.gather(*readers)

    assert asyncio.run(scenario()) == [[parcel(1, 1)], [parcel(2, 1)]]


def test_readers_that_came_and_left_are_forgotten() -> None:
    async def scenario() -> int:
        diode = SharedDiode(10, 1000)
        for _ in range(3):
            reader = asyncio.ensure_future(diode.next(1000))
            await asyncio.sleep(0)
            reader.cancel()
            await asyncio.wait([reader])
        return len(diode._waiting)

    assert asyncio.run(scenario()) == 0


def test_a_closed_diode_is_drained_and_then_ends() -> None:
    async def scenario() -> list[list[Parcel]]:
        diode = SharedDiode(10, 1000)
        diode.put(parcel(1, 1))
        diode.close()
        return [await diode.next(1000), await diode.next(1000)]

    held, end = asyncio.run(scenario())

    assert len(held) == 1
    assert end == []


@given(sizes=st.lists(st.integers(0, 1000), max_size=20), total=st.integers(0, 5000))
def test_the_largest_are_cut_to_a_level_and_no_further_than_needed(sizes: list[int], total: int) -> None:
    level = level_of(sizes, total)
    cut = [min(size, level) for size in sizes]

    if sum(sizes) <= total:
        assert cut == sizes
    else:
        assert total - len(sizes) < sum(cut) <= total


def test_diodes_of_a_pool_share_a_bound_and_the_fullest_pays() -> None:
    pool = DiodePool(1000, 1000, 250)
    noisy, quiet = pool.make(), pool.make()
    for _ in range(50):
        noisy.put(parcel(1, 10))
    for _ in range(5):
        quiet.put(parcel(1, 10))

    pool.level()

    assert (noisy.held_bytes, noisy.dropped_total) == (200, 30)
    assert (quiet.held_bytes, quiet.dropped_total) == (50, 0)


def test_a_diode_that_is_gone_takes_no_room() -> None:
    pool = DiodePool(1000, 1000, 100)
    gone, stays = pool.make(), pool.make()
    stays.put(parcel(1, 100))
    gone.put(parcel(1, 100))
    del gone

    pool.level()

    assert stays.dropped_total == 0
