"""What becomes of what is in hand: joined lines, tries without end, and batches that wait for their turn."""

import itertools
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from envelope.pb.loggregator_v2_pb2 import Envelope
from syslog_adapter.binding import Binding
from syslog_adapter.delivery import Delivery
from syslog_adapter.drain_url import parse_drain_url
from syslog_adapter.memory_queue import MemoryQueue
from syslog_adapter.options import MOST_BATCH_RETRIES, DrainSettings
from syslog_adapter.retry import MOST_WAIT_S
from syslog_adapter.writers import DrainUnavailable, Written
from tests.unit.syslog_adapter.lines import lines, of, texts
from tests.unit.syslog_adapter.scripted_writer import OtherSide, settings, three_waits


def delivery(url: str, queue: MemoryQueue, to: DrainSettings) -> Delivery:
    return Delivery(parse_drain_url(url), Binding(url=url, source_id="app"), to, queue)


async def test_each_of_the_joined_lines_is_sent_or_lost_with_the_first(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    other, queue = OtherSide(), MemoryQueue(100, 10_000)
    one = delivery("syslog://drain?multiline=a", queue, settings(other, nursery, idle_s=1.0))
    queue.put(lines("1") + of([Envelope()] * 2) + lines("2"), 4)
    other.up = False
    nursery.start_soon(queue.serve, one.deliver)
    await trio.sleep(3.5)
    assert (one.counts.exhausted, queue.held) == (3, 1)

    queue.put(lines("3") + of([Envelope()]), 2)
    other.up = True
    await trio.sleep(10)

    assert other.texts == ["2", "3"]
    assert (one.counts.sent, one.counts.skipped, queue.held, one.state) == (3, 0, 0, "idle")


async def test_what_is_not_to_be_given_up_is_tried_for_ever(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    other, queue = OtherSide(), MemoryQueue(100, 10_000)
    queue.gives_up = False
    other.up = False
    one = delivery("syslog://drain", queue, settings(other, nursery))
    queue.put(lines("1"), 1)
    nursery.start_soon(queue.serve, one.deliver)
    await trio.sleep(3600)
    assert (queue.held, one.counts.exhausted, one.state) == (1, 0, "retrying")
    assert one.counts.retried == pytest.approx(3600 / MOST_WAIT_S, rel=0.02)

    other.up = True
    await trio.sleep(MOST_WAIT_S)
    assert other.texts == ["1"]


async def test_a_drain_may_ask_for_more_time_than_the_schedule(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    asked, tried = [7.0, 0.25, 0.0], list[float]()

    class Busy:
        async def write(self, batch: bytes) -> Written:
            tried.append(trio.current_time())
            raise DrainUnavailable("answers 429", retry_after_s=asked.pop(0) if asked else 0.0)

    @asynccontextmanager
    async def open_writer(*_: Any) -> Any:
        yield Busy()

    queue = MemoryQueue(100, 10_000)
    shared = DrainSettings(open_writer=open_writer, waits=three_waits, spawn=nursery.start_soon)
    queue.put(lines("1"), 1)
    await queue.serve(delivery("https://drain", queue, shared).deliver)

    waits = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert waits == [pytest.approx(7.0), pytest.approx(1.0), pytest.approx(1.0)]
    assert queue.held == 0


class Crowded:
    """A way to any drain on which the first try of each fails, and every other takes long."""

    def __init__(self) -> None:
        self.tried = 0
        self.under_way = self.most = 0
        self.taken: list[str] = []

    @asynccontextmanager
    async def open_writer(self, *_: Any) -> Any:
        yield OneOfMany(self)


class OneOfMany:
    def __init__(self, all_of_them: Crowded) -> None:
        self.all = all_of_them
        self.failed = False

    async def write(self, batch: bytes) -> Written:
        everyone = self.all
        if not self.failed:
            self.failed = True
            raise DrainUnavailable("refused")
        everyone.under_way += 1
        everyone.most = max(everyone.most, everyone.under_way)
        await trio.sleep(10)
        everyone.under_way -= 1
        everyone.taken += texts(batch)
        return Written(1, 0, 0)


@pytest.mark.parametrize(("scheme", "most"), [("https-batch", MOST_BATCH_RETRIES), ("https", 20)])
async def test_few_batches_are_tried_again_at_once(
    scheme: str, most: int, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    crowd = Crowded()
    shared = DrainSettings(open_writer=crowd.open_writer, waits=three_waits, spawn=nursery.start_soon)
    for number in range(20):
        queue = MemoryQueue(100, 10_000)
        queue.put(lines(str(number)), 1)
        nursery.start_soon(queue.serve, delivery(f"{scheme}://drain{number}", queue, shared).deliver)
    await trio.sleep(100)

    assert crowd.most == most
    assert len(crowd.taken) == 20
