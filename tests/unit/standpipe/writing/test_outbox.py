from collections.abc import Callable
from typing import Any, cast

import trio
import trio.testing

from plumbing.diode import Parcel
from plumbing.island import Island
from standpipe.writing.outbox import WINDOW_BYTES, Outbox, Undeliverable


class FakeIsland:
    """An island next door: everything happens at once, and parcels lie about until somebody settles them."""

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []

    def post(self, _: Callable[..., object], *args: Any) -> None:
        self.parcels += args

    def to_trio(self, function: Callable[..., object], *args: Any) -> None:
        function(*args)

    def settle(self, parcel: Parcel) -> None:
        assert parcel.settled is not None
        parcel.settled()


async def test_what_is_put_is_sent_and_counted() -> None:
    island = FakeIsland()
    outbox = Outbox(cast(Island, island), "host:1")
    await outbox.put(b"one", 1)
    await outbox.put(b"two", 2)

    assert [parcel.batch for parcel in island.parcels] == [b"one", b"two"]
    assert (outbox.put_total, outbox.confirmed) == (3, 0)


async def test_too_much_unconfirmed_is_waited_for() -> None:
    island = FakeIsland()
    outbox = Outbox(cast(Island, island), "host:1")
    await outbox.put(bytes(WINDOW_BYTES), 1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.put, b"next", 1)
        await trio.testing.wait_all_tasks_blocked()
        assert len(island.parcels) == 1

        island.settle(island.parcels[0])
    assert [parcel.batch for parcel in island.parcels[1:]] == [b"next"]


def test_what_cannot_be_delivered_is_counted() -> None:
    nowhere = Undeliverable("nobody is there")
    nowhere.put(b"batch", 5)
    nowhere.put(b"batch", 2)

    assert (nowhere.put_total, nowhere.lost) == (7, 7)
