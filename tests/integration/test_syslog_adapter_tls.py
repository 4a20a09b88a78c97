"""A syslog adapter and drains that have certificates: whom it trusts, what it shows, and what it says of the others."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.certs import make_certs
from plumbing.lifecycle import Ports
from tests.integration.test_syslog_adapter import ask
from tests.running import accounts, eventually, in_thread, running
from tests.running_adapter import bind, running_adapter, send
from tests.running_proxy import proxy_at, read_envelopes
from tests.unit.syslog_adapter.writers.drains import Drain, https_drain, syslog_drain, tls_server

IN_TIME = 20.0


@pytest.fixture(scope="module")
def expired_certs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of two years ago."""
    directory = tmp_path_factory.mktemp("expired") / "certs"
    make_certs(directory, now=datetime.now(UTC) - timedelta(days=730))
    return directory


@asynccontextmanager
async def adapter_for(
    certs: Path, directory: Path, url: str, *, writing: Any = None, **binding: str
) -> AsyncIterator[tuple[Ports, Ports]]:
    """A doppler and an adapter with one drain of one app."""
    bind(directory / "b.json", ("app", url), **binding)
    async with running("doppler", certs, drain_grace_s=0.2) as doppler:
        settings = {"bindings_file": directory / "b.json", "drain_grace_s": 0.2, "writing": writing or {}}
        async with running_adapter(certs, doppler, **settings) as adapter:
            yield doppler, adapter


async def until(condition: Callable[[], bool]) -> None:
    async def holds() -> bool:
        return condition()

    await eventually(holds, within_s=IN_TIME)


async def state_of(adapter: Ports, certs: Path, state: str) -> dict[str, Any]:
    """Wait until the only drain is in a state, and say what it says."""
    said: list[dict[str, Any]] = []

    async def it_is() -> bool:
        said[:] = await ask(adapter, certs, "/v2/drains")
        return bool(said) and said[0]["state"] == state

    await eventually(it_is, within_s=IN_TIME)
    return said[0]


def came(drain: Drain) -> bytes:
    return b"".join(map(bytes, drain.connections))


@pytest.mark.parametrize("mutual", [False, True])
async def test_a_drain_with_a_ca_of_its_own_is_trusted_and_shown_who_we_are(
    mutual: bool, certs_dir: Path, other_certs_dir: Path, tmp_path: Path
) -> None:
    shown = {"ca": (other_certs_dir / "ca.crt").read_text()}
    if mutual:
        shown |= {
            end: (other_certs_dir / f"client.{name}").read_text() for end, name in (("cert", "crt"), ("key", "key"))
        }
    async with syslog_drain(tls_server(other_certs_dir, mutual=mutual)) as drain:
        url = f"syslog-tls://127.0.0.1:{drain.port}"
        async with adapter_for(certs_dir, tmp_path, url, **shown) as (doppler, adapter):
            await send(doppler, certs_dir, "app", "one", "two")
            await until(lambda: b" one\n" in came(drain) and came(drain).endswith(b" two\n"))
            said = await state_of(adapter, certs_dir, "connected")

    assert (said["sent"], said["last_error"]) == (2, "")
    assert len(drain.connections) == 1


async def test_a_drain_that_wants_a_certificate_and_sees_none_is_given_nothing(certs_dir: Path, tmp_path: Path) -> None:
    ca = (certs_dir / "ca.crt").read_text()
    async with syslog_drain(tls_server(certs_dir, mutual=True)) as drain:
        url = f"syslog-tls://127.0.0.1:{drain.port}"
        patient = {"verdict_s": IN_TIME}
        async with adapter_for(certs_dir, tmp_path, url, writing=patient, ca=ca) as (doppler, adapter):
            await send(doppler, certs_dir, "app", "one")
            said = await state_of(adapter, certs_dir, "retrying")

    assert "connection" in said["last_error"].lower()
    assert (said["sent"], said["held"], came(drain)) == (0, 1, b"")


@pytest.mark.parametrize("scheme", ["syslog-tls", "https"])
async def test_a_drain_of_another_authority_is_not_connected(
    scheme: str, certs_dir: Path, other_certs_dir: Path, tmp_path: Path
) -> None:
    ca = (certs_dir / "ca.crt").read_text()
    async with syslog_drain(tls_server(other_certs_dir)) as drain:
        url = f"{scheme}://me:secret@127.0.0.1:{drain.port}/?token=secret"
        async with adapter_for(certs_dir, tmp_path, url, ca=ca) as (doppler, adapter):
            await send(doppler, certs_dir, "app", "one")
            said = await state_of(adapter, certs_dir, "retrying")

    assert "certificate verify failed" in said["last_error"]
    assert (said["sent"], said["held"], came(drain)) == (0, 1, b"")
    assert "secret" not in str(said)


