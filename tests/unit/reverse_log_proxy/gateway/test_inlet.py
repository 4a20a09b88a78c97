"""A feed on the island, seen from trio."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import trio

from plumbing.island import Island, open_island
from reverse_log_proxy.gateway import inlet as inlet_module
from reverse_log_proxy.gateway.inlet import Inlet
from tests.running import eventually

MESSAGES = 1000


class FakeFeed:
    """Brings a thousand messages, then waits to be cancelled."""

    said_goodbye = False

    def __init__(self, _: Any, request: bytes, relay: Callable[[Any], Awaitable[None]]) -> None:
        self._request = request
        self._relay = relay

    async def run(self) -> None:
        if self._request == b"broken":
            raise RuntimeError("a fault of ours")
        try:
            for number in range(MESSAGES):
                await self._relay(FakeArrival(number))
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            FakeFeed.said_goodbye = True


class FakeArrival:
    confirmed: list[int] = []  # noqa: RUF012 - the fixture empties it

    def __init__(self, number: int) -> None:
        self.number = number

    def confirm(self) -> None:
        FakeArrival.confirmed.append(self.number)


@pytest.fixture
async def island(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Island]:
    monkeypatch.setattr(inlet_module, "Feed", FakeFeed)
    monkeypatch.setattr(FakeFeed, "said_goodbye", False)
    FakeArrival.confirmed.clear()
    async with open_island() as island:
        yield island


async def test_everything_crosses_in_order_and_is_confirmed_in_order(island: Island) -> None:
    landed: list[Any] = []
    inlet = Inlet(island, None, b"", landed.append)  # type: ignore[arg-type]  # no dopplers

    async def all_landed() -> bool:
        return len(landed) == MESSAGES

    async def all_confirmed() -> bool:
        return len(FakeArrival.confirmed) == MESSAGES

    async with trio.open_nursery() as nursery:
        nursery.start_soon(inlet.run)
        await eventually(all_landed)
        inlet.confirm(landed)
        await eventually(all_confirmed)
        nursery.cancel_scope.cancel()

    assert [arrival.number for arrival in landed] == FakeArrival.confirmed == list(range(MESSAGES))


async def test_many_messages_are_few_notifications(island: Island, monkeypatch: pytest.MonkeyPatch) -> None:
    crossings = 0
    to_trio = island.to_trio

    def counted(function: Callable[..., object], *args: Any) -> None:
        nonlocal crossings
        crossings += function.__name__ == "_land"
        to_trio(function, *args)

    monkeypatch.setattr(island, "to_trio", counted)
    landed: list[Any] = []
    inlet = Inlet(island, None, b"", landed.append)  # type: ignore[arg-type]  # no dopplers

    async def all_landed() -> bool:
        return len(landed) == MESSAGES

    async with trio.open_nursery() as nursery:
        nursery.start_soon(inlet.run)
        await eventually(all_landed)
        nursery.cancel_scope.cancel()

    assert 1 <= crossings < MESSAGES / 2


async def test_leaving_waits_for_the_goodbye(island: Island) -> None:
    landed: list[Any] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Inlet(island, None, b"", landed.append).run)  # type: ignore[arg-type]  # no dopplers

        async def something() -> bool:
            return bool(landed)

        await eventually(something)
        nursery.cancel_scope.cancel()

    assert FakeFeed.said_goodbye


async def test_a_fault_of_the_feed_is_raised(island: Island) -> None:
    with pytest.raises(RuntimeError, match="a fault of ours"):
        await Inlet(island, None, b"broken", print).run()  # type: ignore[arg-type]  # no dopplers
