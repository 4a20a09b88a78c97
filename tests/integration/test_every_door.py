"""Every HTTP door and every bad credential, with each kind of authority: who is let in, and what others are told."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import quote

import pytest
import trio

from tests.bad_tokens import BAD, bad_for
from tests.guarded_doors import (
    APP,
    DOORS,
    MODES,
    NOBODYS_APP,
    NOT_FOUND,
    OTHER_APP,
    Door,
    House,
    house,
    refusal,
    signed,
    told,
)
from tests.raw_http import ask, dial, exchange, request
from tests.running import get


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> Door:
    return DOORS[request.param]


@pytest.fixture
async def opened(mode: str, door: Door, certs_dir: Path, tmp_path: Path) -> AsyncIterator[House]:
    async with house(certs_dir, tmp_path, mode, door.room) as opened:
        yield opened


async def test_a_good_token_opens_the_door(opened: House, door: Door) -> None:
    token = opened.good(door)

    for credential in (f"Authorization: bearer {token}", f"authorization: Bearer  {token}", f"Authorization: {token}"):
        assert (await opened.ask(door, credential)).status == door.good, credential
    assert (await opened.ask(door, f"Cookie: a=b; authorization=bearer+{quote(token)}")).status == door.good


async def test_without_a_token_the_door_stays_shut(opened: House, door: Door) -> None:
    expected = told(refusal(door, opened.mode, provided=False))

    for credential in ((), ("Authorization: ",), ("Authorization: bearer ",), ("Cookie: authorization=",)):
        assert told(await opened.ask(door, *credential)) == expected, credential


async def test_a_bad_token_leaves_the_door_shut(opened: House, door: Door) -> None:
    expected = told(refusal(door, opened.mode))

    for name in bad_for(opened.mode, door):
        token = opened.secret(BAD[name](opened, door))
        assert told(await opened.ask(door, f"Authorization: bearer {token}")) == expected, name


async def test_what_is_no_bearer_token_leaves_the_door_shut(opened: House, door: Door) -> None:
    expected = told(refusal(door, opened.mode))
    token = opened.good(door)

    for scheme in ("Basic", "Digest", "bearerx", "bearer bearer", "token"):
        assert told(await opened.ask(door, f"Authorization: {scheme} {token}")) == expected, scheme
    assert told(await opened.ask(door, "Authorization: garbage", f"Authorization: bearer {token}")) == expected
    assert told(await opened.ask(door, f"Authorization: bearer {token} {token}")) == expected


async def test_a_token_for_something_else_leaves_the_door_shut(opened: House, door: Door) -> None:
    if opened.mode == "local":
        token = opened.local([], [OTHER_APP])
    else:
        token = opened.uaa.token("openid" if door.is_for_apps else "uaa.user", user="bob")
    reply = await opened.ask(door, f"Authorization: bearer {opened.secret(token)}")

    if door.room == "traffic_controller" and door.is_for_apps and opened.mode != "local":
        assert told(reply) == (404, {**door.said_always, "content-length": "0", "connection": "close"}, b"")
    else:
        assert told(reply) == told(refusal(door, opened.mode))


async def test_refusals_are_the_same_whether_there_is_such_an_app(certs_dir: Path, tmp_path: Path, mode: str) -> None:
    for room in ("traffic_controller", "reverse_log_proxy"):
        async with house(certs_dir, tmp_path, mode, room) as opened:
            mine = opened.good(DOORS["stream"])
            for door in (door for door in DOORS.values() if door.room == room and door.is_for_apps):
                replies = [
                    told(await ask(opened.address(door), opened.trusting, asked))
                    for app in (OTHER_APP, NOBODYS_APP)
                    for asked in [
                        opened.request(door, f"Authorization: bearer {mine}").replace(APP.encode(), app.encode())
                    ]
                ]
                assert replies[0] == replies[1]
                assert replies[0][0] in (401, 404)


async def test_no_secret_is_written_anywhere(opened: House, door: Door, capfd: pytest.CaptureFixture[str]) -> None:
    credentials = [opened.good(door), *(BAD[name](opened, door) for name in ("expired", "oversize", "alg none"))]
    for token in map(opened.secret, credentials):
        await opened.ask(door, f"Authorization: bearer {token}", f"Referer: https://page/?token={token}")
        await opened.ask(door, f"Cookie: authorization={quote(token)}")
        carried = Door(door.room, f"{door.target}{'&' if '?' in door.target else '?'}token={token}", door.headers)
        await opened.ask(carried, f"Authorization: Basic {token}")
    opened.uaa.be("failing")
    opened.capi.be("failing")
    await opened.ask(door, f"Authorization: bearer {opened.secret(signed(opened, door))}")

    written = "".join(capfd.readouterr()) + await get(opened.ports, opened.certs, "/metrics")
    if door.room == "traffic_controller":
        written += opened.access_log.read_text()
    assert "request" in written
    assert [secret for secret in opened.secrets if secret in written] == []


async def test_whoever_is_refused_harms_nobody(opened: House, door: Door) -> None:
    async with AsyncExitStack() as stack:
        other = await dial(opened.address(door), opened.trusting)
        stack.push_async_callback(trio.aclose_forcefully, other)
        stranger = await dial(opened.address(door), opened.trusting)
        stack.push_async_callback(trio.aclose_forcefully, stranger)
        bad = opened.request(door, f"Authorization: bearer {BAD['expired'](opened, door)}")
        good = opened.request(door, f"Authorization: bearer {opened.good(door)}")

        assert told(await exchange(stranger, bad)) == told(refusal(door, opened.mode))
        assert (await exchange(other, good)).status == door.good
        if door.room == "reverse_log_proxy":  # there, a connection is for many requests
            assert (await exchange(stranger, good)).status == door.good


async def test_what_is_no_guid_is_no_app_of_a_cloud_foundry(certs_dir: Path, tmp_path: Path) -> None:
    async with house(certs_dir, tmp_path, "check_token", "traffic_controller") as opened:
        token = f"Authorization: bearer {opened.good(DOORS['stream'])}"
        for name in ("app", APP[:-1], f"{APP}0", f"{APP}%20", f"{APP}%0a", APP.replace("-", ""), f"%7b{APP}%7d"):
            reply = await ask(opened.ports["listen"], opened.trusting, request(f"/apps/{name}/recentlogs", token))
            assert (reply.status, reply.body) in ((401, b""), (404, b"404 page not found\n")), name
            assert "www-authenticate" not in reply.headers

        assert opened.capi.requests == []


async def test_every_source_that_is_asked_for_must_be_the_clients(certs_dir: Path, tmp_path: Path, mode: str) -> None:
    async with house(certs_dir, tmp_path, mode, "reverse_log_proxy") as opened:
        token = f"Authorization: bearer {opened.good(DOORS['gateway, one source'])}"
        for query in (
            f"source_id={OTHER_APP}",
            f"source_id={APP}&source_id={OTHER_APP}",
            f"source_id={APP}&source_id=",
            f"source_id={APP}%2F..%2F{OTHER_APP}",
            f"source_id={APP},{OTHER_APP}",
            "source_id",
            "",
        ):
            reply = await ask(opened.ports["gateway"], opened.trusting, request(f"/v2/read?log&{query}", token))
            assert (reply.status, reply.body) == (404, NOT_FOUND), query
