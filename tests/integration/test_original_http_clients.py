"""Clients of the original at our HTTP doors: noaa, the cf CLI, go-loggregator's gateway client, the OTel receiver."""

import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import trio

from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.lifecycle import Ports
from plumbing.tls import TlsFiles, client_context
from plumbing.tokens import TokenStore
from tests.fakes.log_cache import batch, open_log_cache
from tests.noaa import BadRequest, Closed, Consumer, NotOk, Unauthorized
from tests.rlp_gateway_client import GaveUp, RlpGatewayClient, query_of
from tests.running import accounts, dial, eventually, get, running

APP = "9f3c2a41-58cc-4372-a567-0e02b2c3d479"


@dataclass
class Scene:
    """A Doppler, a traffic controller or a gateway on it, and the tokens that it takes."""

    doppler: Ports
    ports: Ports
    certs: Path
    tokens: TokenStore
    channel: grpc.Channel
    trusting: ssl.SSLContext

    def token(self, *, expires_in_s: float = 600) -> str:
        return self.tokens.create(
            scopes=["doppler.firehose", "logs.admin"],
            expires_in_s=abs(expires_in_s),
            now=time.time() + min(expires_in_s, 0) * 2,
        )

    def consumer(self, **settings: Any) -> Consumer:
        return Consumer(f"wss://{self.ports['listen']}", self.trusting, min_retry_s=0.5, **settings)

    @asynccontextmanager
    async def gateway_client(self, token: Callable[[], str], **settings: Any) -> AsyncIterator[RlpGatewayClient]:
        async with httpx.AsyncClient(verify=self.trusting, trust_env=False, timeout=20) as http:
            yield RlpGatewayClient(f"https://{self.ports['gateway']}", http, token, **settings)

    async def send(self, *envelopes: v2.Envelope) -> None:
        """Send to the Doppler as an agent does, and wait for its answer."""
        sender = self.channel.stream_unary(
            "/loggregator.v2.Ingress/BatchSender", request_serializer=v2.EnvelopeBatch.SerializeToString
        )
        with trio.fail_after(20):
            await trio.to_thread.run_sync(sender, iter([v2.EnvelopeBatch(batch=envelopes)]))

    async def read_by(self, count: int) -> None:
        """Wait until the Doppler has so many readers."""

        async def so_many() -> bool:
            return f"doppler_readers {count}.0\n" in await get(self.doppler, self.certs, "/metrics")

        await eventually(so_many)


@asynccontextmanager
async def scene(certs: Path, tmp_path: Path, room: str, **settings: Any) -> AsyncIterator[Scene]:
    tokens = TokenStore(tmp_path / "tokens")
    tokens.ensure_admin_token(time.time())
    async with running("doppler", certs, drain_grace_s=0.2) as doppler:
        common: dict[str, Any] = {"doppler_addresses": [doppler["listen"]], "drain_grace_s": 0.2}
        common |= {"auth": {"tokens_dir": tmp_path / "tokens"}}
        async with running(room, certs, **{**common, **settings}) as ports:
            with dial(doppler["listen"], certs, "doppler") as channel:
                yield Scene(doppler, ports, certs, tokens, channel, client_context(certs / "ca.crt"))


