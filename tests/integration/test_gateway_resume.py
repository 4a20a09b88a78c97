"""Streams of the gateway that continue where they broke, and those that may not or cannot."""

import time
from pathlib import Path

import h11
import pytest
import trio

from tests.running import eventually
from tests.running_gateway import APP, Gateway, logs, numbers, open_gateway


async def test_a_broken_stream_continues_without_gap_or_repeat(gateway: Gateway) -> None:
    """The connection breaks in the middle, again and again, while numbered envelopes are sent."""
    total, got, last_id = 3000, [], ""

    async def keep_sending() -> None:
        for first in range(1, total + 1, 10):
            await gateway.send(*logs(numbers(first, first + 9)))

    async with trio.open_nursery() as nursery:
        while len(got) < total:
            async with gateway.open(last_id=last_id) as reading:
                if not last_id:
                    await gateway.subscribed()
                    nursery.start_soon(keep_sending)
                for _ in range(12):
                    event = await reading.event()
                    got += event.payloads
                    if len(got) >= total:
                        break
                last_id = reading.last_id

    assert got == numbers(1, total)
    assert await gateway.metric("resume_failures_total") == 0
    assert await gateway.metric("resumed_total") > 3
    assert (await gateway.books())["delivered"] == total


async def test_what_was_sent_and_not_read_is_sent_again(gateway: Gateway) -> None:
    async with gateway.open() as reading:
        await gateway.subscribed()
        await gateway.send(*logs(numbers(1, 1)))
        first = await reading.event()
        await gateway.send(*logs(numbers(2, 2)))
        await reading.event()
    await gateway.eventually("streams", 0)
    await gateway.send(*logs(numbers(3, 3)))

    async with gateway.open(last_id=first.id) as reading:
        assert await reading.payloads(2) == numbers(2, 3)


async def test_a_stream_that_timed_out_continues(certs_dir: Path, tmp_path: Path) -> None:
    async with open_gateway(certs_dir, tmp_path, stream_timeout_s=0.5) as gateway:
        async with gateway.open() as reading:
            await gateway.subscribed()
            await gateway.send(*logs(numbers(1, 1)))
            last = await reading.event()
            await reading.rest()
        await gateway.send(*logs(numbers(2, 2)))

        async with gateway.open(last_id=last.id) as reading:
            assert await reading.payloads(1) == numbers(2, 2)


async def test_a_client_takes_the_place_of_its_own_dead_connection(gateway: Gateway) -> None:
    async with gateway.open() as old:
        await gateway.subscribed()
        await gateway.send(*logs(numbers(1, 1)))
        last = await old.event()

        async with gateway.open(last_id=last.id) as reading:
            await gateway.send(*logs(numbers(2, 2)))
            assert await reading.payloads(1) == numbers(2, 2)
            with pytest.raises((h11.RemoteProtocolError, trio.BrokenResourceError)):
                await old.event()
            await gateway.eventually("streams", 1)


async def refused_a_resume(gateway: Gateway, target: str, **who: str | None) -> list[str]:
    """Ask to continue, and return the comments that come before the first event of the new session."""
    before = await gateway.metric("resume_failures_total")
    async with gateway.open(target, **who) as reading:
        comments = (await reading.event()).comments
    assert await gateway.metric("resume_failures_total") == before + 1
    return comments


async def test_another_query_does_not_continue(gateway: Gateway) -> None:
    async with gateway.open() as reading:
        await gateway.subscribed()
        await gateway.send(*logs(numbers(1, 1)))
        last = await reading.event()

    comments = await refused_a_resume(gateway, "/v2/read?log&counter", last_id=last.id)
    assert comments == ["cannot resume: the session has another query"]


async def test_a_token_that_was_refreshed_continues(gateway: Gateway) -> None:
    old, new = (
        gateway.tokens.create(scopes=["logs.admin"], expires_in_s=600, now=time.time() - age) for age in (599, 0)
    )
    async with gateway.open(token=old) as reading:
        await gateway.subscribed()
        await gateway.send(*logs(numbers(1, 1)))
        last = await reading.event()
    await gateway.send(*logs(numbers(2, 2)))

    async with gateway.open(token=new, last_id=last.id) as reading:
        assert await reading.payloads(1) == numbers(2, 2)
    assert await gateway.metric("resume_failures_total") == 0


async def test_a_token_for_something_else_does_not_continue(gateway: Gateway) -> None:
    token = gateway.tokens.create(scopes=[], sources=["other"], expires_in_s=None, now=time.time())
    target = f"/v2/read?log&source_id={APP}"
    async with gateway.open(target) as reading:
        await gateway.subscribed()
        await gateway.send(*logs(numbers(1, 1)))
        last = await reading.event()

    assert (await gateway.ask(target, token=token, last_id=last.id)).status_code == 404


async def test_a_token_that_was_revoked_does_not_continue(gateway: Gateway) -> None:
    token = gateway.tokens.create(scopes=["doppler.firehose"], expires_in_s=None, now=time.time())
    async with gateway.open(token=token) as reading:
        await gateway.subscribed()
        await gateway.send(*logs(numbers(1, 1)))
        last = await reading.event()
    gateway.tokens.revoke(gateway.tokens.list()[-1].id)

    assert (await gateway.ask("/v2/read?log", token=token, last_id=last.id)).status_code == 404


@pytest.mark.parametrize("last_id", ["x", "0" * 32 + "-1", "-", "0" * 32 + "-" + "9" * 40])
async def test_an_unknown_id_begins_anew_and_says_so(gateway: Gateway, last_id: str) -> None:
    (comment,) = await refused_a_resume(gateway, "/v2/read?log", last_id=last_id)

    assert comment.startswith("cannot resume: ")


async def test_an_id_that_has_left_the_buffer_begins_anew(certs_dir: Path, tmp_path: Path) -> None:
    async with open_gateway(certs_dir, tmp_path, resume_bytes=0) as gateway:
        async with gateway.open() as reading:
            await gateway.subscribed()
            await gateway.send(*logs(numbers(1, 1)))
            first = await reading.event()
            await gateway.send(*logs(numbers(2, 2)))
            await reading.event()

        comments = await refused_a_resume(gateway, "/v2/read?log", last_id=first.id)
    assert comments == ["cannot resume: the events after that id are not held"]


async def test_a_session_is_over_when_nobody_comes_back(certs_dir: Path, tmp_path: Path) -> None:
    async with open_gateway(certs_dir, tmp_path, resume_linger_s=0.1) as gateway:
        async with gateway.open() as reading:
            await gateway.subscribed()
            await gateway.send(*logs(numbers(1, 1)))
            last = await reading.event()
        await gateway.eventually("sessions", 0)
        await gateway.subscribed(0)

        comments = await refused_a_resume(gateway, "/v2/read?log", last_id=last.id)
    assert comments == ["cannot resume: the session is over"]


async def test_what_waits_for_a_client_that_stays_away_goes_to_the_shards_next_reader(
    certs_dir: Path, tmp_path: Path
) -> None:
    async with open_gateway(certs_dir, tmp_path) as gateway:
        async with gateway.open("/v2/read?log&shard_id=nozzle"):
            await gateway.subscribed()
        await gateway.eventually("streams", 0)
        await gateway.send(*logs(numbers(1, 5)))

        async def held() -> bool:
            return (await gateway.books())["held"] == 5

        await eventually(held)
        async with gateway.open("/v2/read?log&shard_id=nozzle") as reading:
            assert await reading.payloads(5) == numbers(1, 5)
        books = await gateway.books()

    assert (books["received"], books["returned"], books["held"]) == (0, 5, 0)
