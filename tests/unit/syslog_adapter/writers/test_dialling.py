"""The way to a drain whose name may say another thing each time, against real sockets."""

import ssl
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import trio

from syslog_adapter.addresses import Addresses, parse_range
from syslog_adapter.drain_url import DrainUrl
from syslog_adapter.writers import DrainUnavailable, open_writer
from syslog_adapter.writers.dialling import CheckedTransport, dial
from tests.unit.syslog_adapter.writers.drains import (
    Drain,
    binding,
    counted,
    https_drain,
    lines,
    message,
    settings,
    syslog_drain,
    tls_server,
    url,
)

NAME = "doppler"
"""A name that the certificate of the drains carries, and that no name server knows."""


class NameServer:
    """Says of any name what it is told to."""

    def __init__(self, *says: Sequence[str]) -> None:
        self.says = [*says]
        self.asked: list[str] = []

    async def resolve(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        return self.says.pop(0) if len(self.says) > 1 else self.says[0]


def checked(*says: Sequence[str], blacklist: str = "127.0.0.9-127.0.0.9") -> Addresses:
    return Addresses([parse_range(blacklist)], NameServer(*says).resolve)


def named(drain: Drain, scheme: str) -> DrainUrl:
    where = url(drain, scheme)
    return replace(where, host=NAME, target=where.target.replace("127.0.0.1", NAME))


@pytest.mark.parametrize("scheme", ["syslog", "syslog-tls"])
async def test_a_name_that_says_another_thing_now_leads_nowhere(scheme: str, certs_dir: Path) -> None:
    tls = tls_server(certs_dir) if scheme == "syslog-tls" else None
    async with syslog_drain(tls) as drain:
        addresses = checked(["127.0.0.1"], ["127.0.0.9", "127.0.0.1"])
        async with open_writer(named(drain, scheme), binding(certs_dir), settings(), addresses) as writer:
            await writer.write(lines("one"))
            await drain.has(counted("one"))
            await drain.open[0].aclose()
            with pytest.raises(DrainUnavailable, match="blacklisted"):
                while True:  # until it is seen that the drain has closed
                    await writer.write(lines("two"))

        assert len(drain.connections) == 1


@pytest.mark.parametrize("scheme", ["https", "https-batch"])
async def test_a_request_goes_to_an_address_that_is_allowed(scheme: str, certs_dir: Path) -> None:
    async with https_drain(tls_server(certs_dir)) as drain:
        addresses = checked(["127.0.0.2", "127.0.0.1"])  # nobody listens at the first
        async with open_writer(named(drain, scheme), binding(certs_dir), settings(), addresses) as writer:
            await writer.write(lines("one"))
            await writer.write(lines("two"))
        forbidden = checked(["127.0.0.1"], blacklist="127.0.0.0-127.0.0.255")
        async with open_writer(named(drain, scheme), binding(certs_dir), settings(), forbidden) as writer:
            with pytest.raises(DrainUnavailable, match="blacklisted"):
                await writer.write(lines("three"))

    assert [body for _, body in drain.requests] == [message("one"), message("two")]
    assert f"\r\nhost: {NAME}:{drain.port}" in drain.requests[0][0].decode().lower()


async def test_the_certificate_must_be_of_the_name(certs_dir: Path, other_certs_dir: Path) -> None:
    for scheme, serve in (("syslog-tls", syslog_drain), ("https", https_drain)):
        async with serve(tls_server(certs_dir)) as drain:
            other = replace(named(drain, scheme), host="other", target=f"https://other:{drain.port}/")
            async with open_writer(other, binding(certs_dir), settings(), checked(["127.0.0.1"])) as writer:
                with pytest.raises(DrainUnavailable, match="certificate"):
                    await writer.write(lines("one"))
            assert drain.requests == []


async def test_the_name_beyond_ascii_is_the_one_that_was_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[httpx.Request] = []

    async def send(_: object, request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200)

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", send)
    server = NameServer(["127.0.0.1"])
    addresses = Addresses([parse_range("127.0.0.9-127.0.0.9")], server.resolve)
    async with httpx.AsyncClient(transport=CheckedTransport(addresses, ssl.create_default_context())) as client:
        await client.post("https://faß.example/")  # `ssl` would ask for a certificate of fass.example, another name

    assert server.asked == ["xn--fa-hia.example"]
    assert sent[0].extensions["sni_hostname"] == "xn--fa-hia.example"


async def test_addresses_are_tried_in_their_turn() -> None:
    async with syslog_drain() as drain:
        stream = await dial(NAME, drain.port, checked(["127.0.0.2", "127.0.0.1"]), 30)
        assert stream.socket.getpeername()[0] == "127.0.0.1"
        await stream.aclose()

        with pytest.raises(OSError, match=r"127\.0\.0\.2"):
            await dial(NAME, drain.port, checked(["127.0.0.2"]), 30)


async def test_where_nothing_is_forbidden_no_name_is_asked_for() -> None:
    server = NameServer(["127.0.0.9"])
    async with syslog_drain() as drain:
        await trio.aclose_forcefully(await dial("127.0.0.1", drain.port, Addresses((), server.resolve), 30))

    assert server.asked == []
