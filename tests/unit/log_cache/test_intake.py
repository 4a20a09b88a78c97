import asyncio

import pytest

from envelope.errors import DecodeError
from envelope.framing import frame
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from log_cache.intake import Intake
from plumbing.subscription import check

GOOD = EnvelopeBatch(batch=[Envelope(source_id="app", timestamp=1)]).SerializeToString()
BAD = frame(b"\xff")
NOTHING_AT_ALL = b"\xff"


class Shelf:
    def __init__(self) -> None:
        self.batches: list[tuple[bytes, int]] = []

    def put(self, batch: bytes, count: int) -> None:
        self.batches.append((batch, count))


class Elsewhere:
    """Forwards everything."""

    def forward(self, batch: bytes, count: int) -> tuple[bytes, int]:
        return b"", 0


class Arrival:
    def __init__(self, batch: bytes, *, is_kept: bool) -> None:
        self.batch = batch
        self.is_kept = is_kept
        self.confirmed = False

    def confirm(self) -> None:
        self.confirmed = True


async def _arrive(intake: Intake, batch: bytes, *, is_kept: bool = True) -> Arrival:
    arrival = Arrival(batch=batch, is_kept=is_kept)
    await intake.take_fed(check(arrival))
    return arrival


def test_what_is_sent_is_put_into_the_cache_without_what_is_no_envelope() -> None:
    intake = Intake(shelf := Shelf())

    asyncio.run(intake.take(GOOD + BAD + GOOD, local_only=False))

    assert shelf.batches == [(GOOD + GOOD, 2)]
    assert (intake.counts.sent, intake.counts.sent_malformed, intake.counts.stored) == (3, 1, 2)


def test_very_much_is_put_into_the_cache_in_several_steps() -> None:
    intake = Intake(shelf := Shelf())

    async def send() -> int:
        sending = asyncio.ensure_future(intake.take(GOOD * 200_000 + BAD, local_only=False))
        turns = 0
        while not sending.done():
            await asyncio.sleep(0)
            turns += 1
        return turns

    turns = asyncio.run(send())

    assert turns > 50
    assert max(count for _, count in shelf.batches) <= 2048
    assert b"".join(batch for batch, _ in shelf.batches) == GOOD * 200_000
    assert (intake.counts.sent, intake.counts.sent_malformed, intake.counts.stored) == (200_001, 1, 200_000)


def test_what_was_not_taken_when_its_sender_left_has_not_come_in() -> None:
    intake = Intake(shelf := Shelf())

    async def send() -> None:
        sending = asyncio.ensure_future(intake.take(GOOD * 200_000, local_only=False))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        sending.cancel()
        await asyncio.wait([sending])

    asyncio.run(send())

    held = sum(count for _, count in shelf.batches)
    assert 0 < held < 200_000
    assert (intake.counts.sent, intake.counts.stored) == (held, held)


def test_a_message_that_cannot_be_taken_apart_is_refused_and_counted_as_one() -> None:
    intake = Intake(shelf := Shelf())

    with pytest.raises(DecodeError):
        asyncio.run(intake.take(NOTHING_AT_ALL, local_only=False))

    assert shelf.batches == []
    assert (intake.counts.sent, intake.counts.sent_malformed) == (1, 1)


def test_what_belongs_to_others_is_forwarded_unless_it_was_forwarded_already() -> None:
    intake = Intake(shelf := Shelf(), Elsewhere())

    asyncio.run(intake.take(GOOD, local_only=False))
    asyncio.run(intake.take(GOOD, local_only=True))

    assert shelf.batches == [(GOOD, 1)]
    assert (intake.counts.sent, intake.counts.stored) == (2, 1)


async def test_an_arrival_is_confirmed_once_it_is_in_the_cache() -> None:
    intake = Intake(shelf := Shelf())

    arrival = await _arrive(intake, GOOD + BAD)

    assert arrival.confirmed
    assert shelf.batches == [(GOOD, 1)]


async def test_a_broken_arrival_is_one_malformed_envelope_and_stops_nothing() -> None:
    intake = Intake(Shelf())

    arrival = await _arrive(intake, NOTHING_AT_ALL)

    assert arrival.confirmed
    assert intake.account().skipped == 1


async def test_the_books_of_the_subscription_balance_and_know_strangers() -> None:
    intake = Intake(Shelf())
    await _arrive(intake, GOOD + BAD)
    await _arrive(intake, GOOD, is_kept=False)
    await intake.take(GOOD, local_only=False)

    account = intake.account()

    assert (account.received, account.delivered, account.outside, account.balance) == (3, 2, 1, 0)
