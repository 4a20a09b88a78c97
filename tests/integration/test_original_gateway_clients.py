"""Clients of the original's gateway at ours: go-loggregator's and the OTel receiver."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from envelope.pb import loggregator_v2_pb2 as v2
from tests.original_http_scene import APP, Heard, container, counter, log, meanwhile, scene
from tests.rlp_gateway_client import GaveUp, query_of
from tests.running import eventually


def gateway(certs: Path, tmp_path: Path, **settings: Any) -> Any:
    return scene(certs, tmp_path, "reverse_log_proxy", gateway={"enabled": True, "listen": "127.0.0.1:0", **settings})


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
