"""The WebSocket firehose as clients of the original see it, on a real doppler (loggregator.md 3.1)."""

import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
import trio
import trio.testing
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.trio.client import ClientConnection, connect

from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.lifecycle import Ports
from plumbing.tls import client_context
from plumbing.tokens import TokenStore
from tests.running import accounts, dial, eventually, get, running, send_over

APP = "9f3c2a41-58cc-4372-a567-0e02b2c3d479"


@dataclass
class Pipeline:
    """A doppler, a traffic controller on it, and what a client needs."""

    doppler: Ports
    traffic_controller: Ports
    certs: Path
    tokens: TokenStore
    channel: grpc.Channel

    def connect(self, target: str, *, token: str | None = "", **options: Any) -> connect:
        """Open a WebSocket with the admin's token, another, or none."""
        if token == "":
            token = self.tokens.ensure_admin_token(time.time()).read_text()
        headers = {} if token is None else {"Authorization": f"bearer {token}"}
        return connect(
            f"wss://{self.traffic_controller['listen']}{target}",
            ssl=client_context(self.certs / "ca.crt"),
            additional_headers=headers,
            compression=None,
            ping_interval=None,
            **options,
        )

    async def send(self, *envelopes: v2.Envelope) -> None:
        """Send to the doppler as an agent does, and wait for its answer."""
        await send_over(self.channel, *envelopes)

    async def subscribed(self, name: str) -> None:
        """Wait until the doppler has a reader for `name`."""

        async def has_reader() -> bool:
            return name in await accounts(self.doppler, self.certs)

        await eventually(has_reader)


@asynccontextmanager
async def open_pipeline(certs: Path, tmp_path: Path, *, doppler: Any = None, tc: Any = None) -> AsyncIterator[Pipeline]:
    tokens = TokenStore(tmp_path / "tokens")
    tokens.ensure_admin_token(time.time())
    async with running("doppler", certs, **{"drain_grace_s": 0.5, **(doppler or {})}) as doppler_ports:
        settings = {
            "doppler_addresses": [doppler_ports["listen"]],
            "auth": {"tokens_dir": tmp_path / "tokens"},
            "drain_grace_s": 0.5,
            **(tc or {}),
        }
        async with running("traffic_controller", certs, **settings) as ports:
            with dial(doppler_ports["listen"], certs, "doppler") as channel:
                yield Pipeline(doppler_ports, ports, certs, tokens, channel)


