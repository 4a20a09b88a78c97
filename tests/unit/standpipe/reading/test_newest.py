"""The newest envelopes of a source: as many as were asked for, each of them once."""

import sys

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from standpipe.reading.log_cache_answers import LATEST
from standpipe.reading.newest import Newest, Wanted, newest
from tests.fakes.cursor_log_cache import CursorLogCache, counter, log
from tests.unit.standpipe.reading.cache_in_memory import client_of, texts

ALL = sys.maxsize


@pytest.fixture
def fake() -> CursorLogCache:
    return CursorLogCache()


async def _newest(fake: CursorLogCache, most: int, wanted: Wanted | None = None) -> Newest:
    async with client_of(fake) as cache:
        return await newest(cache, wanted or Wanted(source="shop"), most)


async def test_the_newest_come_oldest_first(fake: CursorLogCache) -> None:
    fake.put(log("b", 2), log("c", 3), log("a", 1))
    assert texts((await _newest(fake, 2)).envelopes) == ["b", "c"]


async def test_all_of_few_are_fewer(fake: CursorLogCache) -> None:
    fake.put(log("a", 1))
    assert texts((await _newest(fake, 10)).envelopes) == ["a"]
    assert len(fake.asked) == 1


async def test_none_is_the_place_behind_them(fake: CursorLogCache) -> None:
    fake.put(log("a", 1))
    found = await _newest(fake, 0)
    assert (found.envelopes, found.place.cursor) == ([], "1.1")


async def test_what_was_not_taken_is_not_taken_for_seen(fake: CursorLogCache) -> None:
    fake.put(*(log(str(number), number) for number in range(3000)))
    found = await _newest(fake, 1500)
    assert texts(found.place.seen) == [str(number) for number in reversed(range(1500, 2000))]


async def test_what_was_asked_for_is_asked_for(fake: CursorLogCache) -> None:
    fake.put(log("a", 1), counter("orders", 5, 2), log("b", 3), log("c", 4))
    wanted = Wanted(source="shop", kinds=["LOG"], name_filter="^o", since=2)
    assert texts((await _newest(fake, 10, wanted)).envelopes) == ["b", "c"]
    assert fake.queries() == [
        {
            "envelope_types": "LOG",
            "name_filter": "^o",
            "start_time": "2",
            "end_time": str(LATEST),
            "descending": "true",
            "limit": "10",
        }
    ]


@pytest.mark.parametrize("cursors", [True, False])
@pytest.mark.parametrize("most", [1001, 1999, 2500, ALL])
async def test_many_are_read_in_pages_and_come_once(fake: CursorLogCache, most: int, cursors: bool) -> None:
    fake.cursors = cursors
    lines = [log(str(number), number // 7 * (1 if cursors else 10_000)) for number in range(2500)]
    fake.put(*lines)
    found = await _newest(fake, most)
    assert texts(found.envelopes) == [str(number) for number in range(2500)][-most:]


async def test_what_says_the_same_at_the_same_time_is_not_taken_for_a_repeat(fake: CursorLogCache) -> None:
    fake.put(*(log("tick", number // 600) for number in range(2400)))
    assert len((await _newest(fake, ALL)).envelopes) == 2400


async def test_more_than_a_page_of_one_time_is_read_in_order_of_arrival(fake: CursorLogCache) -> None:
    fake.put(*(log(str(number), 5) for number in range(2500)), log("older", 4))
    found = await _newest(fake, 2000)
    assert texts(found.envelopes) == [str(number) for number in range(500, 2500)]
    assert found.place.cursor == "1.2501"


async def test_without_cursors_some_of_such_a_time_are_passed_over(fake: CursorLogCache) -> None:
    fake.cursors = False
    fake.put(log("older", 4), *(log(str(number), 5) for number in range(1500)))
    found = texts((await _newest(fake, ALL)).envelopes)
    assert found == ["older", "0", *(str(number) for number in range(500, 1500))]


async def test_pages_get_smaller_when_they_are_too_large_for_the_server(fake: CursorLogCache) -> None:
    fake.most = 300
    fake.put(*(log(str(number), number) for number in range(700)))
    assert texts((await _newest(fake, ALL)).envelopes) == [str(number) for number in range(700)]


@given(times=st.lists(st.integers(0, 5), max_size=60), most=st.integers(0, 70))
def test_whatever_the_times_the_newest_are_found(times: list[int], most: int) -> None:
    fake = CursorLogCache(most=30)
    fake.put(*(log(str(index), time) for index, time in enumerate(times)))
    expected = [str(index) for index, _ in sorted(enumerate(times), key=lambda item: item[1])]
    assert texts(trio.run(_newest, fake, most).envelopes) == expected[max(0, len(expected) - most) :]


@given(times=st.lists(st.integers(0, 5), max_size=60), most=st.integers(0, 70))
def test_whatever_the_times_nothing_comes_twice_without_cursors(times: list[int], most: int) -> None:
    fake = CursorLogCache(cursors=False, most=30)
    fake.put(*(log(str(index), time) for index, time in enumerate(times)))
    found = texts(trio.run(_newest, fake, most).envelopes)
    assert len(found) == len(set(found)) <= most
