"""A Doppler whose connections live on though nobody reads them keeps nothing from the others for ever."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from plumbing import ingress_client
from plumbing.acks import ACKS_METADATA
from plumbing.tls import TlsFiles, grpc_server_credentials
from tests.running import accounts, dial, eventually, running

BATCH = EnvelopeBatch(batch=[Envelope(source_id="app", log={"payload": b"x" * 20_000})] * 10)
BATCHES = 60


class _NobodyReads(grpc.GenericRpcHandler):
    """Grants whatever is asked for, and then does nothing until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.streams = 0

    def service(self, _: object) -> Any:
        return grpc.stream_stream_rpc_method_handler(self._stream)

    def _stream(self, _: object, context: grpc.ServicerContext) -> Iterator[bytes]:
        self.streams += 1
        context.send_initial_metadata((ACKS_METADATA,))
        self.let_go.wait()
        yield b""


@contextmanager
def doppler_that_nobody_reads(certs: Path) -> Iterator[tuple[str, _NobodyReads]]:
    handler = _NobodyReads()
    with ThreadPoolExecutor(max_workers=20) as threads:
        server = grpc.server(threads, handlers=[handler])
        port = server.add_secure_port("127.0.0.1:0", grpc_server_credentials(TlsFiles.named(certs, "doppler")))
        server.start()
        try:
            yield f"127.0.0.1:{port}", handler
        finally:
            handler.let_go.set()
            server.stop(None).wait()


async def test_what_a_stalled_doppler_does_not_confirm_goes_to_another(
    certs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingress_client, "STALLED_S", 0.3)
    with doppler_that_nobody_reads(certs_dir) as (hole, nobody):
        async with (
            running("doppler", certs_dir) as good,
            running("metron", certs_dir, doppler_addresses=[hole, good["listen"]]) as agent,
        ):

            async def both_are_dialled() -> bool:
                links = [account for name, account in (await accounts(agent, certs_dir)).items() if "link" in name]
                return len(links) == 2 and nobody.streams > 0

            await eventually(both_are_dialled)
            with dial(agent["listen"], certs_dir, "metron") as channel:
                send = channel.unary_unary("/loggregator.v2.Ingress/Send")
                for _ in range(BATCHES):
                    send(BATCH.SerializeToString())

            async def all_are_delivered() -> bool:
                books = (await accounts(agent, certs_dir))["agent"]
                return bool(books["delivered"] == books["received"] == 10 * BATCHES)

            await eventually(all_are_delivered)
            assert (await accounts(good, certs_dir))["ingress"]["received"] == 10 * BATCHES
            assert (await accounts(agent, certs_dir))["agent"]["returned"] > 0