async def test_a_drain_whose_certificate_has_expired_is_not_connected(
    certs_dir: Path, expired_certs_dir: Path, tmp_path: Path
) -> None:
    ca = (expired_certs_dir / "ca.crt").read_text()
    async with syslog_drain(tls_server(expired_certs_dir)) as drain:
        url = f"syslog-tls://127.0.0.1:{drain.port}"
        async with adapter_for(certs_dir, tmp_path, url, ca=ca) as (doppler, adapter):
            await send(doppler, certs_dir, "app", "one")
            said = await state_of(adapter, certs_dir, "retrying")

    assert "certificate has expired" in said["last_error"]
    assert came(drain) == b""


async def test_each_line_is_a_request_to_an_https_drain(certs_dir: Path, tmp_path: Path) -> None:
    ca = (certs_dir / "ca.crt").read_text()
    async with https_drain(tls_server(certs_dir)) as drain:
        drain.answers[:] = [b"503 Later"]
        url = f"https://127.0.0.1:{drain.port}/logs"
        async with adapter_for(certs_dir, tmp_path, url, ca=ca) as (doppler, adapter):
            await send(doppler, certs_dir, "app", "one")
            await until(lambda: len(drain.requests) == 2)
            await send(doppler, certs_dir, "app", "two")
            await until(lambda: len(drain.requests) == 3)
            said = await state_of(adapter, certs_dir, "connected")
            books = await accounts(adapter, certs_dir)

    assert [body.rstrip().rpartition(b" ")[2] for _, body in drain.requests] == [b"one", b"one", b"two"]
    assert (said["sent"], said["retried"]) == (2, 1)
    assert (books["drains"]["kind"], books["drains"]["delivered"]) == ("sink", 2)
    assert {each["kind"] for name, each in books.items() if name.startswith("drain ")} == {"part"}


async def test_many_lines_are_one_request_to_a_batch_drain(certs_dir: Path, tmp_path: Path) -> None:
    ca, many = (certs_dir / "ca.crt").read_text(), [f"line-{number}" for number in range(100)]
    async with https_drain(tls_server(certs_dir)) as drain:
        url = f"https-batch://127.0.0.1:{drain.port}/logs"
        async with adapter_for(certs_dir, tmp_path, url, ca=ca) as (doppler, adapter):
            await send(doppler, certs_dir, "app", *many)
            await until(lambda: sum(body.count(b"\n") for _, body in drain.requests) == 100)
            said = await state_of(adapter, certs_dir, "connected")

    body = b"".join(body for _, body in drain.requests)
    assert [line.rpartition(b" ")[2].decode() for line in body.splitlines()] == many
    assert len(drain.requests) < 10
    assert said["sent"] == 100


async def test_an_app_reads_of_its_dead_drain_in_its_own_stream(certs_dir: Path, tmp_path: Path) -> None:
    async with running("doppler", certs_dir, drain_grace_s=0.2) as doppler:
        doppler_addresses = [doppler["listen"]]
        async with (
            running("metron", certs_dir, doppler_addresses=doppler_addresses, drain_grace_s=0.2) as agent,
            proxy_at(certs_dir, [doppler]) as proxy,
        ):
            stream = await in_thread(proxy.open, selectors=[v2.Selector(source_id="app", log={})])
            await proxy.readers_are(1)
            bind(
                tmp_path / "b.json", ("app", "syslog://me:secret@127.0.0.1:1/?token=secret"), ("app", "udp://secret@h")
            )
            settings = {"bindings_file": tmp_path / "b.json", "agent_address": agent["listen"], "drain_grace_s": 0.1}
            async with running_adapter(certs_dir, doppler, readers=2, **settings):
                await send(doppler, certs_dir, "app", "one")
                found = await in_thread(read_envelopes, stream, 3)
            stream.cancel()

    said = {each.log.payload.decode(): each for each in found}
    told = {"Failed to connect to syslog://127.0.0.1:1/", "Invalid Scheme for syslog drain url udp://h"}
    assert set(said) == {"one", *told}
    assert {(said[text].tags["source_type"], said[text].instance_id, said[text].log.type) for text in told} == {
        ("LGR", "0", v2.Log.ERR)
    }
