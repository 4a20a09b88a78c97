"""One task for each peer, while there is such a peer."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

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


def test_a_name_that_no_name_server_can_know_is_nobody() -> None:
    assert asyncio.run(peers.resolve("a..b:80")) == set()
    assert asyncio.run(peers.resolve(f"{'ü' * 100}:80")) == set()


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

    async def resolve_all(*_: object) -> set[str]:
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

    async def resolve_all(*_: object) -> set[str]:
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


class Names:
    """A name server whose answers the test changes, and the peers that are running."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.known: dict[str, set[str]] = {}
        self.lookups = 0
        self.running: set[str] = set()
        self.started: list[str] = []
        monkeypatch.setattr(peers, "resolve", self._resolve)

    async def _resolve(self, address: str) -> set[str]:
        self.lookups += 1
        return self.known.get(address, set())

    async def run(self, peer: str) -> None:
        self.running.add(peer)
        self.started.append(peer)
        try:
            await asyncio.Event().wait()
        finally:
            self.running.discard(peer)

    async def until(self, *running: str) -> None:
        async with asyncio.timeout(5):
            while self.running != set(running):
                await asyncio.sleep(0.001)

    async def some_lookups(self, count: int) -> None:
        before = self.lookups
        while self.lookups < before + count:
            await asyncio.sleep(0.001)


def prefer(names: Names, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run the scenario beside tasks for `all:1`, of which those of `zone:1` are preferred."""

    async def beside() -> None:
        task = asyncio.ensure_future(peers.one_task_each(["all:1"], names.run, preferred=["zone:1"]))
        try:
            async with asyncio.timeout(10):
                await scenario()
        finally:
            task.cancel()
            await asyncio.wait([task])

    asyncio.run(beside())


@pytest.mark.usefixtures("_impatient")
def test_a_name_that_does_not_resolve_beside_one_that_does_takes_nobody_away(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch)
    names.known = {"one:1": {"a:1"}, "other:1": {"b:1"}}

    async def scenario() -> None:
        task = asyncio.ensure_future(peers.one_task_each(["one:1", "other:1"], names.run))
        await names.until("a:1", "b:1")
        del names.known["other:1"]
        await names.some_lookups(8)
        assert names.running == {"a:1", "b:1"}
        names.known["other:1"] = {"c:1"}
        await names.until("a:1", "c:1")
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(scenario())


@pytest.mark.usefixtures("_impatient")
def test_the_preferred_name_alone_is_used_while_it_resolves(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch)
    names.known = {"zone:1": {"a:1"}, "all:1": {"a:1", "b:1"}}

    async def scenario() -> None:
        await names.until("a:1")
        await names.some_lookups(3)
        assert names.started == ["a:1"]

    prefer(names, scenario)


@pytest.mark.usefixtures("_impatient")
def test_the_other_name_is_used_at_once_when_the_preferred_one_never_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch)
    names.known = {"all:1": {"a:1", "b:1"}}

    async def scenario() -> None:
        await names.until("a:1", "b:1")
        names.known["zone:1"] = {"a:1"}
        await names.until("a:1")
        assert names.started.count("a:1") == 1

    prefer(names, scenario)


@pytest.mark.usefixtures("_impatient")
def test_a_preferred_name_that_stays_away_gives_way_to_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch)
    names.known = {"zone:1": {"a:1"}, "all:1": {"a:1", "b:1"}}

    async def scenario() -> None:
        await names.until("a:1")
        del names.known["zone:1"]
        await names.until("a:1", "b:1")
        assert names.started.count("a:1") == 1

    prefer(names, scenario)


@pytest.mark.usefixtures("_impatient")
def test_a_preferred_name_that_is_away_for_a_moment_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch)
    names.known = {"zone:1": {"a:1"}, "all:1": {"b:1"}}
    missed = 0

    async def now_and_then(address: str) -> set[str]:
        nonlocal missed
        names.lookups += 1
        if address == "zone:1" and names.lookups % peers.MISSES:
            missed += 1
            return set()
        return names.known[address]

    async def scenario() -> None:
        await names.until("a:1")
        monkeypatch.setattr(peers, "resolve", now_and_then)
        await names.some_lookups(4 * peers.MISSES)
        assert (names.started, missed > peers.MISSES) == (["a:1"], True)

    prefer(names, scenario)


@pytest.mark.usefixtures("_impatient")
def test_neither_name_resolving_takes_nobody_away(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch)
    names.known = {"zone:1": {"a:1"}}

    async def scenario() -> None:
        await names.until("a:1")
        names.known.clear()
        await names.some_lookups(4 * peers.MISSES)
        assert names.running == {"a:1"}

    prefer(names, scenario)
