"""What a traffic controller and a reverse log proxy say of themselves, on its way through an agent and a doppler."""

import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from envelope.kinds import Kind
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.selectors import make_request
from plumbing.egress_client import Arrival, Dopplers, Feed
from plumbing.island import open_island
from plumbing.lifecycle import Ports
from plumbing.tls import TlsFiles, client_context
from plumbing.tokens import TokenStore
from tests.running import accounts, dial, eventually, running


@asynccontextmanager
async def subscribed(doppler: Ports, certs: Path, kinds: Kind) -> AsyncIterator[list[v2.Envelope]]:
    """Gather what a doppler has of some kinds for the time of the block."""
    gathered: list[v2.Envelope] = []

    async def relay(arrival: Arrival) -> None:
        gathered.extend(v2.EnvelopeBatch.FromString(arrival.batch).batch)
        arrival.confirm()

    dopplers = Dopplers([doppler["listen"]], TlsFiles.named(certs, "nozzle"), random.Random(1))
    feed = Feed(dopplers, make_request(kinds, shard_id="gatherer"), relay)
    async with open_island() as island, trio.open_nursery() as nursery:
        nursery.start_soon(island.run, feed.run)

        async def is_subscribed() -> bool:
            return "gatherer" in await accounts(doppler, certs)

        await eventually(is_subscribed)
        yield gathered
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await island.run(dopplers.close)


async def until(condition: object, *, within_s: float = 20) -> None:
    async def holds() -> bool:
        return bool(condition())  # type: ignore[operator]  # a plain function

    await eventually(holds, within_s=within_s)


async def test_metrics_of_both_arrive_with_the_originals_names(certs_dir: Path, tmp_path: Path) -> None:
    TokenStore(tmp_path / "tokens").ensure_admin_token(time.time())
    async with running("doppler", certs_dir, drain_grace_s=0.5) as doppler:
        common = {"doppler_addresses": [doppler["listen"]], "drain_grace_s": 0.5}
        async with running("metron", certs_dir, tags={"deployment": "test"}, **common) as metron:
            common |= {"agent_address": metron["listen"], "self_metrics_interval_s": 0.1}
            async with (
                subscribed(doppler, certs_dir, Kind.COUNTER | Kind.GAUGE) as gathered,
                running("traffic_controller", certs_dir, auth={"tokens_dir": tmp_path / "tokens"}, **common),
                running("reverse_log_proxy", certs_dir, **common),
            ):
                origins = {"loggregator.trafficcontroller", "loggregator.rlp"}
                await until(lambda: {envelope.tags["origin"] for envelope in gathered} >= origins)

    assert {envelope.source_id for envelope in gathered} == {"traffic_controller", "reverse_log_proxy"}
    assert {envelope.tags["deployment"] for envelope in gathered} == {"test"}  # the agent's


async def test_a_slow_consumer_is_told_of_in_an_event(certs_dir: Path, tmp_path: Path) -> None:
    tokens = TokenStore(tmp_path / "tokens")
    token = tokens.ensure_admin_token(time.time()).read_text()
    async with running("doppler", certs_dir, drain_grace_s=0.5) as doppler:
        common = {"doppler_addresses": [doppler["listen"]], "drain_grace_s": 0.5}
        async with running("metron", certs_dir, **common) as metron:
            settings = {
                **common,
                "agent_address": metron["listen"],
                "auth": {"tokens_dir": tmp_path / "tokens"},
                "slow_consumer_s": 0.3,
                "goodbye_s": 0.3,
            }
            async with (
                subscribed(doppler, certs_dir, Kind.EVENT) as gathered,
                running("traffic_controller", certs_dir, **settings) as ports,
                deaf_client(ports, certs_dir, "/firehose/slow?", token),
                trio.open_nursery() as sending,
            ):
                sending.start_soon(_keep_sending, doppler, certs_dir)
                await until(lambda: gathered)
                sending.cancel_scope.cancel()

    (event,) = gathered
    assert event.event.title == "Traffic Controller has disconnected slow consumer"
    assert "X-Forwarded-For: 192.0.2.7\nPath: /firehose/slow" in event.event.body
    assert event.source_id == "traffic_controller"


@asynccontextmanager
async def deaf_client(ports: Ports, certs: Path, path: str, token: str) -> AsyncIterator[None]:
    """Open a WebSocket and read nothing from it."""
    host, _, port = ports["listen"].rpartition(":")
    raw = await trio.open_tcp_stream(host, int(port))
    stream = trio.SSLStream(raw, client_context(certs / "ca.crt"), server_hostname=host, https_compatible=True)
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: x",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "X-Forwarded-For: 192.0.2.7",
        f"Authorization: bearer {token}",
    ]
    await stream.send_all("\r\n".join([*lines, "", ""]).encode())
    try:
        yield
    finally:
        await trio.aclose_forcefully(stream)


async def _keep_sending(doppler: Ports, certs: Path) -> None:
    """Send the doppler large logs until cancelled."""
    batch = v2.EnvelopeBatch(batch=[v2.Envelope(source_id="a", log={"payload": b"x" * 50_000})] * 20)
    with dial(doppler["listen"], certs, "doppler") as channel:
        send = channel.stream_unary(
            "/loggregator.v2.Ingress/BatchSender", request_serializer=v2.EnvelopeBatch.SerializeToString
        )
        while True:
            await trio.to_thread.run_sync(send, iter([batch]))