@pytest.fixture
async def pipeline(certs_dir: Path, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with open_pipeline(certs_dir, tmp_path) as pipeline:
        yield pipeline


def log(payload: bytes, source: str = APP) -> v2.Envelope:
    return v2.Envelope(source_id=source, timestamp=1, instance_id="0", log={"payload": payload})


def counter(name: str) -> v2.Envelope:
    return v2.Envelope(source_id="router", counter={"name": name, "delta": 1, "total": 5}, tags={"origin": "gorouter"})


async def receive(socket: ClientConnection, count: int) -> list[v1.Envelope]:
    with trio.fail_after(10):
        return [v1.Envelope.FromString(await socket.recv()) for _ in range(count)]


async def closing(socket: ClientConnection, *, within_s: float = 10) -> tuple[int | None, str | None]:
    """Read until the server ends the stream; returns its close code and reason."""
    with trio.fail_after(within_s):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed:
            return socket.close_code, socket.close_reason


async def test_the_firehose_carries_one_v1_envelope_to_a_binary_frame(pipeline: Pipeline) -> None:
    async with pipeline.connect("/firehose/nozzle?") as socket:
        await pipeline.subscribed("nozzle")
        await pipeline.send(log(b"hello"), counter("requests"))

        first, second = await receive(socket, 2)

    assert (first.eventType, first.logMessage.message, first.logMessage.app_id) == (5, b"hello", APP)
    assert (second.counterEvent.name, second.counterEvent.total, second.origin) == ("requests", 5, "gorouter")


@pytest.mark.parametrize(("filter_type", "event_type"), [("logs", 5), ("metrics", 7)])
async def test_a_filtered_firehose(pipeline: Pipeline, filter_type: str, event_type: int) -> None:
    async with pipeline.connect(f"/firehose/nozzle?filter-type={filter_type}") as socket:
        await pipeline.subscribed("nozzle")
        await pipeline.send(counter("a"), log(b"b"), counter("c"), log(b"d"))

        assert [envelope.eventType for envelope in await receive(socket, 2)] == [event_type] * 2


async def test_an_app_stream_carries_that_apps_logs_and_container_metrics(pipeline: Pipeline) -> None:
    metrics = {name: {"unit": "x", "value": 1} for name in ("cpu", "memory", "disk", "memory_quota", "disk_quota")}
    async with pipeline.connect(f"/apps/{APP}/stream") as socket:
        await pipeline.subscribed("unnamed-1")
        await pipeline.send(
            log(b"other", "other-app"),
            v2.Envelope(source_id=APP, gauge={"metrics": {"custom": {"value": 1}}}),
            v2.Envelope(source_id=APP, gauge={"metrics": metrics}),
            log(b"mine"),
        )

        first, second = await receive(socket, 2)

    assert (first.eventType, first.containerMetric.applicationId) == (9, APP)
    assert second.logMessage.message == b"mine"


async def test_a_token_in_a_cookie_opens_the_door_too(pipeline: Pipeline) -> None:
    token = pipeline.tokens.ensure_admin_token(time.time()).read_text()
    cookie = {"Cookie": f"other=1; authorization=bearer%20{token}"}
    target = f"wss://{pipeline.traffic_controller['listen']}/firehose/s"

    async with connect(target, ssl=client_context(pipeline.certs / "ca.crt"), additional_headers=cookie):
        await pipeline.subscribed("s")


async def test_refusals_have_the_originals_status_header_and_body(pipeline: Pipeline) -> None:
    one_app = pipeline.tokens.create(scopes=[], sources=[APP], expires_in_s=None, now=time.time())
    cases: list[tuple[str, str | None, int, str]] = [
        ("/firehose/s", None, 401, "You are not authorized. authorization not provided"),
        ("/firehose/s", "nonsense", 401, "You are not authorized. invalid authorization"),
        ("/firehose/s", one_app, 401, "You are not authorized. invalid authorization"),
        ("/apps/other/stream", one_app, 401, "You are not authorized. invalid authorization"),
        ("/nothing", None, 404, "404 page not found\n"),
        ("/firehose/../apps/x/stream", "", 404, "404 page not found\n"),
    ]
    for target, token, status, body in cases:
        with pytest.raises(InvalidStatus) as error:
            async with pipeline.connect(target, token=token):
                pass
        response = error.value.response
        assert (response.status_code, response.body.decode()) == (status, body)
        assert response.headers.get("WWW-Authenticate") == ("Basic" if status == 401 else None)

    async with pipeline.connect(f"/apps/{APP}/stream", token=one_app):
        pass


async def test_a_revoked_token_stops_opening_doors(pipeline: Pipeline) -> None:
    token = pipeline.tokens.create(scopes=["doppler.firehose"], expires_in_s=60, now=time.time())
    async with pipeline.connect("/firehose/s", token=token):
        pass

    pipeline.tokens.revoke(next(info.id for info in pipeline.tokens.list() if info.expires is not None))

    with pytest.raises(InvalidStatus):
        async with pipeline.connect("/firehose/s", token=token):
            pass


async def test_a_request_that_is_no_websocket_is_a_bad_request(pipeline: Pipeline) -> None:
    token = pipeline.tokens.ensure_admin_token(time.time()).read_text()
    host, _, port = pipeline.traffic_controller["listen"].rpartition(":")
    raw = await trio.open_tcp_stream(host, int(port))
    stream = trio.SSLStream(raw, client_context(pipeline.certs / "ca.crt"), server_hostname=host, https_compatible=True)

    await stream.send_all(f"GET /firehose/s HTTP/1.1\r\nHost: x\r\nAuthorization: bearer {token}\r\n\r\n".encode())

    with trio.fail_after(5):
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 400 Bad Request")
    await trio.aclose_forcefully(stream)


async def test_garbage_and_silence_harm_nobody_else(pipeline: Pipeline) -> None:
    host, _, port = pipeline.traffic_controller["listen"].rpartition(":")
    strangers = [await trio.open_tcp_stream(host, int(port)) for _ in range(20)]
    for stranger in strangers[:10]:
        await stranger.send_all(b"\x16\x03\x01" + b"garbage" * 100)
    async with pipeline.connect("/firehose/s") as socket:
        await pipeline.subscribed("s")
        await pipeline.send(log(b"heard"))

        assert (await receive(socket, 1))[0].logMessage.message == b"heard"
    for stranger in strangers:
        await trio.aclose_forcefully(stranger)


async def test_what_a_client_sends_is_read_and_discarded_and_too_much_closes_it(pipeline: Pipeline) -> None:
    async with pipeline.connect("/firehose/s") as socket:
        await pipeline.subscribed("s")
        await socket.send(b"who are you?")
        await pipeline.send(log(b"still here"))
        assert (await receive(socket, 1))[0].logMessage.message == b"still here"

        with pytest.raises(ConnectionClosed):
            await socket.send(b"x" * (2 << 20))
            await receive(socket, 1)


async def test_two_readers_of_a_subscription_share_it_and_lose_nothing(pipeline: Pipeline) -> None:
    received: dict[int, list[bytes]] = {0: [], 1: []}

    async def read(number: int, socket: ClientConnection) -> None:
        async for frame in socket:
            received[number].append(v1.Envelope.FromString(frame).logMessage.message)

    async with pipeline.connect("/firehose/s") as one, pipeline.connect("/firehose/s") as other:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read, 0, one)
            nursery.start_soon(read, 1, other)

            async def both_subscribed() -> bool:
                return "doppler_readers 2.0" in await get(pipeline.doppler, pipeline.certs, "/metrics")

            await eventually(both_subscribed)
            for number in range(100):
                await pipeline.send(log(b"%d" % number))

            async def all_there() -> bool:
                return len(received[0]) + len(received[1]) >= 100

            await eventually(all_there)
            nursery.cancel_scope.cancel()

    assert sorted(received[0] + received[1], key=int) == [b"%d" % number for number in range(100)]
    assert min(len(received[0]), len(received[1])) > 25


