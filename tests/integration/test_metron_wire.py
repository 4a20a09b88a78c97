"""An agent between plain gRPC clients, real dopplers and a router that knows nothing of acknowledgements."""

import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import trio

from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.lifecycle import Ports
from plumbing.tls import TlsFiles, grpc_server_credentials
from tests.running import accounts, dial, eventually, running, send_batches


@asynccontextmanager
async def agent_on(certs: Path, *dopplers: str, **settings: Any) -> AsyncIterator[Ports]:
    async with running("metron", certs, doppler_addresses=list(dopplers), drain_grace_s=2.0, **settings) as ports:
        yield ports


async def send(ports: Ports, certs: Path, *envelopes: v2.Envelope, messages: int = 1) -> None:
    """Send `messages` batches of these envelopes on one stream, and wait for the agent's answer."""
    with dial(ports["listen"], certs, "metron") as channel:
        await send_batches(channel, [v2.EnvelopeBatch(batch=envelopes)] * messages)


def log(payload: bytes) -> v2.Envelope:
    return v2.Envelope(source_id="app", log={"payload": payload})


@contextmanager
def original_router(certs: Path, leaf: str = "doppler") -> Iterator[tuple[str, list[v2.Envelope]]]:
    """A router that answers a BatchSender once, when the agent has finished, and sends no headers before."""
    received: list[v2.Envelope] = []
    arrived = threading.Lock()

    def batch_sender(batches: Iterator[v2.EnvelopeBatch], _: grpc.ServicerContext) -> v2.BatchSenderResponse:
        for batch in batches:
            with arrived:
                received.extend(batch.batch)
        return v2.BatchSenderResponse()

    handler = grpc.stream_unary_rpc_method_handler(
        batch_sender, v2.EnvelopeBatch.FromString, v2.BatchSenderResponse.SerializeToString
    )
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("loggregator.v2.Ingress", {"BatchSender": handler}),)
    )
    port = server.add_secure_port("127.0.0.1:0", grpc_server_credentials(TlsFiles.named(certs, leaf)))
    server.start()
    try:
        yield f"127.0.0.1:{port}", received
    finally:
        server.stop(0).wait()


async def delivered(ports: Ports, certs: Path, envelopes: int) -> None:
    async def enough() -> bool:
        return (await accounts(ports, certs))["agent"]["delivered"] >= envelopes

    await eventually(enough)


async def test_an_original_router_gets_everything_and_no_message_it_does_not_know(certs_dir: Path) -> None:
    with original_router(certs_dir) as (address, received):
        async with agent_on(certs_dir, address, tags={"job": "cell"}) as agent:
            await send(agent, certs_dir, log(b"1"), log(b"2"), messages=10)
            await delivered(agent, certs_dir, 20)

    assert [envelope.log.payload for envelope in received] == [b"1", b"2"] * 10
    assert all(envelope.tags["job"] == "cell" for envelope in received)


async def test_a_router_whose_certificate_names_another_gets_nothing(certs_dir: Path) -> None:
    """The name that an agent demands of a router is `doppler` (0.1)."""
    with original_router(certs_dir, leaf="metron") as (other, misled), original_router(certs_dir) as (router, received):
        async with agent_on(certs_dir, other, router) as agent:
            await send(agent, certs_dir, log(b"x"), messages=40)
            await delivered(agent, certs_dir, 40)

    assert (len(misled), len(received)) == (0, 40)


async def test_envelopes_leave_with_both_maps_of_tags(certs_dir: Path) -> None:
    """Trap of 1.1: deprecated_tags are copied to tags and not cleared, so both maps can be on the wire."""
    old = {"text": v2.Value(text="a"), "integer": v2.Value(integer=-7), "decimal": v2.Value(decimal=0.1)}
    sent = v2.Envelope(source_id="app", tags={"own": "x"}, deprecated_tags=old, log={})
    with original_router(certs_dir) as (address, received):
        async with agent_on(certs_dir, address, tags={"job": "cell"}) as agent:
            await send(agent, certs_dir, sent)
            await delivered(agent, certs_dir, 1)

    assert received[0].deprecated_tags == sent.deprecated_tags
    assert received[0].tags == {"own": "x", "job": "cell", "text": "a", "integer": "-7", "decimal": "0.1"}


