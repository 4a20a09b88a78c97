"""What comes from a Doppler: checked, filtered, counted, sent over, and not confirmed."""

import asyncio

from envelope import kernel
from envelope.framing import frame
from envelope.kinds import Kind
from plumbing.egress_client import Arrival
from plumbing.gathering.batcher import Piece
from plumbing.gathering.intake import Intake, Step
from plumbing.subscription import check
from tests.unit.plumbing.gathering.arrivals import arrival, logs, texts

BAD = frame(b"\xff")


class Over:
    def __init__(self) -> None:
        self.pieces: list[Piece] = []

    async def room(self) -> None:
        pass

    def put(self, item: Piece) -> None:
        self.pieces.append(item)


class Knows:
    """Has seen the first two of everything."""

    def new_part(self, batch: bytes, count: int, _: object) -> tuple[bytes, int, bytes]:
        return batch[kernel.spans(batch)[1][1] :], count - 2, b"mark"


def relayed(intake: Intake, *arrivals: Arrival) -> None:
    for each in arrivals:
        asyncio.run(intake.take(check(each)))


def test_an_arrival_passes_untouched_and_unconfirmed() -> None:
    over, came = Over(), arrival(logs("a", "b"))
    intake = Intake(over, [])

    relayed(intake, came)

    assert over.pieces == [Piece(came.batch, 2, came)]
    assert over.pieces[0].batch is came.batch
    assert came.confirmed == 0  # type: ignore[attr-defined]
    assert intake.account().delivered == 2


def test_what_is_no_envelope_is_counted_and_left_out() -> None:
    over = Over()
    intake = Intake(over, [])

    relayed(intake, arrival(logs("a") + BAD), arrival(b"\xff", is_kept=False))

    assert [(texts(each.batch), each.count) for each in over.pieces] == [(["a"], 1), ([], 0)]
    account = intake.account()
    assert (account.received, account.delivered, account.skipped, account.outside, account.balance) == (3, 1, 2, 1, 0)


def test_steps_follow_one_another_and_what_they_take_out_is_counted() -> None:
    def drop_first(batch: bytes, count: int) -> tuple[bytes, int]:
        start = kernel.spans(batch)[0][1]
        return batch[start:], count - 1

    steps: list[Step] = [drop_first, drop_first, lambda batch, _: kernel.select(batch, int(Kind.LOG))]
    over = Over()
    intake = Intake(over, steps)

    relayed(intake, arrival(logs("a", "b", "c")), arrival(logs("d", "e")))

    assert [texts(each.batch) for each in over.pieces] == [["c"], []]
    assert (intake.counts.filtered, intake.account().balance) == (4, 0)


def test_what_came_before_is_counted_and_left_out() -> None:
    over = Over()
    intake = Intake(over, [], Knows())

    relayed(intake, arrival(logs("a", "b", "c")), arrival(logs("a", "b")))

    assert [(texts(each.batch), each.count, each.mark) for each in over.pieces] == [
        (["c"], 1, b"mark"),
        ([], 0, b"mark"),
    ]
    account = intake.account()
    assert (account.received, account.delivered, account.skipped, account.balance) == (5, 1, 4, 0)


def test_once_closed_it_takes_nothing() -> None:
    over, came = Over(), arrival(logs("a"))
    intake = Intake(over, [])
    intake.close()

    relayed(intake, came)

    assert (over.pieces, intake.account().received) == ([], 0)
    assert came.confirmed == 0  # type: ignore[attr-defined]
