"""Who may read at the gateway, what others are told, and that they are counted (loggregator.md 3.2)."""

import time
from pathlib import Path

import pytest

from tests.running import get
from tests.running_gateway import APP, Gateway, logs, open_gateway


@pytest.mark.parametrize("target", ["/v2/read?log", "/v2/read", f"/v2/read?log&source_id={APP}"])
@pytest.mark.parametrize("token", [None, "nonsense"])
async def test_without_a_good_token_there_is_nothing(gateway: Gateway, target: str, token: str | None) -> None:
    answer = await gateway.ask(target, token=token)

    assert (answer.status_code, answer.text) == (404, '{"message":"resource not found","error":"not_found"}\n\n')


async def test_one_source_is_open_to_those_who_may_read_it_and_no_other(gateway: Gateway) -> None:
    token = gateway.tokens.create(scopes=["source.read"], sources=[APP], expires_in_s=None, now=time.time())
    refused = ["log", "log&source_id=other", f"log&source_id={APP}&source_id=other", "log&source_id=", ""]

    for query in refused:
        assert (await gateway.ask(f"/v2/read?{query}", token=token)).status_code == 404, query
    async with gateway.open(f"/v2/read?log&source_id={APP}", token=token) as reading:
        await gateway.subscribed()
        await gateway.send(*logs([b"other"], "other"), *logs([b"mine"]))
        assert await reading.payloads(1) == [b"mine"]


async def test_too_many_streams_are_told_to_come_later(certs_dir: Path, tmp_path: Path) -> None:
    async with open_gateway(certs_dir, tmp_path, max_streams=1) as gateway, gateway.open():
        answer = await gateway.ask("/v2/read?log")

    assert answer.status_code == 503
    assert answer.text == '{"message":"streaming is temporarily unavailable","error":"streaming_unavailable"}\n\n'


async def test_a_session_that_lingers_makes_room(certs_dir: Path, tmp_path: Path) -> None:
    async with open_gateway(certs_dir, tmp_path, max_streams=1) as gateway:
        async with gateway.open():
            await gateway.eventually("streams", 1)
        await gateway.eventually("streams", 0)

        async with gateway.open() as reading:
            assert reading.answer.status_code == 200


async def test_refusals_are_counted(gateway: Gateway) -> None:
    await gateway.ask("/v2/read")
    await gateway.ask("/v2/read", token=None)

    text = await get(gateway.proxy, gateway.certs, "/metrics")
    assert 'reverse_log_proxy_gateway_refused_total{status="400"} 1.0' in text
    assert 'reverse_log_proxy_gateway_refused_total{status="404"} 1.0' in text
