import trio
from trio.testing import MockClock

from syslog_adapter.memory_queue import MemoryQueue
from tests.unit.syslog_adapter.lines import lines


async def test_what_waits_comes_joined_and_the_oldest_make_room(autojump_clock: MockClock) -> None:
    queue = MemoryQueue(capacity=2, capacity_bytes=10_000)
    for text in "123":
        queue.put(lines(text), 1)
    assert (queue.held, queue.dropped) == (2, {"overflow": 1})

    assert await queue.more(1)
    assert (queue.hand.batch, queue.hand.count, queue.held) == (lines("2", "3"), 2, 2)
    queue.hand.let_go(2)
    start = trio.current_time()
    assert not await queue.more(5)
    assert trio.current_time() == start + 5


async def test_one_that_closes_gives_what_it_has_and_then_says_no() -> None:
    queue = MemoryQueue(capacity=9, capacity_bytes=10_000)
    queue.put(lines("1"), 1)
    queue.close(keep=True)

    assert await queue.more(60)
    queue.put(lines("2"), 1)
    assert (queue.abandon(), queue.held, queue.on_disk) == (2, 0, 0)
    assert not await queue.more(60)
