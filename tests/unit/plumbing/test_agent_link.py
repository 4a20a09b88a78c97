"""Metrics reach the agent every interval and events at once; an agent that is away costs a line in the log."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from plumbing import agent_link
from plumbing.agent_link import emit_through_agent, open_outbox
from plumbing.diode import Parcel, SharedDiode
from plumbing.grpc_client import PeerUnavailable
from plumbing.ingress_client import LinkCounts
from plumbing.tls import TlsFiles

TLS = TlsFiles(ca=Path("ca"), cert=Path("cert"), key=Path("key"))


class FakeAgent:
    """Every connection to it as `plumbing.ingress_client` shows them; the test says when it is there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, here: bool = True) -> None:
        self.here = here
        self.takes_calls = here
        """Whether connections succeed, which they may though nobody takes what is sent."""
        self.attempts = 0
        self.got: list[bytes] = []
        monkeypatch.setattr(agent_link, "connected_stream", self._connected_stream)
        monkeypatch.setattr(agent_link, "_MOST_WAIT_S", 0.001)

    @asynccontextmanager
    async def _connected_stream(self, _: object, __: str, counts: LinkCounts) -> AsyncIterator["FakeStream"]:
        self.attempts += 1
        if not (self.here or self.takes_calls):
            raise PeerUnavailable(f"{counts.address}: not here")
        yield FakeStream(self, counts)


class FakeStream:
    def __init__(self, agent: FakeAgent, counts: LinkCounts) -> None:
        self._agent = agent
        self._counts = counts
        self._undelivered: list[Parcel] = []

    async def open(self) -> None:
        self._counts.connects += 1

    async def send_from(self, outbox: SharedDiode) -> None:
        while parcels := await outbox.next(1 << 20):
            self._undelivered = parcels
            if not self._agent.here:
                raise PeerUnavailable("gone")
            self._agent.got += [parcel.batch for parcel in parcels]
            self._counts.delivered += sum(parcel.envelopes for parcel in parcels)
            self._undelivered = []

    def abandon(self) -> list[Parcel]:
        return self._undelivered


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(5):
            await scenario()

    asyncio.run(bounded())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def emit(outbox: SharedDiode, interval_s: float = 3600) -> asyncio.Task[None]:
    return asyncio.ensure_future(
        emit_through_agent("agent:1", TLS, lambda: Parcel(b"metrics", 3), interval_s, outbox=outbox)
    )


async def end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def test_a_batch_is_sent_every_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        agent = FakeAgent(monkeypatch)
        task = emit(open_outbox(), interval_s=0.001)

        await until(lambda: agent.got[:2] == [b"metrics", b"metrics"])

        await end(task)

    run(scenario)


def test_what_is_put_into_the_outbox_is_sent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        agent, outbox = FakeAgent(monkeypatch), open_outbox()
        task = emit(outbox)

        outbox.put(Parcel(b"event", 1))

        await until(lambda: agent.got == [b"event"])
        await end(task)

    run(scenario)


def test_an_agent_that_is_away_is_logged_once_and_gets_the_newest_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        agent, outbox = FakeAgent(monkeypatch, here=False), SharedDiode(2, 1 << 20)
        with structlog.testing.capture_logs() as logs:
            task = emit(outbox)
            for number in range(4):
                outbox.put(Parcel(b"%d" % number, 1))
            await until(lambda: agent.attempts > 3)
            agent.here = True
            await until(lambda: agent.got == [b"2", b"3"])

        assert [line["event"] for line in logs] == ["agent_away"]
        assert outbox.dropped_total == 2
        await end(task)

    run(scenario)


def test_an_agent_that_takes_every_call_and_nothing_else_is_logged_once_and_called_less_and_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        agent, outbox = FakeAgent(monkeypatch, here=False), open_outbox()
        agent.takes_calls = True
        outbox.put(Parcel(b"event", 1))
        with structlog.testing.capture_logs() as logs:
            task = emit(outbox)
            await until(lambda: agent.attempts > 3)

        assert [line["event"] for line in logs] == ["agent_away"]
        agent.here = True
        await until(lambda: agent.got == [b"event"])
        await end(task)

    run(scenario)


def test_what_did_not_arrive_goes_over_the_next_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        agent, outbox = FakeAgent(monkeypatch), open_outbox()
        task = emit(outbox)
        await until(lambda: agent.attempts == 1)
        agent.here = False
        outbox.put(Parcel(b"event", 1))
        await until(lambda: agent.attempts > 2)

        agent.here = True

        await until(lambda: agent.got == [b"event"])
        await end(task)

    run(scenario)


def test_a_closed_outbox_is_emptied_and_that_is_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        agent, outbox = FakeAgent(monkeypatch), open_outbox()
        task = emit(outbox)
        outbox.put(Parcel(b"last", 1))
        outbox.close()

        await task

        assert agent.got == [b"last"]

    run(scenario)
