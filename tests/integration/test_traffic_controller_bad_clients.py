"""Clients of a traffic controller that send nonsense, are slow, leave early or are too many."""

from pathlib import Path

import pytest
import trio
from websockets.trio.client import connect

from plumbing.tls import client_context
from tests.raw_http import HANDSHAKE
from tests.running import eventually
from tests.running_controller import Controller, open_controller


async def test_what_comes_behind_a_request_is_not_looked_at(controller: Controller) -> None:
    request = b"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n"

    reply = await controller.send(request + request, b"\x00garbage" * 1000)

    assert (reply.status, reply.body) == (404, b"404 page not found\n")
    assert await controller.refusals(404) == 1


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"\x00\x01\x02garbage", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /firehose/s\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", 405),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 20_000, 431),
    ],
)
async def test_a_head_that_is_none_or_too_large_is_refused_and_counted(
    controller: Controller, head: bytes, status: int
) -> None:
    reply = await controller.send(head)

    assert (reply.status, reply.headers["content-type"]) == (status, "text/plain; charset=utf-8")
    assert await controller.refusals(status) == 1


async def test_a_slow_head_and_a_slow_body_are_not_waited_for(certs_dir: Path, tmp_path: Path) -> None:
    async with open_controller(certs_dir, tmp_path, header_timeout_s=0.2) as controller:
        assert (await controller.send(b"GET / HTTP/1.1\r\nHost:")).status == 408
        assert (
            await controller.send(b"POST /set-cookie HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n")
        ).status == 408
        silent = await controller.dial()
        with trio.fail_after(5):
            assert await silent.receive_some() == b""
        await trio.aclose_forcefully(silent)
        assert await controller.refusals(408) == 2


async def test_clients_that_leave_in_the_middle_harm_nobody(controller: Controller) -> None:
    for beginning in ("", "GET /fire", "POST /set-cookie HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc"):
        for _ in range(5):
            stream = await controller.dial()
            await stream.send_all(beginning.encode())
            await trio.aclose_forcefully(stream)
        polite = await controller.dial()
        await polite.send_all(beginning.encode())
        await polite.aclose()

    assert (await controller.ask("/nothing")).status == 404
    assert await controller.refusals(500) == 0


async def test_a_silent_client_does_not_hold_up_the_end(certs_dir: Path, tmp_path: Path) -> None:
    with trio.fail_after(20):
        async with open_controller(certs_dir, tmp_path, header_timeout_s=60, drain_grace_s=60) as controller:
            silent = await controller.dial()
        assert await silent.receive_some() == b""
        await trio.aclose_forcefully(silent)


async def test_so_many_are_received_at_once_and_one_more_is_told_so(certs_dir: Path, tmp_path: Path) -> None:
    async with open_controller(certs_dir, tmp_path, max_requests=2, header_timeout_s=30) as controller:
        silent = [await controller.dial() for _ in range(2)]

        async def is_crowded() -> bool:
            return (await controller.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")).status == 503

        await eventually(is_crowded)
        for each in silent:
            await trio.aclose_forcefully(each)

        async def has_room() -> bool:
            return not await is_crowded()

        await eventually(has_room)


async def test_a_reader_more_than_there_are_seats_is_told_so(certs_dir: Path, tmp_path: Path) -> None:
    async with open_controller(certs_dir, tmp_path, max_readers=1) as controller:
        headers = {"Authorization": f"bearer {controller.token()}"}
        url = f"wss://{controller.ports['listen']}/firehose/s"
        async with connect(url, ssl=client_context(certs_dir / "ca.crt"), additional_headers=headers):
            reply = await controller.ask("/firehose/s", HANDSHAKE.strip(), token=controller.token())
            assert (reply.status, reply.body) == (503, b"too many readers\n")
            assert (await controller.ask("/firehose/s")).status == 401  # access before seats

        async def has_room() -> bool:
            return (await controller.ask("/firehose/s", token=controller.token())).status == 400

        await eventually(has_room)
