"""The v1 firehose as a source: converted, counted as from a stranger, opened again and again, and refusals told."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio
import trio.testing
from trio.testing import MockClock

from envelope.pb import dropsonde_pb2 as v1
from nozzles.runner.firehose import FirehoseSource
from plumbing import websocket_reader
from plumbing.config import ConfigError
from tests.fakes.firehose import Servers, close, hang_on, messages, receive_request, refuse, says
from tests.unit.nozzles.runner.sources import next_piece, settings
from tests.unit.plumbing.gathering.arrivals import texts


def log(text: str) -> bytes:
    line = v1.LogMessage(message=text.encode(), message_type="OUT", timestamp=1, app_id="app")
    return v1.Envelope(origin="o", eventType="LogMessage", timestamp=1, logMessage=line).SerializeToString()


@pytest.fixture
async def servers(monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery) -> Servers:
    servers = Servers(nursery)
    monkeypatch.setattr(websocket_reader, "_dial", servers.dial)
    return servers


@asynccontextmanager
async def reading(certs: Path, **given: Any) -> AsyncIterator[FirehoseSource]:
    source = FirehoseSource(settings(certs, source="websocket", **given), None)
    async with trio.open_nursery() as nursery:
        await source.open(nursery)
        yield source
        await source.stop()
        await source.close()


async def text_of(source: FirehoseSource, count: int) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        piece = await next_piece(source.crossing)
        assert not piece.arrival.is_kept
        piece.arrival.confirm()
        found += texts(piece.batch)
    return found


def told(logged: Sequence[Any], event: str) -> list[Any]:
    return [each for each in logged if each["event"] == event]


async def test_what_comes_is_made_v2_filtered_and_counted_as_a_strangers(
    autojump_clock: MockClock, certs_dir: Path, servers: Servers
) -> None:
    servers.scripts = [says(messages(log("1"), b"\xff", log("2")), then=hang_on)]
    async with reading(certs_dir, filter={"types": ["log"], "sources": ["app"]}) as source:
        assert await text_of(source, 2) == ["1", "2"]
        account = await source.account()

    assert (account.received, account.delivered, account.skipped, account.outside) == (3, 2, 1, 3)
    assert account.balance == 0


async def test_a_stream_that_ends_is_followed_by_another_and_both_are_counted(
    autojump_clock: MockClock, certs_dir: Path, servers: Servers
) -> None:
    servers.scripts = [
        ConnectionRefusedError(111, "Connection refused"),
        says(messages(log("1")) + close(1008, "slow consumer")),
        says(messages(log("2")), then=hang_on),
    ]
    with structlog.testing.capture_logs() as logged:
        async with reading(certs_dir) as source:
            assert await text_of(source, 2) == ["1", "2"]
            assert (source.connections.connects, source.connections.disconnects) == (2, 1)

    url = "wss://127.0.0.1:8081/firehose/nozzle-relay"
    assert [(each["url"], each["error"]) for each in told(logged, "firehose_lost")] == [
        (url, "Connection refused"),
        (url, "the stream ended: slow consumer (code 1008)"),
    ]


async def test_a_refused_token_is_said_and_a_new_one_is_read(
    autojump_clock: MockClock, certs_dir: Path, servers: Servers, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")
    file.chmod(0o600)

    async def refused(stream: trio.abc.Stream) -> None:
        assert b"Authorization: bearer old\r\n" in await receive_request(stream)
        await stream.send_all(refuse("401 Unauthorized", "You are not authorized. invalid authorization"))
        file.write_text("bearer new\n")

    servers.scripts = [refused, says(messages(log("1")), then=hang_on)]
    with structlog.testing.capture_logs() as logged:
        async with reading(certs_dir, websocket={"token_file": file}, shard_id="a/b") as source:
            assert await text_of(source, 1) == ["1"]

    (refusal,) = told(logged, "firehose_token_refused")
    assert refusal["log_level"] == "error"
    assert refusal["url"] == "wss://127.0.0.1:8081/firehose/a%2Fb"
    assert refusal["token_file"] == str(file)
    assert refusal["error"] == "You are not authorized. invalid authorization (HTTP 401)"
    assert [each.token for each in servers.dialled] == ["old", "new"]
    assert "old" not in str(logged).replace(str(file), "")


async def test_a_token_file_that_is_gone_for_a_while_ends_nothing(
    autojump_clock: MockClock, certs_dir: Path, servers: Servers, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text("t")

    async def hang_up(stream: trio.abc.Stream) -> None:
        file.unlink()

    servers.scripts = [says(b"", then=hang_up), says(messages(log("1")), then=hang_on)]
    with structlog.testing.capture_logs() as logged:
        async with reading(certs_dir, websocket={"token_file": file}) as source:
            await trio.sleep(10)
            file.touch(0o600)
            file.write_text("t")
            assert await text_of(source, 1) == ["1"]

    assert [each["error"] for each in told(logged, "firehose_lost")][1:] == [f"{file}: No such file or directory"]


async def test_without_a_token_none_is_shown_and_the_name_of_the_server_is_its_host(
    autojump_clock: MockClock, certs_dir: Path, servers: Servers
) -> None:
    requests: list[bytes] = []

    async def serve(stream: trio.abc.Stream) -> None:
        requests.append(await receive_request(stream))

    servers.scripts = [serve, says(b"", then=hang_on)]
    async with reading(certs_dir, websocket={"address": "tc.example:443"}) as source:
        while source.connections.connects < 1:
            await trio.sleep(1)

    assert b"authorization" not in requests[0].lower()
    assert (servers.dialled[0].server_name, servers.dialled[0].port) == ("tc.example", 443)


@pytest.mark.parametrize(
    ("types", "query"), [(["counter", "timer"], "filter-type=metrics"), (["log"], ""), (["log", "gauge"], "")]
)
def test_a_traffic_controller_can_leave_out_logs(certs_dir: Path, types: list[str], query: str) -> None:
    source = FirehoseSource(settings(certs_dir, source="websocket", filter={"types": types}), None)
    assert source.url == "wss://127.0.0.1:8081/firehose/nozzle-relay" + (f"?{query}" if query else "")


@pytest.mark.parametrize("file", ["absent", "public"])
def test_what_makes_no_sense_from_the_start_is_a_config_error(certs_dir: Path, tmp_path: Path, file: str) -> None:
    (tmp_path / "public").write_text("t")
    (tmp_path / "public").chmod(0o644)
    for wrong in ({"token_file": tmp_path / file}, {"ca": tmp_path / file}):
        with pytest.raises(ConfigError, match=file):
            FirehoseSource(settings(certs_dir, source="websocket", websocket=wrong), None)


async def test_a_sink_that_is_slow_makes_the_traffic_controller_wait(
    autojump_clock: MockClock, certs_dir: Path, servers: Servers
) -> None:
    sent = 0

    async def pour(stream: trio.abc.Stream) -> None:
        nonlocal sent
        while sent < 100:
            await trio.testing.wait_all_tasks_blocked()
            await stream.send_all(messages(log(str(sent))))
            sent += 1
        await hang_on(stream)

    servers.scripts = [says(b"", then=pour)]
    async with reading(certs_dir) as source:
        await trio.sleep(1)
        assert (await source.account()).received == 16
        assert await text_of(source, 100) == [str(number) for number in range(100)]
