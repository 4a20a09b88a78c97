from typing import Any

import pytest
import trio
from trio.testing import MockClock

from envelope.kinds import Kind
from syslog_adapter.binding import Binding
from syslog_adapter.drain import Drain
from syslog_adapter.writers import Written
from tests.unit.syslog_adapter.lines import LOG, counter, lines, of
from tests.unit.syslog_adapter.scripted_writer import OtherSide, settings

URL = "syslog://drain.example:514"


def drain(other: OtherSide, nursery: trio.Nursery, url: str = URL, **more: Any) -> Drain:
    return Drain(Binding(url=url, source_id="app"), settings(other, nursery, **more))


def offer(to: Drain, *said: str) -> None:
    to.offer(lines(*said), len(said), LOG)
    assert to.account("").balance == 0


async def test_lines_arrive_once_and_in_order(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    other = OtherSide()
    one = drain(other, nursery)
    assert (one.state, other.opened) == ("idle", 0)

    for start in range(0, 100, 4):
        offer(one, *map(str, range(start, start + 4)))
        await trio.sleep(0.01 * (start % 3))
    await trio.sleep(1)

    assert other.texts == [str(n) for n in range(100)]
    assert (one.account("").delivered, one.account("").balance, other.opened) == (100, 0, 1)
    assert (one.state, one.lag_s(trio.current_time())) == ("connected", 0.0)


async def test_a_connection_that_is_not_used_is_closed_and_opened_again(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    other = OtherSide()
    one = drain(other, nursery, idle_s=600)
    offer(one, "1")
    await trio.sleep(599)
    assert other.open == 1
    await trio.sleep(2)
    assert (other.open, one.state) == (0, "idle")

    offer(one, "2")
    await trio.sleep(1)

    assert (other.texts, other.opened) == (["1", "2"], 2)


async def test_a_drain_that_was_away_gets_what_waited(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    other, told = OtherSide(), []
    other.up = False
    one = drain(other, nursery, warn=lambda *words: told.append(words))
    offer(one, "1", "2")
    await trio.sleep(1.5)
    assert (one.state, one.last_error) == ("retrying", "refused")
    assert one.lag_s(trio.current_time()) == pytest.approx(1.5)
    offer(one, "3")

    other.up = True
    await trio.sleep(2)

    assert other.texts == ["1", "2", "3"]
    assert (one.lost, one.state, one.last_error) == (0, "connected", "")
    assert told == [("app", f"Failed to connect to {URL}")]


async def test_after_the_last_try_one_message_is_lost_and_counted(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    other = OtherSide()
    other.up = False
    one = drain(other, nursery)
    offer(one, "1", "2")
    await trio.sleep(3.5)
    assert one.account("").dropped["retries_exhausted"] == 1
    assert one.untold == 1

    other.up = True
    await trio.sleep(2)

    assert other.texts == ["2"]
    assert one.account("").balance == 0


async def test_a_batch_of_https_batch_is_lost_together(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    other = OtherSide()
    other.up = False
    one = drain(other, nursery, "https-batch://drain.example")
    offer(one, "1", "2")
    await trio.sleep(3.5)

    assert one.account("").dropped["retries_exhausted"] == 2


async def test_what_was_sent_before_a_failure_is_not_sent_again(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    other = OtherSide()
    other.poison = "poison"
    one = drain(other, nursery)
    offer(one, "1", "2", "poison", "3")
    await trio.sleep(20)

    assert other.texts == ["1", "2", "3"]
    assert one.account("").dropped["retries_exhausted"] == 1


async def test_the_oldest_go_when_too_many_wait(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    other = OtherSide()
    other.up = False
    one = drain(other, nursery, capacity=3)
    offer(one, "in hand")
    await trio.sleep(0.5)
    for number in range(5):
        offer(one, str(number))
    other.up = True
    await trio.sleep(2)

    assert other.texts == ["in hand", "2", "3", "4"]
    assert one.account("").dropped["overflow"] == 2


async def test_only_what_is_asked_for_is_sent(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    other = OtherSide()
    one = drain(other, nursery, f"{URL}?include=shop&exclude=500")
    batch = lines("shop 200", "shop 500", "health") + of([counter()])
    one.offer(batch, 4, int(Kind.LOG | Kind.COUNTER))
    await trio.sleep(1)

    assert other.texts == ["shop 200"]
    assert (one.account("").skipped, one.account("").balance) == (3, 0)


async def test_more_than_the_rate_is_dropped_and_counted(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    other = OtherSide()
    one = drain(other, nursery, f"{URL}?rate-limit=2")
    offer(one, "1", "2", "3")
    await trio.sleep(1)
    offer(one, "4")
    await trio.sleep(1)

    assert other.texts == ["1", "2", "4"]
    assert one.account("").dropped["rate_limited"] == 1


async def test_a_drain_that_closes_delivers_what_waits(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    other = OtherSide()
    one = drain(other, nursery)
    offer(one, "1")
    one.close(60)
    await one.finished.wait()

    assert (other.texts, one.state, other.open) == (["1"], "closed", 0)


async def test_what_cannot_be_delivered_in_time_is_counted(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    other = OtherSide()
    other.up = False
    one = drain(other, nursery)
    offer(one, "1", "2")
    await trio.sleep(0.5)
    one.close(0.1)
    await one.finished.wait()

    assert one.account("").dropped["closed"] == 2
    assert one.account("").balance == 0


async def test_one_that_is_idle_closes_at_once(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    one = drain(OtherSide(), nursery)

    one.close(60)

    assert one.finished.is_set()


async def test_a_fault_of_a_writer_is_a_failure_like_any_other(
    nursery: trio.Nursery, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Faulty(OtherSide):
        async def write(self, batch: bytes) -> Written:
            if self.opened == 1:
                raise RuntimeError("a fault")
            return await super().write(batch)

    other = Faulty()
    one = drain(other, nursery)
    offer(one, "1")
    await trio.sleep(2)

    assert (other.texts, one.counts.retried) == (["1"], 1)
