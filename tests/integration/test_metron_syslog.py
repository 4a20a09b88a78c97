"""An agent's syslog doors as programs see them: messages in, envelopes at a doppler, books that balance."""

import logging.handlers
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.config import parse_listen
from plumbing.lifecycle import Ports
from plumbing.tls import TlsFiles, client_context
from tests.running import accounts, dial, eventually, get, in_thread, metric_is, running, send_over
from tests.running_adapter import bind, running_adapter
from tests.running_proxy import open_stream, read_envelopes

ANYWHERE = "127.0.0.1:0"
EVERYWHERE = {"tcp_listen": ANYWHERE, "tls_listen": ANYWHERE, "udp_listen": ANYWHERE}
MESSAGES: list[dict[str, Any]] = [
    *({"log": {"payload": text}} for text in (b"plain", b"two\nlines", b'"]\\', b"\xff\xfe", b"", b" <13>1 ")),
    {"log": {"payload": b"oh", "type": "ERR"}},
    {"gauge": {"metrics": {"cpu": {"unit": "percentage", "value": 0.1}}}},
    {"counter": {"name": "requests", "delta": 3, "total": 2**64 - 1}},
    {"timer": {"name": "http", "start": 1, "stop": 2}},
    {"event": {"title": "a]b", "body": 'say ""'}},
]
HEAD = b"<11>1 2026-01-02T03:04:05.123456Z host shop 17 ID4 - "


@dataclass
class Pipeline:
    """An agent that takes syslog, and a subscriber to its doppler."""

    agent: Ports
    certs: Path
    stream: Any

    async def connect(self, door: str = "tcp") -> trio.SocketStream:
        return await trio.open_tcp_stream(*parse_listen(self.agent[f"syslog_{door}"]))

    async def receive(self, count: int) -> list[v2.Envelope]:
        return await in_thread(read_envelopes, self.stream, count)  # type: ignore[no-any-return]

    async def books(self) -> dict[str, Any]:
        return (await accounts(self.agent, self.certs))["agent"]


@asynccontextmanager
async def pipeline(certs: Path, *, syslog: dict[str, Any] | None = None, **settings: Any) -> AsyncIterator[Pipeline]:
    async with running("doppler", certs, drain_grace_s=1.0) as doppler:
        with dial(doppler["listen"], certs, "doppler") as channel:
            stream = open_stream(channel)
            defaults = {"doppler_addresses": [doppler["listen"]], "drain_grace_s": 2.0}
            async with running("metron", certs, **{**defaults, **settings}, syslog=syslog or EVERYWHERE) as agent:
                yield Pipeline(agent, certs, stream)
            stream.cancel()


