"""One task for each peer, while there is such a peer."""

import asyncio
from collections.abc import Iterator

import pytest

from plumbing import peers


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "LOOK_AGAIN_S", 0.01)


def test_an_address_that_is_an_ip_is_taken_as_it_is() -> None:
    assert asyncio.run(peers.resolve("127.0.0.1:80")) == {"127.0.0.1:80"}
    assert asyncio.run(peers.resolve("[::1]:80")) == {"[::1]:80"}


def test_a_name_stands_for_every_address_behind_it() -> None:
    assert "127.0.0.1:80" in asyncio.run(peers.resolve("localhost:80"))


def test_a_name_that_does_not_resolve_is_nobody() -> None:
    assert asyncio.run(peers.resolve("nobody.invalid:80")) == set()


def test_ends_when_every_task_has_returned() -> None:
    seen: list[str] = []

    async def run(peer: str) -> None:
        seen.append(peer)

    asyncio.run(peers.one_task_each(["127.0.0.1:1", "127.0.0.1:2"], run))

    assert sorted(seen) == ["127.0.0.1:1", "127.0.0.1:2"]


def test_a_task_that_fails_is_not_passed_over_in_silence() -> None:
    ended: list[str] = []

    async def run(peer: str) -> None:
        if peer == "127.0.0.1:1":
            raise RuntimeError("a bug")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(peer)

    async def scenario() -> None:
        async with asyncio.timeout(1):
            await peers.one_task_each(["127.0.0.1:1", "127.0.0.1:2"], run)

    with pytest.raises(RuntimeError, match="a bug"):
        asyncio.run(scenario())
    assert ended == ["127.0.0.1:2"]


@pytest.mark.usefixtures("_impatient")
def test_a_peer_that_goes_may_take_its_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: Iterator[set[str]] = iter([{"a:1", "b:1"}, {"b:1"}])
    events: list[str] = []

    async def resolve_all(_: object) -> set[str]:
        try:
            return next(answers)
        except StopIteration:
            raise asyncio.CancelledError from None

    async def run(peer: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05 if peer == "a:1" else 0)
            events.append(f"-{peer}")

    monkeypatch.setattr(peers, "resolve_all", resolve_all)

    async def scenario() -> None:
        await asyncio.wait([asyncio.ensure_future(peers.one_task_each(["x:1"], run))])
        events.append("end")

    asyncio.run(scenario())

    assert events == ["-a:1", "-b:1", "end"]


@pytest.mark.usefixtures("_impatient")
def test_peers_that_come_and_go_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: Iterator[set[str]] = iter([{"a:1"}, {"a:1", "b:1"}, set(), {"b:1"}])
    events: list[str] = []

    async def resolve_all(_: object) -> set[str]:
        try:
            return next(answers)
        except StopIteration:
            raise asyncio.CancelledError from None

    async def run(peer: str) -> None:
        events.append(f"+{peer}")
        try:
            await asyncio.Event().wait()
        finally:
            events.append(f"-{peer}")

    monkeypatch.setattr(peers, "resolve_all", resolve_all)

    async def scenario() -> None:
        task = asyncio.ensure_future(peers.one_task_each(["x:1"], run))
        await asyncio.wait([task])

    asyncio.run(scenario())

    assert events == ["+a:1", "+b:1", "-a:1", "-b:1"]
