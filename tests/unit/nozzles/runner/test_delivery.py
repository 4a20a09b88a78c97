"""Delivery: in order, again and again, each batch done once, whatever the sink does."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from nozzles.runner import delivery
from nozzles.runner.delivery import Delivery, sole
from nozzles.sdk import Batch, SinkDenied, SinkRefused, SinkUnavailable, Write
from plumbing.config import ConfigError
from plumbing.grpc_client import Backoff
from plumbing.tls import TlsError
from tests.unit.plumbing.gathering.arrivals import logs, texts


@dataclass
class Entry:
    batch: bytes
    count: int
    id: str = ""


class Queue:
    """A backlog that is closed: what is in it is all there is."""

    def __init__(self, *entries: Entry) -> None:
        self.entries = deque(entries)
        self.refused = 0
        self.refusals: list[int] = []
        self.skipped: list[int] = []

    async def next(self) -> Entry | None:
        await trio.lowlevel.checkpoint()
        return self.entries[0] if self.entries else None

    async def done(self, entry: Entry, refused: int = 0, skipped: int = 0) -> None:
        await trio.lowlevel.checkpoint()
        assert self.entries.popleft() is entry
        self.refused += refused
        self.refusals.append(refused)
        self.skipped.append(skipped)


class Sink:
    """Does to each write what it is told to, then takes everything."""

    def __init__(self, *does: Callable[[Batch], object]) -> None:
        self.does = deque(does)
        self.opened = 0
        self.tried_at: list[float] = []
        self.taken: list[str] = []
        self.ids: list[str] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Write]:
        self.opened += 1
        yield self.write

    async def write(self, batch: Batch) -> None:
        self.tried_at.append(trio.current_time())
        self.ids.append(batch.id)
        if self.does:
            result = self.does.popleft()(batch)
            if result is not None:
                await trio.sleep_forever()
        self.taken += texts(batch.data)


def fail(error: Exception) -> Callable[[Batch], object]:
    def does(_: Batch) -> object:
        raise error

    return does


def hang(_: Batch) -> object:
    return "for ever"


def entries(*batches: str) -> list[Entry]:
    return [Entry(logs(*batch), len(batch), f"id-{number}") for number, batch in enumerate(batches)]


def delivering(queue: Queue, sink: Sink) -> Delivery:
    backoff = Backoff(random.Random(1), first_s=1.0, most_s=4.0)
    return Delivery(queue, sink.open, sink="s", backoff=backoff, write_timeout_s=30.0)


async def delivered(sink: Sink, *batches: str) -> tuple[Delivery, Queue]:
    queue = Queue(*entries(*batches))
    under_test = delivering(queue, sink)
    await under_test.run()
    return under_test, queue


async def test_delivers_in_order() -> None:
    sink = Sink()

    under_test, queue = await delivered(sink, "ab", "c", "de")

    assert sink.taken == list("abcde")
    assert (queue.refusals, sink.opened, under_test.oldest) == ([0, 0, 0], 1, b"")


async def test_a_sink_that_is_away_is_tried_again_with_the_same_batch(autojump_clock: MockClock) -> None:
    sink = Sink(*[fail(SinkUnavailable("away"))] * 5)

    under_test, _ = await delivered(sink, "ab", "c")

    assert (sink.taken, sink.opened, sink.ids) == (list("abc"), 1, ["id-0"] * 6 + ["id-1"])
    waits = [later - earlier for earlier, later in zip(sink.tried_at, sink.tried_at[1:-1], strict=False)]
    assert all(bound / 2 <= wait <= bound for wait, bound in zip(waits, [1, 2, 4, 4, 4], strict=True))
    assert (under_test.counts.retries, under_test.counts.errors) == (5, Counter(unavailable=5))
    assert under_test.counts.last_error_at > 0


async def test_a_success_makes_the_next_waits_short_again(autojump_clock: MockClock) -> None:
    away = fail(SinkUnavailable("away"))
    sink = Sink(away, away, away, lambda _: None, away)

    await delivered(sink, "a", "b")

    assert sink.tried_at[-1] - sink.tried_at[-2] <= 1.0


@pytest.mark.parametrize(("asked_s", "waits_s"), [(77.0, 77.0), (1e9, delivery.MOST_RETRY_AFTER_S)])
async def test_waits_as_long_as_the_sink_asks(autojump_clock: MockClock, asked_s: float, waits_s: float) -> None:
    sink = Sink(fail(SinkUnavailable("later", retry_after_s=asked_s)))

    await delivered(sink, "a")

    assert sink.tried_at[1] == pytest.approx(waits_s)


async def test_only_what_is_left_is_sent_again(autojump_clock: MockClock) -> None:
    def half(batch: Batch) -> object:
        sink.taken += texts(batch.only([0]).data)
        batch.refuse(1, "too_old")
        raise SinkUnavailable("half", left=batch.only([2, 3]))

    sink = Sink(half)

    under_test, queue = await delivered(sink, "abcd", "e")

    assert sink.taken == list("acde")
    assert (queue.refusals, under_test.counts.refused) == ([1, 0], Counter(too_old=1))
    assert sink.ids == ["id-0", "id-0", "id-1"]


async def test_after_anything_unexpected_the_nozzle_is_opened_anew(autojump_clock: MockClock) -> None:
    sink = Sink(fail(ValueError("what?")), fail(ConnectionResetError()))

    under_test, _ = await delivered(sink, "a", "b")

    assert (sink.taken, sink.opened, under_test.counts.errors) == (["a", "b"], 3, Counter(failed=2))


async def test_a_write_that_hangs_is_given_up(autojump_clock: MockClock) -> None:
    sink = Sink(hang)

    under_test, _ = await delivered(sink, "a")

    assert (sink.taken, sink.opened, under_test.counts.errors) == (["a"], 2, Counter(timeout=1))
    assert 30.5 <= sink.tried_at[1] <= 31


async def test_what_the_sink_will_never_take_is_dropped_and_counted() -> None:
    sink = Sink(fail(SinkRefused("no", reason="too_large")), fail(SinkRefused("no")))

    under_test, queue = await delivered(sink, "ab", "c", "d")

    assert (sink.taken, queue.refusals, sink.opened) == (["d"], [2, 1, 0], 1)
    assert under_test.counts.refused == Counter(too_large=2, refused=1)


async def test_what_was_refused_in_an_attempt_that_failed_is_not_counted(autojump_clock: MockClock) -> None:
    def refuse_then_fail(batch: Batch) -> object:
        batch.refuse(1, "bad")
        raise SinkUnavailable("away")

    under_test, queue = await delivered(Sink(refuse_then_fail), "ab")

    assert (queue.refusals, under_test.counts.refused) == ([0], Counter())


async def test_no_more_is_refused_than_there_is() -> None:
    _, queue = await delivered(Sink(lambda batch: batch.refuse(99, "bad")), "ab")

    assert queue.refusals == [2]


async def test_what_is_skipped_counts_once_however_often_a_batch_is_tried(autojump_clock: MockClock) -> None:
    def skip_then(error: Exception | None) -> Callable[[Batch], object]:
        def does(batch: Batch) -> object:
            batch.skip(1)
            if error is not None:
                raise error
            return None

        return does

    sink = Sink(*map(skip_then, (SinkUnavailable("away"), ValueError("what?"), None)))

    under_test, queue = await delivered(sink, "ab", "c")

    assert (queue.skipped, queue.refusals, under_test.counts.refused) == ([1, 0], [0, 0], Counter())


async def test_what_an_attempt_that_left_something_skipped_stays_skipped(autojump_clock: MockClock) -> None:
    def skip_and_leave(batch: Batch) -> object:
        batch.skip(2)
        raise SinkUnavailable("half", left=batch.only([3]))

    _, queue = await delivered(Sink(skip_and_leave, lambda batch: batch.skip(1)), "abcd")

    assert (queue.skipped, queue.refusals) == ([3], [0])


async def test_a_batch_that_is_refused_is_refused_but_for_what_is_skipped() -> None:
    def skip_and_refuse(batch: Batch) -> object:
        batch.skip(1)
        raise SinkRefused("no")

    under_test, queue = await delivered(Sink(skip_and_refuse), "abc")

    assert (queue.skipped, queue.refusals, under_test.counts.refused) == ([1], [2], Counter(refused=2))


async def test_no_more_is_skipped_than_there_is() -> None:
    _, queue = await delivered(Sink(lambda batch: batch.skip(99)), "ab")

    assert queue.skipped == [2]


async def test_a_sink_that_does_not_let_us_in_is_tried_again_with_the_nozzle_opened_anew(
    autojump_clock: MockClock,
) -> None:
    def half(batch: Batch) -> object:
        sink.taken += texts(batch.only([0]).data)
        raise SinkDenied("mend token_file", left=batch.only([1]))

    sink = Sink(fail(SinkUnavailable("away")), half, fail(SinkDenied("mend token_file")))

    with capture_logs() as logged:
        under_test, queue = await delivered(sink, "ab")

    assert (sink.taken, sink.opened, queue.refusals) == (["a", "b"], 3, [0])
    assert under_test.counts.errors == Counter(unavailable=1, denied=2)
    told = [each["error"] for each in logged if each["event"] == "sink_away"]
    assert told == ["away", "mend token_file"]  # what is to be mended is said, also of a sink that was away before


async def test_an_error_out_of_a_nursery_of_the_nozzle_is_the_same_error(autojump_clock: MockClock) -> None:
    group = ExceptionGroup("tasks", [ExceptionGroup("inner", [SinkRefused("no")])])

    _, queue = await delivered(Sink(fail(group)), "ab")

    assert (queue.refusals, sole(ValueError()).args) == ([2], ())


async def test_a_nozzle_that_does_not_open_is_tried_again(autojump_clock: MockClock) -> None:
    class Shut(Sink):
        @asynccontextmanager
        async def open(self) -> AsyncIterator[Write]:
            self.opened += 1
            if self.opened == 1:
                raise SinkUnavailable("not yet")
            if self.opened == 2:
                await trio.sleep_forever()
            yield self.write

    sink = Shut()

    under_test, _ = await delivered(sink, "a")

    assert (sink.taken, sink.opened) == (["a"], 3)
    assert under_test.counts.errors == Counter(unavailable=1, timeout=1)


async def test_a_nozzle_that_does_not_close_is_left(autojump_clock: MockClock) -> None:
    class Clinging(Sink):
        @asynccontextmanager
        async def open(self) -> AsyncIterator[Write]:
            self.opened += 1
            try:
                yield self.write
            finally:
                if self.opened == 1:
                    await trio.sleep_forever()

    sink = Clinging(fail(ValueError()))

    await delivered(sink, "a")

    assert (sink.taken, sink.opened) == (["a"], 2)


async def test_a_sink_that_is_away_is_logged_once_and_once_when_it_is_back(autojump_clock: MockClock) -> None:
    sink = Sink(*[fail(SinkUnavailable("away"))] * 4)

    with capture_logs() as logged:
        await delivered(sink, "a", "b", "c")

    assert [each["event"] for each in logged] == ["sink_away", "sink_back"]


async def test_a_reason_for_refusal_is_logged_once() -> None:
    sink = Sink(*[fail(SinkRefused("no"))] * 3)

    with capture_logs() as logged:
        await delivered(sink, "a", "b", "c")

    told = [each for each in logged if each["log_level"] != "debug"]
    assert [(each["event"], each["error"]) for each in told] == [("sink_refuses", "no")]


@pytest.mark.parametrize(
    ("error", "traced"),
    [(ConfigError("token: empty"), False), (TlsError("no key"), False), (ValueError("what?"), True)],
)
async def test_a_mistake_in_the_settings_is_logged_without_a_trace_of_the_code(
    autojump_clock: MockClock, error: Exception, traced: bool
) -> None:
    with capture_logs() as logged:
        await delivered(Sink(fail(error)), "a")

    assert bool(logged[0]["exc_info"]) == traced


async def test_the_oldest_is_the_batch_that_is_tried(autojump_clock: MockClock) -> None:
    queue = Queue(*entries("a"))
    under_test = delivering(queue, Sink(hang))
    with trio.move_on_after(1):
        await under_test.run()

    assert under_test.oldest == queue.entries[0].batch