async def test_a_message_arrives_by_every_door(certs_dir: Path) -> None:
    files = TlsFiles.named(certs_dir, "client")
    context = client_context(files.ca, files.cert, files.key)
    async with pipeline(certs_dir, tags={"job": "cell"}) as line:
        async with await line.connect("tcp") as plain:
            await plain.send_all(b"%d %s" % (len(HEAD) + 3, HEAD + b"tcp"))
            first = await line.receive(1)
        async with trio.SSLStream(
            await line.connect("tls"), context, server_hostname="metron", https_compatible=True
        ) as secure:
            await secure.send_all(HEAD + b"tls\n")
            second = await line.receive(1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(HEAD + b"udp", parse_listen(line.agent["syslog_udp"]))
            third = await line.receive(1)
        books = await line.books()

    for arrived, text in zip((*first, *second, *third), (b"tcp", b"tls", b"udp"), strict=True):
        assert arrived == v2.Envelope(
            timestamp=1_767_323_045_123_456_000,
            source_id="shop",
            instance_id="17",
            tags={"hostname": "host", "msgid": "ID4", "facility": "user", "severity": "err", "job": "cell"},
            log={"payload": text, "type": "ERR"},
        )
    assert (books["received"], sum(books["dropped"].values())) == (3, 0)


async def test_python_s_own_handler_is_understood(certs_dir: Path) -> None:
    async with pipeline(certs_dir) as line:
        handler = logging.handlers.SysLogHandler(parse_listen(line.agent["syslog_udp"]))
        handler.ident = "shop[17]: "
        handler.emit(logging.LogRecord("x", logging.ERROR, __file__, 1, "out of stock", None, None))
        handler.close()
        (envelope,) = await line.receive(1)

    assert (envelope.source_id, envelope.instance_id) == ("shop", "17")
    assert (envelope.log.payload, envelope.log.type) == (b"out of stock", v2.Log.ERR)


async def test_what_is_malformed_truncated_or_has_no_header_is_counted(certs_dir: Path) -> None:
    async with pipeline(certs_dir, syslog={**EVERYWHERE, "max_message_bytes": 480}) as line:
        async with await line.connect() as peer, await line.connect() as bystander:
            await peer.send_all(b"just text\n" + HEAD + b"x" * 1000 + b"\n8 <13>a: 1oh")
            assert await peer.receive_some() == b""
            await bystander.send_all(b"<13>a: 2\n")
            envelopes = await line.receive(4)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"\n", parse_listen(line.agent["syslog_udp"]))

        async def counted() -> bool:
            return (await line.books())["dropped"]["malformed"] == 2  # type: ignore[no-any-return]

        await eventually(counted)
        books = await line.books()
        text = await get(line.agent, certs_dir, "/metrics")

    assert sorted(len(each.log.payload) for each in envelopes) == sorted([9, 480 - len(HEAD), 1, 1])
    assert (books["received"], sum(books["dropped"].values())) == (6, 2)
    for name, value in {"messages": 6, "plain": 1, "malformed": 2, "truncated": 1}.items():
        assert f"metron_syslog_{name}_total {value}.0" in text
    assert 'metron_syslog_connections_closed_total{reason="framing"} 1.0' in text


async def test_without_dopplers_a_peer_waits_and_nothing_is_dropped(certs_dir: Path) -> None:
    """As a file would wait: what the agent's own sources may have on their way is bounded."""
    lines = b"".join(b"<13>a: %06d %s\n" % (number, b"x" * 1000) for number in range(20_000))
    settings = {"doppler_addresses": ["127.0.0.1:1"], "drain_grace_s": 0.2, "source_window_bytes": 1 << 20}
    async with running("metron", certs_dir, **settings, syslog=EVERYWHERE) as agent:
        async with (
            await trio.open_tcp_stream(*parse_listen(agent["syslog_tcp"])) as peer,
            trio.open_nursery() as sending,
        ):
            sending.start_soon(peer.send_all, lines)

            async def is_full() -> bool:
                return (await accounts(agent, certs_dir))["agent"]["held"] > 900  # type: ignore[no-any-return]

            await eventually(is_full)
            books = (await accounts(agent, certs_dir))["agent"]
            sending.cancel_scope.cancel()

    assert books["held"] == books["received"] < 1100


async def test_connections_are_shown_and_end_with_the_agent(certs_dir: Path) -> None:
    async with pipeline(certs_dir) as line:
        idle = [await line.connect() for _ in range(3)]
        await metric_is(line.agent, certs_dir, "metron_syslog_connections", 3)
    for stream in idle:
        assert await stream.receive_some() == b""
        await stream.aclose()


async def test_what_a_drain_of_one_system_says_arrives_in_another_as_it_was(certs_dir: Path, tmp_path: Path) -> None:
    tags = {"source_type": "APP/PROC/WEB", "space_name": "dev"}
    sent = [
        v2.Envelope(timestamp=1_767_323_045_000_001_000 + at, source_id="app", instance_id="3", tags=tags, **message)
        for at, message in zip(range(0, 10**6, 1000), MESSAGES, strict=False)
    ]
    async with pipeline(certs_dir) as line, running("doppler", certs_dir) as doppler:
        bind(tmp_path / "b.json", ("app", f"syslog://{line.agent['syslog_tcp']}?drain-data=all"))
        async with running_adapter(certs_dir, doppler, bindings_file=tmp_path / "b.json"):
            with dial(doppler["listen"], certs_dir, "doppler") as channel:
                await send_over(channel, *sent)
            arrived = await line.receive(len(sent))
        books = await line.books()

    assert arrived == sent
    assert (books["received"], sum(books["dropped"].values())) == (len(sent), 0)
