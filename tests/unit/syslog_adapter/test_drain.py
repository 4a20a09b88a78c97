from collections.abc import Callable
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import Envelope
from syslog_adapter.binding import Binding
from syslog_adapter.drain import Drain
from syslog_adapter.inbox import Together
from syslog_adapter.writers import Written
from tests.unit.syslog_adapter.lines import LOG, counter, lines, of
from tests.unit.syslog_adapter.scripted_writer import OtherSide, settings

URL = "syslog://drain.example:514"


def drain(other: OtherSide, nursery: trio.Nursery, url: str = URL, **more: Any) -> Drain:
    return Drain(Binding(url=url, source_id="app"), settings(other, nursery, **more))


def offer(to: Drain, *said: str) -> None:
    to.offer(lines(*said), len(said), LOG)
    assert to.account("").balance == 0


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(20):
        while not condition():
            await trio.sleep(0.005)


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


async def test_lines_wait_for_each_other_where_many_go_together(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    batch, other = OtherSide(), OtherSide()
    together = {"batches": Together(linger_s=1.0)}
    drains = [
        drain(batch, nursery, "https-batch://drain.example", **together),
        drain(other, nursery, "https://drain.example", **together),
    ]
    for text in "1234":
        for one in drains:
            offer(one, text)
        await trio.sleep(0.3)
    assert (batch.texts, batch.writes) == (["1", "2", "3", "4"], 1)
    assert (other.texts, other.writes) == (["1", "2", "3", "4"], 4)


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

    assert (other.texts, one.retried) == (["1"], 1)


async def test_lines_that_belong_together_are_one_message(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    other = OtherSide()
    one = drain(other, nursery, f"{URL}?multiline=%5E%20&include=.")
    offer(one, "Error", " at a", " at b", "next", " and", "")
    assert one.held == 5
    await trio.sleep(5)

    assert other.texts == ["Error\n at a\n at b", "next\n and"]
    assert (one.held, one.account("").skipped, one.account("").balance, one.lag_s(trio.current_time())) == (0, 1, 0, 0)


async def test_what_comes_late_finds_its_place(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    other = OtherSide()
    one = drain(other, nursery, f"{URL}?order-window=500")
    for timestamp in (2, 4, 3, 1):
        one.offer(of([Envelope(timestamp=timestamp, source_id="app", log={"payload": b"%d" % timestamp})]), 1, LOG)
        await trio.sleep(0.1)
        assert one.account("").balance == 0
    assert (other.texts, one.held) == ([], 4)
    await trio.sleep(1)

    assert (other.texts, one.sent) == (["1", "2", "3", "4"], 4)


async def test_a_drain_that_closes_holds_nothing_back(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    other = OtherSide()
    one = drain(other, nursery, f"{URL}?order-window=60000&multiline=a")
    offer(one, "1")
    await trio.sleep(0.1)
    start = trio.current_time()
    one.close(60)
    await one.finished.wait()

    assert (other.texts, trio.current_time()) == (["1"], start)


async def test_a_drain_that_asks_for_a_spool_in_vain_is_told(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    other, told = OtherSide(), []
    one = drain(other, nursery, f"{URL}?spool=true", warn=lambda *words: told.append(words))
    drain(other, nursery, f"{URL}?spool=false", warn=lambda *words: told.append(words))
    offer(one, "1")
    await trio.sleep(1)

    said = f"No spool for syslog drain with url {URL}: this installation has none, and what waits is in memory"
    assert (other.texts, told, one.has_spool) == (["1"], [("app", said)], False)


async def test_what_a_drain_does_not_take_is_on_disk_and_the_next_one_sends_it(
    nursery: trio.Nursery, tmp_path: Path
) -> None:
    other = OtherSide()
    other.up = False
    one = drain(other, nursery, f"{URL}?spool=true", spool_dir=tmp_path)
    for number in range(10):
        offer(one, str(number))
        await wait_all_tasks_blocked()
    await until(lambda: one.on_disk == one.held == 10)
    assert (one.state, one.lost, one.account("").balance) == ("retrying", 0, 0)
    one.close(0, keep=True)
    await one.finished.wait()
    assert (one.account("").balance, one.account("").received, one.lost, one.held) == (0, 0, 0, 0)

    other.up = True
    again = drain(other, nursery, f"{URL}?spool=true", spool_dir=tmp_path)
    await until(lambda: again.sent == 10)
    assert other.texts == [str(number) for number in range(10)]
    assert (again.account("").received, again.account("").balance) == (10, 0)
    await until(lambda: again.lag_s(trio.current_time()) == 0)
    again.close(5)
    await again.finished.wait()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", ["", "&order-window=5&multiline=%5E%20"])
@pytest.mark.parametrize("spool", ["1", "true"])
async def test_the_books_balance_at_every_moment(
    options: str, spool: str, nursery: trio.Nursery, tmp_path: Path
) -> None:
    chance, other, count = Random(options + spool), OtherSide(), 0
    impatient = replace(settings(other, nursery, spool_dir=tmp_path, idle_s=0.02), waits=lambda: repeat(0.001))
    one = Drain(Binding(url=f"{URL}?spool={spool}{options}", source_id="app"), impatient)

    def look() -> bool:
        books = one.account("")
        assert books.balance == 0
        assert min(books.received, books.delivered, books.held, books.in_flight, *books.dropped.values()) >= 0
        assert 0 <= books.on_disk <= books.held + books.in_flight
        return one.held == 0

    for _ in range(100):
        size = chance.choice([1, 1, 5, 50])
        offer(one, *(chance.choice(["", "", " "]) + str(count + n).ljust(500, ".") for n in range(size)))
        count += size
        other.up = chance.random() < 0.3
        await trio.sleep(chance.choice([0, 0.001, 0.01]))
        look()
    other.up = True
    await until(look)

    numbers = [int(line.strip(" .")) for text in other.texts for line in text.split("\n")]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == one.sent == count - one.account("").dropped["spool_full"]
    one.close(5)
    await one.finished.wait()
    assert list(tmp_path.iterdir()) == []
