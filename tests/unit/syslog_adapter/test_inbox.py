"""When what waits for a drain is enough to be sent."""

import pytest
import trio
from trio.testing import MockClock

from syslog_adapter.cutting import Hand
from syslog_adapter.inbox import AT_ONCE, Inbox, Together
from tests.unit.syslog_adapter.lines import lines

SECOND = Together(most_bytes=1000, linger_s=1.0)


async def taken(inbox: Inbox) -> tuple[float, int]:
    """Wait as a queue does: (how long that took, how many envelopes went at once)."""
    start, hand = trio.current_time(), Hand()
    await inbox.wait()
    await inbox.linger()
    inbox.move_into(hand)
    return trio.current_time() - start, hand.count


async def put_each(inbox: Inbox, count: int, every_s: float) -> None:
    for number in range(count):
        inbox.put(lines(str(number)), 1)
        await trio.sleep(every_s)


async def test_what_comes_is_sent_at_once_where_nothing_else_is_asked(autojump_clock: MockClock) -> None:
    inbox = Inbox(100, 10_000, AT_ONCE)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(put_each, inbox, 3, 0.3)
        assert [await taken(inbox) for _ in range(3)] == [(0.0, 1), (pytest.approx(0.3), 1), (pytest.approx(0.3), 1)]


async def test_the_first_waits_a_second_for_others(autojump_clock: MockClock) -> None:
    inbox = Inbox(100, 10_000, SECOND)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(put_each, inbox, 6, 0.3)
        assert await taken(inbox) == (pytest.approx(1.0), 4)


@pytest.mark.parametrize(
    ("capacity", "capacity_bytes"),
    [(1000, 1_000_000), (40, 1_000_000), (1000, 20 * len(lines("10")) * 2)],
    ids=["enough", "crowded", "crowded_in_bytes"],
)
async def test_nobody_waits_once_there_is_enough_or_others_would_be_lost(
    capacity: int, capacity_bytes: int, autojump_clock: MockClock
) -> None:
    inbox = Inbox(capacity, capacity_bytes, Together(20 * len(lines("10")) if capacity > 40 else 100_000, 1.0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(put_each, inbox, 200, 0.001)
        took_s, count = await taken(inbox)
        nursery.cancel_scope.cancel()

    assert took_s < 0.1
    assert 19 <= count <= 21
    assert inbox.overflow == 0


async def test_nobody_waits_for_one_that_is_closed(autojump_clock: MockClock) -> None:
    inbox = Inbox(100, 10_000, SECOND)
    inbox.put(lines("1"), 1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep, 0.2)
        nursery.start_soon(_close_later, inbox)
        assert await taken(inbox) == (pytest.approx(0.2), 1)
    inbox.put(lines("2"), 1)
    inbox.clear()
    await inbox.wait()
    assert (inbox.held, bool(inbox)) == (0, False)


async def _close_later(inbox: Inbox) -> None:
    await trio.sleep(0.2)
    inbox.close()


async def test_the_oldest_make_room() -> None:
    inbox = Inbox(2, 10_000, AT_ONCE)
    for text in "123":
        inbox.put(lines(text), 1)

    hand = Hand()
    inbox.move_into(hand)

    assert (inbox.overflow, hand.batch) == (1, lines("2", "3"))
