"""A syslog adapter at a real doppler, with plain syslog servers behind its drains."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from plumbing.lifecycle import Ports
from plumbing.tls import client_context
from syslog_adapter.config import Config
from syslog_adapter.service import serve
from tests.contracts.hostile import HOSTILE
from tests.fakes.capi_drains import FakeCapiDrains
from tests.running import (
    accounts,
    dial,
    eventually,
    metric,
    readers_at,
    running,
    send_over,
    serving,
    tls_settings,
)
from tests.running_adapter import SyslogServer, bind, running_adapter, send, syslog_server


def says(server: SyslogServer, *texts: str) -> Any:
    async def it_does() -> bool:
        return server.texts() == [*texts]

    return it_does


async def test_the_lines_of_a_bound_app_arrive_once_and_in_order(certs_dir: Path, tmp_path: Path) -> None:
    many = [f"line {number}" for number in range(200)]
    async with running("doppler", certs_dir) as doppler, syslog_server() as server:
        bind(tmp_path / "b.json", ("app", server.url()))
        async with running_adapter(certs_dir, doppler, bindings_file=tmp_path / "b.json") as adapter:
            await send(doppler, certs_dir, "other", "nobody's")
            for start in range(0, 200, 50):
                await send(doppler, certs_dir, "app", *many[start : start + 50])

            await eventually(says(server, *many))
            books = await accounts(adapter, certs_dir)

    assert server.connections == 1
    assert (books["dopplers"]["received"], books["dopplers"]["skipped"]) == (201, 1)
    assert books["drains"]["received"] == 200


async def test_what_is_hostile_is_sent_whole_or_skipped_and_harms_no_other(certs_dir: Path, tmp_path: Path) -> None:
    async with running("doppler", certs_dir) as doppler, syslog_server() as server:
        bind(tmp_path / "b.json", ("", server.url("?drain-data=all")))
        async with running_adapter(certs_dir, doppler, bindings_file=tmp_path / "b.json") as adapter:
            with dial(doppler["listen"], certs_dir, "doppler") as channel:
                for envelope in HOSTILE:
                    await send_over(channel, envelope)
            await send(doppler, certs_dir, "app", "the last one")
            await eventually(ends_with(server, b"] the last one\n"))
            drains = (await accounts(adapter, certs_dir))["drains"]

    assert all(re.match(rb"<14>1 [!-~]+ - [!-~]{1,48} \[[!-~]{0,126}\] - ", each) for each in server.messages)
    assert all(each.endswith(b"\n") for each in server.messages)
    typed = sum(each.WhichOneof("message") is not None for each in HOSTILE)
    assert drains["received"] == drains["delivered"] + drains["skipped"] == typed + 1
    assert drains["delivered"] >= typed // 2


def ends_with(server: SyslogServer, end: bytes) -> Any:
    async def it_does() -> bool:
        return bool(server.messages) and server.messages[-1].endswith(end)

    return it_does


async def test_nothing_is_read_until_there_is_a_drain(certs_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    bind(path)
    async with running("doppler", certs_dir) as doppler, syslog_server() as server:
        config = Config(
            **tls_settings(certs_dir, "syslog-adapter"),
            doppler_addresses=[doppler["listen"]],
            bindings_file=path,
            file_interval_s=0.02,
        )
        async with serving(serve, config) as adapter:
            await eventually(lambda: has_looked(adapter, certs_dir, times=3))
            assert await metric(adapter, certs_dir, "syslog_adapter_doppler_connects_total") == 0

            bind(path, ("app", server.url()))
            await readers_at(doppler, certs_dir, 1)
            await send(doppler, certs_dir, "app", "1")
            await eventually(says(server, "1"))
        await readers_at(doppler, certs_dir, 0)


async def has_looked(adapter: Ports, certs: Path, *, times: int) -> bool:
    return await metric(adapter, certs, "syslog_adapter_binding_refreshes_total") >= times


async def test_a_dead_drain_delays_nothing_beside_it(certs_dir: Path, tmp_path: Path) -> None:
    async with running("doppler", certs_dir) as doppler, syslog_server() as server:
        (dead,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = dead.socket.getsockname()[1]
        await dead.aclose()
        bind(tmp_path / "b.json", ("app", f"syslog://127.0.0.1:{port}"), ("app", server.url()), ("", server.url()))
        async with running_adapter(certs_dir, doppler, bindings_file=tmp_path / "b.json") as adapter:
            await send(doppler, certs_dir, "app", "1")

            await eventually(says(server, "1", "1"))
            books = await accounts(adapter, certs_dir)
            drains = await ask(adapter, certs_dir, "/v2/drains")

    assert (books["drains"]["received"], books["drains"]["dropped"]["retries_exhausted"]) == (3, 0)
    (failing,) = [each for each in drains if each["held"]]
    assert (failing["state"], failing["url"]) == ("retrying", f"syslog://127.0.0.1:{port}")


async def test_an_app_that_is_bound_elsewhere_drains_there(certs_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    async with running("doppler", certs_dir) as doppler, syslog_server() as old, syslog_server() as new:
        bind(path, ("app", old.url()))
        async with running_adapter(certs_dir, doppler, bindings_file=path) as adapter:
            await send(doppler, certs_dir, "app", "1")
            await eventually(says(old, "1"))

            bind(path, ("app", new.url()))
            await eventually(lambda: drains_are(adapter, certs_dir, new.url()))
            await send(doppler, certs_dir, "app", "2")

            await eventually(says(new, "2"))
            assert (await accounts(adapter, certs_dir))["drains"]["received"] == 2
    assert old.texts() == ["1"]


async def test_what_waits_is_delivered_when_the_adapter_ends(certs_dir: Path, tmp_path: Path) -> None:
    many = [f"line {number}" for number in range(500)]
    async with running("doppler", certs_dir) as doppler, syslog_server() as server:
        bind(tmp_path / "b.json", ("app", server.url()))
        async with running_adapter(certs_dir, doppler, bindings_file=tmp_path / "b.json") as adapter:
            await send(doppler, certs_dir, "app", *many)

            async def has_come() -> bool:
                return (await accounts(adapter, certs_dir))["drains"]["received"] == 500  # type: ignore[no-any-return]

            await eventually(has_come)
        await eventually(says(server, *many))


async def test_bindings_of_a_cloud_controller_are_served_to_agents(certs_dir: Path) -> None:
    async with running("doppler", certs_dir) as doppler, syslog_server() as server:
        with FakeCapiDrains(certs_dir) as capi:
            capi.bind(server.url(), ("app", "org.space.app"))
            async with running_adapter(certs_dir, doppler, capi={"url": capi.url, "interval_s": 0.05}) as adapter:
                (binding,) = await ask(adapter, certs_dir, "/v2/bindings")
                await send(doppler, certs_dir, "app", "1")
                await eventually(says(server, "1"))
                capi.be("failing")
                asked = len(capi.asked)
                await eventually(lambda: has_asked(capi, asked + 2))
                assert [binding] == await ask(adapter, certs_dir, "/v2/bindings")

    assert binding["credentials"][0]["apps"] == [{"hostname": "org.space.app", "app_id": "app"}]
    assert b" org.space.app " in server.messages[0]


async def test_agents_without_a_certificate_are_told_nothing(certs_dir: Path, tmp_path: Path) -> None:
    bind(tmp_path / "b.json", ("app", "syslog://127.0.0.1:9"))
    async with (
        running("doppler", certs_dir) as doppler,
        running_adapter(certs_dir, doppler, bindings_file=tmp_path / "b.json") as adapter,
        httpx.AsyncClient(verify=client_context(certs_dir / "ca.crt")) as nobody,
    ):
        with pytest.raises(httpx.HTTPError):
            await nobody.get(f"https://{adapter['cache']}/v2/bindings")


async def has_asked(capi: FakeCapiDrains, times: int) -> bool:
    return len(capi.asked) >= times


async def drains_are(adapter: Ports, certs: Path, *urls: str) -> bool:
    return [each["url"] for each in await ask(adapter, certs, "/v2/drains")] == [*urls]


async def ask(adapter: Ports, certs: Path, path: str) -> Any:
    trusting = client_context(certs / "ca.crt", certs / "client.crt", certs / "client.key")
    async with httpx.AsyncClient(verify=trusting) as client:
        return (await client.get(f"https://{adapter['cache']}{path}")).raise_for_status().json()
