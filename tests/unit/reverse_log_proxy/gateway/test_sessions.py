"""Who may have one more session, and who may continue which."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import trio
import trio.testing

from plumbing.http.refusal import Refusal
from reverse_log_proxy.gateway import sessions as sessions_module
from reverse_log_proxy.gateway.config import GatewaySettings
from reverse_log_proxy.gateway.refusals import STREAMING_UNAVAILABLE
from reverse_log_proxy.gateway.session import Session
from reverse_log_proxy.gateway.sessions import Sessions
from reverse_log_proxy.gateway.sse import EventId
from tests.fakes.http_connection import FakeConnection
from tests.unit.reverse_log_proxy.gateway.fakes import FakeUpstream, owner


@pytest.fixture
async def sessions(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sessions]:
    def inlet(_: Any, __: Any, ___: bytes, arrived: Callable[[Any], None]) -> FakeUpstream:
        return FakeUpstream(arrived)

    monkeypatch.setattr(sessions_module, "Inlet", inlet)
    sessions = Sessions(GatewaySettings(max_streams=2, resume_linger_s=30), None)  # type: ignore[arg-type]  # no dopplers
    async with trio.open_nursery() as nursery:
        sessions.begin(None, nursery)  # type: ignore[arg-type]  # no island
        yield sessions
        nursery.cancel_scope.cancel()


async def linger(session: Session) -> None:
    """Sit there and leave."""
    async with session.seat(FakeConnection()):
        pass


async def test_sessions_are_named_in_order(sessions: Sessions) -> None:
    assert [sessions.open(owner()).outbox.name for _ in range(2)] == ["gateway 1", "gateway 2"]


async def test_one_session_too_many_is_refused(sessions: Sessions) -> None:
    sessions.open(owner())
    sessions.open(owner())

    with pytest.raises(Refusal) as refused:
        sessions.open(owner())
    assert refused.value is STREAMING_UNAVAILABLE


async def test_before_the_start_there_is_none() -> None:
    with pytest.raises(Refusal):
        Sessions(GatewaySettings(), None).open(owner())  # type: ignore[arg-type]  # no dopplers


async def test_the_one_that_lingers_longest_makes_room(
    autojump_clock: trio.testing.MockClock, sessions: Sessions
) -> None:
    first, second = sessions.open(owner()), sessions.open(owner())
    await linger(first)
    await trio.sleep(1)
    await linger(second)

    sessions.open(owner())

    assert (first.is_over, second.is_over) == (True, False)


async def test_a_client_that_starts_anew_does_not_share_with_itself(sessions: Sessions) -> None:
    old = sessions.open(owner("log&shard_id=a"))
    await linger(old)

    sessions.open(owner("log&shard_id=a"))

    assert old.is_over


@pytest.mark.parametrize(("query", "token"), [("log&shard_id=b", b"t"), ("log&shard_id=a", b"u"), ("log", b"t")])
async def test_others_may_linger_on(sessions: Sessions, query: str, token: bytes) -> None:
    old = sessions.open(owner("log&shard_id=a"))
    await linger(old)

    sessions.open(owner(query, token))

    assert not old.is_over


async def test_another_reader_of_the_same_shard_goes_on(sessions: Sessions) -> None:
    old = sessions.open(owner("log&shard_id=a"))
    async with old.seat(FakeConnection()):
        sessions.open(owner("log&shard_id=a"))

    assert not old.is_over


async def test_the_owner_finds_a_session_again(sessions: Sessions) -> None:
    session = sessions.open(owner("log&counter"))

    assert sessions.find(EventId(session.id, 1), owner("counter&log")) is session


async def test_another_query_does_not_continue_it(sessions: Sessions) -> None:
    session = sessions.open(owner())

    assert sessions.find(EventId(session.id, 1), owner("log&counter")) == "the session has another query"


async def test_with_another_token_it_is_that_tokens_from_then_on(sessions: Sessions) -> None:
    session = sessions.open(owner("log&shard_id=a"))

    assert sessions.find(EventId(session.id, 1), owner("log&shard_id=a", b"fresh")) is session
    await linger(session)
    sessions.open(owner("log&shard_id=a", b"fresh"))
    assert session.is_over


async def test_a_session_that_ended_is_not_found_and_its_books_are(sessions: Sessions) -> None:
    session = sessions.open(owner())
    session.end()
    found = sessions.find(EventId(session.id, 1), owner())
    await trio.testing.wait_all_tasks_blocked()

    assert found == "the session is over"
    assert (len(sessions), [account.account for account in sessions.accounts()]) == (0, ["gateway 1"])


async def test_waking_reaches_every_session(sessions: Sessions) -> None:
    opened = [sessions.open(owner()) for _ in range(2)]

    sessions.wake()

    for session in opened:
        await session.news()
