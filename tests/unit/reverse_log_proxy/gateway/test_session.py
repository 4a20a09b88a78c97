"""A session outlives its connections, for a while; one at a time has the seat."""

import trio
import trio.testing

from tests.fakes.http_connection import FakeConnection
from tests.unit.reverse_log_proxy.gateway.fakes import open_session


async def test_a_session_ends_when_nobody_sits_there_for_a_while(autojump_clock: trio.testing.MockClock) -> None:
    session, _ = open_session(linger_s=30)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.run)
        async with session.seat(FakeConnection()):
            await trio.sleep(1000)
            assert not session.is_over
        left_at = trio.current_time()

    assert trio.current_time() - left_at == 30
    assert session.is_over


async def test_a_client_that_comes_back_in_time_keeps_it(autojump_clock: trio.testing.MockClock) -> None:
    session, _ = open_session(linger_s=30)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.run)
        for _ in range(3):
            async with session.seat(FakeConnection()) as seated:
                assert seated
            await trio.sleep(29)
        assert not session.is_over
        session.end()


async def test_a_second_connection_takes_the_seat() -> None:
    session, _ = open_session()
    first, second = FakeConnection(), FakeConnection()
    order: list[str] = []

    async def sit(*, task_status: trio.TaskStatus[None]) -> None:
        async with session.seat(first):
            task_status.started()
            while first.is_open:
                await trio.sleep(0)
            order.append("first left")

    async with trio.open_nursery() as nursery:
        await nursery.start(sit)
        async with session.seat(second) as seated:
            order.append("second sits")
            assert seated

    assert order == ["first left", "second sits"]


async def test_of_two_that_come_for_the_seat_the_later_one_has_it() -> None:
    session, _ = open_session()
    outcomes: dict[str, bool] = {}

    async def come(name: str) -> None:
        async with session.seat(FakeConnection()) as seated:
            outcomes[name] = seated

    async with trio.open_nursery() as nursery:
        async with session.seat(FakeConnection()):
            nursery.start_soon(come, "early")
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(come, "late")
            await trio.testing.wait_all_tasks_blocked()

    assert outcomes == {"early": False, "late": True}


async def test_an_ended_session_has_no_seat() -> None:
    session, _ = open_session()
    session.end()

    async with session.seat(FakeConnection()) as seated:
        assert not seated


async def test_what_arrives_is_news() -> None:
    session, upstream = open_session()
    upstream.put(b"1")

    await session.news()

    assert session.account().held == 1


async def test_what_arrives_too_late_stays_with_the_dopplers() -> None:
    session, upstream = open_session()
    session.end()
    upstream.put(b"1")

    assert (session.account().received, upstream.confirmed) == (0, [])


async def test_the_end_gives_back_what_waits() -> None:
    session, upstream = open_session()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.run)
        await trio.testing.wait_all_tasks_blocked()
        upstream.put(b"1")
        session.end()

    assert (session.account().returned, session.account().received) == (1, 0)


async def test_a_fault_of_the_feed_ends_this_session_alone() -> None:
    session, upstream = open_session()
    upstream.break_down()

    await session.run()

    assert session.is_over
    await session.news()  # who sits there hears of it


async def test_no_two_sessions_have_one_id() -> None:
    ids = {open_session()[0].id for _ in range(100)}

    assert len(ids) == 100
    assert all(len(each) == 32 for each in ids)