async def test_a_reader_that_is_killed_continues_where_it_was(pipeline: Pipeline) -> None:
    async with pipeline.connect("/firehose/s") as first:
        await pipeline.subscribed("s")
        await pipeline.send(log(b"1"))
        await receive(first, 1)

        async def confirmed() -> bool:
            return (await accounts(pipeline.doppler, pipeline.certs))["s"]["delivered"] == 1

        await eventually(confirmed)
        await trio.aclose_forcefully(first.stream)
    for number in (b"2", b"3"):
        await pipeline.send(log(number))

    async with pipeline.connect("/firehose/s") as second:
        assert [envelope.logMessage.message for envelope in await receive(second, 2)] == [b"2", b"3"]


async def test_what_a_killed_reader_had_not_read_goes_to_its_successor(pipeline: Pipeline) -> None:
    async with pipeline.connect("/firehose/s", max_queue=1) as first:
        await pipeline.subscribed("s")
        await receive_nothing_of(first)
        for number in range(50):
            await pipeline.send(log(b"%d " % number + b"x" * 1000))
        await trio.aclose_forcefully(first.stream)
        first.resume_reading()

    async with pipeline.connect("/firehose/s") as second:
        numbers = [int(envelope.logMessage.message.split()[0]) for envelope in await receive(second, 50)]
    assert numbers == list(range(50))


async def receive_nothing_of(socket: ClientConnection) -> None:
    """Stop this client's reading, and so its answers to pings."""
    socket.pause_reading()
    await trio.testing.wait_all_tasks_blocked()


async def test_a_client_that_answers_no_ping_is_closed_with_1008(certs_dir: Path, tmp_path: Path) -> None:
    async with open_pipeline(certs_dir, tmp_path, tc={"pong_timeout_s": 0.2, "ping_interval_s": 0.05}) as pipeline:
        async with pipeline.connect("/firehose/s") as socket:
            socket.pause_reading()
            await trio.sleep(0.6)
            socket.resume_reading()

            code, reason = await closing(socket)

    assert (code, reason) == (1008, "Client did not respond to ping before keep-alive timeout expired.")


@pytest.mark.parametrize(("query", "code", "word"), [("", 1000, ""), ("?explain=1", 1008, "not delivered")])
async def test_a_slow_consumer_is_cut_off_and_told_why_if_it_asks(
    certs_dir: Path, tmp_path: Path, query: str, code: int, word: str
) -> None:
    impatient = {"slow_consumer_s": 0.3, "goodbye_s": 20.0}
    async with open_pipeline(certs_dir, tmp_path, tc=impatient) as pipeline:
        async with pipeline.connect(f"/firehose/s{query}", max_queue=1) as socket:
            await pipeline.subscribed("s")
            socket.pause_reading()

            async def cut_off() -> bool:
                await pipeline.send(*[log(b"x" * 50_000)] * 20)
                metrics = await get(pipeline.doppler, pipeline.certs, "/metrics")
                held = float(metrics.split("\ndoppler_envelopes_held ")[1].split()[0])
                return held > 200

            await eventually(cut_off, within_s=20)
            await trio.sleep(0.5)
            socket.resume_reading()

            closed_with, reason = await closing(socket)
            assert closed_with == code
            assert word in str(reason)
        assert "traffic_controller_slow_consumers_total 1.0" in await get(
            pipeline.traffic_controller, certs_dir, "/metrics"
        )
        books = await accounts(pipeline.doppler, certs_dir)
        assert books["s"]["received"] == books["s"]["delivered"] + books["s"]["held"]


async def test_a_second_doppler_that_comes_back_is_noticed(certs_dir: Path, tmp_path: Path) -> None:
    async with open_pipeline(certs_dir, tmp_path) as pipeline:
        listen = pipeline.doppler["listen"]
        async with running("doppler", certs_dir, drain_grace_s=0.2) as second:
            address = second["listen"]
        async with running(
            "traffic_controller",
            certs_dir,
            doppler_addresses=[listen, address],
            auth={"tokens_dir": tmp_path / "tokens"},
            drain_grace_s=0.5,
        ) as ports:
            pipeline.traffic_controller = ports
            async with pipeline.connect("/firehose/s") as socket:
                await pipeline.subscribed("s")
                async with running("doppler", certs_dir, listen=address, drain_grace_s=0.2) as revived:
                    pipeline.doppler = revived
                    await pipeline.subscribed("s")
                    with dial(address, certs_dir, "doppler") as pipeline.channel:
                        await pipeline.send(log(b"from the second"))

                    assert (await receive(socket, 1))[0].logMessage.message == b"from the second"


def test_clients_need_no_certificate_but_must_trust_ours(certs_dir: Path) -> None:
    context = client_context(certs_dir / "ca.crt")

    assert context.verify_mode is ssl.CERT_REQUIRED
    assert partial(context.get_ca_certs, binary_form=True)()
