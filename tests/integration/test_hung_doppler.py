"""A doppler that takes connections and never answers: everyone is served by the others, and stops in time."""

import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import grpc
import pytest
import trio

from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.acks import ACKS_METADATA, CHANGES_METADATA
from plumbing.tls import TlsFiles, grpc_server_credentials
from plumbing.tokens import TokenStore
from tests.integration.test_firehose_wire import Pipeline, log, receive
from tests.running import accounts, dial, readers_at, running

STOPS_WITHIN_S = 6.0
HANGS = ["before TLS", "before its headers", "after its headers"]


@asynccontextmanager
async def hung(how: str, certs: Path) -> AsyncIterator[str]:
    if how == "before TLS":
        async with trio.open_nursery() as nursery:
            listen = partial(trio.serve_tcp, _say_nothing, 0, host="127.0.0.1")
            (listener,) = await nursery.start(listen)
            host, port = listener.socket.getsockname()
            yield f"{host}:{port}"
            nursery.cancel_scope.cancel()
    else:
        with hung_grpc(certs, greets=how == "after its headers") as address:
            yield address


async def _say_nothing(_: trio.SocketStream) -> None:
    await trio.sleep_forever()


@contextmanager
def hung_grpc(certs: Path, *, greets: bool) -> Iterator[str]:
    ended = threading.Event()

    def hang(_: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        if greets:
            context.send_initial_metadata((ACKS_METADATA, CHANGES_METADATA))
        ended.wait()
        yield from ()

    server = grpc.server(ThreadPoolExecutor(8))
    handlers = {"BatchedReceiver": grpc.stream_stream_rpc_method_handler(hang)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("loggregator.v2.Egress", handlers),))
    port = server.add_secure_port("127.0.0.1:0", grpc_server_credentials(TlsFiles.named(certs, "doppler")))
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        ended.set()
        server.stop(0).wait()


@asynccontextmanager
async def stopping_in_time() -> AsyncIterator[trio.CancelScope]:
    """Bound the end of the block, from when its scope's deadline is set."""
    with trio.CancelScope() as scope:
        yield scope
    assert not scope.cancelled_caught


@pytest.mark.parametrize("how", HANGS)
async def test_a_traffic_controller_serves_from_the_others(certs_dir: Path, tmp_path: Path, how: str) -> None:
    tokens = TokenStore(tmp_path / "tokens")
    tokens.ensure_admin_token(time.time())
    auth = {"tokens_dir": tmp_path / "tokens"}
    async with running("doppler", certs_dir, drain_grace_s=0.5) as good, hung(how, certs_dir) as bad:
        addresses = [bad, good["listen"]]
        async with stopping_in_time() as scope:
            async with running("traffic_controller", certs_dir, doppler_addresses=addresses, auth=auth) as ports:
                with dial(good["listen"], certs_dir, "doppler") as channel:
                    pipeline = Pipeline(good, ports, certs_dir, tokens, channel)
                    async with pipeline.connect("/firehose/s") as firehose, pipeline.connect("/apps/a/stream") as app:
                        await readers_at(pipeline.doppler, pipeline.certs, 2)
                        await pipeline.send(log(b"1", "a"))
                        texts = [(await receive(each, 1))[0].logMessage.message for each in (firehose, app)]
                scope.deadline = trio.current_time() + STOPS_WITHIN_S

        delivered = [each["delivered"] for each in (await accounts(good, certs_dir)).values()]
    assert texts == [b"1", b"1"]
    assert delivered == [1, 0, 1, 1]


async def test_a_reverse_log_proxy_stops_though_its_goodbye_is_not_heard(certs_dir: Path) -> None:
    async with running("doppler", certs_dir, drain_grace_s=0.5) as good, hung("after its headers", certs_dir) as bad:
        addresses = [bad, good["listen"]]
        async with stopping_in_time() as scope:
            async with running("reverse_log_proxy", certs_dir, doppler_addresses=addresses) as ports:
                with dial(ports["listen"], certs_dir, "reverselogproxy") as channel:
                    request = v2.EgressBatchRequest(selectors=[v2.Selector(log={})])
                    stream = channel.unary_stream(
                        "/loggregator.v2.Egress/BatchedReceiver",
                        request_serializer=v2.EgressBatchRequest.SerializeToString,
                        response_deserializer=v2.EnvelopeBatch.FromString,
                    )(request)
                    with dial(good["listen"], certs_dir, "doppler") as doppler:
                        pipeline = Pipeline(good, ports, certs_dir, TokenStore(certs_dir), doppler)
                        await readers_at(pipeline.doppler, pipeline.certs, 1)
                        await pipeline.send(log(b"1"))
                        with trio.fail_after(10):
                            (envelope,) = (await trio.to_thread.run_sync(next, stream)).batch
                    stream.cancel()
                scope.deadline = trio.current_time() + STOPS_WITHIN_S
    assert envelope.log.payload == b"1"


async def test_an_agent_sends_to_the_others(certs_dir: Path) -> None:
    async with running("doppler", certs_dir, drain_grace_s=0.5) as good, hung("before TLS", certs_dir) as bad:
        addresses = [bad, good["listen"]]
        async with stopping_in_time() as scope:
            async with running("metron", certs_dir, doppler_addresses=addresses) as ports:
                with dial(ports["listen"], certs_dir, "metron") as channel:
                    agent = Pipeline(good, ports, certs_dir, TokenStore(certs_dir), channel)
                    for _ in range(10):
                        await agent.send(log(b"x"))
                scope.deadline = trio.current_time() + STOPS_WITHIN_S
        assert (await accounts(good, certs_dir))["ingress"]["received"] == 10