async def test_totals_begin_anew_once_ten_thousand_counters_are_known(certs_dir: Path) -> None:
    """Trap of 1.1: when more than 10,000 keys exist the whole map is reset."""

    def counters(*numbers: int) -> list[v2.Envelope]:
        return [v2.Envelope(source_id="app", counter={"name": str(number), "delta": 1}) for number in numbers]

    with original_router(certs_dir) as (address, received):
        async with agent_on(certs_dir, address) as agent:
            await send(agent, certs_dir, *counters(*range(10_000), 0, 10_000, 0))
            await delivered(agent, certs_dir, 10_003)

    assert [envelope.counter.total for envelope in received[10_000:]] == [2, 1, 1]


@pytest.mark.parametrize(("own_zone", "falls_back"), [("localhost:1", False), ("z1@nobody.invalid:8082", True)])
async def test_only_the_name_server_makes_an_agent_leave_its_zone(
    certs_dir: Path, own_zone: str, falls_back: bool
) -> None:
    """Trap of 1.1: failover to the name without a zone happens only on DNS failure."""
    async with running("doppler", certs_dir) as doppler:
        async with agent_on(certs_dir, doppler["listen"], preferred_doppler_addresses=[own_zone]) as agent:
            await send(agent, certs_dir, log(b"x"))

            async def has_links() -> bool:
                return any(name.startswith("link ") for name in await accounts(agent, certs_dir))

            await eventually(has_links)
            links = {name for name in await accounts(agent, certs_dir) if name.startswith("link ")}
            assert (f"link {doppler['listen']}" in links) == falls_back
            if falls_back:
                await delivered(agent, certs_dir, 1)
            else:
                assert (await accounts(agent, certs_dir))["agent"]["held"] == 1


async def test_two_dopplers_share_the_load(certs_dir: Path) -> None:
    async with running("doppler", certs_dir) as one, running("doppler", certs_dir) as other:
        async with agent_on(certs_dir, one["listen"], other["listen"]) as agent:

            async def both_linked() -> bool:
                return sum(name.startswith("link") for name in await accounts(agent, certs_dir)) == 2

            await eventually(both_linked)
            for _ in range(40):
                await send(agent, certs_dir, log(b"x"))
            await delivered(agent, certs_dir, 40)

            shares = [(await accounts(ports, certs_dir))["ingress"]["received"] for ports in (one, other)]
            assert sum(shares) == 40
            assert min(shares) >= 10


async def test_a_doppler_that_stops_loses_nothing_and_is_found_again(certs_dir: Path) -> None:
    async with running("doppler", certs_dir) as first:
        async with agent_on(certs_dir, first["listen"]) as agent:
            await send(agent, certs_dir, log(b"1"))
            await delivered(agent, certs_dir, 1)
            address = first["listen"]

    async with agent_on(certs_dir, address) as agent:
        await send(agent, certs_dir, log(b"2"), messages=50)
        books = (await accounts(agent, certs_dir))["agent"]
        assert books["held"] + books["in_flight"] == 50

        async with running("doppler", certs_dir, listen=address) as revived:
            await delivered(agent, certs_dir, 50)
            assert (await accounts(revived, certs_dir))["ingress"]["received"] == 50


async def test_an_unary_send_is_answered_once_the_agent_has_it(certs_dir: Path) -> None:
    async with running("doppler", certs_dir) as doppler, agent_on(certs_dir, doppler["listen"]) as agent:
        with dial(agent["listen"], certs_dir, "metron") as channel:
            call = channel.unary_unary(
                "/loggregator.v2.Ingress/Send",
                request_serializer=v2.EnvelopeBatch.SerializeToString,
                response_deserializer=v2.SendResponse.FromString,
            )
            event = v2.Envelope(source_id="app", event={"title": "t", "body": "b"})
            assert await trio.to_thread.run_sync(call, v2.EnvelopeBatch(batch=[event])) == v2.SendResponse()

            raw = channel.unary_unary("/loggregator.v2.Ingress/Send")
            with pytest.raises(grpc.RpcError) as error:
                await trio.to_thread.run_sync(raw, b"\xff\xff")
            assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert "byte 0" in str(error.value.details())
        await delivered(agent, certs_dir, 1)


