"""noaa and the cf CLI at our traffic controller, as nozzles and operators of the original use them."""

import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from envelope.pb import dropsonde_pb2 as v1
from plumbing.tls import TlsFiles
from tests.fakes.log_cache import batch, open_log_cache
from tests.noaa import BadRequest, Closed, NotOk, Unauthorized
from tests.original_http_scene import APP, Heard, Scene, container, counter, log, meanwhile, scene
from tests.running import accounts, eventually, get, running


@pytest.fixture
async def traffic(certs_dir: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene(certs_dir, tmp_path, "traffic_controller") as opened:
        yield opened


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
