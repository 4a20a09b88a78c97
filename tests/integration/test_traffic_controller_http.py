"""The paths of a traffic controller and who may ask for them, over raw TLS (loggregator.md 3.1)."""

import threading
from pathlib import Path

import pytest
import trio

from tests import raw_http
from tests.fakes.capi import FakeCapi
from tests.fakes.uaa import FakeUaa
from tests.running import eventually
from tests.running_controller import APP, Controller, Reply, open_controller

HANDSHAKE = f"{raw_http.HANDSHAKE}\r\n"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "OPTIONS", "DELETE", "BREW"])
async def test_an_unknown_path_is_not_found_as_gos_library_says_it(controller: Controller, method: str) -> None:
    reply = await controller.ask("/nothing?a=b", method=method)

    assert (reply.status, reply.body) == (404, b"404 page not found\n")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["connection"] == "close"


@pytest.mark.parametrize(
    "target",
    [
        f"/apps/{APP}/../other/stream",
        f"/apps/other%2f..%2f{APP}/stream",
        f"/apps/other%2F..%2F{APP}/recentlogs",
        f"//apps/{APP}/stream",
        f"/apps//{APP}/stream",
        "/apps/%2e%2e/stream",
        "/apps/%00/stream",
        "/apps/%c0%ae/stream",
        f"/apps/{'x' * 300}/stream",
        f"https://h/apps/{APP}/stream",
    ],
)
async def test_no_trick_with_a_path_leads_anywhere(controller: Controller, target: str) -> None:
    assert (await controller.ask(target, HANDSHAKE.strip(), token=controller.token())).status == 404


async def test_of_one_apps_token_no_spelling_opens_another(controller: Controller) -> None:
    mine = controller.token(APP)

    for name in ("other", "other%00", f"{APP}%20", APP.upper(), f"{APP}%2500"):
        reply = await controller.ask(f"/apps/{name}/stream", HANDSHAKE.strip(), token=mine)
        assert reply.status in (401, 404), name


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", "", 400),
        ("HEAD", "", 400),
        ("POST", "", 400),
        ("POST", HANDSHAKE, 405),
        ("GET", HANDSHAKE.replace("13", "8"), 400),
        ("GET", HANDSHAKE.replace("Sec-WebSocket-Key", "X"), 400),
    ],
)
async def test_a_stream_is_for_websockets_alone(controller: Controller, method: str, headers: str, status: int) -> None:
    for target in ("/firehose/s", f"/apps/{APP}/stream"):
        reply = (
            await controller.ask(target, *headers.strip().split("\r\n"), method=method, token=controller.token())
            if headers
            else (await controller.ask(target, method=method, token=controller.token()))
        )
        words = {400: b"Bad Request\n", 405: b"Method Not Allowed\n"}[status]
        assert (reply.status, reply.body) == (status, b"" if method == "HEAD" else words)
        assert reply.headers["sec-websocket-version"] == "13"


async def test_access_is_asked_about_before_anything_else(controller: Controller) -> None:
    reply = await controller.ask("/firehose/s")

    assert (reply.status, reply.body) == (401, b"You are not authorized. authorization not provided")
    assert reply.headers["www-authenticate"] == "Basic"
    assert await controller.refusals(401) == 1


@pytest.mark.parametrize("errand", ["recentlogs", "containermetrics"])
async def test_an_app_is_for_whoever_has_its_token(controller: Controller, errand: str) -> None:
    target = f"/apps/{APP}/{errand}"

    assert (await controller.ask(target)).status == 401
    assert (await controller.ask(target, token=controller.token("another"))).status == 401
    assert (await controller.ask(target, token=controller.token(APP))).status == 200
    assert (await controller.ask(target, f"Cookie: authorization=bearer%20{controller.token(APP)}")).status == 200


async def test_the_open_door_is_open_whatever_an_app_is_called(certs_dir: Path, tmp_path: Path) -> None:
    async with open_controller(certs_dir, tmp_path, auth={"mode": "open"}) as controller:
        assert (await controller.ask("/apps/app-1/containermetrics")).status == 200


async def test_a_page_may_read_that_it_was_refused(controller: Controller) -> None:
    reply = await controller.ask(f"/apps/{APP}/recentlogs", "Origin: https://page")

    assert (reply.status, reply.headers["access-control-allow-origin"]) == (401, "https://page")


async def test_whoever_waits_for_an_answer_when_it_stops_gets_it(certs_dir: Path, tmp_path: Path) -> None:
    release = threading.Event()
    with FakeUaa(certs_dir) as uaa, FakeCapi(certs_dir, lambda _: (release.wait(10), None)[1]) as capi:
        (tmp_path / "secret").write_text("word")
        authority = {
            "mode": "uaa",
            "uaa_url": uaa.url,
            "uaa_ca": certs_dir / "ca.crt",
            "uaa_client_id": "doppler",
            "uaa_client_secret_file": tmp_path / "secret",
            "capi_url": capi.url,
            "capi_ca": certs_dir / "ca.crt",
            "capi_cert": certs_dir / "client.crt",
            "capi_key": certs_dir / "client.key",
        }
        replies: list[Reply] = []

        async def ask(controller: Controller) -> None:
            replies.append(await controller.ask(f"/apps/{APP}/recentlogs", token="x"))

        async with trio.open_nursery() as nursery:
            async with open_controller(certs_dir, tmp_path, auth=authority, drain_grace_s=10) as controller:
                nursery.start_soon(ask, controller)

                async def is_asked_about() -> bool:
                    return bool(capi.requests)

                await eventually(is_asked_about)
                threading.Timer(0.5, release.set).start()

    assert [reply.status for reply in replies] == [401]