async def test_without_dopplers_the_oldest_go_and_are_counted(certs_dir: Path) -> None:
    async with agent_on(certs_dir, "127.0.0.1:1", diode_capacity=10) as agent:
        await send(agent, certs_dir, log(b"x"), log(b"y"), messages=20)

        books = (await accounts(agent, certs_dir))["agent"]
        assert (books["received"], books["dropped"]["overflow"], books["held"]) == (40, 30, 10)


async def test_followed_files_are_shipped_and_continued_after_a_restart(certs_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"one\ntwo\n")
    settings = {
        "files": [{"paths": [str(path)], "source_id": "file", "start": "beginning"}],
        "checkpoint_dir": tmp_path / "checkpoints",
    }
    with original_router(certs_dir) as (address, received):
        async with agent_on(certs_dir, address, **settings) as agent:
            await delivered(agent, certs_dir, 2)
            with path.open("ab") as file:
                file.write(b"three\r\nfour")
            await delivered(agent, certs_dir, 3)
        with path.open("ab") as file:
            file.write(b"five\n")
        async with agent_on(certs_dir, address, **settings) as agent:
            await delivered(agent, certs_dir, 1)

    lines = [envelope.log.payload for envelope in received]
    assert lines[:3] == [b"one", b"two", b"three"]
    assert b"".join(lines[3:]) == b"fourfive"


async def test_host_metrics_arrive_as_gauges(certs_dir: Path) -> None:
    with original_router(certs_dir) as (address, received):
        metrics = {"enabled": True, "interval_s": 0.2, "instance_id": "box"}
        async with agent_on(certs_dir, address, host_metrics=metrics) as agent:
            await delivered(agent, certs_dir, 5)

    names = {name for envelope in received for name in envelope.gauge.metrics}
    assert {envelope.source_id for envelope in received} == {"host"}
    assert any("cpu" in name for name in names)
    assert any("memory" in name for name in names)


async def test_an_agent_whose_dopplers_are_away_stops_in_time_though_its_sources_wait(
    certs_dir: Path, tmp_path: Path
) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"line\n" * 5000)
    files = [{"paths": [str(path)], "source_id": "file", "start": "beginning"}]
    with trio.fail_after(15):
        async with running(
            "metron",
            certs_dir,
            doppler_addresses=["127.0.0.1:1"],
            drain_grace_s=0.2,
            source_window_bytes=1000,
            files=files,
            checkpoint_dir=tmp_path / "checkpoints",
        ) as agent:

            async def held() -> bool:
                return (await accounts(agent, certs_dir))["agent"]["held"] > 0

            await eventually(held)


async def test_a_message_that_tags_make_too_large_for_a_doppler_arrives_in_pieces(certs_dir: Path) -> None:
    envelopes = [log(b"") for _ in range(150_000)]  # 1.5 MB, and with their tags over the limit of 10 MiB
    async with running("doppler", certs_dir) as doppler:
        async with agent_on(certs_dir, doppler["listen"], tags={"job": "x" * 80}) as agent:
            await send(agent, certs_dir, *envelopes)
            await delivered(agent, certs_dir, len(envelopes))
            await send(agent, certs_dir, log(b"next"))
            await delivered(agent, certs_dir, len(envelopes) + 1)

            assert (await accounts(doppler, certs_dir))["ingress"]["received"] == len(envelopes) + 1


async def test_an_envelope_that_no_doppler_takes_is_dropped_and_counted(certs_dir: Path) -> None:
    async with running("doppler", certs_dir) as doppler:
        async with agent_on(certs_dir, doppler["listen"], tags={"job": "x" * 40_000}) as agent:
            await send(agent, certs_dir, log(b"x" * ((10 << 20) - 20_000)))
            await send(agent, certs_dir, log(b"next"))
            await delivered(agent, certs_dir, 1)

            assert (await accounts(agent, certs_dir))["agent"]["dropped"]["too_large"] == 1