@pytest.fixture
async def traffic(certs_dir: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene(certs_dir, tmp_path, "traffic_controller") as opened:
        yield opened


def gateway(certs: Path, tmp_path: Path, **settings: Any) -> Any:
    return scene(certs, tmp_path, "reverse_log_proxy", gateway={"enabled": True, "listen": "127.0.0.1:0", **settings})


def log(payload: bytes, source: str = APP) -> v2.Envelope:
    return v2.Envelope(source_id=source, timestamp=1, instance_id="0", log={"payload": payload})


def counter(name: str) -> v2.Envelope:
    return v2.Envelope(source_id="router", counter={"name": name, "delta": 1, "total": 5})


def container(instance: int) -> v2.Envelope:
    metrics = {name: {"unit": "x", "value": 1} for name in ("cpu", "memory", "disk", "memory_quota", "disk_quota")}
    return v2.Envelope(source_id=APP, instance_id=str(instance), timestamp=1, gauge={"metrics": metrics})


@asynccontextmanager
async def meanwhile(work: Callable[[], Any]) -> AsyncIterator[None]:
    """Let a client work for the time of the block."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        yield
        nursery.cancel_scope.cancel()


class Heard(list[Any]):
    """What a client heard."""

    async def has(self, count: int) -> bool:
        return len(self) >= count

    def so_many(self, count: int) -> Callable[[], Any]:
        return partial(self.has, count)

    @property
    def lines(self) -> list[bytes]:
        return [envelope.logMessage.message for envelope in self]


@pytest.mark.parametrize("prefix", ["bearer ", ""])
async def test_noaa_reads_the_firehose_with_its_token_as_given(traffic: Scene, prefix: str) -> None:
    heard, noaa = Heard(), traffic.consumer()
    async with meanwhile(partial(noaa.firehose, "nozzle", prefix + traffic.token(), heard.append)):
        await traffic.read_by(1)
        await traffic.send(log(b"one"), counter("requests"))
        await eventually(heard.so_many(2))

    assert (heard[0].logMessage.message, heard[1].counterEvent.name) == (b"one", "requests")


@pytest.mark.parametrize(("kind", "event"), [("logs", v1.Envelope.LogMessage), ("metrics", v1.Envelope.CounterEvent)])
async def test_noaa_reads_a_filtered_firehose(traffic: Scene, kind: str, event: int) -> None:
    heard, noaa = Heard(), traffic.consumer()
    async with meanwhile(partial(noaa.firehose, "nozzle", traffic.token(), heard.append, kind=kind)):
        await traffic.read_by(1)
        await traffic.send(log(b"one"), counter("requests"), log(b"two"), counter("others"))
        await eventually(heard.so_many(2))

    assert [envelope.eventType for envelope in heard] == [event, event]


async def test_noaa_asks_for_another_token_when_its_own_is_refused(traffic: Scene) -> None:
    asked: list[str] = []

    def refresher() -> str:
        asked.append("once")
        return f"bearer {traffic.token()}"

    heard, noaa = Heard(), traffic.consumer(refresher=refresher)
    async with meanwhile(partial(noaa.firehose, "nozzle", f"bearer {traffic.token(expires_in_s=-5)}", heard.append)):
        await traffic.read_by(1)
        await traffic.send(log(b"one"))
        await eventually(heard.so_many(1))

    assert (asked, noaa.errors, noaa.connects) == (["once"], [], 1)


async def test_noaa_without_anybody_to_ask_says_what_it_was_told_and_tries_again_later(traffic: Scene) -> None:
    pauses: list[float] = []
    noaa = traffic.consumer(max_retries=4, sleep=pauses.append)

    await noaa.firehose("nozzle", "bearer expired", Heard().append)

    assert [type(error) for error in noaa.errors] == [Unauthorized] * 4
    assert noaa.errors[0].args == (401, "You are not authorized. invalid authorization")
    assert pauses == [0.5, 1.0, 2.0, 4.0]


async def test_noaa_comes_back_to_a_traffic_controller_that_comes_back(certs_dir: Path, tmp_path: Path) -> None:
    heard = Heard()
    async with scene(certs_dir, tmp_path, "traffic_controller") as first:
        noaa, token = first.consumer(), first.token()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(noaa.firehose, "nozzle", token, heard.append)
            await first.read_by(1)
            await first.send(log(b"one"))
            await eventually(heard.so_many(1))
            async with running(
                "traffic_controller",
                certs_dir,
                doppler_addresses=[first.doppler["listen"]],
                auth={"tokens_dir": tmp_path / "tokens"},
                drain_grace_s=0.2,
            ) as second:
                noaa.url = f"wss://{second['listen']}"
                assert noaa.socket is not None
                await trio.aclose_forcefully(noaa.socket.stream)  # as a load balancer would

                async def is_back() -> bool:
                    return noaa.connects == 2

                await eventually(is_back)
                await first.send(log(b"two"))
                await eventually(heard.so_many(2))
                nursery.cancel_scope.cancel()

    assert heard.lines == [b"one", b"two"]


async def test_noaa_hears_1001_from_a_traffic_controller_that_stops(certs_dir: Path, tmp_path: Path) -> None:
    noaa: Any = None
    async with trio.open_nursery() as nursery:
        async with scene(certs_dir, tmp_path, "traffic_controller") as opened:
            noaa = opened.consumer(max_retries=1)
            nursery.start_soon(noaa.firehose, "nozzle", opened.token(), Heard().append)
            await opened.read_by(1)

    assert [error.code for error in noaa.errors] == [1001]


async def test_noaa_that_does_not_read_is_closed_with_1008_and_may_come_back(certs_dir: Path, tmp_path: Path) -> None:
    impatient = {"pong_timeout_s": 0.3, "ping_interval_s": 0.05}
    async with scene(certs_dir, tmp_path, "traffic_controller", **impatient) as opened:
        noaa, token = opened.consumer(), opened.token()
        stuck = await noaa.dial("/firehose/nozzle?", token)
        await opened.read_by(1)
        await opened.send(log(b"one"))
        await trio.sleep(0.8)  # it is the client that does nothing

        with pytest.raises(Closed) as closed:
            while True:
                await stuck.message()
        assert closed.value.args == (1008, "Client did not respond to ping before keep-alive timeout expired.")
        heard = Heard()
        async with meanwhile(partial(noaa.firehose, "nozzle", token, heard.append)):
            await opened.read_by(1)
            await opened.send(log(b"two"))
            await eventually(lambda: heard.has(1))
        assert heard.lines[-1] == b"two"


async def test_noaa_that_is_too_slow_is_closed_with_1000_and_reads_the_rest_when_it_is_back(
    certs_dir: Path, tmp_path: Path
) -> None:
    impatient = {"slow_consumer_s": 0.3, "goodbye_s": 20.0}
    async with scene(certs_dir, tmp_path, "traffic_controller", **impatient) as opened:
        noaa, token, heard, sent = opened.consumer(), opened.token(), Heard(), 0
        stuck = await noaa.dial("/firehose/nozzle?", token)
        await opened.read_by(1)

        async def has_to_wait() -> bool:
            nonlocal sent
            await opened.send(*[log(b"%d " % (sent + number) + b"x" * 50_000) for number in range(20)])
            sent += 20
            books = await accounts(opened.doppler, certs_dir)
            return bool(books["nozzle"]["held"] > 200)

        await eventually(has_to_wait, within_s=30)
        await trio.sleep(0.6)  # it is the client that does nothing
        with pytest.raises(Closed) as closed:
            while True:
                heard.append(v1.Envelope.FromString(await stuck.message()))
        assert closed.value.args == (1000, "")

        async with meanwhile(partial(noaa.firehose, "nozzle", token, heard.append)):

            async def is_all_there() -> bool:
                return {int(line.split()[0]) for line in heard.lines} == set(range(sent))

            await eventually(is_all_there, within_s=30)


async def test_noaa_that_closes_leaves_nothing_behind(traffic: Scene) -> None:
    noaa = traffic.consumer()
    socket = await noaa.dial("/firehose/nozzle?", traffic.token())
    await traffic.read_by(1)
    await socket.close()

    async def is_forgotten() -> bool:
        return "traffic_controller_connections 0.0\n" in await get(traffic.ports, traffic.certs, "/metrics")

    await eventually(is_forgotten)
    assert all(account["in_flight"] == 0 for account in (await accounts(traffic.ports, traffic.certs)).values())


async def test_the_old_cf_cli_follows_an_app(traffic: Scene) -> None:
    """What `cf logs` of version 6 does: noaa's stream of one app, of which it shows the lines."""
    token = traffic.tokens.create(scopes=[], sources=[APP], expires_in_s=60, now=time.time())
    heard, cf = Heard(), traffic.consumer()
    async with meanwhile(partial(cf.stream, APP, f"bearer {token}", heard.append)):
        await traffic.read_by(1)
        await traffic.send(log(b"another's", "other"), counter("requests"), log(b"mine"), container(0))
        await eventually(heard.so_many(2))

    assert heard.lines == [b"mine", b""]
    assert heard[1].containerMetric.applicationId == APP


@pytest.mark.parametrize("token", ["", "bearer nonsense"])
async def test_the_old_cf_cli_is_told_that_it_has_to_log_in(traffic: Scene, token: str) -> None:
    cf = traffic.consumer()

    with pytest.raises(Unauthorized):
        await cf.dial(f"/apps/{APP}/stream", token)
    with pytest.raises(Unauthorized):
        await cf.recent_logs(APP, token)


async def test_noaa_asks_for_recent_logs_and_container_metrics(certs_dir: Path, tmp_path: Path) -> None:
    async with open_log_cache(TlsFiles.named(certs_dir, "log-cache")) as cache:
        kinds = {"LOG": batch(log(b"two"), log(b"one")), "GAUGE": batch(container(1), container(0))}
        cache.answer = lambda asked: (200, kinds[asked.query["envelope_types"][0]])
        async with scene(certs_dir, tmp_path, "traffic_controller", log_cache_url=cache.address) as opened:
            noaa, token = opened.consumer(), f"bearer {opened.token()}"
            lines = await noaa.recent_logs(APP, token)
            metrics = await noaa.container_metrics(APP, token)

    assert [line.message for line in lines] == [b"two", b"one"]
    assert [metric.instanceIndex for metric in metrics] == [0, 1]


async def test_noaa_refreshes_its_token_for_container_metrics_too(traffic: Scene) -> None:
    noaa = traffic.consumer(refresher=lambda: f"bearer {traffic.token()}")

    assert await noaa.container_metrics(APP, "bearer expired") == []


async def test_noaa_tells_refusals_apart(certs_dir: Path, tmp_path: Path, traffic: Scene) -> None:
    noaa, token = traffic.consumer(), traffic.token()
    with pytest.raises(BadRequest):
        await noaa._read(APP, "stream", token)  # not a WebSocket
    with pytest.raises(NotOk) as missing:
        await noaa._read(APP, "nothing", token)
    assert missing.value.args == (404, "404 page not found\n")


async def test_the_gateway_client_hears_what_it_asked_for(certs_dir: Path, tmp_path: Path) -> None:
    asked = v2.EgressBatchRequest(
        selectors=[
            v2.Selector(source_id=APP, log={}),
            v2.Selector(source_id=APP, counter={"name": "mine"}),
            v2.Selector(source_id="router", counter={}),
            v2.Selector(source_id=APP, gauge={"names": ["cpu"]}),
        ]
    )
    assert query_of(asked) == f"?source_id={APP}&log&counter.name=mine&source_id=router&gauge.name=cpu"
    heard = Heard()
    async with gateway(certs_dir, tmp_path, heartbeat_s=0.05) as opened:
        async with opened.gateway_client(lambda: f"bearer {opened.token()}") as client:
            async with meanwhile(partial(client.stream, asked, heard.append)):
                await opened.read_by(1)
                await opened.send(log(b"x", "other"), counter("theirs"), log(b"one"), counter("mine"), container(0))
                await eventually(heard.so_many(2))

    assert [envelope.log.payload or envelope.counter.name for envelope in heard] == [b"one", "mine"]
    assert client.failures == []


async def test_the_gateway_client_of_a_shard_loses_nothing_at_the_turn_of_its_streams(
    certs_dir: Path, tmp_path: Path
) -> None:
    asked = v2.EgressBatchRequest(shard_id="nozzle", selectors=[v2.Selector(log={})])
    heard, sent = Heard(), 0
    async with gateway(certs_dir, tmp_path, stream_timeout_s=0.3, heartbeat_s=0.1) as opened:
        token = opened.token()
        async with opened.gateway_client(lambda: f"bearer {token}") as client:
            async with meanwhile(partial(client.stream, asked, heard.append)):
                await opened.read_by(1)
                while client.connects < 4:
                    await opened.send(log(b"%d" % sent))
                    sent += 1
                await eventually(heard.so_many(sent), within_s=20)

    assert sorted(int(envelope.log.payload) for envelope in heard) == list(range(sent))
    assert client.failures == []


async def test_the_gateway_client_gives_up_after_ten_refusals_in_a_row(certs_dir: Path, tmp_path: Path) -> None:
    asked = v2.EgressBatchRequest(selectors=[v2.Selector(log={})])
    async with gateway(certs_dir, tmp_path) as opened, opened.gateway_client(lambda: "bearer nonsense") as client:
        with trio.fail_after(20), pytest.raises(GaveUp):
            await client.stream(asked, Heard().append)

    assert (
        client.failures == ['unexpected status code 404: {"message":"resource not found","error":"not_found"}\n\n'] * 10
    )


async def test_the_otel_receiver_reads_metrics_and_logs_in_shards_of_its_own(certs_dir: Path, tmp_path: Path) -> None:
    """The cloudfoundryreceiver: two streams of one client, a token from its provider for each connection."""
    metrics = v2.EgressBatchRequest(shard_id="otel_metrics", selectors=[v2.Selector(counter={}), v2.Selector(gauge={})])
    logs = v2.EgressBatchRequest(shard_id="otel_logs", selectors=[v2.Selector(log={})])
    of_metrics, of_logs = Heard(), Heard()
    async with gateway(certs_dir, tmp_path) as opened:
        async with opened.gateway_client(lambda: f"bearer {opened.token()}") as client, trio.open_nursery() as nursery:
            nursery.start_soon(client.stream, metrics, of_metrics.append)
            nursery.start_soon(client.stream, logs, of_logs.append)
            await opened.read_by(2)
            await opened.send(log(b"one"), counter("requests"), container(0), log(b"two"))
            await eventually(of_metrics.so_many(2))
            await eventually(of_logs.so_many(2))
            nursery.cancel_scope.cancel()

    assert [envelope.WhichOneof("message") for envelope in of_metrics] == ["counter", "gauge"]
    assert [envelope.log.payload for envelope in of_logs] == [b"one", b"two"]
