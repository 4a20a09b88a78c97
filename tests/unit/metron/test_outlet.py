"""A source waits while too much of what was handed over is unsettled, and is woken when there is room again."""

from collections.abc import Callable
from typing import Any

import trio
import trio.testing

from metron.outlet import AgentOutlet, DoorOutlet
from plumbing.island import open_island


class FakeAgent:
    """Takes batches and settles them when told to."""

    def __init__(self) -> None:
        self.taken: list[tuple[bytes, Callable[[], None]]] = []

    def accept_from_source(self, batch: bytes, count: int, settled: Callable[[], None]) -> None:
        self.taken.append((batch, settled))

    def settle(self) -> None:
        self.taken.pop(0)[1]()


class HereIsland:
    """An island on the same thread: whatever is posted runs at once."""

    def post(self, function: Callable[..., object], *args: Any) -> None:
        function(*args)

    to_trio = post


def make_outlet(max_bytes: int) -> tuple[AgentOutlet, FakeAgent]:
    agent = FakeAgent()
    return AgentOutlet(HereIsland(), agent, max_bytes), agent  # type: ignore[arg-type]  # fakes of both


async def test_a_batch_goes_through_at_once_while_there_is_room() -> None:
    outlet, agent = make_outlet(10)

    await outlet.send(b"12345", 1)
    await outlet.send(b"67890", 1)

    assert [batch for batch, _ in agent.taken] == [b"12345", b"67890"]


async def test_a_batch_larger_than_the_window_goes_alone() -> None:
    outlet, agent = make_outlet(3)

    await outlet.send(b"12345", 1)

    assert len(agent.taken) == 1


async def test_whoever_asked_is_told_when_its_batch_has_settled() -> None:
    outlet, agent = make_outlet(10)
    settled: list[str] = []
    await outlet.send(b"1", 1, lambda: settled.append("first"))
    assert settled == []

    agent.settle()

    assert settled == ["first"]


async def test_every_source_that_waits_is_woken_when_there_is_room(autojump_clock: trio.testing.MockClock) -> None:
    outlet, agent = make_outlet(2)
    await outlet.send(b"12", 1)

    with trio.fail_after(1):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outlet.send, b"3", 1)
            nursery.start_soon(outlet.send, b"4", 1)
            await trio.testing.wait_all_tasks_blocked()
            assert len(agent.taken) == 1
            agent.settle()

    assert sorted(batch for batch, _ in agent.taken) == [b"3", b"4"]


class CountingAgent:
    """Takes what doors hand over."""

    def __init__(self) -> None:
        self.taken: list[tuple[bytes, int, int, int]] = []

    def accept_from_datagrams(self, batch: bytes, count: int, malformed: int, overflowed: int) -> None:
        self.taken.append((batch, count, malformed, overflowed))


async def test_a_door_hands_over_at_once_however_much_is_unsettled() -> None:
    agent = CountingAgent()
    async with open_island() as island:
        outlet = DoorOutlet(island, agent)  # type: ignore[arg-type]  # a fake

        with trio.fail_after(5):
            await outlet.take(b"12345", 1, malformed=2, overflowed=3)
            await outlet.take(b"67890", 1, malformed=0, overflowed=0)

    assert agent.taken == [(b"12345", 1, 2, 3), (b"67890", 1, 0, 0)]
