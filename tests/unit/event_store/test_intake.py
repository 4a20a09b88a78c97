"""Everything is asked for, goes to the writer once, and is confirmed when it is safe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import trio

from envelope.kinds import Kind
from envelope.selectors import parse_request
from event_store.intake import make_gathering, make_source
from plumbing.gathering.recognise import Memory
from plumbing.island import open_island
from plumbing.subscription import check
from tests.unit.event_store.settings import settings
from tests.unit.plumbing.gathering.arrivals import FakeArrival, FakeStream, logs, texts


class Keeper:
    """Keeps what it is given; it is safe when a test says so."""

    def __init__(self) -> None:
        self.kept: list[tuple[list[str], int]] = []
        self.safe: list[Callable[[], None]] = []
        self.came = trio.Event()

    async def put(self, batch: bytes, count: int, *, marks: Sequence[bytes] = (), safe: Callable[[], None]) -> None:
        await trio.lowlevel.checkpoint()
        self.kept.append((texts(batch), len(b"".join(marks)) // 8))
        self.safe.append(safe)
        self.came.set()


async def test_everything_is_asked_for_under_one_name(certs_dir: Path) -> None:
    async with open_island() as island:
        source = make_source(settings(certs_dir, shard_id="mine"), island, ())

    request = parse_request(source.request)
    kinds = {each.kind for each in request.interests}
    assert (request.shard_id, {each.source for each in request.interests}) == ("mine", {None})
    assert kinds == {Kind.LOG, Kind.COUNTER, Kind.GAUGE, Kind.TIMER, Kind.EVENT}


async def test_what_is_in_the_store_is_left_out_and_the_rest_confirmed_when_it_is_safe(certs_dir: Path) -> None:
    stored = Memory(()).new_part(logs("1", "2"), 2, FakeStream())[2]
    arrival, keeper = FakeArrival(logs("1", "2", "3")), Keeper()
    async with open_island() as island:
        source = make_source(config := settings(certs_dir), island, [stored])
        gathering = make_gathering(config, island, source, keeper)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(gathering.run)
            await island.run(source.intake.take, check(arrival))
            await keeper.came.wait()
            assert (keeper.kept, arrival.confirmed) == ([(["3"], 1)], 0)
            keeper.safe[0]()
            await island.call(lambda: None)  # confirmations are made there
            assert arrival.confirmed == 1
            gathering.close()
        account = await source.account()

    assert (source.intake.counts.repeated, gathering.received) == (2, 1)
    assert (account.received, account.delivered, account.skipped, account.balance) == (3, 1, 2, 0)
